"""Makes round trips of executions, first in first out in each dated contract. Pure, and whatever order they came in.

How it works; the numbers stand again at the blocks that do it.

 1. What one entry order opens is one lot. Exits close the oldest lot first; a lot wholly closed is a round trip.
 2. An execution that crosses zero is cut in two: what closes, and what opens the other way.
 3. Where somebody read what is held (the source of an execution, or whoever began to listen), that is held against
    what the record makes. If they differ, the lots at hand are given up and what is held anew has no entry on record:
    what closes it is named, and is no trade. Nothing is guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from ct_mcp.domain.account import Direction
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.trades import Fill, Listening, OpenLot, RecordedExecution, RoundTrip


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What no round trip could be made of, and why."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Matched:
    """What some executions of one account come to: trips by the time they were closed, lots by their first fill.

    ``held`` is what is held after the last of them, by the instrument's name, whether its entry is on record or not.
    """

    trips: tuple[RoundTrip, ...]
    open: tuple[OpenLot, ...]
    unmatched: tuple[Unmatched, ...]
    held: tuple[tuple[str, int], ...] = ()


def round_trips(executions: Iterable[RecordedExecution], listenings: Sequence[Listening] = ()) -> Matched:
    """Match the executions of one account; ``listenings`` say what was held when each of them began."""
    by_instrument: dict[Instrument, list[RecordedExecution]] = {}
    for each in executions:
        by_instrument.setdefault(each.instrument, []).append(each)
    books = [_matched(instrument, found, listenings) for instrument, found in sorted(by_instrument.items())]
    trips = sorted((trip for book in books for trip in book.trips), key=lambda trip: (trip.closed_at, trip.trip_id))
    lots = sorted((lot for book in books for lot in book.open_lots()), key=lambda lot: lot.entries[0].at)
    held = tuple((str(book.instrument), book.net) for book in books if book.net)
    return Matched(tuple(trips), tuple(lots), tuple(said for book in books for said in book.unmatched), held)


@dataclass(slots=True)
class _Lot:
    order_id: str | None
    side: Direction
    left: int
    entries: list[Fill] = field(default_factory=list)
    exits: list[Fill] = field(default_factory=list)


@dataclass(slots=True)
class _Book:
    """One contract of one account on its way through its executions."""

    instrument: Instrument
    last: RecordedExecution
    lots: list[_Lot] = field(default_factory=list)
    unknown: int = 0
    trips: list[RoundTrip] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)

    @property
    def net(self) -> int:
        known = sum(lot.left if lot.side is Direction.LONG else -lot.left for lot in self.lots)
        return known + self.unknown

    def held(self, net: int, at: datetime, who: str) -> None:
        """3: hold what was read against what the record makes."""
        if net == self.net:
            return
        gone = f", and the {abs(self.net)} on record as held are not counted" if self.net else ""
        words = (
            f"{self.instrument}: {net:+d} held at {at:%Y-%m-%d %H:%M} UTC by {who}, "
            f"the record makes {self.net:+d}: executions are missing{gone}"
        )
        self.unmatched.append(Unmatched(at, words))
        self.lots, self.unknown = [], net

    def take(self, it: RecordedExecution) -> None:
        self.last = it
        left = self._close_unknown(it, it.quantity)
        left = self._close(it, left)
        if left:  # 1, and 2 for what is left of it
            self._open(it, left)

    def _close_unknown(self, it: RecordedExecution, left: int) -> int:
        if self.unknown * it.action.sign >= 0:
            return left
        closed = min(left, abs(self.unknown))
        self.unknown += closed * it.action.sign
        words = (
            f"{self.instrument}: {it.action} {closed} at {it.price:f} on {it.at:%Y-%m-%d %H:%M} UTC closed what was "
            "opened before the record: no trade is made of it"
        )
        self.unmatched.append(Unmatched(it.at, words))
        return left - closed

    def _close(self, it: RecordedExecution, left: int) -> int:
        side = Direction.SHORT if it.action.sign > 0 else Direction.LONG
        while left and self.lots and self.lots[0].side is side:
            lot = self.lots[0]
            closed = min(left, lot.left)
            lot.exits.append(_part(it, closed, left))
            lot.left, left = lot.left - closed, left - closed
            if not lot.left:
                self.trips.append(_trip_of(self.lots.pop(0), it))
        return left

    def _open(self, it: RecordedExecution, left: int) -> None:
        side = Direction.LONG if it.action.sign > 0 else Direction.SHORT
        lot = next((each for each in self.lots if it.order_id is not None and each.order_id == it.order_id), None)
        if lot is None:
            lot = _Lot(it.order_id, side, 0)
            self.lots.append(lot)
        lot.entries.append(_part(it, left, left))
        lot.left += left

    def open_lots(self) -> list[OpenLot]:
        it = self.last
        return [
            OpenLot(
                it.account,
                it.instrument,
                lot.side,
                lot.left,
                tuple(lot.entries),
                tuple(lot.exits),
                it.point_value,
                it.currency,
            )
            for lot in self.lots
        ]


def _matched(instrument: Instrument, found: Sequence[RecordedExecution], listenings: Sequence[Listening]) -> _Book:
    readings = [(each.began, dict(each.positions)) for each in listenings if each.positions is not None]
    book = _Book(instrument, found[0])
    for _, moment in groupby(sorted(found, key=_when), key=lambda it: it.at):
        for it in _in_turn(list(moment), book):
            while readings and readings[0][0] <= it.at:
                at, held = readings.pop(0)
                book.held(held.get(str(instrument), 0), at, "the account")
            if it.position_before is not None:
                book.held(it.position_before, it.at, "what NinjaTrader says of the next execution")
            book.take(it)
    for at, held in readings:
        book.held(held.get(str(instrument), 0), at, "the account")
    return book


def _when(it: RecordedExecution) -> tuple[datetime, int, str]:
    return it.at, it.ordinal, it.execution_id


def _in_turn(moment: list[RecordedExecution], book: _Book) -> Iterable[RecordedExecution]:
    """Give those of one moment, first whichever follows from what is held."""
    while moment:
        it = next((each for each in moment if each.position_before == book.net), moment[0])
        moment.remove(it)
        yield it


def _part(it: RecordedExecution, quantity: int, left: int) -> Fill:
    """Give so many contracts of an execution of which ``left`` are not used yet, with their share of its commission."""
    share = None
    if it.commission is not None:
        share = _cost_of(it.commission, left, it.quantity) - _cost_of(it.commission, left - quantity, it.quantity)
    return Fill(it.execution_id, it.at, quantity, it.price, it.order_id, it.name, share, it.source)


def _cost_of(commission: Decimal, part: int, whole: int) -> Decimal:
    """The commission of a part, so that all parts of it together are the whole and no cent is made or lost."""
    return commission if part == whole else round(commission * part / whole, 4)


def _trip_of(lot: _Lot, it: RecordedExecution) -> RoundTrip:
    quantity = sum(fill.quantity for fill in lot.entries)
    entries, exits = tuple(lot.entries), tuple(lot.exits)
    return RoundTrip(it.account, it.instrument, lot.side, quantity, entries, exits, it.point_value, it.currency)
