"""Tools that place, change and cancel orders, and the result of every tool that trades.

Each proposes; the desk decides, the person approves, the desk sends once.
"""

from functools import partial
from typing import Annotated, Literal

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import FindingKind
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, Command, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.server.context import ToolContext, desk_of
from ct_mcp.server.elicitation import confirm, contract_shown, propose_and_ask
from ct_mcp.server.format import (
    ToolResult,
    join_lines,
    to_float,
    tool_result,
)
from ct_mcp.server.tool_schema import MOST_COUNTED
from ct_mcp.server.tools.forms import (
    AccountName,
    OneInstrument,
    OrderId,
    PlaceOrderForm,
    Price,
    ReplaceOrderForm,
    to_price,
)
from ct_mcp.text import contracts, format_price

_FAILED = frozenset({Status.REJECTED, Status.DENIED, Status.UNKNOWN})
_SENT_WORDS = {True: "sent", False: "NOT sent", None: "sent, and no answer that can be trusted came"}


_REAL = {True: "REAL MONEY", False: "a real account", None: "REAL MONEY"}


class TradeResult(ToolResult):
    """One trade: what became of it, as read back. Null means not known, never zero and never flat."""

    status: Literal[
        "filled",
        "working",
        "cancelled",
        "flat",
        "changed",
        "accepted",
        "rejected",
        "denied",
        "needs_approval",
        "declined",
        "expired",
        "unknown",
        "set",
    ]
    sent: bool | Literal["unknown"]
    summary: str
    simulated: bool = Field(description="True whenever no real money can move.")
    ticket_id: str | None
    expires_in_seconds: int | None
    order_id: str | None
    order_state: str | None
    strategy_id: str | None
    filled_quantity: int | None
    average_fill_price: float | None
    time_in_force: str | None
    position_after: int | None = Field(description="Signed contracts, as read back.")
    stands_now: list[str] = Field(description="Position with its stops and targets, working orders, what ended.")
    asked: str = Field(description="Whether the person was asked; empty where nothing was sent.")
    warnings: list[str]
    reasons: list[str]
    assumptions: list[str] = Field(description="How figures were reckoned.")
    could_not_verify: list[str]
    next_step: str


Traded = Annotated[CallToolResult, TradeResult] | InputRequiredResult
"""What a trade tool returns; in the 2026 protocol it may first be the question to the person."""


async def place_order(ctx: ToolContext, form: PlaceOrderForm) -> Traded:
    """Buy or sell: place one order, with its stop_loss and take_profit. Checks limits, asks, sends once, reads back.

    A position's stops and targets keep their size: adding, give stop_loss for what is added; leaving, fit them as the
    answer says. Once for each order that the person wants: where an answer was lost, look before you call again.
    needs_approval: nothing is sent yet, use confirm_ticket. unknown: it may have been sent, never send it again.
    """
    order = await form.entry(desk_of(ctx), partial(contract_shown, ctx), flatten_first=form.flatten_first)
    return await propose(ctx, order, form.reason or "")


async def confirm_ticket(
    ctx: ToolContext,
    ticket_id: Annotated[str, Field(min_length=1, max_length=64, description="From needs_approval or get_status")],
) -> Traded:
    """Go on with an open ticket: waits up to 25 s for the person's yes, then sends what it holds, once.

    It cannot approve; only the person can.
    """
    return to_result(await confirm(ctx, ticket_id))


async def change_order(
    ctx: ToolContext,
    account: AccountName,
    order_id: OrderId,
    quantity: Annotated[int | None, Field(ge=1, le=MOST_COUNTED, description="New total quantity")] = None,
    limit_price: Annotated[Price | None, Field(description="New limit")] = None,
    stop_price: Annotated[Price | None, Field(description="New stop")] = None,
) -> Traded:
    """Change quantity or prices of a working order (move a stop); what is left out stays."""
    named = await desk_of(ctx).resolver.account(account)
    change = ChangeOrder(named.name, order_id, quantity, to_price(limit_price, None), to_price(stop_price, None))
    return await propose(ctx, change)


async def replace_order(ctx: ToolContext, form: ReplaceOrderForm) -> Traded:
    """Cancel a working order, then place another that gets a new id. For size and prices alone use change_order.

    Places nothing unless the first is cancelled, and takes no stop_loss along.
    """
    order = await form.order(desk_of(ctx), partial(contract_shown, ctx))
    return await propose(ctx, ReplaceOrder(order.account, form.order_id, order), form.reason or "")


async def cancel_order(ctx: ToolContext, account: AccountName, order_id: OrderId) -> Traded:
    """Cancel one working order, and with it the rest of its OCO group: a target takes its stop along.

    Asks the person only if that leaves a position unprotected; protect_position places a stop anew. To move a target
    or a stop use change_order.
    """
    named = await desk_of(ctx).resolver.account(account)
    return await propose(ctx, CancelOrder(named.name, order_id))


