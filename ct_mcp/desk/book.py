"""Reads the book: round trips, days, performance, and the stretches of which nothing is known.

What is asked for is asked for by trading days, both ends included; None is as far as the record goes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from ct_mcp.desk.ports import Store
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.performance import (
    DayResult,
    GroupBy,
    PerformanceReport,
    by_currency,
    day_results,
    groups_of,
    performance_of,
)
from ct_mcp.domain.round_trips import Matched, round_trips
from ct_mcp.domain.trades import (
    SERVED_FOR,
    Listening,
    RecordedExecution,
    RecordGap,
    RoundTrip,
    TradeList,
    Worth,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which round trips are meant: those closed in these trading days, of an instrument or root, and of a setup."""

    since: date | None = None
    until: date | None = None
    instrument: str | None = None
    tag: str | None = None

    def takes(self, trip: RoundTrip) -> bool:
        """Say whether a round trip is meant."""
        names = (str(trip.instrument), trip.instrument.root)
        tag = trip.plan.tag if trip.plan else None
        return (
            self.takes_day(trip.day)
            and (self.instrument is None or self.instrument in names)
            and (self.tag is None or (tag is not None and tag.casefold() == self.tag.casefold()))
        )

    def takes_day(self, day: date) -> bool:
        """Say whether a trading day is meant."""
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


EVERYTHING = Wanted()


class TradeBook:
    """The record of all accounts, for reading. Raises `StoreFailed` where it cannot be read."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def accounts(self) -> tuple[str, ...]:
        """Name the accounts that anything is on record of."""
        return await self._store.accounts_on_record()

    async def executions(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[RecordedExecution, ...]:
        """Give the executions on record from ``since`` on and before ``until``, oldest first."""
        worths = {worth.root: worth for worth in await self._store.worths()}
        found = await self._store.executions_on_record(account, since, until)
        return tuple(_with_worth(each, worths.get(each.instrument.root)) for each in found)

    async def trades(self, account: str, wanted: Wanted = EVERYTHING) -> TradeList:
        """Give the round trips that are meant, oldest first, and what must be said beside them."""
        matched, began = await self._matched(account)
        trips = tuple(trip for trip in matched.trips if wanted.takes(trip))
        gaps = await self.gaps(account, wanted)
        return TradeList(account, wanted.since, wanted.until, trips, matched.open, gaps, matched.unmatched, began)

    async def days(self, account: str, wanted: Wanted = EVERYTHING) -> tuple[DayResult, ...]:
        """Sum up each trading day in which a trip was closed, oldest first, with how it ended for the account."""
        trades = await self.trades(account, wanted)
        balances = {day.day: day.balance for day in (await self._store.balance_record(account)).days}
        return tuple(
            replace(day, balance=balances.get(day.day), gaps=_gaps_of_day(day.day, trades.gaps, self._clock()))
            for day in day_results(account, trades.trips)
        )

    async def gaps(self, account: str, wanted: Wanted = EVERYTHING) -> tuple[RecordGap, ...]:
        """Name the stretches of these days in which nobody listened, oldest first; the last may go on."""
        found = gaps_between(account, await self._store.listenings(account), self._clock())
        return tuple(gap for gap in found if _reaches_into(gap, wanted, self._clock()))

    async def performance(
        self, account: str, wanted: Wanted = EVERYTHING, by: GroupBy | None = None
    ) -> PerformanceReport:
        """Reckon the figures of the trips that are meant, in all and, where asked for, split up."""
        trades = await self.trades(account, wanted)
        totals = [performance_of(trips, currency) for currency, trips in by_currency(trades.trips).items()]
        return PerformanceReport(
            account,
            wanted.since,
            wanted.until,
            tuple(totals),
            by,
            () if by is None else groups_of(trades.trips, by),
            trades.gaps,
            trades.unmatched,
            trades.began,
            trades.open,
        )

    async def _matched(self, account: str) -> tuple[Matched, datetime | None]:
        found = await self.executions(account)
        matched = round_trips(found, await self._store.listenings(account))
        excursions = await self._store.excursions(account)
        trips = (replace(trip, excursion=excursions.get(trip.trip_id)) for trip in matched.trips)
        return replace(matched, trips=tuple(trips)), found[0].at if found else None


def gaps_between(account: str, listenings: Sequence[Listening], now: datetime) -> tuple[RecordGap, ...]:
    """Name what lies between stretches, and after the last of them, where it is longer than executions are served."""
    gaps, heard_until = list[RecordGap](), None
    for each in listenings:
        if heard_until is not None and each.began > heard_until:
            gaps.append(RecordGap(account, heard_until, each.began))
        heard_until = each.ended if heard_until is None else max(heard_until, each.ended)
    if heard_until is not None and now - heard_until > SERVED_FOR:
        gaps.append(RecordGap(account, heard_until, None))
    return tuple(gaps)


def _reaches_into(gap: RecordGap, wanted: Wanted, now: datetime) -> bool:
    first, last = trading_day(gap.began), trading_day(gap.ended or now)
    return (wanted.until is None or first <= wanted.until) and (wanted.since is None or last >= wanted.since)


def _gaps_of_day(day: date, gaps: Iterable[RecordGap], now: datetime) -> tuple[RecordGap, ...]:
    return tuple(gap for gap in gaps if _reaches_into(gap, Wanted(day, day), now))


def _with_worth(it: RecordedExecution, worth: Worth | None) -> RecordedExecution:
    if worth is None:
        return it
    return replace(it, point_value=worth.point_value, currency=worth.currency)
