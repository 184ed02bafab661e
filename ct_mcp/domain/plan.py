"""What the ticket of an entry had planned for the round trip that came of it: setup, stop, what it risked. Pure.

It stands alone beside `domain/trades.py`: executions know nothing of tickets, and most have none.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.bracket import ExitLevel
from ct_mcp.domain.commands import PlaceOrder, ReplaceOrder
from ct_mcp.domain.level import Distance, ExitKind, price_of_level
from ct_mcp.domain.trades import Plan, RoundTrip


@dataclass(frozen=True, slots=True)
class SentOrder:
    """One order of ours: its ticket, the place of its command in it, and when somebody said yes, if anybody did."""

    ticket: Ticket
    place: int = 0
    approved_at: datetime | None = None


def plan_of(trip: RoundTrip, sent: SentOrder, tick_size: Decimal | None) -> Plan:
    """Reckon the plan of a round trip from its average entry; what is no new order has neither setup nor stop.

    A distance in ticks is no price where ``tick_size`` is not known.
    """
    ticket, command = sent.ticket, sent.ticket.commands[sent.place]
    order = command.order if isinstance(command, ReplaceOrder) else command
    plan = Plan(ticket.ticket_id, approved_by=ticket.decided_by, approved_at=sent.approved_at, reason=ticket.reason)
    if not isinstance(order, PlaceOrder):
        return plan
    stop, targets = None, list[Decimal]()
    if order.bracket is not None:
        if order.bracket.stop_loss is not None:
            stop = _price(order.bracket.stop_loss, ExitKind.STOP, trip, tick_size)
        prices = (_price(target.level, ExitKind.TARGET, trip, tick_size) for target in order.bracket.take_profit)
        targets = [price for price in prices if price is not None]
    return Plan(
        plan.ticket_id,
        order.tag,
        stop,
        tuple(targets),
        None if stop is None else _risk(trip, stop),
        plan.approved_by,
        plan.approved_at,
        plan.reason,
    )


def _price(level: ExitLevel, leg: ExitKind, trip: RoundTrip, tick_size: Decimal | None) -> Decimal | None:
    if not isinstance(level, Distance):
        return level
    return None if tick_size is None else price_of_level(level, leg, trip.average_entry, trip.sign, tick_size)


def _risk(trip: RoundTrip, stop: Decimal) -> Decimal | None:
    """The money to the stop; None where it stands on the wrong side of the entry, or a point's value is not known."""
    distance = (trip.average_entry - stop) * trip.sign
    if trip.point_value is None or distance <= 0:
        return None
    return distance * trip.quantity * trip.point_value
