"""What every trade tool answers."""

from typing import Literal

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.server.present import Answer, answered, lines, number, price

_FAILED = frozenset({Status.REJECTED, Status.DENIED, Status.UNKNOWN})


class TradeAnswer(Answer):
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
    position_after: int | None = Field(description="Signed contracts, as read back.")
    warnings: list[str]
    reasons: list[str]
    checks_not_run: list[str]
    next_step: str


def trade_answer(outcome: Outcome) -> CallToolResult:
    """Both halves of a trade's outcome; a denial, a reject and an unknown outcome are errors to the client."""
    sent = outcome.status.sent
    structure = TradeAnswer(
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
        average_fill_price=number(outcome.average_fill_price),
        position_after=outcome.position_after,
        warnings=list(outcome.warnings),
        reasons=list(outcome.reasons),
        checks_not_run=list(outcome.checks_not_run),
        next_step=outcome.next_step,
    )
    return answered(_text(outcome), structure, is_error=outcome.status in _FAILED)


_SENT_WORDS = {True: "sent", False: "NOT sent", None: "sent: UNKNOWN"}


def _text(outcome: Outcome) -> str:
    return lines(
        (
            f"{outcome.status.upper()} ({_SENT_WORDS[outcome.status.sent]}): {outcome.summary}",
            _order_text(outcome),
            f"strategy {outcome.strategy_id}" if outcome.strategy_id else "",
            "" if outcome.position_after is None else f"position after: {_signed(outcome.position_after)}",
            f"ticket {outcome.ticket_id}{_expiry(outcome)}" if outcome.ticket_id else "",
            *(f"reason: {reason}" for reason in outcome.reasons),
            *(f"WARNING: {warning}" for warning in outcome.warnings),
            *(f"not checked: {check}" for check in outcome.checks_not_run),
            f"next: {outcome.next_step}" if outcome.next_step else "",
            "simulated: no real money can move" if outcome.simulated else "REAL MONEY",
        )
    )


def _order_text(outcome: Outcome) -> str:
    if outcome.order_id is None:
        return ""
    words = [f"order {outcome.order_id} {outcome.order_state or 'state unknown'}"]
    if outcome.filled_quantity:
        words.append(f"filled {outcome.filled_quantity} at {price(outcome.average_fill_price)}")
    return ", ".join(words)


def _signed(net: int) -> str:
    return f"{net:+d}" if net else "flat"


def _expiry(outcome: Outcome) -> str:
    return "" if outcome.expires_in_seconds is None else f", lapses in {outcome.expires_in_seconds} s"
