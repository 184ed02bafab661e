"""Sends new orders and changes of orders, and says what each was seen to come to."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from ct_mcp.desk import readback, remedies
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.handlers.refused_orders import submit_order
from ct_mcp.desk.misfits import with_leftovers
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import is_shown, starts_of
from ct_mcp.desk.polling import AccountState, Baseline
from ct_mcp.desk.readback import LOOK_AGAIN, age_of, from_order, on_its_way, unseen, with_lost_stops, with_order
from ct_mcp.desk.recognition import Asked, Ours
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.stops import covers_of
from ct_mcp.desk.submission import Submission
from ct_mcp.domain.account import Direction
from ct_mcp.domain.commands import ChangeOrder, PlaceOrder, ReplaceOrder, ReversePosition
from ct_mcp.domain.order import Order, OrderState, has_come_to_rest
from ct_mcp.errors import CtMcpError


async def place(execution: CommandExecution, order: PlaceOrder) -> Outcome:
    """Place one order under our own id, and find it by that id where its answer was lost."""
    if order.flatten_first:
        return await _flatten_and_place(execution, order)
    require = that_must_stand(execution, order)
    if order.exit_of is not None:  # whoever placed its entry says what stands
        send = execution.while_fresh.place_order(order, execution.own_id, require=require)
        answer = await execution.submit("place", send)
        outcome, seen = (execution.after(answer), None) if answer.refusal else await found(execution, order, answer)
        return await execution.record(outcome if seen is None else from_order(outcome, seen))
    answer, book = await submit_order(execution, order, require)
    if answer.refusal:
        return execution.with_book(execution.after(answer), order.instrument, book)
    outcome, seen = await found(execution, order, answer, with_book=True)
    return await execution.report_order(outcome, seen)


def that_must_stand(execution: CommandExecution, order: PlaceOrder) -> frozenset[Direction] | None:
    """What CrossTrade is to check once more: an order that leaves a position must find it, a stop beside it or not.

    Of an order that opens or adds nothing is required: a fill meanwhile may change what it finds, and the limits,
    which count that fill, have allowed it. ``maxPositions`` is not sent, since no limit of ours says the same.
    """
    net = execution.review.context.net_position(order.instrument)
    if not net or not execution.review.effect.leads_to_flat:
        return None
    return frozenset({Direction.LONG if net > 0 else Direction.SHORT})


async def found(
    execution: CommandExecution,
    order: PlaceOrder,
    answer: Submission,
    is_settled: Callable[[Order], bool] = has_come_to_rest,
    *,
    with_book: bool = False,
) -> tuple[Outcome, Order | None]:
    """The order that was placed: by the id that they named, or else by ours; unknown where they name another.

    With ``with_book`` what stands beside it, which is told right after, may be read with it.
    """
    ours, outcome, seen = await execution.ours(order), execution.after(answer), None
    if answer.order_id is not None:
        outcome = replace(outcome, order_id=answer.order_id)
        look = execution.seen_order if with_book else partial(execution.poller.order, order.account)
        seen = await look(answer.order_id, is_settled, ours)
    if seen is None and (answer.order_id is None or ours.other is not None):
        mine = await execution.poller.find(order.account, execution.own_id, ours)
        if mine is not None:
            seen = await execution.poller.order(order.account, mine.order_id, is_settled, ours) or mine
    return (outcome, seen) if seen is not None else (_unless_mistaken(outcome, ours), None)


def _unless_mistaken(outcome: Outcome, ours: Ours) -> Outcome:
    """Where what they name is somebody else's order, that they took ours is not known either."""
    if not ours.mistaken:
        return outcome
    reasons = (*outcome.reasons, *ours.mistaken)
    return replace(outcome, status=Status.UNKNOWN, order_id=None, reasons=reasons, next_step=LOOK_AGAIN)


