"""Bars, drawn from the same path as the quotes and stamped with the moment at which they close."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from ct_mcp.simulator.hours import Session
from ct_mcp.simulator.market import Candle, Market
from ct_mcp.simulator.products import Contract

_LISTED_FOR = timedelta(days=457)


class PeriodType(StrEnum):
    """What a bar is a period of."""

    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Bar:
    """One period that has ended."""

    closes_at: datetime
    candle: Candle


@dataclass(frozen=True, slots=True)
class BarsWanted:
    """Which bars: periods of one length that end in a window, the newest `limit` of them."""

    contract: Contract
    period_type: PeriodType
    period: int
    start: datetime
    end: datetime
    limit: int


def bars(market: Market, wanted: BarsWanted) -> list[Bar]:
    """List the bars of a window, oldest first. There are none for periods without trading."""
    newest: list[Bar] = []
    for opens_at, closes_at in _windows(market, wanted):
        if len(newest) == wanted.limit:
            break
        newest.append(Bar(closes_at, market.candle(wanted.contract, opens_at, closes_at)))
    return newest[::-1]


def _windows(market: Market, wanted: BarsWanted) -> Iterator[tuple[datetime, datetime]]:
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


def _sessions(market: Market, wanted: BarsWanted) -> list[Session]:
    """List the sessions of the window in which the contract was listed."""
    last_day = wanted.contract.last_day
    sessions = market.sessions(wanted.start, wanted.end)
    return [session for session in sessions if last_day - _LISTED_FOR <= session.day <= last_day]


def _minutes(session: Session, wanted: BarsWanted) -> Iterator[tuple[datetime, datetime]]:
    length = timedelta(minutes=wanted.period)
    count = -((session.opens_at - session.closes_at) // length)
    for index in reversed(range(count)):
        opens_at = session.opens_at + index * length
        closes_at = min(opens_at + length, session.closes_at)
        if wanted.start < closes_at <= wanted.end:
            yield opens_at, closes_at


def _group(day: date, wanted: BarsWanted) -> int:
    """Number the period that a day belongs to."""
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
