"""The market at any moment: top of book, session figures, trading windows and bars.

Everything follows from the seed and the moment. Prices are counted in ticks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from math import floor

from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import (
    CENTRAL,
    Holidays,
    MarketHours,
    SessionHours,
    current_session,
    session_ahead,
    session_before,
    session_of,
    sessions_between,
)
from ct_mcp.simulator.prices import range_between, ticks_at, traded_between
from ct_mcp.simulator.products import SimContract, front_month, resolve

_QUIET_MONTH = 0.05
_WINDOW = timedelta(minutes=10)
_JUST_BEFORE = timedelta(milliseconds=1)
_LISTED_FOR = timedelta(days=457)


@dataclass(frozen=True, slots=True)
class TopOfBook:
    """Bid, ask and last, in ticks."""

    bid: int
    ask: int
    last: int


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices and volume of one window, in ticks and contracts."""

    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class SimQuote:
    """Top of book with the session so far; `settled` is the last price of the session before, in ticks."""

    contract: SimContract
    at: datetime
    top: TopOfBook
    session: Candle
    settled: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class TradingWindow:
    """A span in which a contract trades without a break, with the top of book at its lowest and highest."""

    start: datetime
    end: datetime
    lowest: TopOfBook
    highest: TopOfBook


class PeriodType(StrEnum):
    """Unit of the period of a bar."""

    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class SimBar:
    """One bar whose period has ended."""

    closes_at: datetime
    candle: Candle


@dataclass(frozen=True, slots=True)
class BarsRequest:
    """Bars that are asked for: periods of one length that end in a window, the newest `limit` of them."""

    contract: SimContract
    period_type: PeriodType
    period: int
    start: datetime
    end: datetime
    limit: int


class Market:
    """The seeded market; every answer is a function of the moment."""

    def __init__(self, seed: int, hours: MarketHours, faults: Faults, holidays: Holidays = ()) -> None:
        """Create a market whose prices follow from its seed."""
        self.seed = seed
        self._faults = faults
        self.hours = hours
        self._holidays = holidays

    def resolve(self, text: str, now: datetime) -> SimContract | None:
        """Find the contract that a text names today; None if there is none."""
        return resolve(text, trading_date(now))

    def front(self, root: str, now: datetime) -> SimContract:
        """Return the front month of a root today."""
        return front_month(root, trading_date(now))

    def is_open(self, at: datetime) -> bool:
        """Check whether anything trades at that moment."""
        return current_session(at, self.hours, self._holidays) is not None and not self._faults.active(
            Fault.SESSION_CLOSED
        )

    def trades(self, contract: SimContract, at: datetime) -> bool:
        """Check whether a contract trades at that moment: the market is open and the month has not expired."""
        return self.is_open(at) and not self.has_expired(contract, at)

    def has_expired(self, contract: SimContract, at: datetime) -> bool:
        """Check whether the last session of a contract month is over."""
        last = session_of(contract.last_day, self.hours, self._holidays)
        return last is not None and at >= last.closes_at

    def top(self, contract: SimContract, at: datetime) -> TopOfBook:
        """Return bid, ask and last; while the market is closed, as they were at its close."""
        return _top(self._path(contract, self._trading_moment(contract, at)))

    def quote(self, contract: SimContract, at: datetime) -> SimQuote:
        """Return the top of book with the session that it belongs to."""
        moment = self._trading_moment(contract, at)
        session = current_session(moment, self.hours, self._holidays) or session_before(
            moment, self.hours, self._holidays
        )
        settled = self._path(contract, session_before(session.opens_at, self.hours, self._holidays).closes_at)
        candle = self.candle(contract, session.opens_at, max(moment, session.opens_at))
        return SimQuote(
            contract, moment, self.top(contract, at), candle, floor(settled + 0.5), self.trades(contract, at)
        )

    def candle(self, contract: SimContract, start: datetime, end: datetime) -> Candle:
        """Return prices and volume of one window, both ends included."""
        underlying, begin, finish = contract.product.underlying, start.timestamp(), end.timestamp()
        price_range = range_between(self.seed, underlying, begin, finish)
        open_, high, low, close = (
            floor(max(value + contract.carry, 1.0) + 0.5)
            for value in (price_range.open, price_range.high, price_range.low, price_range.close)
        )
        traded = traded_between(self.seed, underlying, begin, finish)
        pace = contract.product.contracts_per_second
        if contract != self.front(contract.root, start):
            pace *= _QUIET_MONTH
        return Candle(open_, high, low, close, round(traded * pace))

    def windows(self, contract: SimContract, start: datetime, end: datetime) -> Iterator[TradingWindow]:
        """Split the part of a span in which a contract trades into windows of ten minutes at most."""
        for session in sessions_between(start, end, self.hours, self._holidays):
            begin, finish = max(session.opens_at, start), min(session.closes_at - _JUST_BEFORE, end)
            if begin > finish or not self.trades(contract, begin):
                continue
            while begin < finish:
                until = min(begin + _WINDOW, finish)
                yield self._window(contract, begin, until)
                begin = until
            yield self._window(contract, finish, finish)

    def session_ahead(self, at: datetime) -> SessionHours:
        """Return the open session or the next one."""
        return session_ahead(at, self.hours, self._holidays)

    def sessions(self, start: datetime, end: datetime) -> Iterator[SessionHours]:
        """List the sessions that overlap a span."""
        return sessions_between(start, end, self.hours, self._holidays)

    def _trading_moment(self, contract: SimContract, at: datetime) -> datetime:
        """Return the last moment at which the contract traded."""
        last = session_of(contract.last_day, self.hours, self._holidays)
        at = min(at, last.closes_at) if last else at
        return (
            at
            if current_session(at, self.hours, self._holidays)
            else session_before(at, self.hours, self._holidays).closes_at
        )

    def _window(self, contract: SimContract, start: datetime, end: datetime) -> TradingWindow:
        begin, finish = start.timestamp(), end.timestamp()
        price_range = range_between(self.seed, contract.product.underlying, begin, finish)
        return TradingWindow(
            start, end, *(_top(max(value + contract.carry, 1.0)) for value in (price_range.low, price_range.high))
        )

    def _path(self, contract: SimContract, at: datetime) -> float:
        return max(ticks_at(self.seed, contract.product.underlying, at.timestamp()) + contract.carry, 1.0)