async def cancel_orders(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Cancel all orders of an account, or of one instrument in it: entries, stops and targets.

    Positions stay, then without a stop: the person is asked if so. To leave them as well use flatten.
    """
    name, contract = await exit_target(ctx, account, instrument)
    return await propose(ctx, CancelOrders(name, contract))


async def propose(ctx: ToolContext, command: Command, reason: str = "") -> CallToolResult | InputRequiredResult:
    """Propose a command, ask for the yes that it needs, and say what became of it."""
    return to_result(await propose_and_ask(ctx, command, reason))


def to_result(outcome: Outcome | InputRequiredResult) -> CallToolResult | InputRequiredResult:
    """Make a result of an outcome; the question that comes before one passes as it is."""
    return trade_result(outcome) if isinstance(outcome, Outcome) else outcome


async def exit_target(ctx: ToolContext, account: str, instrument: str | None) -> tuple[str, Instrument | None]:
    """Resolve the account of an exit and, where one is named, the contract held in it."""
    name = (await desk_of(ctx).resolver.account(account)).name
    return name, None if instrument is None else await contract_held(ctx, instrument, name)


async def contract_held(ctx: ToolContext, instrument: str, account: str, *, is_reviewed: bool = False) -> Instrument:
    """Resolve the contract that an account holds, or the one that a form has shown for these arguments."""
    shown = await contract_shown(ctx, instrument, account)
    return shown or await desk_of(ctx).resolver.instrument_held(instrument, account, is_reviewed=is_reviewed)


def trade_result(outcome: Outcome) -> CallToolResult:
    """Make both halves of an outcome; a denial, a reject and an unknown outcome are errors to the client."""
    sent = outcome.status.sent
    structure = TradeResult(
        status=outcome.status.value,
        sent="unknown" if sent is None else sent,
        summary=outcome.summary,
        simulated=outcome.simulated,
        ticket_id=outcome.ticket_id,
        expires_in_seconds=outcome.expires_in_seconds,
        order_id=outcome.order_id,
        order_state=outcome.order_state,
        strategy_id=outcome.strategy_id,
        filled_quantity=outcome.filled_quantity,
        average_fill_price=to_float(outcome.average_fill_price),
        time_in_force=outcome.time_in_force,
        position_after=outcome.position_after,
        stands_now=list(outcome.stands_now),
        asked=outcome.asked,
        warnings=[*filter(None, (outcome.alarm,)), *outcome.warnings, *_remarks(outcome, FindingKind.WARNING)],
        reasons=list(outcome.reasons),
        assumptions=_remarks(outcome, FindingKind.ASSUMPTION),
        could_not_verify=_remarks(outcome, FindingKind.COULD_NOT_VERIFY),
        next_step=_next_step(outcome),
    )
    return tool_result(_trade_text(outcome), structure, is_error=outcome.status in _FAILED)


def _trade_text(outcome: Outcome) -> str:
    return join_lines(
        (
            outcome.alarm,
            f"{outcome.head} ({_SENT_WORDS[outcome.status.sent]}): {outcome.summary}",
            _order_words(outcome),
            f"strategy {outcome.strategy_id}" if outcome.strategy_id else "",
            _position_words(outcome),
            "; ".join(filter(None, (_ticket_words(outcome), outcome.asked))),
            *(f"now: {line}" for line in outcome.stands_now),
            *(f"reason: {reason}" for reason in outcome.reasons),
            *(f"WARNING: {warning}" for warning in outcome.warnings),
            *map(str, outcome.findings),
            f"next: {_next_step(outcome)}" if outcome.next_step else "",
            _last_words(outcome),
        )
    )


def _last_words(outcome: Outcome) -> str:
    """Say once more how it ended: of a long answer some clients show the person the last lines only."""
    kind = "simulated: no real money can move" if outcome.simulated else _REAL[outcome.status.sent]
    head = f"{outcome.head} ({_SENT_WORDS[outcome.status.sent]})"
    return "; ".join(filter(None, (head, _filled_words(outcome), _position_words(outcome), kind)))


def _next_step(outcome: Outcome) -> str:
    """What to do; of what was sent by this call and is unknown also how to wait for it."""
    if outcome.status is not Status.UNKNOWN or outcome.ticket_id is None or not outcome.asked:
        return outcome.next_step
    wait = f"confirm_ticket with ticket_id {outcome.ticket_id} waits for what becomes of it, and sends nothing"
    return "; ".join(filter(None, (outcome.next_step, wait)))


def _remarks(outcome: Outcome, kind: FindingKind) -> list[str]:
    return [finding.text for finding in outcome.findings if finding.kind is kind]


def _order_words(outcome: Outcome) -> str:
    if outcome.order_id is None:
        return ""
    words = [f"order {outcome.order_id} {outcome.order_state or 'state unknown'}"]
    if outcome.time_in_force:
        words.append(outcome.time_in_force)
    if filled := _filled_words(outcome):
        words.append(filled)
    return ", ".join(words)


def _filled_words(outcome: Outcome) -> str:
    if not outcome.filled_quantity:
        return ""
    return f"filled {outcome.filled_quantity} at {format_price(outcome.average_fill_price)}"


def _position_words(outcome: Outcome) -> str:
    if outcome.position_after is None:
        return ""
    reads_now = outcome.status is Status.UNKNOWN or outcome.as_of
    when = "position as it reads now" if reads_now else "position after"
    return f"{when}: {contracts(outcome.position_after)}"


def _ticket_words(outcome: Outcome) -> str:
    return f"ticket {outcome.ticket_id}{_expiry(outcome)}" if outcome.ticket_id else ""


def _expiry(outcome: Outcome) -> str:
    return "" if outcome.expires_in_seconds is None else f", expires in {outcome.expires_in_seconds} s"
