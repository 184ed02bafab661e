"""Tools that read accounts, positions, orders and executions."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.answers.positions import PositionsAnswer, positions_answer
from ct_mcp.server.wiring import ToolContext, desk_of

AnyAccount = Annotated[str | None, Field(description="Leave out for all accounts")]
AnyInstrument = Annotated[str | None, Field(description="Only this one")]


async def get_positions(
    ctx: ToolContext, account: AnyAccount = None, instrument: AnyInstrument = None
) -> Annotated[CallToolResult, PositionsAnswer]:
    """Open positions with average price and P&L. No rows means flat, as read now."""
    desk = desk_of(ctx)
    wanted = desk.names.matching(instrument)
    if account is None:
        held = await desk.upstream.all_positions()
    else:
        held = await desk.upstream.positions((await desk.names.account(account)).name)
    return positions_answer([position for position in held if wanted(position.instrument)], desk.clock())