def _top(path: float) -> TopOfBook:
    bid = floor(path)
    return TopOfBook(bid=bid, ask=bid + 1, last=floor(path + 0.5))


def trading_date(at: datetime) -> date:
    """Return the trading day of a moment: from five in the evening, Central time, it is the next day."""
    return (at.astimezone(CENTRAL) + timedelta(hours=7)).date()


def bars(market: Market, wanted: BarsRequest) -> list[SimBar]:
    """List the bars of a window, oldest first. A period without trading has no bar."""
    newest: list[SimBar] = []
    for opens_at, closes_at in _windows(market, wanted):
        if len(newest) == wanted.limit:
            break
        newest.append(SimBar(closes_at, market.candle(wanted.contract, opens_at, closes_at)))
    return newest[::-1]


def _windows(market: Market, wanted: BarsRequest) -> Iterator[tuple[datetime, datetime]]:
    """List the periods that have ended inside the window, newest first."""
    sessions = _sessions(market, wanted)
    if wanted.period_type is PeriodType.MINUTE:
        for session in reversed(sessions):
            yield from _minutes(session, wanted)
        return
    groups = [list(group) for _, group in groupby(sessions, lambda session: _group(session.day, wanted))]
    for group in reversed(groups):
        if group[-1].closes_at <= wanted.end:
            yield group[0].opens_at, group[-1].closes_at


def _sessions(market: Market, wanted: BarsRequest) -> list[SessionHours]:
    """List the sessions of the window in which the contract was listed."""
    last_day = wanted.contract.last_day
    sessions = market.sessions(wanted.start, wanted.end)
    return [session for session in sessions if last_day - _LISTED_FOR <= session.day <= last_day]


def _minutes(session: SessionHours, wanted: BarsRequest) -> Iterator[tuple[datetime, datetime]]:
    length = timedelta(minutes=wanted.period)
    count = -((session.opens_at - session.closes_at) // length)
    for index in reversed(range(count)):
        opens_at = session.opens_at + index * length
        closes_at = min(opens_at + length, session.closes_at)
        if wanted.start < closes_at <= wanted.end:
            yield opens_at, closes_at


def _group(day: date, wanted: BarsRequest) -> int:
    """Return the number of the period that a day belongs to."""
    match wanted.period_type:
        case PeriodType.WEEK:
            number = (day.toordinal() - 1) // 7
        case PeriodType.MONTH:
            number = day.year * 12 + day.month
        case PeriodType.YEAR:
            number = day.year
        case _:
            number = day.toordinal()
    return number // wanted.period
