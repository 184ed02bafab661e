"""Subscriptions of one connection, and the frames that they lead to as time passes and orders change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.market import SimQuote
from ct_mcp.simulator.orders import OrderEvent
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.rest.market import quote_now
from ct_mcp.simulator.stream import messages
from ct_mcp.simulator.stream.assumptions import EventPushes, StreamAssumptions
from ct_mcp.simulator.stream.messages import FrameJson

_QUOTES_EVERY = timedelta(seconds=1)
_LONGEST_ARREARS = timedelta(minutes=10)


@dataclass(slots=True)
class RepeatTimer:
    """A timer that is due at `at` and then at each interval; after a long jump of the clock it restarts there."""

    at: datetime
    every: timedelta

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which it is due."""
        if until - self.at >= _LONGEST_ARREARS:
            self.at = until
        return self.at if self.at <= until else None

    def strike(self, now: datetime) -> bool:
        """Return whether it is due, and if so set it to the next interval."""
        if now < self.at:
            return False
        self.at += self.every
        return True


@dataclass(slots=True)
class StreamSubscriptions:
    """Instruments with the quote that was pushed last, names of events, and the timers of quotes and P&L."""

    addon: AddOn
    assumptions: StreamAssumptions
    pushed: dict[SimContract, SimQuote | None] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    quote_timer: RepeatTimer | None = None
    pnl_timer: RepeatTimer | None = None

    def add_quotes(self, contracts: list[SimContract]) -> None:
        """Subscribe to quotes; the first quote of each instrument comes at once."""
        added = {contract: None for contract in contracts if contract not in self.pushed}
        self.pushed.update(added)
        if added:
            self.quote_timer = RepeatTimer(self.addon.now, _QUOTES_EVERY)

    def remove_quotes(self, contracts: list[SimContract]) -> None:
        """Unsubscribe from quotes."""
        for contract in contracts:
            self.pushed.pop(contract, None)
        self.quote_timer = self.quote_timer if self.pushed else None

    def stream_pnl(self, interval: timedelta | None) -> None:
        """Push the P&L at an interval, or no more."""
        shortest = timedelta(seconds=self.assumptions.shortest_interval_seconds)
        every = max(interval, shortest) if interval else None
        self.pnl_timer = RepeatTimer(self.addon.now + every, every) if every else None

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which a timer is due."""
        due = [timer.next_at(until) for timer in (self.quote_timer, self.pnl_timer) if timer]
        return min((moment for moment in due if moment), default=None)

    def due_frames(self) -> Iterator[FrameJson]:
        """Yield the frames that are due now."""
        now = self.addon.now
        if self.quote_timer and self.quote_timer.strike(now) and (changed := self._changed_quotes()):
            yield messages.market_data(self.addon, changed)
        if self.pnl_timer and self.pnl_timer.strike(now):
            yield messages.pnl_update(self.addon, by_account=self.assumptions.pnl_by_account)

    def frames_of(self, event: OrderEvent) -> Iterator[FrameJson]:
        """Yield the frames of an event that are subscribed to."""
        everything = self.assumptions.events is EventPushes.UNASKED
        for name, frame in messages.event_frames(self.addon, event, self.assumptions.rows).items():
            if everything or name in self.events:
                yield frame

    def _changed_quotes(self) -> list[SimQuote]:
        """Read the market, and return the quotes that have changed since they were pushed."""
        current = {contract: quote_now(self.addon, contract) for contract in self.pushed}
        changed = [quote for contract, quote in current.items() if _differs(quote, self.pushed[contract])]
        self.pushed.update(current)
        return changed


def _differs(quote: SimQuote, before: SimQuote | None) -> bool:
    return before is None or (quote.top, quote.session, quote.is_open) != (before.top, before.session, before.is_open)
