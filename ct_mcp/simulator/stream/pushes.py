"""What a connection has asked to be told, and the frames that come of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.market import Quote
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.record import Happening
from ct_mcp.simulator.rest.market_rows import quote_now
from ct_mcp.simulator.stream import frames
from ct_mcp.simulator.stream.frames import Frame
from ct_mcp.simulator.stream.habits import Events, StreamHabits
from ct_mcp.simulator.stream.timing import Timer

_QUOTES_EVERY = timedelta(seconds=1)


@dataclass(slots=True)
class Wishes:
    """Instruments with the quote that was last told, names of events, and when each timer strikes."""

    addon: AddOn
    habits: StreamHabits
    shown: dict[Contract, Quote | None] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    quotes: Timer | None = None
    pnl: Timer | None = None

    def quote(self, contracts: list[Contract]) -> None:
        """Quote these as well; the first quote of each comes at once."""
        added = {contract: None for contract in contracts if contract not in self.shown}
        self.shown.update(added)
        if added:
            self.quotes = Timer(self.addon.now, _QUOTES_EVERY)

    def quote_no_more(self, contracts: list[Contract]) -> None:
        """Leave these out."""
        for contract in contracts:
            self.shown.pop(contract, None)
        self.quotes = self.quotes if self.shown else None

    def stream_pnl(self, interval: timedelta | None) -> None:
        """Tell the P&L so often, or no more."""
        shortest = timedelta(seconds=self.habits.shortest_interval_seconds)
        every = max(interval, shortest) if interval else None
        self.pnl = Timer(self.addon.now + every, every) if every else None

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until` at which a timer strikes."""
        due = [timer.next_at(until) for timer in (self.quotes, self.pnl) if timer]
        return min((moment for moment in due if moment), default=None)

    def due(self) -> Iterator[Frame]:
        """Write what is due now."""
        now = self.addon.now
        if self.quotes and self.quotes.strikes(now) and (fresh := self._fresh()):
            yield frames.market_data(self.addon, fresh)
        if self.pnl and self.pnl.strikes(now):
            yield frames.pnl_update(self.addon, by_account=self.habits.pnl_by_account)

    def of(self, happening: Happening) -> Iterator[Frame]:
        """Write what is wanted of something that has happened."""
        everything = self.habits.events is Events.UNASKED
        for name, frame in frames.events(self.addon, happening, self.habits.rows).items():
            if everything or name in self.events:
                yield frame

    def _fresh(self) -> list[Quote]:
        """Look at the market, and pick the quotes that have changed."""
        seen = {contract: quote_now(self.addon, contract) for contract in self.shown}
        fresh = [quote for contract, quote in seen.items() if _differs(quote, self.shown[contract])]
        self.shown.update(seen)
        return fresh


def _differs(quote: Quote, before: Quote | None) -> bool:
    return before is None or (quote.top, quote.session, quote.is_open) != (before.top, before.session, before.is_open)
