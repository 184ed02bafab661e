"""Stops and targets that no longer fit what is held, each with the call that mends it. Pure.

An order moves a position and leaves its exits as they are. What it adds may stand without a stop; what it leaves may be
turned round by exits that are larger, and what is gone by any that still stand.

Stops and targets are held against the position apart: a fill of one is to take the other along. Of one OCO group only
the largest counts. Where several together are too large, the nearest stops keep their size, and each target follows the
stop of its group.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ct_mcp.desk import remedies
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.standing import Contracts, ExitLeg, Standing, standings_of
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import IN_CANCELLATION, Order, OrderType
from ct_mcp.guard.exposure import goes_towards_flat, worst_case
from ct_mcp.guard.review import Review
from ct_mcp.guard.rules.entry import EXITS_NOT_TAKEN_ALONG
from ct_mcp.guard.rules.position import CLOSE_NOT_COVERED, EXITS_MAY_STAY
from ct_mcp.text import contracts

_WHAT_MAY_COME = frozenset({CLOSE_NOT_COVERED, EXITS_MAY_STAY})
_OVER = frozenset({Status.FILLED, Status.FLAT, Status.CANCELLED, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class Misfit:
    """Exits of one kind that are not as large as the position, and for how many contracts each is to stand instead."""

    held: int
    orders: tuple[Order, ...]
    sizes: tuple[tuple[Order, int], ...]
    is_large: bool = False

    @property
    def line(self) -> str:
        """Name them, ``TOO LARGE for the 2 held now: SELL 3 MES 09-26 STOP MARKET 6040 WORKING (id)``."""
        size = "LARGE" if self.is_large else "SMALL"
        together = "TOGETHER " if len(self.orders) > 1 else ""
        return f"{together}TOO {size} for the {self.held} held now: {', '.join(map(order_line, self.orders))}"


def with_misfits(
    outcome: Outcome, review: Review, book: AccountState | None, worth: Contracts, seen: Order | None = None
) -> Outcome:
    """Say after an order which exits no longer fit, with the calls; with ``seen``, which filled, its own group goes."""
    if book is None:
        return outcome
    group = seen.oco_id if seen is not None and seen.filled else None
    orders = [
        each for each in book.orders if each.state not in IN_CANCELLATION and not (group and each.oco_id == group)
    ]
    before, now = _before(review, worth), standings_of(book.positions, orders, worth)
    large, left = tuple(too_large(before, now)), (*left_over(before, now, orders), *still_to_fill(before, book, seen))
    if large or left:  # what was only to be feared before is named now
        outcome = replace(outcome, findings=tuple(it for it in outcome.findings if it.code != CLOSE_NOT_COVERED))
    outcome = with_too_small(outcome, review, book, worth)
    outcome = _with(outcome, large, "if the person wants them to fit what is held")
    return with_leftovers(outcome, left, book.net)


def without_what_cannot_come(outcome: Outcome) -> Outcome:
    """Leave out what was to be feared of a command that is over: it has come and was read, or it cannot come any more.

    Whoever is told to cancel a stop "once this fills" would strip a position that nothing has left. Where something
    filled and what it has left was not read, it stands.
    """
    has_filled = outcome.filled_quantity or outcome.status is Status.FILLED
    if outcome.status not in _OVER or (has_filled and outcome.position_after is None):
        return outcome
    gone = _WHAT_MAY_COME | ({EXITS_NOT_TAKEN_ALONG} if outcome.status is Status.REJECTED else set())
    return replace(outcome, findings=tuple(it for it in outcome.findings if it.code not in gone))


def with_too_small(outcome: Outcome, review: Review, book: AccountState, worth: Contracts) -> Outcome:
    """Say which exits no longer cover what has grown since this was reviewed, with the calls."""
    now = standings_of(book.positions, book.orders, worth)
    small = tuple(too_small(_before(review, worth), now, review.effect.order))
    return _with(outcome, small, "if the person wants them to cover all")


def _before(review: Review, worth: Contracts) -> tuple[Standing, ...]:
    return standings_of(review.context.positions or (), review.context.orders or (), worth)


def _with(outcome: Outcome, misfits: Sequence[Misfit], when: str) -> Outcome:
    if not misfits:
        return outcome
    steps = (outcome.next_step, f"{when}: {'; '.join(calls_of(misfits))}")
    lines = tuple(each.line for each in misfits)
    return replace(outcome, warnings=(*outcome.warnings, *lines), next_step="; ".join(filter(None, steps)))


def calls_of(misfits: Iterable[Misfit]) -> tuple[str, ...]:
    """Give the calls that bring them to their sizes; one cancel takes its whole OCO group along."""
    calls, gone = list[str](), set[str]()
    for order, kept in (size for misfit in misfits for size in misfit.sizes):
        if kept:
            calls.append(remedies.shrinking(order, kept))
        elif order.oco_id is None or order.oco_id not in gone:
            calls.append(remedies.cancelling(order))
            gone |= {order.oco_id} if order.oco_id else set()
    return tuple(calls)


def too_small(before: Iterable[Standing], now: Iterable[Standing], sent: PlaceOrder | None = None) -> Iterator[Misfit]:
    """Give the stops and targets of what has grown that cover less than is held by now.

    What an order brings along itself, which may not be there yet, is not missing; nor is a target beside a stop of its
    own, since a larger target would take a stop along that is smaller.
    """
    was = {standing.held.instrument: standing.held.quantity for standing in before}
    for standing in now:
        held = standing.held.quantity
        for legs in _columns(standing)[: _wanting(sent)] if was.get(standing.held.instrument, 0) < held else ():
            missing = held - sum(size for _, size in _groups(legs))
            if legs and missing > 0:
                first = legs[0].order
                yield Misfit(held, _orders(legs), ((first, first.remaining + missing),))


def _wanting(sent: PlaceOrder | None) -> int:
    """Give how many kinds of exits are to grow with what an order adds: stops and targets, stops alone, or neither."""
    if sent is None or (sent.bracket is None and not sent.atm_strategy):
        return 2
    return int(sent.bracket is not None and sent.bracket.stop_loss is None)


def too_large(before: Iterable[Standing], now: Iterable[Standing]) -> Iterator[Misfit]:
    """Give the stops and targets that turn what has become less since, each by itself or several together."""
    was = {standing.held.instrument: standing.held.net for standing in before}
    for standing in now:
        if goes_towards_flat(was.get(standing.held.instrument), standing.held.net):
            yield from larger_than_held(standing)


def larger_than_held(standing: Standing) -> Iterator[Misfit]:
    """Give the stops and targets that turn a position, whatever it was before."""
    held = standing.held.quantity
    for legs in _columns(standing):
        if sizes := tuple(_cut(legs, held)):
            yield Misfit(held, _orders(legs), sizes, is_large=True)


def _cut(legs: Sequence[ExitLeg], held: int) -> Iterator[tuple[Order, int]]:
    """Give the sizes at which they leave no more than is held; none is for nothing, and has to go."""
    left = held
    for group, size in _groups(legs):
        kept = min(left, size)
        left -= kept
        yield from ((each, kept) for each in _orders(legs) if _group_of(each) == group and each.remaining > kept)


def _columns(standing: Standing) -> tuple[tuple[ExitLeg, ...], tuple[ExitLeg, ...]]:
    """Give stops and targets, the nearest stop first and each target in the order of its group."""
    sign = standing.held.net
    stops = sorted(standing.stops, key=lambda leg: (leg.price is None, -(leg.price or 0) * sign))
    groups = list(dict.fromkeys(_group_of(leg.order) for leg in (*stops, *standing.targets)))
    return tuple(stops), tuple(sorted(standing.targets, key=lambda leg: groups.index(_group_of(leg.order))))


def _groups(legs: Sequence[ExitLeg]) -> list[tuple[str, int]]:
    """Give each group with its largest order, as what can leave by it."""
    sizes: dict[str, int] = {}
    for order in _orders(legs):
        sizes[_group_of(order)] = max(sizes.get(_group_of(order), 0), order.remaining)
    return list(sizes.items())


def _group_of(order: Order) -> str:
    return f"in {order.oco_id}" if order.oco_id else f"alone {order.order_id}"


def _orders(legs: Iterable[ExitLeg]) -> tuple[Order, ...]:
    return tuple(leg.order for leg in legs)


def left_over(before: Iterable[Standing], now: Iterable[Standing], orders: Iterable[Order]) -> tuple[Order, ...]:
    """Give the exits of a position that is gone, or turned round, that still stand: filled, they open or add."""
    nets = {standing.held.instrument: standing.held.net for standing in now}
    gone = [each for each in before if each.held.net * nets.get(each.held.instrument, 0) <= 0]
    ids = {leg.order.order_id for standing in gone for leg in (*standing.stops, *standing.targets)}
    return tuple(order for order in orders if order.order_id in ids and not order.is_closed)


def still_to_fill(before: Iterable[Standing], book: AccountState, seen: Order | None) -> Iterator[Order]:
    """Give the other orders at the market that were to leave what is gone by now, and are about to fill."""
    nets = {standing.held.instrument: standing.held.net for standing in before}
    for order in book.orders:
        was, sign = nets.get(order.instrument, 0), order.action.sign
        is_other = order.order_type is OrderType.MARKET and (seen is None or order.order_id != seen.order_id)
        fits = sign * book.net < 0 and order.remaining <= abs(book.net)
        if is_other and was * sign < 0 and not fits:
            yield order


def with_leftovers(outcome: Outcome, orders: Iterable[Order], net: int) -> Outcome:
    """List what still stands from before, with the calls that cancel it."""
    left = tuple(orders)
    if not left:
        return outcome
    reach = worst_case(net, left, ())
    ends = f"{contracts(reach.most_short)} and {contracts(reach.most_long)}"
    listed = tuple(f"still standing: {order_line(order)}" for order in left)
    warnings = (*outcome.warnings, *listed, f"as these orders fill, the position comes to between {ends}")
    cancels = f"if the person does not want them: {remedies.cancelling_all(left)}"
    return replace(outcome, warnings=warnings, next_step="; ".join(filter(None, (outcome.next_step, cancels))))
