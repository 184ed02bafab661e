"""What was read after one thing was left and another placed → what may be said of both. Pure; nothing is assumed."""

from collections.abc import Iterable
from dataclasses import replace

from ct_mcp.desk import mending
from ct_mcp.desk.in_words import order_line
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.read_back import LOOK_AGAIN, age_of, from_order, unseen, with_order
from ct_mcp.desk.watch import Book
from ct_mcp.domain.action import ReplaceOrder
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.guard.exposure import worst_case


def from_reverse(outcome: Outcome, book: Book, held: int, leg: Order | None) -> Outcome:
    """``held`` is what was to be turned round; ``leg`` is the order of the new position, where it was seen."""
    outcome = with_order(outcome, leg) if leg is not None else outcome
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if is_turned(book, held, leg) and not book.is_stale:
        size = f"the position was not {held:+d} any more when it was turned: it is {book.net:+d} now"
        odd = () if book.net == -held else (size,)
        outcome = replace(outcome, status=Status.FILLED, warnings=(*odd, *outcome.warnings), next_step="")
        return with_leftovers(outcome, book.orders, book.net)
    reason = f"the position reads {_signed(book.net)} and was to be {-held:+d}"
    warnings = (*_half_way(book, held, leg), *outcome.warnings)
    step = f"NOT turned as asked: {mending.TELL_NOW}; {LOOK_AGAIN}"
    outcome = replace(outcome, reasons=(*outcome.reasons, reason, *age_of(book)), warnings=warnings, next_step=step)
    return with_leftovers(outcome, book.orders, book.net)


def is_turned(book: Book, held: int, leg: Order | None) -> bool:
    """Say whether the other side is held: at the size that was reviewed, or at the size that the new order filled."""
    at_its_size = leg is not None and leg.is_closed and book.net == signed_fill(leg)
    return book.net * held < 0 and (book.net == -held or at_its_size)


def _half_way(book: Book, held: int, leg: Order | None) -> tuple[str, ...]:
    """Which of the two legs is not seen."""
    if leg is not None and leg.is_closed and not leg.filled:
        return (f"the order of the new position is {leg.state}: only the first leg was done",)
    if not book.net and (leg is None or not leg.filled):
        return ("only the first leg is seen: the old position is closed, and the order of the new one may still come",)
    if book.net * held > 0 and leg is None:
        return ("the old position still stands: neither leg is seen, and both may still come",)
    return ("THE FIRST LEG IS NOT SEEN CLOSED: the old position and the new one may stand together",)


def from_flat_place(outcome: Outcome, book: Book | None, order: Order | None, before: frozenset[str]) -> Outcome:
    """``before`` are the orders that stood when it was reviewed, which the flatten was to cancel."""
    told = unseen(outcome, "the new order could not be seen in the account yet")
    told = told if order is None else from_order(outcome, order)
    if book is None:
        cry = "the account could not be read: whether the old position is closed is NOT KNOWN"
        return replace(told, warnings=(cry, *told.warnings), next_step=LOOK_AGAIN)
    told = replace(told, position_after=None if book.is_stale else book.net)
    wanted = signed_fill(order)
    if book.net != wanted:
        both = "THE FIRST LEG IS NOT SEEN CLOSED: the old position and the new order may stand together"
        cry = f"{both}; the position reads {_signed(book.net)} and was to be {_signed(wanted)}"
        told = replace(told, warnings=(cry, *told.warnings), next_step=f"{mending.TELL_NOW}; {LOOK_AGAIN}")
    elif order is None:
        told = replace(told, reasons=(*told.reasons, f"the position reads {_signed(book.net)}"))
    return with_leftovers(told, strays(book, order, before), book.net)


def signed_fill(order: Order | None) -> int:
    """What an order has filled, signed; nothing where it was not seen."""
    return 0 if order is None else order.action.sign * order.filled


def strays(book: Book, order: Order | None, before: frozenset[str]) -> tuple[Order, ...]:
    """Orders of the instrument that are not the new one; what NinjaTrader put round it as a bracket is none."""
    named = None if order is None else order.order_id
    others = [other for other in book.orders if other.order_id != named]
    return tuple(other for other in others if other.order_id in before or not other.oco_id)


