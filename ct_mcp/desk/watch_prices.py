"""What watches look at between two readings: prices, and whether there was word of an account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ct_mcp.desk.market_reader import LiveQuotes, MarketReader
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.warm_review import Silence
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote, Session
from ct_mcp.errors import CtMcpError

_READ_EVERY_SECONDS = 3.0
_LOOK_EVERY_SECONDS = 15.0
_WITHOUT_STREAM_SECONDS = 5.0


class LiveView(Silence, LiveQuotes, Protocol):
    """What a stream tells."""


class WatchedPrices:
    """The newest price of an instrument: streamed, or read every few seconds."""

    def __init__(self, upstream: Upstream, clock: Callable[[], datetime], max_age_seconds: float) -> None:
        self._upstream = upstream
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._reader = MarketReader(clock)
        self._read: dict[Instrument, tuple[datetime, Quote]] = {}

    def listen(self, live: LiveQuotes) -> None:
        """Take what a stream tells, from now on."""
        self._reader.live = live

    async def of(self, instrument: Instrument) -> Quote | None:
        """Give a quote that is fresh and has a last price; None where there is none, which proves nothing."""
        quote = self._reader.told(instrument, None) or await self._read_of(instrument)
        age = None if quote is None else quote.age_seconds(self._clock())
        is_fresh = quote is not None and age is not None and age <= self._max_age_seconds
        return quote if is_fresh and quote is not None and quote.last is not None else None

    async def session(self, instrument: Instrument) -> Session | None:
        """Give the trading session, read a minute ago at most; None where it could not be read."""
        try:
            return await self._reader.session(instrument, self._upstream)
        except CtMcpError:
            return None

    async def _read_of(self, instrument: Instrument) -> Quote | None:
        read_at, quote = self._read.get(instrument, (None, None))
        if read_at is not None and abs((self._clock() - read_at).total_seconds()) < _READ_EVERY_SECONDS:
            return quote
        try:
            quote = await self._reader.quote_anew(instrument, self._upstream)
        except CtMcpError:
            return None
        self._read[instrument] = self._clock(), quote
        return quote


@dataclass(slots=True)
class _Round:
    at: datetime
    mark: int | None


@dataclass(slots=True)
class Rounds:
    """When each watch has to look at its account again: at word of it, and every so often."""

    clock: Callable[[], datetime]
    silence: Silence | None = None
    _looked: dict[str, _Round] = field(default_factory=dict)

    def is_due(self, watch_id: str, account: str) -> bool:
        """Say whether to look, and take it as looked at."""
        mark = None if self.silence is None else self.silence.silence(account)
        last, now = self._looked.get(watch_id), self.clock()
        every = _WITHOUT_STREAM_SECONDS if mark is None else _LOOK_EVERY_SECONDS
        is_same = last is not None and mark == last.mark and abs((now - last.at).total_seconds()) < every
        if not is_same:
            self._looked[watch_id] = _Round(now, mark)
        return not is_same

    def again(self, watch_id: str) -> None:
        """Look anew at the next round."""
        self._looked.pop(watch_id, None)
