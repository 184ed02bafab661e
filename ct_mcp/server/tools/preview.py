"""The tool that reviews an order and changes nothing."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.answers.preview import PreviewAnswer, preview_answer
from ct_mcp.server.reading import in_time
from ct_mcp.server.tools.trading import (
    AccountName,
    Action,
    InstrumentName,
    LimitPrice,
    OrderKind,
    Quantity,
    StopPrice,
    Validity,
    order_from,
)
from ct_mcp.server.wiring import ToolContext, desk_of

OcoId = Annotated[str | None, Field(max_length=64, description="As in place_order")]
AtmStrategy = Annotated[str | None, Field(max_length=64, description="As in place_order")]
Unused = Annotated[str | None, Field(max_length=300, description="Not used here")]


@in_time()
async def preview_order(
    ctx: ToolContext,
    account: AccountName,
    instrument: InstrumentName,
    action: Action,
    quantity: Quantity,
    order_type: OrderKind,
    limit_price: LimitPrice = None,
    stop_price: StopPrice = None,
    time_in_force: Validity = "DAY",
    oco_id: OcoId = None,
    atm_strategy: AtmStrategy = None,
    flatten_first: Annotated[bool, Field(description="Leave the position before")] = False,
    reason: Unused = None,  # so that the arguments of place_order can be tried as they are
) -> Annotated[CallToolResult, PreviewAnswer]:
    """What place_order would do, without doing it: every rule's verdict, value, risk, position after."""
    order = await order_from(
        ctx, account, instrument, action, quantity, order_type, limit_price, stop_price, time_in_force, oco_id,
        atm_strategy, flatten_first,
    )  # fmt: skip
    return preview_answer(await desk_of(ctx).preview(order))
