"""Reads the book: round trips, days, performance, and the stretches of which nothing is known.

What is asked for is asked for by trading days, both ends included; None is as far as the record goes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from anyio import to_thread

from ct_mcp.desk.account_book import AccountBook, AccountBooks, gaps_between
from ct_mcp.desk.ports import Store
from ct_mcp.desk.rule_breaks import MOST_READ, rules_kept
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.domain.performance import (
    DayResult,
    Group,
    GroupBy,
    Performance,
    PerformanceReport,
    by_currency,
    day_results,
    groups_of,
    performance_of,
)
from ct_mcp.domain.round_trips import round_trips
from ct_mcp.domain.trades import (
    Listening,
    RecordedExecution,
    RecordGap,
    RoundTrip,
    TradeList,
)
from ct_mcp.guard.policy import Recording


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
        self._books = AccountBooks(store, clock)

    async def accounts(self) -> tuple[str, ...]:
        """Name the accounts that anything is on record of."""
        return await self._store.accounts_on_record()

    async def executions(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[RecordedExecution, ...]:
        """Give the executions on record from ``since`` on and before ``until``, oldest first."""
        return await self._books.executions(account, since, until)

    async def executions_of_day(self, account: str, day: date) -> tuple[RecordedExecution, ...]:
        """Give the executions on record of one trading day, oldest first."""
        noon = datetime.combine(day, time(12), UTC)
        began = trading_day_began(noon)
        return await self.executions(account, began, trading_day_began(noon + timedelta(days=1)))

    async def gaps_of_day(self, account: str, day: date) -> tuple[RecordGap, ...]:
        """Name the stretches of one trading day in which nobody listened, and what of it lies before the record."""
        return await self.gaps(account, Wanted(day, day))

    async def trades(self, account: str, wanted: Wanted = EVERYTHING) -> TradeList:
        """Give the round trips that are meant, oldest first, and what must be said beside them."""
        read = await self._books.read(account)
        trips = tuple(trip for trip in read.trips if wanted.takes(trip))
        gaps = self._gaps(account, read, wanted)
        unmatched = tuple(each.words for each in read.unmatched if wanted.takes_day(trading_day(each.at)))
        lots = read.recent.matched.open
        return TradeList(
            account=account,
            since=wanted.since,
            until=wanted.until,
            trips=trips,
            open=lots,
            gaps=gaps,
            unmatched=unmatched,
            began=read.began,
            heard_until=max((each.ended for each in read.listenings), default=None),
        )

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
        return self._gaps(account, await self._books.read(account), wanted)

    async def performance(
        self, account: str, wanted: Wanted = EVERYTHING, by: GroupBy | None = None
    ) -> PerformanceReport:
        """Reckon the figures of the trips that are meant, in all and, where asked for, split up."""
        trades = await self.trades(account, wanted)
        totals, groups = await to_thread.run_sync(_figures, trades.trips, by)
        kept = rules_kept(await self._store.entries(MOST_READ, account), trades.trips, wanted.takes_day)
        return PerformanceReport(
            account=account,
            since=wanted.since,
            until=wanted.until,
            totals=totals,
            by=by,
            groups=groups,
            gaps=trades.gaps,
            unmatched=trades.unmatched,
            began=trades.began,
            open=trades.open,
            denied=kept.denied,
            denied_words=kept.denied_words,
            breaks=kept.breaks,
            heard_until=trades.heard_until,
        )

    async def prune(self, account: str, recording: Recording) -> None:
        """Forget what is older, or more, than is to be kept; what was held then is kept, so that nothing is guessed."""
        cut = self._clock() - timedelta(days=recording.keep_days)
        oldest, how_many = await self._store.book_extent(account)
        if oldest is None or (oldest >= cut and how_many <= recording.most_executions):
            return
        found = await self._store.executions_on_record(account)
        if len(found) > recording.most_executions:
            cut = max(cut, found[-recording.most_executions].at)
        older = [each for each in found if each.at < cut]
        then = [each for each in await self._store.listenings(account) if each.began < cut]
        held = round_trips(older, then).held
        await self._store.prune_book(account, cut, Listening(cut, cut, held))

    def _gaps(self, account: str, read: AccountBook, wanted: Wanted) -> tuple[RecordGap, ...]:
        now = self._clock()
        found = (*_before(account, read, wanted, now), *gaps_between(account, read.listenings, read.imported, now))
        return tuple(gap for gap in found if _reaches_into(gap, wanted, now))


def _figures(trips: Sequence[RoundTrip], by: GroupBy | None) -> tuple[tuple[Performance, ...], tuple[Group, ...]]:
    """Reckon them in all, by currency, and split up."""
    totals = tuple(performance_of(found, currency) for currency, found in by_currency(trips).items())
    return totals, () if by is None else groups_of(trips, by)


def _before(account: str, read: AccountBook, wanted: Wanted, now: datetime) -> Iterator[RecordGap]:
    """Name what was asked for and lies before the first listening or import; nothing where that is all on record."""
    if wanted.since is None:
        return
    known = [each.began for each in read.listenings[:1]] + list(read.imported[:1])
    began, ended = trading_day_began(datetime.combine(wanted.since, time(12), UTC)), min(known, default=None)
    if began < (ended or now):
        yield RecordGap(account, began, ended, is_before=True)


def _reaches_into(gap: RecordGap, wanted: Wanted, now: datetime) -> bool:
    first, last = trading_day(gap.began), trading_day(gap.ended or now)
    return (wanted.until is None or first <= wanted.until) and (wanted.since is None or last >= wanted.since)


def _gaps_of_day(day: date, gaps: Iterable[RecordGap], now: datetime) -> tuple[RecordGap, ...]:
    return tuple(gap for gap in gaps if _reaches_into(gap, Wanted(day, day), now))
