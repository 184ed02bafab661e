"""Trading hours: Globex sessions, Sunday evening to Friday afternoon, Central time. There are no holidays."""

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
def session_of(day: date, hours: MarketHours) -> SessionHours | None:
    """Return the session that ends on a day; None on a weekend, unless the market is always open."""
    if hours is MarketHours.GLOBEX and day.weekday() >= 5:
        return None
    closes = _CLOSES if hours is MarketHours.GLOBEX else _OPENS
    opens_at = datetime.combine(day - _ONE_DAY, _OPENS, CENTRAL)
    closes_at = datetime.combine(day, closes, CENTRAL)
    return SessionHours(day, opens_at.astimezone(UTC), closes_at.astimezone(UTC))


def sessions_between(start: datetime, end: datetime, hours: MarketHours) -> Iterator[SessionHours]:
    """List the sessions that overlap the span from `start` to `end`, oldest first."""
    day = start.astimezone(CENTRAL).date()
    while True:
        session = session_of(day, hours)
        if session is not None and session.opens_at > end:
            return
        if session is not None and session.closes_at > start:
            yield session
        day += _ONE_DAY


def current_session(moment: datetime, hours: MarketHours) -> SessionHours | None:
    """Return the session that is open at that moment."""
    session = session_ahead(moment, hours)
    return session if session.contains(moment) else None


def session_ahead(moment: datetime, hours: MarketHours) -> SessionHours:
    """Return the open session, or the next one to open."""
    return next(sessions_between(moment, moment + timedelta(days=7), hours))


def session_before(moment: datetime, hours: MarketHours) -> SessionHours:
    """Return the last session that has ended at that moment."""
    day = moment.astimezone(CENTRAL).date()
    while True:
        session = session_of(day, hours)
        if session is not None and session.closes_at <= moment:
            return session
        day -= _ONE_DAY