async def change(execution: CommandExecution, wanted: ChangeOrder) -> Outcome:
    """Change one order, and look until it stands as asked."""
    answer = await execution.submit("change", execution.while_fresh.change_order(wanted))
    outcome = execution.after(answer)
    known = execution.review.context.order(wanted.order_id)
    is_it = Asked(wanted.order_id, known, answer.taken.order_ids, wanted.quantity)
    if answer.refusal:
        stands = await execution.poller.look(wanted.account, wanted.order_id, is_it)
        told = from_refused_change(outcome, stands)
        if stands is not None and stands.is_closed and stands.filled:  # it was quicker than its change
            return await execution.report_order(told, stands)
        return await execution.with_what_stands(told, execution.review.effect.instrument)

    def is_done(order: Order) -> bool:
        return order.is_closed or readback.is_changed(order, wanted)

    seen = await execution.seen_order(wanted.order_id, is_done, is_it)
    if seen is None or not is_done(seen):
        reads = "" if seen is None else f": it reads {order_line(seen)}"
        return await execution.record(readback.unseen(outcome, f"the change is not seen yet{reads}"))
    if not seen.is_closed:
        told = readback.with_order(replace(outcome, status=Status.CHANGED, next_step=""), seen)
        lost = execution.review.effect.lost
        if lost is not None and lost.bare:
            told = await execution.with_what_stands(told, seen.instrument)
        else:
            told, _ = await execution.standing_with(told, seen)
        return await execution.record(told)
    return await execution.report_order(outcome, seen)


async def reverse(execution: CommandExecution, wanted: ReversePosition) -> Outcome:
    """Turn a position round, and look until the other side is held at its size."""
    held = execution.review.context.net_position(wanted.instrument) or 0
    answer = await execution.submit("reverse", execution.while_fresh.reverse(wanted.account, wanted.instrument))
    if answer.refusal:
        return await execution.with_what_stands(execution.after(answer), wanted.instrument)
    ours, leg = await execution.ours_of_turn(wanted.instrument, held, answer.order_id), None
    if answer.order_id is not None:
        leg = await execution.urgent_poller.order(wanted.account, answer.order_id, has_come_to_rest, ours)
    book = await execution.urgent_poller.book(
        wanted.account, wanted.instrument, lambda book: is_turned(book, held, leg), Baseline()
    )

    def judge(outcome: Outcome, read: AccountState) -> Outcome:
        outcome = outcome if leg is not None else _unless_mistaken(outcome, ours)
        return from_reverse(outcome, read, held, leg)

    return await execution.report_account(judge, answer, book)


async def _flatten_and_place(execution: CommandExecution, order: PlaceOrder) -> Outcome:
    """Leave what is held in the instrument and place an order, which they do even if the leaving has not worked."""
    before = frozenset(standing.order_id for standing in execution.review.context.orders or ())
    answer = await execution.submit("place", execution.while_fresh.flat_place(order, execution.own_id))
    if answer.refusal:
        return await execution.with_what_stands(execution.after(answer), order.instrument)
    outcome, seen = await found(execution, order, answer)

    def is_done(book: AccountState) -> bool:
        return book.net == signed_fill(seen) and not strays(book, seen, before)

    book = await execution.urgent_poller.book(order.account, order.instrument, is_done, Baseline((order.instrument,)))
    told = from_flat_place(outcome, book, seen, before)
    if book is not None:
        told = with_lost_stops(_with_closed(told, execution, book, seen), execution.review, book)
        told = readback.with_standing(told, book, execution.contracts)
    shown = seen is None or not seen.filled or is_shown([0], seen, told.position_after)
    return await execution.record(told, is_shown=shown)


def _with_closed(told: Outcome, execution: CommandExecution, book: AccountState, seen: Order | None) -> Outcome:
    """Where the new order came to nothing, the first words are that the old position is gone all the same."""
    order = execution.review.effect.order
    held = execution.review.context.net_position(order.instrument) if order is not None else None
    if not held or book.net == held or seen is None or not seen.is_closed or seen.filled:
        return told
    alarm = f"THE POSITION OF {held:+d} WAS CLOSED, and the new order is {seen.state}: it reads {_signed(book.net)} now"
    return replace(told, alarm=alarm)


async def replace_order(execution: CommandExecution, wanted: ReplaceOrder) -> Outcome:
    """Cancel one order and place another. It takes no id of ours, so a lost answer stays unknown."""
    send = execution.while_fresh.replace_order(wanted.account, wanted.order_id, wanted.order)
    answer = await execution.submit("replace", send)
    ours = await execution.ours(wanted.order)
    known = {wanted.order_id, *ours.known_before}
    named = next((order_id for order_id in answer.taken.order_ids if order_id not in known), None)
    new = None
    if named is not None:
        new = await execution.poller.order(wanted.account, named, has_come_to_rest, ours)
    if named is None or (new is None and ours.mistaken):
        return await _not_named(execution, wanted, answer, ours)
    old = await execution.poller.order(wanted.account, wanted.order_id, lambda order: order.is_closed)
    outcome = replace(execution.after(answer), order_id=named)
    reviewed = execution.review.context.order(wanted.order_id)
    filled = reviewed.filled if reviewed else 0
    told = from_replace(outcome, wanted, old, new, filled=filled)
    told = await execution.with_what_stands(told, wanted.order.instrument)
    more = 0 if old is None else old.action.sign * (old.filled - filled)
    starts = [start + more for start in starts_of(execution.review.effect, execution.review.context)]
    shown = new is None or not new.filled or not starts or is_shown(starts, new, told.position_after)
    return await execution.record(told, is_shown=shown)


