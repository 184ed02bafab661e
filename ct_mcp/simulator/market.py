"""What the market shows: bid, ask, last and the figures of the session, at any moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import floor

from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import (
    CENTRAL,
    MarketHours,
    Session,
    current_session,
    session_ahead,
    session_before,
    session_of,
    sessions_between,
)
from ct_mcp.simulator.instruments import resolve
from ct_mcp.simulator.prices import extent_between, ticks_at, traded_between
from ct_mcp.simulator.products import Contract, front_month

_QUIET_MONTH = 0.05
_WINDOW = timedelta(minutes=10)
_JUST_BEFORE = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Top:
    """The top of the book, in ticks."""

    bid: int
    ask: int
    last: int


@dataclass(frozen=True, slots=True)
class Candle:
    """What happened in one window, in ticks."""

    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The top of the book with the session so far; `settled` is where the session before ended."""

    contract: Contract
    at: datetime
    top: Top
    session: Candle
    settled: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which a contract trades without a break, and the top of the book at its lowest and highest."""

    start: datetime
    end: datetime
    lowest: Top
    highest: Top


class Market:
    """The seeded market; everything about it is a function of the moment."""

    def __init__(self, seed: int, hours: MarketHours, faults: Faults) -> None:
        """Open a market whose prices follow from its seed."""
        self.seed = seed
        self._faults = faults
        self.hours = hours

    def resolve(self, text: str, now: datetime) -> Contract | None:
        """Find the contract that somebody wrote, as of today."""
        return resolve(text, trading_date(now))

    def front(self, root: str, now: datetime) -> Contract:
        """Name the front month of a root today."""
        return front_month(root, trading_date(now))

    def is_open(self, at: datetime) -> bool:
        """Say whether anything trades at that moment."""
        return current_session(at, self.hours) is not None and not self._faults.active(Fault.SESSION_CLOSED)

    def trades(self, contract: Contract, at: datetime) -> bool:
        """Say whether a contract trades at that moment: the market is open and the month has not expired."""
        return self.is_open(at) and not self.has_expired(contract, at)

    def has_expired(self, contract: Contract, at: datetime) -> bool:
        """Say whether the last session of a contract month is over."""
        last = session_of(contract.last_day, self.hours)
        return last is not None and at >= last.closes_at

    def top(self, contract: Contract, at: datetime) -> Top:
        """Show bid, ask and last; while the market is closed they stand as they stood at its close."""
        return _top(self._path(contract, self._trading_moment(contract, at)))

    def quote(self, contract: Contract, at: datetime) -> Quote:
        """Show the top of the book and the session that it belongs to."""
        moment = self._trading_moment(contract, at)
        session = current_session(moment, self.hours) or session_before(moment, self.hours)
        settled = self._path(contract, session_before(session.opens_at, self.hours).closes_at)
        candle = self.candle(contract, session.opens_at, max(moment, session.opens_at))
        return Quote(contract, moment, self.top(contract, at), candle, floor(settled + 0.5), self.trades(contract, at))

    def candle(self, contract: Contract, start: datetime, end: datetime) -> Candle:
        """Draw one window of the path, both ends included."""
        underlying, begin, finish = contract.product.underlying, start.timestamp(), end.timestamp()
        extent = extent_between(self.seed, underlying, begin, finish)
        first, high, low, last = (
            floor(max(value + contract.carry, 1.0) + 0.5)
            for value in (extent.open, extent.high, extent.low, extent.close)
        )
        traded = traded_between(self.seed, underlying, begin, finish)
        pace = contract.product.contracts_per_second
        if contract != self.front(contract.root, start):
            pace *= _QUIET_MONTH
        return Candle(first, high, low, last, round(traded * pace))

    def windows(self, contract: Contract, start: datetime, end: datetime) -> Iterator[Window]:
        """Cut the part of a span in which a contract trades into windows of ten minutes at most."""
        for session in sessions_between(start, end, self.hours):
            begin, finish = max(session.opens_at, start), min(session.closes_at - _JUST_BEFORE, end)
            if begin > finish or not self.trades(contract, begin):
                continue
            while begin < finish:
                until = min(begin + _WINDOW, finish)
                yield self._window(contract, begin, until)
                begin = until
            yield self._window(contract, finish, finish)

    def session_ahead(self, at: datetime) -> Session:
        """Find the open session or the next one."""
        return session_ahead(at, self.hours)

    def sessions(self, start: datetime, end: datetime) -> Iterator[Session]:
        """List the sessions that overlap a span."""
        return sessions_between(start, end, self.hours)

    def _trading_moment(self, contract: Contract, at: datetime) -> datetime:
        """Go back to the last moment at which the contract traded."""
        last = session_of(contract.last_day, self.hours)
        at = min(at, last.closes_at) if last else at
        return at if current_session(at, self.hours) else session_before(at, self.hours).closes_at

    def _window(self, contract: Contract, start: datetime, end: datetime) -> Window:
        begin, finish = start.timestamp(), end.timestamp()
        extent = extent_between(self.seed, contract.product.underlying, begin, finish)
        return Window(start, end, *(_top(max(value + contract.carry, 1.0)) for value in (extent.low, extent.high)))

    def _path(self, contract: Contract, at: datetime) -> float:
        return max(ticks_at(self.seed, contract.product.underlying, at.timestamp()) + contract.carry, 1.0)


def _top(path: float) -> Top:
    bid = floor(path)
    return Top(bid=bid, ask=bid + 1, last=floor(path + 0.5))


def trading_date(at: datetime) -> date:
    """Tell the day that a moment belongs to: after five in the evening, Central time, it is already tomorrow's."""
    return (at.astimezone(CENTRAL) + timedelta(hours=7)).date()
