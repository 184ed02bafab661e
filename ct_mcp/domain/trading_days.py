"""Which trading days a person means: ``today``, ``yesterday``, ``last week``, ``friday``, or a date. Pure.

A trading day ends at 17:00 Chicago and bears the date on which it ends; on a Saturday the last one is Friday's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ct_mcp.domain.market import trading_day
from ct_mcp.errors import BadRequest

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FRIDAY = 4
_FIRST_YEAR, _LAST_YEAR = 1900, 2999
HOW_TO_SAY_DAYS = "today, yesterday, this week, last week, this month, last month, friday, or 2026-11-20"


@dataclass(frozen=True, slots=True)
class TradingDays:
    """From the first to the last, both meant; None is as far as the record goes."""

    first: date | None
    last: date | None

    def __str__(self) -> str:
        if self.first == self.last:
            return "all trading days on record" if self.first is None else f"trading day {self.first}"
        ends = f"{self.first or 'the beginning'} to {self.last or 'now'}"
        return f"trading days {ends}"


def session_day(now: datetime) -> date:
    """Give the trading day that goes on, or at a weekend the one that ended last."""
    day = trading_day(now)
    return day - timedelta(days=max(0, day.weekday() - _FRIDAY))


def read_trading_days(since: str | None, until: str | None, now: datetime) -> TradingDays:
    """Read what was asked for. A span by its name ends where it ends, unless ``until`` is said; a date does not.

    Raises:
        BadRequest: It is none of the ways in which days may be said, or ends before it begins.
    """
    today = session_day(now)
    begin = None if since is None else _span(since, today, "since")
    end = None if until is None else _span(until, today, "until")
    first = None if begin is None else begin.first
    last = end.last if end is not None else None if begin is None or _is_date(since) else begin.last
    if first is not None and last is not None and last < first:
        raise BadRequest(f"until {last} lies before since {first}")
    return TradingDays(first, last)


def read_trading_day(text: str, now: datetime) -> date:
    """Read one day.

    Raises:
        BadRequest: It is none, or more than one.
    """
    span = _span(text, session_day(now), "day")
    if span.first is None or span.first != span.last:
        raise BadRequest(f"day {text[:40]!a} is more than one: say today, yesterday, friday, or 2026-11-20")
    return span.first


def read_date(text: str) -> date:
    """Read a date; none before there were such markets, nor so late that no time of it can be reckoned with.

    Raises:
        ValueError: It is no such date.
    """
    day = date.fromisoformat(text)
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(f"{day} is no date of a trading day")
    return day


def _span(text: str, today: date, name: str) -> TradingDays:
    words = " ".join(text.casefold().split())
    if (named := _NAMED.get(words)) is not None:
        return named(today)
    if words in _WEEKDAYS:
        day = today - timedelta(days=(today.weekday() - _WEEKDAYS.index(words)) % 7)
        return TradingDays(day, day)
    try:
        day = read_date(words)
    except ValueError:
        raise BadRequest(f"{name} {text[:40]!a} names no trading day: say {HOW_TO_SAY_DAYS}") from None
    return TradingDays(day, day)


def _is_date(text: str | None) -> bool:
    return text is not None and text.strip()[:1].isdigit()


def _before(today: date) -> date:
    """Give the day of the session before: a Friday where it is Monday."""
    return today - timedelta(days=3 if today.weekday() == 0 else 1)


def _week(today: date, weeks_back: int) -> TradingDays:
    monday = today - timedelta(days=today.weekday() + 7 * weeks_back)
    return TradingDays(monday, monday + timedelta(days=6))


def _month(today: date, *, is_last: bool) -> TradingDays:
    first = today.replace(day=1)
    if is_last:
        first = (first - timedelta(days=1)).replace(day=1)
    return TradingDays(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


_NAMED: dict[str, Callable[[date], TradingDays]] = {
    "today": lambda today: TradingDays(today, today),
    "yesterday": lambda today: TradingDays(_before(today), _before(today)),
    "this week": lambda today: _week(today, 0),
    "last week": lambda today: _week(today, 1),
    "this month": lambda today: _month(today, is_last=False),
    "last month": lambda today: _month(today, is_last=True),
}