async def _not_named(execution: CommandExecution, wanted: ReplaceOrder, answer: Submission, ours: Ours) -> Outcome:
    """They said no, or named no new order: say how the old one reads, and what is there that was not before."""
    old = await execution.poller.order(wanted.account, wanted.order_id, lambda order: order.is_closed)
    outcome = execution.after(answer)
    if answer.refusal:
        return await execution.with_what_stands(from_refused_replace(outcome, old), wanted.order.instrument)
    if answer.acknowledged is not None:
        outcome = replace(outcome, status=Status.UNKNOWN, reasons=(*outcome.reasons, _NO_NEW_ID, *ours.mistaken))
    told = from_lost_replace(outcome, old, await _others(execution, wanted))
    return await execution.record(await execution.with_what_stands(told, wanted.order.instrument))


async def _others(execution: CommandExecution, wanted: ReplaceOrder) -> tuple[Order, ...] | None:
    """The orders of the instrument that were not there when it was reviewed; None where they could not be read."""
    before = {order.order_id for order in execution.review.context.orders or ()} | {wanted.order_id}
    try:
        orders = await execution.upstream.orders(wanted.account, active_only=True)
    except CtMcpError:
        return None
    mine = [order for order in orders if order.instrument == wanted.order.instrument]
    return tuple(order for order in mine if order.order_id not in before)


_NO_NEW_ID = "they took it and named no order that is the new one"


def from_reverse(outcome: Outcome, book: AccountState, held: int, leg: Order | None) -> Outcome:
    """``held`` is what was to be turned round; ``leg`` is the order of the new position, where it was seen."""
    outcome = with_order(outcome, leg) if leg is not None else outcome
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if is_turned(book, held, leg) and not book.is_stale:
        size = f"the position was not {held:+d} any more when it was turned: it is {book.net:+d} now"
        odd = () if book.net == -held else (size,)
        turned = (
            f"turned from {held:+d} to {book.net:+d}: what was held was closed, and the order opened the new position"
        )
        reasons = (*outcome.reasons, turned)
        outcome = replace(
            outcome,
            status=Status.FILLED,
            warnings=(*odd, *outcome.warnings),
            reasons=reasons,
            next_step=_bare_after(book),
        )
        return with_leftovers(outcome, book.orders, book.net)
    reason = f"the position reads {_signed(book.net)} and was to be {-held:+d}"
    warnings = (*_half_way(book, held, leg), *outcome.warnings)
    step = f"NOT turned as asked: {remedies.TELL_NOW}; {LOOK_AGAIN}"
    outcome = replace(outcome, reasons=(*outcome.reasons, reason, *age_of(book)), warnings=warnings, next_step=step)
    return with_leftovers(outcome, book.orders, book.net)


def _bare_after(book: AccountState) -> str:
    bare = any(cover.bare for cover in covers_of(book.positions, book.orders))
    return "the new position has no stop: protect_position with stop_loss gives it one" if bare else ""


def is_turned(book: AccountState, held: int, leg: Order | None) -> bool:
    """Say whether the other side is held: at the size that was reviewed, or at the size that the new order filled."""
    at_its_size = leg is not None and leg.is_closed and book.net == signed_fill(leg)
    return book.net * held < 0 and (book.net == -held or at_its_size)


def _half_way(book: AccountState, held: int, leg: Order | None) -> tuple[str, ...]:
    """Which of the two legs is not seen."""
    if leg is not None and leg.is_closed and not leg.filled:
        return (f"the order of the new position is {leg.state}: only the first leg was done",)
    if not book.net:
        return (_flat_half_way(book, leg),)
    if book.net * held < 0:
        return ("the other side is held, and not at the size that was asked for",)
    if leg is None:
        return ("the old position still stands: neither leg is seen, and both may still come",)
    return ("THE FIRST LEG IS NOT SEEN CLOSED: the old position and the new one may stand together",)


