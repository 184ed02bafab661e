"""Makes watches of the commands that set them, and the tickets under which a watch sends: bound, and only to reduce.

Pure. Nothing but a nearer stop, a cancel and a flatten can be made here; whether it reduces on the facts of the send is
judged there once more, whoever was asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import token_hex

from ct_mcp.desk.journal_writer import summary_line
from ct_mcp.desk.remedies import order_line
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import APPROVALS, Approval, ApprovalItem, ApprovalRequest, ShownOrder, Ticket
from ct_mcp.domain.commands import KINDS, CancelOrder, ChangeOrder, Flatten, PlaceOrder, fingerprint, headline
from ct_mcp.domain.market import trading_day_began
from ct_mcp.domain.order import OWN_ID, Order, OrderType, TimeInForce
from ct_mcp.domain.watch import SetWatch, Watch, WatchKind
from ct_mcp.guard.rules.watch import due_of

_LIVES = timedelta(minutes=10)
_SEEN_DONE_WITHIN = timedelta(hours=1)
Sends = ChangeOrder | CancelOrder | Flatten
"""All that a watch can send."""


def rolls_at(now: datetime) -> datetime:
    """When the session of this moment rolls."""
    return trading_day_began(trading_day_began(now) + timedelta(hours=36))


def lives_until(now: datetime, hours: int | None, due: datetime | None) -> datetime:
    """When a watch that is set now ends: never before it has acted at its time, and had a while to see it done."""
    until = rolls_at(now) if hours is None else now + timedelta(hours=hours)
    return until if due is None else max(until, due + _SEEN_DONE_WITHIN)


def new_watch_id() -> str:
    """Make an id that a person can type."""
    return f"w-{token_hex(4)}"


def watch_of(command: SetWatch, under: Ticket, order: Order | None, now: datetime) -> Watch:
    """Make the watch that a command asks for, as of now; by the id and the instrument of the order that it is about."""
    due = None if command.does is WatchKind.TRAILING_STOP else due_of(command, now)
    return Watch(
        new_watch_id(),
        command.does,
        command.account,
        now,
        lives_until(now, command.hours, due),
        under.ticket_id,
        command.order_id if order is None else order.order_id,
        command.instrument if order is None else order.instrument,
        command.distance,
        due,
    )


def nearer_stop(order: Order, price: Decimal) -> ChangeOrder | None:
    """Make the change of a stop to a price that is nearer to the market; None where it is not nearer."""
    if order.order_type is not OrderType.STOP_MARKET or order.stop_price is None:
        return None
    is_nearer = (price - order.stop_price) * -order.action.sign > 0
    return ChangeOrder(order.account, order.order_id, stop_price=price) if is_nearer else None


@dataclass(frozen=True, slots=True)
class Under:
    """What covers a watch: the ticket of its yes, None for a setting; the kind of its account, and what exits need."""

    ticket: Ticket | None
    kind: AccountKind
    least: Approval

    @property
    def approval(self) -> Approval:
        """As strict as that yes was, and as exits of the account have to be: either covers it."""
        return self.least if self.ticket is None else max(self.ticket.approval, self.least, key=APPROVALS.index)

    def words(self, watch: Watch) -> str:
        """Say it for the journal."""
        if self.ticket is not None:
            return f"under the yes to {self.ticket.ticket_id}"
        setting = "flat_by" if watch.kind is WatchKind.FLAT_BY else "news_no_resting"
        return f"under {setting} of the settings"


def watch_ticket(watch: Watch, under: Under, command: Sends, order: Order | None, now: datetime) -> Ticket:
    """Make the ticket of what a watch sends; ``order`` is the one that it changes or cancels, as it stands."""
    ticket_id = token_hex(8)
    item = _item(command, order, under.kind)
    return Ticket(
        ticket_id=ticket_id,
        commands=(command,),
        fingerprint=fingerprint(command),
        own_id=f"{OWN_ID}{ticket_id}",
        summary=summary_line((command,), simulated=under.kind.is_simulated),
        request=ApprovalRequest((item,)),
        phrase="",
        approval=under.approval,
        simulated=under.kind.is_simulated,
        reason="",
        created_at=now,
        expires_at=now + _LIVES,
        decided_by=f"watch {watch.watch_id}, {under.words(watch)}",
    )


def _item(command: Sends, order: Order | None, kind: AccountKind) -> ApprovalItem:
    item = ApprovalItem(
        command.account,
        kind,
        KINDS[type(command)],
        headline(command),
        instrument=command.instrument if isinstance(command, Flatten) else order.instrument if order else None,
        only_reduces=True,
        must_reduce=True,
    )
    if isinstance(command, ChangeOrder) and order is not None:
        held = -order.action.sign * order.quantity
        return replace(item, sends=(_changed(command, order),), position_before=held, position_after=0)
    if isinstance(command, CancelOrder) and order is not None:
        return replace(item, cancels=(ShownOrder(order.order_id, order.remaining, order_line(order)),))
    return item


def _changed(command: ChangeOrder, order: Order) -> PlaceOrder:
    return PlaceOrder(
        account=order.account,
        instrument=order.instrument,
        action=order.action,
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        stop_price=command.stop_price,
        time_in_force=order.time_in_force or TimeInForce.DAY,
        oco_id=order.oco_id,
    )
