"""Reads the book: round trips, days, performance, and the stretches of which nothing is known.

What is asked for is asked for by trading days, both ends included; None is as far as the record goes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from ct_mcp.desk.ports import Store
from ct_mcp.desk.rule_breaks import MOST_READ, rules_kept
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.domain.performance import (
    DayResult,
    GroupBy,
    PerformanceReport,
    by_currency,
    day_results,
    groups_of,
    performance_of,
)
from ct_mcp.domain.plan import plan_of
from ct_mcp.domain.products import currency_of, usual_point_value
from ct_mcp.domain.round_trips import Matched, round_trips
from ct_mcp.domain.trades import (
    SERVED_FOR,
    Listening,
    RecordedExecution,
    RecordGap,
    RoundTrip,
    Source,
    TradeList,
    Worth,
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
_MOST_KNOWN = 20


class TradeBook:
    """The record of all accounts, for reading. Raises `StoreFailed` where it cannot be read."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[tuple[object, ...], _AccountBook]] = {}

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

    async def executions_of_day(self, account: str, day: date) -> tuple[RecordedExecution, ...]:
        """Give the executions on record of one trading day, oldest first."""
        noon = datetime.combine(day, time(12), UTC)
        began = trading_day_began(noon)
        return await self.executions(account, began, trading_day_began(noon + timedelta(days=1)))

    async def gaps_of_day(self, account: str, day: date) -> tuple[RecordGap, ...]:
        """Name the stretches of one trading day in which nobody listened."""
        return await self.gaps(account, Wanted(day, day))

    async def trades(self, account: str, wanted: Wanted = EVERYTHING) -> TradeList:
        """Give the round trips that are meant, oldest first, and what must be said beside them."""
        read = await self._read(account)
        matched = read.matched
        trips = tuple(trip for trip in matched.trips if wanted.takes(trip))
        gaps = self._gaps(account, read, wanted)
        return TradeList(account, wanted.since, wanted.until, trips, matched.open, gaps, matched.unmatched, read.began)

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
        return self._gaps(account, await self._read(account), wanted)

    async def performance(
        self, account: str, wanted: Wanted = EVERYTHING, by: GroupBy | None = None
    ) -> PerformanceReport:
        """Reckon the figures of the trips that are meant, in all and, where asked for, split up."""
        trades = await self.trades(account, wanted)
        totals = [performance_of(trips, currency) for currency, trips in by_currency(trades.trips).items()]
        kept = rules_kept(await self._store.entries(MOST_READ, account), trades.trips, wanted.takes_day)
        return PerformanceReport(
            account=account,
            since=wanted.since,
            until=wanted.until,
            totals=tuple(totals),
            by=by,
            groups=() if by is None else groups_of(trades.trips, by),
            gaps=trades.gaps,
            unmatched=trades.unmatched,
            began=trades.began,
            open=trades.open,
            denied=kept.denied,
            denied_words=kept.denied_words,
            breaks=kept.breaks,
        )

    async def prune(self, account: str, recording: Recording) -> None:
        """Forget what is older, or more, than is to be kept; what was held then is kept, so that nothing is guessed."""
        found = await self._store.executions_on_record(account)
        cut = self._clock() - timedelta(days=recording.keep_days)
        if len(found) > recording.most_executions:
            cut = max(cut, found[-recording.most_executions].at)
        if not found or found[0].at >= cut:
            return
        older = [each for each in found if each.at < cut]
        then = [each for each in await self._store.listenings(account) if each.began < cut]
        held = round_trips(older, then).held
        await self._store.prune_book(account, cut, Listening(cut, cut, held))

    def _gaps(self, account: str, read: "_AccountBook", wanted: Wanted) -> tuple[RecordGap, ...]:
        found = gaps_between(account, read.listenings, read.imported, self._clock())
        return tuple(gap for gap in found if _reaches_into(gap, wanted, self._clock()))

    async def _read(self, account: str) -> "_AccountBook":
        """Read and match all of an account, or take it as it was matched before where nothing has changed since."""
        mark = await self._store.book_mark(account)
        known = self._known.pop(account, None)
        listenings = await self._store.listenings(account)  # the last of them grows all the time, which changes no trip
        if known is not None and known[0] == mark:
            read = replace(known[1], listenings=listenings)
        else:
            read = await self._read_anew(account, listenings)
        self._known[account] = mark, read
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return read

    async def _read_anew(self, account: str, listenings: tuple[Listening, ...]) -> "_AccountBook":
        found = await self.executions(account)
        matched = round_trips(found, listenings)
        excursions = await self._store.excursions(account)
        sent = await self._store.tickets_of_orders(account) if matched.trips else {}
        ticks = {worth.root: worth.tick_size for worth in await self._store.worths()}
        imported = tuple(each.at for each in found if each.source is not Source.HEARD)
        gaps = gaps_between(account, listenings, imported, self._clock())

        def told(trip: RoundTrip) -> RoundTrip:
            order = sent.get(trip.entries[0].order_id or "")
            plan = None if order is None else plan_of(trip, order, ticks.get(trip.instrument.root))
            unsure = tuple(gap.words for gap in gaps if gap.touches(trip.opened_at, trip.closed_at))
            return replace(trip, plan=plan, excursion=excursions.get(trip.trip_id), notes=unsure)

        trips = tuple(map(told, matched.trips))
        return _AccountBook(replace(matched, trips=trips), listenings, imported, found[0].at if found else None)


@dataclass(frozen=True, slots=True)
class _AccountBook:
    """All of one account: what came of its executions, when somebody listened, what was imported, when it begins."""

    matched: Matched
    listenings: tuple[Listening, ...]
    imported: tuple[datetime, ...]
    began: datetime | None


def gaps_between(
    account: str, listenings: Sequence[Listening], imported: Sequence[datetime], now: datetime
) -> tuple[RecordGap, ...]:
    """Name what lies between stretches, after the last of them, and between what was imported and the first of them.

    That is where it is longer than executions are served. ``imported`` are the times of imported executions.
    """
    before = [at for at in imported if not listenings or at < listenings[0].began]
    heard_until = before[-1] if before else None
    found = list[tuple[datetime, datetime | None]]()
    for each in listenings:
        if heard_until is not None and each.began > heard_until:
            found.append((heard_until, each.began))
        heard_until = each.ended if heard_until is None else max(heard_until, each.ended)
    if heard_until is not None and now - heard_until > SERVED_FOR:
        found.append((heard_until, None))
    return tuple(RecordGap(account, began, ended, _inside(imported, began, ended)) for began, ended in found)


def _inside(imported: Sequence[datetime], began: datetime, ended: datetime | None) -> int:
    until = len(imported) if ended is None else bisect_left(imported, ended)
    return max(0, until - bisect_right(imported, began))


def _reaches_into(gap: RecordGap, wanted: Wanted, now: datetime) -> bool:
    first, last = trading_day(gap.began), trading_day(gap.ended or now)
    return (wanted.until is None or first <= wanted.until) and (wanted.since is None or last >= wanted.since)


def _gaps_of_day(day: date, gaps: Iterable[RecordGap], now: datetime) -> tuple[RecordGap, ...]:
    return tuple(gap for gap in gaps if _reaches_into(gap, Wanted(day, day), now))


def _with_worth(it: RecordedExecution, worth: Worth | None) -> RecordedExecution:
    """Put the value of a point beside it, as the service said, or else as the exchange's rules have it."""
    if worth is not None:
        return replace(it, point_value=worth.point_value, currency=worth.currency)
    root = it.instrument.root
    return replace(it, point_value=usual_point_value(root), currency=currency_of(root, ""))
