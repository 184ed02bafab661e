"""What is known of the market between two reads: quotes, trading sessions, and the contract that a root stands for.

Each is kept for as long as it can be relied on: the meaning of a root for ten minutes of one trading day, a session for
a minute, a quote for a second, and one that was read since a question for two. Where a stream tells fresh quotes, none
is asked for.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Protocol

from ct_mcp.desk.ports import Reads
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote, Session, trading_day

_FRONT_KEPT_FOR = timedelta(minutes=10)
# One that closes before its time is noticed within a minute.
_SESSION_KEPT_FOR = timedelta(seconds=60)
_QUOTE_KEPT_FOR = timedelta(seconds=1)
# As old as any fact of a review may be on which is sent; it is read again meanwhile, beside an open question.
_KEPT_SINCE_QUESTION = timedelta(seconds=2)


class LiveQuotes(Protocol):
    """Quotes that a stream tells."""

    def quote(self, name: str) -> Quote | None:
        """Give the newest one, where it is fresh and the stream is sound."""
        ...

    def keep_quote(self, name: str, quote: Quote) -> None:
        """Take one that was read, and ask the stream for those that follow it."""
        ...


class MarketReader:
    """Reads of the market, made as seldom as they can be."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.live: LiveQuotes | None = None
        self._clock = clock
        self._quotes: dict[Instrument, tuple[datetime, Quote]] = {}
        self._sessions: dict[Instrument, tuple[datetime, Session]] = {}
        self._fronts: dict[str, tuple[datetime, Instrument]] = {}
        self._contracts: dict[Instrument, tuple[date, Contract]] = {}

    @property
    def contracts(self) -> dict[Instrument, Contract]:
        """What a contract of each instrument is worth, as far as a quote of this trading day was read."""
        today = trading_day(self._clock())
        return {instrument: contract for instrument, (day, contract) in self._contracts.items() if day == today}

    def contract_before(self, quote: Quote) -> Contract:
        """Give what the first quote of this trading day said of the contract; this one, where it is the first."""
        today, known = trading_day(self._clock()), self._contracts.get(quote.instrument)
        if known is None or known[0] != today:
            known = self._contracts[quote.instrument] = today, quote.contract
        return known[1]

    async def front(self, root: str, upstream: Reads) -> Instrument:
        """Resolve a root to the contract that it stands for.

        Raises:
            NotFound: The service does not know the root.
        """
        front = self.known_front(root)
        if front is None:
            began_at = self._clock()
            (quote,) = await upstream.quotes([root])
            self._keep(root, quote, began_at)
            front = quote.instrument
            self._fronts[root] = began_at, front
        return front

    def known_front(self, root: str) -> Instrument | None:
        """Give the contract that a root stands for, if that was read not long ago and on this trading day."""
        read_at, front = self._fronts.get(root, (None, None))
        if read_at is None or self._is_past(read_at, _FRONT_KEPT_FOR):
            return None
        return front if trading_day(read_at) == trading_day(self._clock()) else None

    async def quote(self, instrument: Instrument, upstream: Reads, not_before: datetime | None) -> Quote:
        """Give the quote that is streamed, the one read a moment ago, or one that is read now."""
        if (told := self.told(instrument, not_before)) is not None:
            return told
        read_at, quote = self._quotes.get(instrument, (None, None))
        kept_for = _QUOTE_KEPT_FOR if not_before is None else _KEPT_SINCE_QUESTION
        if read_at is not None and quote is not None and not self._is_past(read_at, kept_for, not_before):
            return quote
        return await self.quote_anew(instrument, upstream)

    async def quote_anew(self, instrument: Instrument, upstream: Reads) -> Quote:
        """Read a quote now, and keep it."""
        began_at = self._clock()
        (quote,) = await upstream.quotes([str(instrument)])
        self._keep(str(instrument), quote, began_at)
        return quote

    def told(self, instrument: Instrument, not_before: datetime | None) -> Quote | None:
        """Give the quote that is streamed, if it is fresh and not of before that time."""
        told = None if self.live is None else self.live.quote(str(instrument))
        if told is None or not_before is None:
            return told
        return told if told.at is not None and told.at >= not_before else None

    async def session(self, instrument: Instrument, upstream: Reads) -> Session:
        """Give the trading session."""
        read_at, session = self._sessions.get(instrument, (None, None))
        if read_at is None or session is None or self._is_past(read_at, _SESSION_KEPT_FOR):
            began_at = self._clock()
            session = await upstream.session(str(instrument))
            self._sessions[instrument] = began_at, session
        return session

    def _keep(self, name: str, quote: Quote, began_at: datetime) -> None:
        self._quotes[quote.instrument] = began_at, quote
        if self.live is not None:
            for each in {name, str(quote.instrument)}:
                self.live.keep_quote(each, quote)

    def _is_past(self, read_at: datetime, kept_for: timedelta, not_before: datetime | None = None) -> bool:
        age = self._clock() - read_at
        return not timedelta(0) <= age <= kept_for or (not_before is not None and read_at < not_before)
