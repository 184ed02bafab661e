"""Finds out how far prices went while a round trip was held: from the stream, else from bars, and says from which.

Bars cost a request each, so they are asked for one trip at a time, for trips of the last days, and not while the
service is slow. Bars of a minute reach beyond the trip on both sides by up to a minute.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.price_trail import PriceTrails
from ct_mcp.domain.market import Period, PeriodUnit, trading_day
from ct_mcp.domain.trades import Excursion, ExcursionSource, RoundTrip
from ct_mcp.errors import CtMcpError

_DAYS_BACK = 7
_LONGEST = timedelta(hours=23)
_EVERY = timedelta(seconds=30)
_BARS_ARE_THERE_AFTER = timedelta(minutes=2)
_MINUTE = Period(1, PeriodUnit.MINUTE)
_LEFT_FOR_OTHERS = 8
_MOST_TRIED = 5000


@dataclass(slots=True)
class Excursions:
    """Looks after the round trips of which it is not known yet."""

    upstream: Upstream
    store: Store
    book: TradeBook
    clock: Callable[[], datetime]
    trails: PriceTrails = field(default_factory=PriceTrails)
    _tried: dict[str, None] = field(default_factory=dict)
    _looked_at: datetime | None = None

    async def look(self, accounts: Iterable[str]) -> None:
        """Keep what the stream has told of the trips closed lately, and ask for the bars of one that it has not."""
        now = self.clock()
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < _EVERY:
            return
        self._looked_at, rest = now, list[RoundTrip]()
        for trip in [trip for account in accounts for trip in await self._missing(account)]:
            found = self.trails.extremes(trip.instrument, trip.opened_at, trip.closed_at)
            if found is not None:
                await self._keep(trip, *found, ExcursionSource.QUOTES)
            elif self._may_ask_for(trip):
                rest.append(trip)
        if rest and await self._may_ask():
            await self._from_bars(max(rest, key=lambda trip: trip.closed_at))

    async def _missing(self, account: str) -> list[RoundTrip]:
        since = trading_day(self.clock() - timedelta(days=_DAYS_BACK))
        trips = (await self.book.trades(account, Wanted(since))).trips
        return [trip for trip in trips if trip.excursion is None]

    def _may_ask_for(self, trip: RoundTrip) -> bool:
        is_over = self.clock() - trip.closed_at > _BARS_ARE_THERE_AFTER
        return is_over and trip.held_for <= _LONGEST and f"{trip.account} {trip.trip_id}" not in self._tried

    async def _may_ask(self) -> bool:
        """Whether the service has time for it: whatever else is asked comes first."""
        return not self.upstream.held_up() and (await self.upstream.allowance()).requests_left >= _LEFT_FOR_OTHERS

    async def _from_bars(self, trip: RoundTrip) -> None:
        self._tried[f"{trip.account} {trip.trip_id}"] = None
        while len(self._tried) > _MOST_TRIED:
            del self._tried[next(iter(self._tried))]
        began, ended = trip.opened_at.replace(second=0, microsecond=0), trip.closed_at + timedelta(minutes=1)
        most = int((ended - began) / timedelta(minutes=1)) + 2
        try:
            _, bars = await self.upstream.bars(str(trip.instrument), _MINUTE, count=most, start=began, end=ended)
        except CtMcpError:
            return
        held = [
            bar for bar in bars if bar.closes_at > trip.opened_at and bar.closes_at - _MINUTE.length < trip.closed_at
        ]
        if held:
            await self._keep(trip, min(bar.low for bar in held), max(bar.high for bar in held), ExcursionSource.BARS)

    async def _keep(self, trip: RoundTrip, low: Decimal, high: Decimal, source: ExcursionSource) -> None:
        """Its own fills were prices as well, also where a stream or a bar does not hold them."""
        fills = [fill.price for fill in (*trip.entries, *trip.exits)]
        low, high = min(low, *fills), max(high, *fills)
        worst, best = (low, high) if trip.sign > 0 else (high, low)
        await self.store.keep_excursion(trip.account, trip.trip_id, Excursion(worst, best, source), self.clock())
