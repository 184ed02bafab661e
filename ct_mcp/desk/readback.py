"""What was read after sending → what may be said of it. Pure; nothing here is assumed to have worked."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk import remedies
from ct_mcp.desk.misfits import calls_of, larger_than_held
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.standing import Contracts, lines_of, standings_of
from ct_mcp.desk.stops import alarm_of, covered, covers_of, lost_in, mending, price_lost
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, price_terms
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import IN_CANCELLATION, IN_PLACE, Execution, Order, OrderState, OrderType
from ct_mcp.domain.products import price_of
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import contracts_closed, instrument_named
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.protection import is_stop, leaving
from ct_mcp.guard.review import Review
from ct_mcp.text import contracts, format_price

LOOK_AGAIN = "do NOT send it again; look with get_orders and get_positions until you see what became of it"
AS_BEFORE = "so it was before this was sent; what stands now could not be read"
CANCEL_LEFTOVERS = "orders are left that can open a position: cancel those that the person does not want"
_IN_CHANGE = IN_CANCELLATION | {OrderState.CHANGE_PENDING, OrderState.CHANGE_SUBMITTED}
_NO_ID = "this close was not answered and carries no id of ours, so it may still come"
_MOST_FILLS_TOLD = 6
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
        time_in_force=order.time_in_force,
    )


def from_order(outcome: Outcome, order: Order) -> Outcome:
    """Say what an order that was read has come to."""
    read = replace(with_order(outcome, order), status=status_of(order.state), next_step="")
    if order.state is OrderState.UNKNOWN:
        why = f"its state reads {order.state_text}, which nobody here knows: it may stand, and it may fill"
        return replace(read, reasons=(*read.reasons, why), next_step=LOOK_AGAIN)
    if read.status is Status.ACCEPTED:
        return replace(read, next_step="it is not working or filled yet: call get_order with wait_seconds")
    if order.state is OrderState.REJECTED:
        why = f"the broker or NinjaTrader rejected it after it was accepted: {their_words(order)}"
        return replace(read, reasons=(*read.reasons, why), next_step="do not send the same again unchanged")
    if order.state is OrderState.CANCELLED and order.filled:
        return replace(read, warnings=(*read.warnings, f"{order.filled} of {order.quantity} filled before the cancel"))
    return read


def their_words(order: Order) -> str:
    """Say why, in their own words where there are any."""
    return f'they said "{order.said}"' if order.said else "they did not say why"


def status_of(state: OrderState) -> Status:
    """Say what an order in this state has come to."""
    match state:
        case OrderState.FILLED:
            return Status.FILLED
        case OrderState.CANCELLED:
            return Status.CANCELLED
        case OrderState.REJECTED:
            return Status.REJECTED
    return Status.WORKING if state in IN_PLACE else Status.ACCEPTED


def with_position(outcome: Outcome, net: int | None, expected: int | None) -> Outcome:
    """Add the position as read, and say so where it does not (yet) agree with the fill."""
    if net is None:
        return replace(outcome, warnings=(*outcome.warnings, "the position afterwards could not be read"))
    outcome = replace(outcome, position_after=net)
    if expected in (None, net):
        return outcome
    doubt = f"the position reads {net:+d}, and with this fill it was to be {expected:+d}; read it again"
    doubt += "; until it does, or executions do, nothing more opens there on that side"
    return replace(outcome, warnings=(*outcome.warnings, doubt))


def is_changed(order: Order, change: ChangeOrder) -> bool:
    """Say whether the order stands as the change asked, and neither a change nor a cancel is on its way."""
    asked = (
        (change.quantity, order.quantity),
        (change.limit_price, order.limit_price),
        (change.stop_price, order.stop_price),
    )
    return order.state not in _IN_CHANGE and all(wanted is None or wanted == stands for wanted, stands in asked)


def largest_left(close: ClosePosition, net: int | None) -> int:
    """The largest position, signed, that a close of ``net`` contracts may leave."""
    if net is None:
        return 0
    left = abs(net) - contracts_closed(close, abs(net))
    return left if net > 0 else -left


def has_left(net: int, goal: int) -> bool:
    """Say whether a position is down to ``goal``, which is signed, or nearer to flat on the same side."""
    return net == 0 or (net * goal > 0 and abs(net) <= abs(goal))


def from_close(outcome: Outcome, book: AccountState, goal: int, by_others: int = 0) -> Outcome:
    """Say what a close left: ``goal`` is the largest position, signed, that it was to leave.

    ``by_others`` is what standing orders have filled meanwhile, which a partial close does not count as its own. Of one
    that was not answered nobody can say whose fills these are: somebody else may have left as much.
    """
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if not has_left(book.net, goal):
        why = f"the position reads {book.net:+d} and was to be {goal:+d}" if goal else f"still held: {book.net:+d}"
        step = outcome.next_step or f"NOT done: {_MONEY_MAY_BE_AT_RISK}, look with get_positions and get_orders"
        return replace(outcome, reasons=(*outcome.reasons, why, *age_of(book)), next_step=step)
    coming, then = on_its_way(book), goal + by_others
    if coming or (by_others and book.net != then):
        why = f"the position reads {contracts(book.net)}, and not by this close: what was sent is not seen filled yet"
        lines = tuple(f"still on its way: {order_line(order)}" for order in coming)
        then = book.net + sum(order.action.sign * order.remaining for order in coming) if coming else then
        step = f"NOT done: {_MONEY_MAY_BE_AT_RISK}; filled as well, it takes the position to {contracts(then)}"
        return replace(outcome, reasons=(*outcome.reasons, why, *lines, *age_of(book)), next_step=step)
    if goal and outcome.status is Status.UNKNOWN:
        why = f"the position reads {contracts(book.net)}; by whom is not known: {_NO_ID}"
        return replace(outcome, reasons=(*outcome.reasons, why, *age_of(book)), next_step=LOOK_AGAIN)
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, next_step="")
    return replace(
        outcome,
        # What they refused was not filled, however small the position is by now.
        status=Status.REJECTED if outcome.status is Status.REJECTED else Status.FILLED,
        warnings=(*outcome.warnings, *_leftovers(book)),
        next_step=_calls_to_shrink(book),
    )


def on_its_way(book: AccountState) -> tuple[Order, ...]:
    """Market orders that are not over: they fill, or are about to."""
    return tuple(order for order in book.orders if order.order_type is OrderType.MARKET)


def filled_by_standing(book: AccountState, before: RiskContext) -> int:
    """Contracts, signed, that orders of before have filled since they were reviewed."""
    return sum(order.action.sign * (order.filled - _filled_by(order, before)) for order in book.ended)


def from_flatten(outcome: Outcome, book: AccountState) -> Outcome:
    """Flat is said only here and in a close: nothing held, and no order left."""
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, position_after=0, next_step="")
    held = tuple(f"still held: {position_line(position)}" for position in book.positions)
    orders = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    look = "look with get_positions until it has filled; what is on its way is not sent again"
    step = f"NOT FLAT: {_MONEY_MAY_BE_AT_RISK}, {look}"
    return replace(outcome, reasons=(*outcome.reasons, *held, *orders, *age_of(book)), next_step=step)


def not_flat_yet(outcome: Outcome, to_come: Sequence[str], as_answered: Status) -> Outcome:
    """Nothing is held now, and something else that was sent may fill yet: that is not flat, but what they answered."""
    status = as_answered if outcome.status is Status.FLAT else outcome.status
    step = f"NOT FLAT: {_MONEY_MAY_BE_AT_RISK}, look with get_orders and get_positions until that is known"
    coming = tuple(f"may still fill: {line}" for line in to_come)
    return replace(outcome, status=status, reasons=(*outcome.reasons, *coming), next_step=step)


def to_be_cancelled(book: AccountState, named: Collection[str]) -> tuple[Order, ...]:
    """Give the orders that still stand of those that were to be cancelled: those that were named, or all."""
    return tuple(order for order in book.orders if not named or order.order_id in named)


def from_cancels(
    outcome: Outcome, book: AccountState, before: RiskContext, of: Instrument | None, named: Collection[str] = ()
) -> Outcome:
    """Say of each order that was to be cancelled what became of it: one may have filled before its cancel.

    Where some were ``named``, those alone were; where none was, all went that worked then, and some no list had shown.
    """
    stand = to_be_cancelled(book, named)
    outcome = replace(outcome, warnings=(*_placed_meanwhile(book, before, stand, named), *outcome.warnings))
    fills = [order for order in book.ended if order.filled > _filled_by(order, before)]
    others = _fills_beside(book)
    told = (*map(_filled_instead, fills), *_fill_lines(others), *_moved(book, before, of))
    outcome = replace(outcome, warnings=(*told, *outcome.warnings))
    if fills or others:
        outcome = replace(outcome, next_step=f"{remedies.TELL_NOW}; look with get_positions and get_orders")
    if not stand:
        is_filled = any(order.state is OrderState.FILLED for order in fills)
        filled = sum(order.filled for order in fills) or None
        status = Status.FILLED if is_filled else Status.CANCELLED
        step = outcome.next_step if fills or others else ""
        return replace(outcome, status=status, filled_quantity=filled, next_step=step)
    left = tuple(f"still standing: {order_line(order)}" for order in stand)
    return replace(outcome, reasons=(*outcome.reasons, *left, *age_of(book)), next_step="look again with get_orders")


def _placed_meanwhile(
    book: AccountState, before: RiskContext, stand: Sequence[Order], named: Collection[str]
) -> Iterator[str]:
    """Name what somebody placed since this was reviewed: what stays, and what went with all the others."""
    if named:
        yield from (f"placed meanwhile, so it stays: {order_line(it)}" for it in book.orders if it not in stand)
    elif before.orders is not None:
        new = (order for order in book.ended if before.order(order.order_id) is None and not order.filled)
        yield from (f"went with the others, though no list had shown it before: {_ending(order)}" for order in new)


def _filled_by(order: Order, before: RiskContext) -> int:
    known = before.order(order.order_id)
    return known.filled if known else 0


def _filled_instead(order: Order) -> str:
    terms = f"{order.action} {order.quantity} {order.instrument} {order.order_type.replace('_', ' ')}"
    return f"FILLED {order.filled} of {order.quantity} BEFORE ITS CANCEL: {terms} ({remedies.named(order.order_id)})"


def _moved(book: AccountState, before: RiskContext, of: Instrument | None) -> tuple[str, ...]:
    """Name each position that is not what it was when this was reviewed; nothing where that is not known."""
    instruments = dict.fromkeys(held.instrument for held in (*(before.positions or ()), *book.positions))
    pairs = [(name, before.net_position(name), _net_of(book, name)) for name in instruments if of in (None, name)]
    return tuple(
        f"the position in {name} was {contracts(was)} and reads {contracts(now)} now"
        for name, was, now in pairs
        if was is not None and was != now
    )


def _net_of(book: AccountState, instrument: Instrument) -> int:
    return sum(held.net for held in book.positions if held.instrument == instrument)


def with_lost_stops(outcome: Outcome, review: Review, book: AccountState) -> Outcome:
    """Cry in the first words of a position that has lost its stop, with the calls that mend it."""
    lost = lost_in(review, book.positions, book.orders, book.ended)
    if not lost:
        return outcome
    alarm = "; ".join(filter(None, (outcome.alarm, *(cover.alarm for cover in lost))))
    if review.effect.is_exit:
        return replace(outcome, alarm=alarm)
    stood = [(cover, price_lost(review, cover.held, book.ended)) for cover in lost]
    calls = "; ".join(mending(cover, price, book.orders) for cover, price in stood)
    was_shown = review.effect.lost is not None and review.effect.lost.bare
    step = f"{remedies.TELL_NOW}; {'if they want a stop: ' if was_shown else ''}{calls}"
    # "do not send the same again" does not go with the call for the same stop.
    before = "" if outcome.status is Status.REJECTED else outcome.next_step
    return replace(outcome, alarm=alarm, next_step="; ".join(filter(None, (before, step))))


def with_stops_lost_since(outcome: Outcome, review: Review, book: AccountState) -> Outcome:
    """Cry where fewer contracts of a position have a stop than when this was reviewed."""
    before = review.context.orders or ()
    is_less = any(covered(held, book.orders) < covered(held, before) for held in book.positions)
    return with_lost_stops(outcome, review, book) if is_less else outcome


def with_bare_beside(outcome: Outcome, review: Review, book: AccountState) -> Outcome:
    """Cry where a target that was placed for its group stands around a position that no stop protects."""
    order, cry = review.effect.order, alarm_of(book.positions, book.orders)
    is_target = order is not None and order.oco_id is not None and not order.order_type.needs_stop_price
    if not cry or not is_target or not review.effect.only_reduces or outcome.alarm:
        return outcome
    covers = [cover for cover in covers_of(book.positions, book.orders) if cover.bare]
    calls = "; ".join(mending(cover, None, book.orders) for cover in covers)
    return replace(outcome, alarm=cry, next_step=f"{remedies.TELL_NOW}; {calls}")


def with_moves(outcome: Outcome, review: Review, book: AccountState, instrument: Instrument) -> Outcome:
    """Say so where a position is not what it was when this was reviewed, and nothing of this has filled."""
    moved = _moved(book, review.context, instrument)
    return replace(outcome, warnings=(*outcome.warnings, *moved))


def with_what_stands(outcome: Outcome, review: Review, book: AccountState | None, contracts: Contracts) -> Outcome:
    """Say beside cancelled, rejected and replaced what was read of the instrument, and cry of a lost stop."""
    if book is None:
        unread = "what stands now could not be read: look with get_positions and get_orders"
        return replace(outcome, warnings=(*outcome.warnings, unread))
    told = with_lost_stops(replace(outcome, position_after=book.net), review, book)
    ended = ended_since(review, book, Acknowledged(), outcome.order_id)
    return with_standing(told, book, contracts, ended)


def with_standing(
    outcome: Outcome, book: AccountState | None, contracts: Contracts, ended: Sequence[str] = ()
) -> Outcome:
    """Say what stands: each position with its stops and targets, the working orders, and what ``ended`` since."""
    if book is None:
        return outcome
    lines = (*ended, *lines_of(book.positions, book.orders, contracts), *age_of(book))
    return replace(outcome, stands_now=lines)


def ended_since(review: Review, book: AccountState, taken: Acknowledged, told: str | None = None) -> tuple[str, ...]:
    """Name the positions that they left, and the orders that stood before and do not any more, each as it was read.

    ``told`` is the order that is told by itself.
    """
    scope = instrument_named(review.command, review.context) or review.effect.instrument
    before = {o.order_id: o for o in review.context.orders or () if scope in (None, o.instrument)}
    mine = {*before, *taken.order_ids} - {told}
    over = [order for order in book.ended if order.order_id in mine]
    seen = {order.order_id for order in (*book.orders, *over)}
    gone = [order for order_id, order in before.items() if order_id in mine - seen and not book.is_stale]
    unlisted = (f"not listed any more: {order_line(order)}" for order in gone) if scope or not told else ()
    left = (f"was: {position_line(held)}" for held in taken.closed)
    return (*left, *map(_ending, over), *unlisted)


def fill_lines(review: Review, book: AccountState, taken: Acknowledged) -> tuple[str, ...]:
    """Name what filled on its way out since an exit was sent, each as its execution reports it.

    What an order that stood before has filled is told by that order.
    """
    held = {row.instrument: row.net for row in (*taken.closed, *(review.context.positions or ())) if row.net}
    fills = _fills_beside(book)
    return _fill_lines([f for f in fills if (net := held.get(f.instrument)) and f.action in (None, leaving(net))])


def _fills_beside(book: AccountState) -> list[Execution]:
    """Give the executions of orders that are not told by themselves."""
    told = {order.order_id for order in book.ended}
    return [fill for fill in book.fills if fill.order_id not in told]


def _fill_lines(fills: Sequence[Execution]) -> tuple[str, ...]:
    more = (f"and {len(fills) - _MOST_FILLS_TOLD} more fills, see get_executions",) * (len(fills) > _MOST_FILLS_TOLD)
    return (*map(_fill, fills[:_MOST_FILLS_TOLD]), *more)


def _fill(fill: Execution) -> str:
    price = price_of(fill.instrument, fill.price)
    what = f"{fill.action or 'direction unknown'} {fill.quantity} {fill.instrument.label} at {price}"
    return f"fill: {what} (order {remedies.named(fill.order_id or 'unknown')})"


def _ending(order: Order) -> str:
    terms = price_terms(order)
    what = f"{order.action} {order.quantity} {order.instrument.label} {order.order_type.replace('_', ' ')} {terms}"
    filled = f" {order.filled} at {format_price(order.average_fill_price)}" if order.filled else ""
    return f"{order.state.lower()}{filled}: {what.strip()} ({remedies.named(order.order_id)})"


def age_of(book: AccountState) -> tuple[str, ...]:
    """Say so where what was read is old."""
    return ("so it was some seconds ago; what was looked at since could not be read",) if book.is_stale else ()


def _leftovers(book: AccountState) -> tuple[str, ...]:
    turning = tuple(f"TOO LARGE for what remains: {_turn(book, order)}" for order in oversized(book))
    if turning or not _too_many(book):
        return turning
    listed = "; ".join(map(order_line, book.orders))
    return (
        f"these orders are larger than the position of {abs(book.net)}: filled, they open the other side: {listed}",
    )


def _turn(book: AccountState, order: Order) -> str:
    would_be = book.net + order.action.sign * order.remaining
    return f"{order_line(order)} against {book.net:+d}; filled, it turns the position to {would_be:+d}"


def oversized(book: AccountState) -> tuple[Order, ...]:
    """Orders that leave the position and are each larger than what remains of it; none where nothing remains."""
    return tuple(order for order in book.orders if 0 < abs(book.net) < order.remaining * _leaves(book, order))


def _leaves(book: AccountState, order: Order) -> int:
    return int(book.net * order.action.sign < 0)


def _calls_to_shrink(book: AccountState) -> str:
    """The calls that bring the orders down to what remains; a stop is made smaller rather than cancelled."""
    if not _too_many(book):
        return ""
    held = standings_of(book.positions, book.orders, {})
    if smaller := "; ".join(calls_of(misfit for standing in held for misfit in larger_than_held(standing))):
        return smaller
    kept = next((order for order in book.orders if is_stop(order)), None) if book.net else None
    return f"{CANCEL_LEFTOVERS}: {remedies.cancelling_all(order for order in book.orders if order is not kept)}"


def _too_many(book: AccountState) -> bool:
    """Say whether the orders that leave the position are together larger than what is left of it."""
    reach = worst_case(book.net, book.orders, ())
    return bool((book.net <= 0 and reach.long) or (book.net >= 0 and reach.short))
