"""What was read after sending → what may be said of it. Pure; nothing here is assumed to have worked."""

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from ct_mcp.desk import mending
from ct_mcp.desk.in_words import order_line, position_line
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.watch import STANDS, Book
from ct_mcp.domain.action import ChangeOrder, ClosePosition
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.guard.exposure import worst_case

LOOK_AGAIN = "do NOT send it again; look with get_orders and get_positions until you see what became of it"
CANCEL_LEFTOVERS = "orders are left that can open a position: cancel them with cancel_orders"
_MONEY_MAY_BE_AT_RISK = "tell the person now"


def unseen(outcome: Outcome, what: str) -> Outcome:
    """Nothing could be read back: it stays accepted if they said so, and unknown if they did not."""
    return replace(outcome, reasons=(*outcome.reasons, what), next_step=LOOK_AGAIN)


def with_order(outcome: Outcome, order: Order) -> Outcome:
    """Add what was read of the order, without judging it."""
    return replace(
        outcome,
        order_id=order.order_id,
        order_state=order.state,
        filled_quantity=order.filled,
        average_fill_price=order.average_fill_price,
    )


def from_order(outcome: Outcome, order: Order) -> Outcome:
    """Say what an order that was read has come to."""
    read = replace(with_order(outcome, order), status=_status_of(order), next_step="")
    if read.status is Status.ACCEPTED:
        return replace(read, next_step="it is not working or filled yet: call get_order with wait_seconds")
    if order.state is OrderState.REJECTED:
        why = "the broker or NinjaTrader rejected it after it was accepted"
        return replace(read, reasons=(*read.reasons, why), next_step="do not send the same again unchanged")
    if order.state is OrderState.CANCELLED and order.filled:
        return replace(read, warnings=(*read.warnings, f"{order.filled} of {order.quantity} filled before the cancel"))
    return read


def _status_of(order: Order) -> Status:
    match order.state:
        case OrderState.FILLED:
            return Status.FILLED
        case OrderState.CANCELLED:
            return Status.CANCELLED
        case OrderState.REJECTED:
            return Status.REJECTED
    return Status.WORKING if order.state in STANDS else Status.ACCEPTED


def with_position(outcome: Outcome, net: int | None, expected: int | None) -> Outcome:
    """Add the position as read, and say so where it does not (yet) agree with the fill."""
    if net is None:
        return replace(outcome, warnings=(*outcome.warnings, "the position afterwards could not be read"))
    outcome = replace(outcome, position_after=net)
    if expected in (None, net):
        return outcome
    doubt = f"the position reads {net:+d}, and with this fill it was to be {expected:+d}; read it again"
    return replace(outcome, warnings=(*outcome.warnings, doubt))


def is_changed(order: Order, change: ChangeOrder) -> bool:
    """Say whether the order stands as the change asked, and no change is on its way any more."""
    asked = (
        (change.quantity, order.quantity),
        (change.limit_price, order.limit_price),
        (change.stop_price, order.stop_price),
    )
    pending = order.state in (OrderState.CHANGE_PENDING, OrderState.CHANGE_SUBMITTED)
    return not pending and all(wanted is None or wanted == stands for wanted, stands in asked)


def largest_left(close: ClosePosition, net: int | None) -> int:
    """The largest position, signed, that a close of ``net`` contracts may leave."""
    if net is None:
        return 0
    left = abs(net) - _contracts_to_close(close, abs(net))
    return left if net > 0 else -left


def _contracts_to_close(close: ClosePosition, held: int) -> int:
    """A percentage rounds up, and nothing beyond the position is closed."""
    if close.quantity is not None:
        return min(close.quantity, held)
    if close.percent is None:
        return held
    return int((held * close.percent / Decimal(100)).to_integral_value(ROUND_CEILING))


def has_left(net: int, goal: int) -> bool:
    """Say whether a position is down to ``goal``, which is signed, or nearer to flat on the same side."""
    return net == 0 or (net * goal > 0 and abs(net) <= abs(goal))


def from_close(outcome: Outcome, book: Book, goal: int) -> Outcome:
    """Say what a close left: ``goal`` is the largest position, signed, that it was to leave."""
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if not has_left(book.net, goal):
        why = f"the position reads {book.net:+d} and was to be {goal:+d}" if goal else f"still held: {book.net:+d}"
        step = outcome.next_step or f"NOT done: {_MONEY_MAY_BE_AT_RISK}, look with get_positions and get_orders"
        return replace(outcome, reasons=(*outcome.reasons, why, *age_of(book)), next_step=step)
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, next_step="")
    return replace(
        outcome,
        # What they refused was not filled, however small the position is by now.
        status=Status.REJECTED if outcome.status is Status.REJECTED else Status.FILLED,
        warnings=(*outcome.warnings, *_leftovers(book)),
        next_step=_mended(book),
    )


def from_flatten(outcome: Outcome, book: Book) -> Outcome:
    """Flat is said only here and in a close: nothing held, and no order left."""
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, position_after=0, next_step="")
    held = tuple(f"still held: {position_line(position)}" for position in book.positions)
    orders = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    step = f"NOT FLAT: {_MONEY_MAY_BE_AT_RISK}, look with get_positions, then flatten again if it still stands"
    return replace(outcome, reasons=(*outcome.reasons, *held, *orders, *age_of(book)), next_step=step)


def from_cancels(outcome: Outcome, book: Book) -> Outcome:
    """Say whether any order is left of those that were to be cancelled."""
    if not book.orders:
        return replace(outcome, status=Status.CANCELLED, next_step="")
    left = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    return replace(outcome, reasons=(*outcome.reasons, *left, *age_of(book)), next_step="look again with get_orders")


def age_of(book: Book) -> tuple[str, ...]:
    """Say so where what was read is old."""
    return ("so it was some seconds ago; what was looked at since could not be read",) if book.is_stale else ()


def _leftovers(book: Book) -> tuple[str, ...]:
    orders = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    turning = tuple(f"TOO LARGE for what remains: {_turn(book, order)}" for order in oversized(book))
    if not _too_many(book):
        return orders
    sum_of_them = f"these orders are larger than the position of {abs(book.net)}: filled, they open the other side"
    return (*orders, *turning, sum_of_them)


def _turn(book: Book, order: Order) -> str:
    would_be = book.net + order.action.sign * order.remaining
    return f"{order.action} {order.remaining} against {book.net:+d}; filled, it turns the position to {would_be:+d}"


def oversized(book: Book) -> tuple[Order, ...]:
    """Orders that leave the position and are each larger than what remains of it; none where nothing remains."""
    return tuple(order for order in book.orders if 0 < abs(book.net) < order.remaining * _leaves(book, order))


def _leaves(book: Book, order: Order) -> int:
    return int(book.net * order.action.sign < 0)


def _mended(book: Book) -> str:
    """The calls that bring the orders down to what remains; a stop is made smaller rather than cancelled."""
    if not _too_many(book):
        return ""
    smaller = "; ".join(mending.shrinking(order, abs(book.net)) for order in oversized(book))
    return f"{smaller}; or, of what the person does not want, {CANCEL_LEFTOVERS}" if smaller else CANCEL_LEFTOVERS


def _too_many(book: Book) -> bool:
    """Say whether the orders that leave the position are together larger than what is left of it."""
    reach = worst_case(book.net, book.orders, ())
    return bool((book.net <= 0 and reach.long) or (book.net >= 0 and reach.short))
