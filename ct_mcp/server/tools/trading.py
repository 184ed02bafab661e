"""Tools that can reach the market. Each proposes; the desk decides, the person approves, the desk sends once."""

from decimal import Decimal
from typing import Annotated, Literal

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.server.answers.trade import TradeAnswer, trade_answer
from ct_mcp.server.asking import ask_again, propose_and_ask
from ct_mcp.server.wiring import ToolContext, desk_of

Traded = Annotated[CallToolResult, TradeAnswer] | InputRequiredResult
"""A trade's answer; in the 2026 protocol it may first be the question to the person."""

AccountName = Annotated[str, Field(description="Account name, e.g. Sim101")]
InstrumentName = Annotated[str, Field(description="e.g. 'ES 12-26', ESZ26, or ES for the front month")]
Action = Annotated[Literal["BUY", "SELL"], Field(description="What the person asked for")]
Quantity = Annotated[int, Field(ge=1, description="Contracts")]
OneInstrument = Annotated[str | None, Field(description="Leave out for the whole account")]
OrderKind = Annotated[Literal["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"], Field(description="Order type")]
LimitPrice = Annotated[float | None, Field(description="For LIMIT and STOP_LIMIT only")]
StopPrice = Annotated[float | None, Field(description="For STOP_MARKET and STOP_LIMIT only")]
Validity = Annotated[Literal["DAY", "GTC"], Field(description="Time in force")]
Reason = Annotated[str | None, Field(max_length=300, description="Why, for the journal")]
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
    oco_id: Annotated[str | None, Field(max_length=64, description="One cancels other: same new id on both")] = None,
    atm_strategy: Annotated[str | None, Field(max_length=64, description="NinjaTrader ATM template")] = None,
    flatten_first: Annotated[bool, Field(description="Leave the position before")] = False,
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
    return _told(await propose_and_ask(ctx, order, reason or ""))


async def confirm_ticket(
    ctx: ToolContext,
    ticket_id: Annotated[str, Field(min_length=1, max_length=64, description="From needs_approval")],
) -> Traded:
    """Go on with an open ticket: waits up to 25 s for the person's yes, then sends what it holds, once.

    It cannot approve; only the person can.
    """
    return _told(await ask_again(ctx, ticket_id))


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
    return _told(await propose_and_ask(ctx, change))


async def cancel_order(ctx: ToolContext, account: AccountName, order_id: OrderId) -> Traded:
    """Cancel one working order. Asks the person only if it protects a position."""
    named = await desk_of(ctx).names.account(account)
    return _told(await propose_and_ask(ctx, CancelOrder(named.name, order_id)))


async def cancel_orders(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Cancel all working orders of an account, or of one instrument in it. Positions stay."""
    name, held = await _held(ctx, account, instrument)
    return _told(await propose_and_ask(ctx, CancelOrders(name, held)))


async def close_position(
    ctx: ToolContext,
    account: AccountName,
    instrument: InstrumentName,
    quantity: Annotated[int | None, Field(ge=1, description="Contracts; leave out for all")] = None,
    percent: Annotated[float | None, Field(gt=0, le=100, description="Instead of quantity; rounds up")] = None,
) -> Traded:
    """Leave one position, whole or in part. A part leaves stops and targets working: see warnings."""
    desk = desk_of(ctx)
    name = (await desk.names.account(account)).name
    held = await desk.names.instrument_held(instrument, name)
    return _told(await propose_and_ask(ctx, ClosePosition(name, held, quantity, exact(percent))))


async def flatten(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Get flat: leave all positions and cancel all orders of an account, or of one instrument in it.

    Says flat only when the account was read and was flat. Needs no quote, works while trading is halted.
    """
    name, held = await _held(ctx, account, instrument)
    return _told(await propose_and_ask(ctx, Flatten(name, held)))


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


async def _held(ctx: ToolContext, account: str, instrument: str | None) -> tuple[str, Instrument | None]:
    names = desk_of(ctx).names
    name = (await names.account(account)).name
    return name, None if instrument is None else await names.instrument_held(instrument, name)


def _told(outcome: Outcome | InputRequiredResult) -> CallToolResult | InputRequiredResult:
    return trade_answer(outcome) if isinstance(outcome, Outcome) else outcome
