"""Draws the ticket: what the person is shown, made here from the action and from nothing that the assistant wrote."""

import unicodedata
from datetime import timedelta
from decimal import Decimal
from secrets import choice, token_hex

from ct_mcp.crosstrade.words import cleaned
from ct_mcp.desk.facts import Case
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.action import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Flatten,
    PlaceOrder,
    describe,
    fingerprint,
)
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Position
from ct_mcp.domain.ticket import Approval, Ticket
from ct_mcp.guard.direction import only_reduces
from ct_mcp.guard.figures import order_figures
from ct_mcp.guard.protection import cancelled_by, unprotects

# No letters or digits that a person mistakes for another when reading them off a screen.
_CODE_ALPHABET = "ACDEFGHJKMNPQRTUVWXY34679"
_CODE_LENGTH = 4


def draw_ticket(case: Case, reason: str) -> Ticket:
    """Make the ticket of a reviewed action: fresh ids, the channel that must bring the yes, the words to be shown."""
    ticket_id = token_hex(8)
    phrase = _phrase(case)
    return Ticket(
        ticket_id=ticket_id,
        action=case.action,
        fingerprint=fingerprint(case.action),
        own_id=f"ctmcp-{ticket_id}",
        summary=summary_of(case),
        question=_question(case, phrase),
        phrase=phrase,
        approval=approval_of(case),
        simulated=case.simulated,
        reason=reason,
        created_at=case.view.now,
        expires_at=case.view.now + timedelta(seconds=case.policy.ticket_seconds),
    )


def approval_of(case: Case) -> Approval:
    """The channel that the policy asks for, by what the action does to the risk and not by its verb."""
    action, view = case.action, case.view
    kind = case.account.kind
    # Close and flatten only reduce by what they are; of the others the book says it, and not knowing is no yes.
    reduces = only_reduces(action, view)
    if reduces and isinstance(action, CancelOrder | CancelOrders):
        return Approval.NONE
    return case.policy.approval_for(case.account.name, kind, leaves=bool(reduces))


def summary_of(case: Case) -> str:
    """One line that a person can read, ``SIM  Sim101  BUY 2 ES 12-26 MARKET``."""
    return clean(f"{'SIM' if case.simulated else 'LIVE'}  {describe(case.action)}")


def clean(text: str) -> str:
    """Make one line without control, format or bidirectional characters: no name may repaint what the person reads."""
    spaced = "".join(" " if letter.isspace() else letter for letter in text)
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")


def _phrase(case: Case) -> str:
    if case.account.kind is AccountKind.SIMULATED or not isinstance(case.action, PlaceOrder):
        return "".join(choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))
    order = case.action
    return f"{order.action} {order.quantity} {order.instrument.root}"


def _question(case: Case, phrase: str) -> str:
    heading = "SIMULATED ACCOUNT - no real money can move" if case.simulated else "LIVE ACCOUNT - REAL MONEY"
    lines = [heading, "", describe(case.action), *_consequences(case)]
    lines += ["", f"To send it, type:  {phrase}", "Anything else sends nothing."]
    return "\n".join(map(clean, lines))


def _consequences(case: Case) -> list[str]:
    lines = [*_orders_meant(case), *_order_lines(case)]
    lost = unprotects(case.action, case.view)
    if lost is None:
        lines.append("CAUTION: what this leaves unprotected is not known")
    elif lost.is_any:
        lines.append(f"CAUTION: {lost}")
    if isinstance(case.action, ClosePosition | Flatten):
        lines += _what_stands(case)
    return lines


def _orders_meant(case: Case) -> list[str]:
    """The orders that a cancel or change is about, in words: nobody knows an order by its id."""
    match case.action:
        case ChangeOrder(order_id=order_id):
            meant = [order for order in (case.view.order(order_id),) if order is not None]
        case CancelOrder() | CancelOrders() as cancel:
            meant = list(cancelled_by(cancel, case.view) or ())
        case _:
            return []
    return [f"As it stands: {order_line(order)}" for order in meant] or ["No open order is listed for this"]


def _order_lines(case: Case) -> list[str]:
    figures = order_figures(case.action, case.view, case.policy)
    if figures is None:
        return []
    currency = case.account.currency or "account currency"
    lines = [
        f"Value {_money(figures.notional)}, risk {_money(figures.risk)} over {figures.risk_ticks} ticks ({currency})"
    ]
    if figures.reference_price is not None:
        lines.append(f"Market at {figures.reference_price:f} when proposed")
    lines.append(f"Position {_contracts(figures.position_now)} now, {_contracts(figures.position_after)} after")
    if isinstance(case.action, PlaceOrder):
        lines.append(f"Contract month {case.action.instrument.month_in_words}")
    return lines


def _what_stands(case: Case) -> list[str]:
    instrument = getattr(case.action, "instrument", None)
    positions = [p for p in case.view.positions or () if p.quantity and instrument in (None, p.instrument)]
    orders = [order for order in case.view.orders or () if instrument in (None, order.instrument)]
    if case.view.positions is None or case.view.orders is None:
        return ["What stands now could not be read"]
    return [*map(position_line, positions), *map(order_line, orders)]


def position_line(position: Position) -> str:
    """One position in words, ``LONG 2 ES 12-26 at 6410.25``."""
    return f"{position.direction} {position.quantity} {position.instrument} at {position.average_price:f}"


def order_line(order: Order) -> str:
    """One open order in words, ``SELL 2 ES 12-26 STOP MARKET 6400 WORKING (id)``."""
    prices = " ".join(f"{price:f}" for price in (order.limit_price, order.stop_price) if price is not None)
    words = (order.action, order.remaining, order.instrument, order.order_type.replace("_", " "), prices, order.state)
    return " ".join(str(word) for word in words if str(word)) + f" ({cleaned(order.order_id, longest=80)})"


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _contracts(net: int | None) -> str:
    return "unknown" if net is None else f"{net:+d}" if net else "flat"
