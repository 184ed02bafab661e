"""Trading hours: Globex sessions, Sunday evening to Friday afternoon, Central time.

Holidays are those that a run names: a day that closes early, or one on which nothing trades.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

CENTRAL = ZoneInfo("America/Chicago")
_OPENS = time(17, 0)
_CLOSES = time(16, 0)
_ONE_DAY = timedelta(days=1)
Holidays = tuple[tuple[date, time | None], ...]
"""Days that close early, at a time of Central time; without a time nothing trades."""


class MarketHours(StrEnum):
    """Calendar of the simulated market."""

    GLOBEX = "globex"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class SessionHours:
    """One trading session; it belongs to the day on which it ends. Times are UTC."""

    day: date
    opens_at: datetime
    closes_at: datetime

    def contains(self, moment: datetime) -> bool:
        """Check whether the market trades at that moment."""
        return self.opens_at <= moment < self.closes_at


@lru_cache(maxsize=4096)
def session_of(day: date, hours: MarketHours, holidays: Holidays = ()) -> SessionHours | None:
    """Return the session that ends on a day; None on a weekend or a holiday, unless the market is always open."""
    if hours is MarketHours.GLOBEX and day.weekday() >= 5:
        return None
    closes = dict(holidays).get(day, _CLOSES) if hours is MarketHours.GLOBEX else _OPENS
    if closes is None:
        return None
    opens_at = datetime.combine(day - _ONE_DAY, _OPENS, CENTRAL)
    closes_at = datetime.combine(day, closes, CENTRAL)
    return SessionHours(day, opens_at.astimezone(UTC), closes_at.astimezone(UTC))


def sessions_between(
    start: datetime, end: datetime, hours: MarketHours, holidays: Holidays = ()
) -> Iterator[SessionHours]:
    """List the sessions that overlap the span from `start` to `end`, oldest first."""
    day = start.astimezone(CENTRAL).date()
    while True:
        session = session_of(day, hours, holidays)
        if session is not None and session.opens_at > end:
            return
        if session is not None and session.closes_at > start:
            yield session
        day += _ONE_DAY


@lru_cache(maxsize=4096)
def current_session(moment: datetime, hours: MarketHours, holidays: Holidays = ()) -> SessionHours | None:
    """Return the session that is open at that moment."""
    session = session_ahead(moment, hours, holidays)
    return session if session.contains(moment) else None


def session_ahead(moment: datetime, hours: MarketHours, holidays: Holidays = ()) -> SessionHours:
    """Return the open session, or the next one to open."""
    return next(sessions_between(moment, moment + timedelta(days=14), hours, holidays))


@lru_cache(maxsize=4096)
def session_before(moment: datetime, hours: MarketHours, holidays: Holidays = ()) -> SessionHours:
    """Return the last session that has ended at that moment."""
    day = moment.astimezone(CENTRAL).date()
    while True:
        session = session_of(day, hours, holidays)
        if session is not None and session.closes_at <= moment:
            return session
        day -= _ONE_DAY