def _flat_half_way(book: AccountState, leg: Order | None) -> str:
    if leg is None or not leg.filled:
        return "only the first leg is seen: the old position is closed, and the order of the new one may still come"
    if on_its_way(book):
        return "THE FIRST LEG IS NOT SEEN CLOSED: it reads flat, and an order of the turn is still on its way"
    filled = f"the order of the new position filled {leg.filled}, and the position reads flat"
    return f"{filled}: it was left again, or the fill is not shown yet"


def from_flat_place(
    outcome: Outcome, book: AccountState | None, order: Order | None, before: frozenset[str]
) -> Outcome:
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
        gone = "the old position is closed, and the new order does not account for what is read"
        cry = f"{both if book.net else gone}; the position reads {_signed(book.net)} and was to be {_signed(wanted)}"
        told = replace(told, warnings=(cry, *told.warnings), next_step=f"{remedies.TELL_NOW}; {LOOK_AGAIN}")
    elif order is None:
        told = replace(told, reasons=(*told.reasons, f"the position reads {_signed(book.net)}"))
    return with_leftovers(told, strays(book, order, before), book.net)


def signed_fill(order: Order | None) -> int:
    """What an order has filled, signed; nothing where it was not seen."""
    return 0 if order is None else order.action.sign * order.filled


def strays(book: AccountState, order: Order | None, before: frozenset[str]) -> tuple[Order, ...]:
    """Orders of the instrument that are not the new one; what NinjaTrader put round it as a bracket is none."""
    named = None if order is None else order.order_id
    others = [other for other in book.orders if other.order_id != named]
    return tuple(other for other in others if other.order_id in before or not other.oco_id)


def from_replace(outcome: Outcome, wanted: ReplaceOrder, old: Order | None, new: Order | None, filled: int) -> Outcome:
    """Say what became of the new order, and loudly where the old one was not cancelled whole.

    ``filled`` is what the old one had filled when it was reviewed, which the person knew of.
    """
    told = unseen(outcome, "the new order could not be seen in the account yet")
    told = told if new is None else from_order(outcome, new)
    if old is None:
        cry = f"whether the old order {remedies.named(wanted.order_id)} is gone could not be read: both may stand"
        return replace(told, warnings=(cry, *told.warnings), next_step=LOOK_AGAIN)
    if not old.is_closed:
        both = "" if new is not None and new.is_closed else "; both may fill"
        cry = f"THE OLD ORDER STILL STANDS: {order_line(old)}{both}"
        part = (f"it has filled {old.filled} of {old.quantity} by now",) if old.filled > filled else ()
        step = f"{remedies.TELL_NOW}; {remedies.cancelling(old)}"
        return replace(told, warnings=(cry, *part, *told.warnings), next_step=step)
    if old.filled > filled:
        return _filled_before(told, wanted, old, new)
    if new is not None and new.is_closed and not new.filled:
        neither = f"the old order is gone ({old.state}) and the new one is {new.state}: NEITHER STANDS"
        return replace(told, warnings=(neither, *told.warnings))
    return told


def _filled_before(told: Outcome, wanted: ReplaceOrder, old: Order, new: Order | None) -> Outcome:
    """What the old one filled is not taken off the new one, which counts with what it filled and what it still may."""
    filled = f"THE OLD ORDER FILLED {old.filled} of {old.quantity} before its cancel"
    if new is None:
        return replace(told, warnings=(filled, *told.warnings))
    size = new.filled + new.remaining
    if not size:
        cry = f"{filled}, and the new one is {new.state}: NEITHER STANDS"
        return replace(told, warnings=(cry, *told.warnings), next_step=remedies.TELL_NOW)
    together = old.action.sign * old.filled + new.action.sign * size
    cry = f"{filled}, and the new one is for {size}: together they make {_signed(together)}"
    mend = remedies.closing(wanted.account, old.instrument) if new.is_closed else remedies.cancelling(new)
    return replace(told, warnings=(cry, *told.warnings), next_step=f"{remedies.TELL_NOW}; if it is too much: {mend}")


def from_refused_change(outcome: Outcome, order: Order | None) -> Outcome:
    """Their no leaves the order as it reads, which may have filled meanwhile."""
    if order is None:
        return replace(outcome, reasons=(*outcome.reasons, "how the order stands could not be read"))
    reads = f"the order reads {order.state_text}, {order.filled} of {order.quantity} filled"
    return with_order(replace(outcome, reasons=(*outcome.reasons, reads)), order)


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
