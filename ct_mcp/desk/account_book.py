"""Reads all of one account's record, and what was read before as far as it still holds.

How it works; the numbers stand again at the blocks that do it.

 1. What lies behind a moment at which nothing was held, some days ago, is matched once and kept: no execution of later
    changes it. It is read anew where something of that time was added, as an import does.
 2. What came since is matched at each reading that finds anything new: some days of executions.
 3. Matching is reckoning, and long records take a while: it runs beside the loop, so that nothing waits for it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest

import anyio
from anyio import to_thread

from ct_mcp.desk.ports import Store
from ct_mcp.domain.plan import SentOrder, plan_of
from ct_mcp.domain.products import currency_of, usual_point_value
from ct_mcp.domain.round_trips import Matched, Unmatched, round_trips
from ct_mcp.domain.trades import (
    SERVED_FOR,
    Excursion,
    Listening,
    RecordedExecution,
    RecordGap,
    RoundTrip,
    Source,
    Worth,
)

SETTLES_AFTER = timedelta(days=9)
"""Longer than excursions are still looked for (`desk/excursions.py`)."""
_READ_ANEW_AFTER = timedelta(days=30)
_MOST_KNOWN = 20
_A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Part:
    """What came of some executions: all until ``until``, or all since then."""

    matched: Matched
    imported: tuple[datetime, ...] = ()
    began: datetime | None = None
    until: datetime | None = None


_NOTHING = _Part(Matched((), (), ()))


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All of one account: what came of its executions, when somebody listened, what was imported, when it begins."""

    settled: _Part
    recent: _Part
    listenings: tuple[Listening, ...]
    mark: tuple[object, object] = (None, None)

    @property
    def trips(self) -> tuple[RoundTrip, ...]:
        """The round trips, by the time at which they were closed."""
        return (*self.settled.matched.trips, *self.recent.matched.trips)

    @property
    def unmatched(self) -> tuple[Unmatched, ...]:
        """What no round trip could be made of."""
        return (*self.settled.matched.unmatched, *self.recent.matched.unmatched)

    @property
    def imported(self) -> tuple[datetime, ...]:
        """When what was imported was executed."""
        return (*self.settled.imported, *self.recent.imported)

    @property
    def began(self) -> datetime | None:
        """When the first execution on record was; None where there is none."""
        return self.settled.began or self.recent.began


class AccountBooks:
    """The records of some accounts, as they were read last."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, AccountBook] = {}
        self._turn = anyio.Lock()

    async def read(self, account: str) -> AccountBook:
        """Read what is new of an account.

        Raises:
            StoreFailed: It could not be read.
        """
        async with self._turn:
            book = await self._read(account, self._known.pop(account, None))
            self._known[account] = book
            while len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            return book

    async def executions(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[RecordedExecution, ...]:
        """Give executions on record with what a point of them is worth, oldest first."""
        worths = {worth.root: worth for worth in await self._store.worths()}
        found = await self._store.executions_on_record(account, since, until)
        return await to_thread.run_sync(lambda: tuple(_with_worth(it, worths.get(it.instrument.root)) for it in found))

    async def _read(self, account: str, known: AccountBook | None) -> AccountBook:
        until = None if known is None else known.settled.until
        mark = await self._store.book_mark(account, until)
        listenings = await self._store.listenings(account)  # the last of them grows all the time, which changes no trip
        if known is not None and known.mark == mark:
            return replace(known, listenings=listenings)
        is_near = until is not None and self._clock() - until < _READ_ANEW_AFTER
        if known is not None and is_near and known.mark[0] == mark[0]:
            settled = known.settled
        else:  # 1
            settled = await self._settled(account, listenings)
            mark = await self._store.book_mark(account, settled.until)
        since = None if settled.until is None else settled.until + _A_MOMENT
        recent = await self._matched(account, await self.executions(account, since), listenings, since)  # 2
        return AccountBook(settled, recent, listenings, mark)

    async def _settled(self, account: str, listenings: Sequence[Listening]) -> _Part:
        """Match what lies behind the last moment, some days ago, at which nothing was held; nothing where none does."""
        found = await self.executions(account, None, self._clock() - SETTLES_AFTER)
        until = _last_flat(found)
        if until is None:
            return _NOTHING
        before = [each for each in found if each.at <= until]
        heard = [each for each in listenings if each.began <= until]
        part = await self._matched(account, before, heard, None)
        return _NOTHING if part.matched.held else replace(part, until=until)

    async def _matched(
        self,
        account: str,
        found: Sequence[RecordedExecution],
        listenings: Sequence[Listening],
        since: datetime | None,
    ) -> _Part:
        heard = [each for each in listenings if since is None or each.began >= since]
        matched = await to_thread.run_sync(round_trips, found, heard)  # 3
        orders = frozenset(trip.entries[0].order_id or "" for trip in matched.trips)
        teller = _Teller(
            await self._store.excursions(account, since),
            await self._store.tickets_of_orders(account, orders, since),
            {worth.root: worth for worth in await self._store.worths()},
            gaps_between(account, listenings, _imported(found), self._clock()),
        )
        trips = await to_thread.run_sync(lambda: tuple(map(teller.told, matched.trips)))
        began = found[0].at if found else None
        return _Part(replace(matched, trips=trips), _imported(found), began)


@dataclass(frozen=True, slots=True)
class _Teller:
    """What is known of round trips beside their executions."""

    excursions: dict[str, Excursion]
    sent: dict[str, SentOrder]
    worths: dict[str, Worth]
    gaps: Sequence[RecordGap]

    def told(self, trip: RoundTrip) -> RoundTrip:
        """Put it to a round trip."""
        order, worth = self.sent.get(trip.entries[0].order_id or ""), self.worths.get(trip.instrument.root)
        plan = None if order is None else plan_of(trip, order, None if worth is None else worth.tick_size)
        unsure = tuple(gap.words for gap in self.gaps if gap.touches(trip.opened_at, trip.closed_at))
        return replace(trip, plan=plan, excursion=self.excursions.get(trip.trip_id), notes=unsure)


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


def _imported(found: Sequence[RecordedExecution]) -> tuple[datetime, ...]:
    return tuple(each.at for each in found if each.source is not Source.HEARD)


def _last_flat(found: Sequence[RecordedExecution]) -> datetime | None:
    """Give the time of the last execution after which, and before the next moment, nothing is held."""
    nets: dict[object, int] = {}
    flat = None
    for it, after in zip_longest(found, found[1:]):
        if net := nets.pop(it.instrument, 0) + it.signed:
            nets[it.instrument] = net
        if not nets and (after is None or after.at > it.at):
            flat = it.at
    return flat


def _with_worth(it: RecordedExecution, worth: Worth | None) -> RecordedExecution:
    """Put the value of a point beside it, as the service said, or else as the exchange's rules have it."""
    if worth is not None:
        return replace(it, point_value=worth.point_value, currency=worth.currency)
    root = it.instrument.root
    return replace(it, point_value=usual_point_value(root), currency=currency_of(root, ""))
