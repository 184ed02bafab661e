"""Tools for orders. Each proposes; the desk decides, the person approves, the desk sends once."""

from decimal import Decimal
from typing import Annotated, Literal

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, PlaceOrder, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.server.answers.trade import TradeAnswer, trade_answer
from ct_mcp.server.asking import ask_again, propose_and_ask
from ct_mcp.server.wiring import ToolContext, desk_of

Traded = Annotated[CallToolResult, TradeAnswer] | InputRequiredResult
"""A trade's answer; in the 2026 protocol it may first be the question to the person."""

AccountName = Annotated[str, Field(description="Account name, e.g. Sim101")]
InstrumentName = Annotated[str, Field(description="e.g. 'ES 12-26', ESZ26, or ES for the front month")]
HeldInstrument = Annotated[str, Field(description="e.g. 'ES 12-26', ESZ26, or ES for the month that is held")]
Action = Annotated[Literal["BUY", "SELL"], Field(description="What the person asked for")]
Quantity = Annotated[int, Field(ge=1, description="Contracts")]
OneInstrument = Annotated[str | None, Field(description="Leave out for the whole account")]
OrderKind = Annotated[Literal["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"], Field(description="Order type")]
LimitPrice = Annotated[float | None, Field(description="For LIMIT and STOP_LIMIT only")]
StopPrice = Annotated[float | None, Field(description="For STOP_MARKET and STOP_LIMIT only")]
Validity = Annotated[Literal["DAY", "GTC"], Field(description="Time in force")]
Reason = Annotated[str | None, Field(max_length=300, description="Why, for the journal")]
OcoId = Annotated[str | None, Field(max_length=64, description="One cancels other: same new id on both")]
AtmStrategy = Annotated[str | None, Field(max_length=64, description="ATM template: adds its own stop and target")]
OrderId = Annotated[str, Field(min_length=1, max_length=64, description="From get_orders")]


async def place_order(
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
    flatten_first: Annotated[bool, Field(description="Leave what is held in the instrument before")] = False,
    reason: Reason = None,
) -> Traded:
    """Place one order. Checks every limit, asks the person, sends once, reads back.

    Never call it twice for one wish. needs_approval: nothing is sent yet, use confirm_ticket.
    unknown: look, never resend.
    """
    order = await order_from(
        ctx, account, instrument, action, quantity, order_type, limit_price, stop_price, time_in_force, oco_id,
        atm_strategy, flatten_first,
    )  # fmt: skip
    return told(await propose_and_ask(ctx, order, reason or ""))


async def confirm_ticket(
    ctx: ToolContext,
    ticket_id: Annotated[str, Field(min_length=1, max_length=64, description="From needs_approval")],
) -> Traded:
    """Go on with an open ticket: waits up to 25 s for the person's yes, then sends what it holds, once.

    It cannot approve; only the person can.
    """
    return told(await ask_again(ctx, ticket_id))


async def change_order(
    ctx: ToolContext,
    account: AccountName,
    order_id: OrderId,
    quantity: Annotated[int | None, Field(ge=1, description="New total quantity")] = None,
    limit_price: Annotated[float | None, Field(description="New limit")] = None,
    stop_price: Annotated[float | None, Field(description="New stop")] = None,
) -> Traded:
    """Change quantity or prices of a working order; what is left out stays."""
    named = await desk_of(ctx).names.account(account)
    change = ChangeOrder(named.name, order_id, quantity, exact(limit_price), exact(stop_price))
    return told(await propose_and_ask(ctx, change))


async def replace_order(
    ctx: ToolContext,
    account: AccountName,
    order_id: OrderId,
    instrument: InstrumentName,
    action: Action,
    quantity: Quantity,
    order_type: OrderKind,
    limit_price: LimitPrice = None,
    stop_price: StopPrice = None,
    time_in_force: Validity = "DAY",
    oco_id: OcoId = None,
    atm_strategy: AtmStrategy = None,
    reason: Reason = None,
) -> Traded:
    """Cancel a working order, then place another that gets a new id. For size and prices alone use change_order.

    Places nothing unless the first is cancelled.
    """
    order = await order_from(
        ctx, account, instrument, action, quantity, order_type, limit_price, stop_price, time_in_force, oco_id,
        atm_strategy, False,
    )  # fmt: skip
    return told(await propose_and_ask(ctx, ReplaceOrder(order.account, order_id, order), reason or ""))


async def cancel_order(ctx: ToolContext, account: AccountName, order_id: OrderId) -> Traded:
    """Cancel one working order. Asks the person only if it protects a position."""
    named = await desk_of(ctx).names.account(account)
    return told(await propose_and_ask(ctx, CancelOrder(named.name, order_id)))


async def cancel_orders(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Cancel all working orders of an account, or of one instrument in it. Positions stay."""
    name, contract = await exit_from(ctx, account, instrument)
    return told(await propose_and_ask(ctx, CancelOrders(name, contract)))


async def order_from(
    ctx: ToolContext,
    account: str,
    instrument: str,
    action: str,
    quantity: int,
    order_type: str,
    limit_price: float | None,
    stop_price: float | None,
    time_in_force: str,
    oco_id: str | None,
    atm_strategy: str | None,
    flatten_first: bool,
) -> PlaceOrder:
    """Resolve the names of an order form; nothing that decides a trade is mended or filled in."""
    names = desk_of(ctx).names
    return PlaceOrder(
        account=(await names.account(account)).name,
        instrument=await names.instrument(instrument),
        action=OrderAction(action),
        quantity=quantity,
        order_type=OrderType(order_type),
        limit_price=exact(limit_price),
        stop_price=exact(stop_price),
        time_in_force=TimeInForce(time_in_force),
        oco_id=oco_id,
        atm_strategy=atm_strategy,
        flatten_first=flatten_first,
    )


def exact(value: float | None) -> Decimal | None:
    """The decimal that was written, not its nearest binary fraction."""
    return None if value is None else Decimal(repr(value))


async def exit_from(ctx: ToolContext, account: str, instrument: str | None) -> tuple[str, Instrument | None]:
    """An account and, where one is named, the contract of an exit in it."""
    names = desk_of(ctx).names
    name = (await names.account(account)).name
    return name, None if instrument is None else await names.instrument_held(instrument, name)


def told(outcome: Outcome | InputRequiredResult) -> CallToolResult | InputRequiredResult:
    """What became of it, or the question that comes before."""
    return trade_answer(outcome) if isinstance(outcome, Outcome) else outcome