def with_leftovers(outcome: Outcome, orders: Iterable[Order], net: int) -> Outcome:
    """List what still stands from before, with the calls that cancel it."""
    left = tuple(orders)
    if not left:
        return outcome
    reach = worst_case(net, left, ())
    ends = f"{_signed(reach.most_short)} and {_signed(reach.most_long)}"
    listed = tuple(f"still standing: {order_line(order)}" for order in left)
    warnings = (*outcome.warnings, *listed, f"as these orders fill, the position comes to between {ends}")
    cancels = f"if the person does not want them: {mending.cancelling_all(left)}"
    return replace(outcome, warnings=warnings, next_step="; ".join(filter(None, (outcome.next_step, cancels))))


def from_replace(outcome: Outcome, wanted: ReplaceOrder, old: Order | None, new: Order | None, filled: int) -> Outcome:
    """Say what became of the new order, and loudly where the old one was not cancelled whole.

    ``filled`` is what the old one had filled when it was reviewed, which the person knew of.
    """
    told = unseen(outcome, "the new order could not be seen in the account yet")
    told = told if new is None else from_order(outcome, new)
    if old is None:
        cry = f"whether the old order {mending.named(wanted.order_id)} is gone could not be read: both may stand"
        return replace(told, warnings=(cry, *told.warnings), next_step=LOOK_AGAIN)
    if old.filled > filled:
        return _filled_before(told, wanted, old, new)
    if old.is_closed:
        return told
    cry = f"THE OLD ORDER STILL STANDS: {order_line(old)}; both may fill"
    step = f"{mending.TELL_NOW}; {mending.cancelling(old)}"
    return replace(told, warnings=(cry, *told.warnings), next_step=step)


def _filled_before(told: Outcome, wanted: ReplaceOrder, old: Order, new: Order | None) -> Outcome:
    """What the old order filled is not taken off the new one."""
    together = old.action.sign * old.filled + wanted.order.action.sign * wanted.order.quantity
    filled = f"THE OLD ORDER FILLED {old.filled} of {old.quantity} before its cancel"
    if new is None:
        return replace(told, warnings=(filled, *told.warnings))
    cry = f"{filled}, and the new one is for {wanted.order.quantity}: together they make {_signed(together)}"
    mend = mending.closing(wanted.account, old.instrument) if new.is_closed else mending.cancelling(new)
    return replace(told, warnings=(cry, *told.warnings), next_step=f"{mending.TELL_NOW}; if it is too much: {mend}")


def from_refused_replace(outcome: Outcome, old: Order | None) -> Outcome:
    """Their no came before the new order; the old one may have filled meanwhile."""
    if old is None:
        return replace(outcome, reasons=(*outcome.reasons, "how the old order stands could not be read"))
    reads = f"the old order reads {old.state}, {old.filled} of {old.quantity} filled; the new one was not placed"
    return replace(outcome, reasons=(*outcome.reasons, reads))


def from_lost_replace(outcome: Outcome, old: Order | None, others: Iterable[Order] | None) -> Outcome:
    """It carried no id of ours, so no order is called the new one; what is there and was not before is listed."""
    reads = "could not be read" if old is None else f"reads {old.state}, {old.filled} of {old.quantity} filled"
    reasons = [f"the old order {reads}"]
    if others is None:
        reasons.append("the orders of the account could not be read")
    else:
        listed = [f"not there before, perhaps the new one: {order_line(order)}" for order in others]
        reasons += listed or ["no order is listed that was not there before"]
    both = old is not None and old.state is OrderState.FILLED
    warnings = ("THE OLD ORDER FILLED; a new one may stand as well", *outcome.warnings) if both else outcome.warnings
    return replace(outcome, reasons=(*outcome.reasons, *reasons), warnings=warnings, next_step=LOOK_AGAIN)


def _signed(net: int) -> str:
    return f"{net:+d}" if net else "flat"
