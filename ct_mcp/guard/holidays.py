"""When trading ends early: as the service reports of the session, else by a dated table of holidays. Pure.

1. The service's word goes first: a session that is the last of its trading day and ends earlier in the day than the one
   after it ends early today. Where it ends as late, today is a day like any other, whatever the table says.
2. Where the service says nothing, the table does. It holds the days on which CME Globex halts equity index futures
   early; other products halt later on most of them and not at all on some. So it is early rather than late.
3. Beyond the last day that it covers nobody here knows, and that is said.

The table plans ahead and decides when to be flat; whether a market is open is asked of the service alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ct_mcp.domain.market import Session, trading_day

CHICAGO = ZoneInfo("America/Chicago")
USUAL_CLOSE = time(16)
"""When Globex closes on a day like any other, in Chicago."""

CHECKED = date(2026, 11, 30)
SOURCE = "pandas_market_calendars 5.5.0, CME Globex Equity; no word of the exchange's own"
COVERS_UNTIL = date(2027, 12, 31)

_NOON, _QUARTER_PAST, _MORNING = time(12), time(12, 15), time(8, 15)
EARLY_CLOSES: Mapping[date, tuple[time, str]] = {
    date(2026, 1, 19): (_NOON, "Martin Luther King Day"),
    date(2026, 2, 16): (_NOON, "Presidents' Day"),
    date(2026, 4, 3): (_MORNING, "Good Friday"),
    date(2026, 5, 25): (_NOON, "Memorial Day"),
    date(2026, 6, 19): (_NOON, "Juneteenth"),
    date(2026, 7, 3): (_NOON, "Independence Day"),
    date(2026, 9, 7): (_NOON, "Labor Day"),
    date(2026, 11, 26): (_NOON, "Thanksgiving"),
    date(2026, 11, 27): (_QUARTER_PAST, "the day after Thanksgiving"),
    date(2026, 12, 24): (_QUARTER_PAST, "Christmas Eve"),
    date(2027, 1, 18): (_NOON, "Martin Luther King Day"),
    date(2027, 2, 15): (_NOON, "Presidents' Day"),
    date(2027, 3, 26): (_MORNING, "Good Friday"),
    date(2027, 5, 31): (_NOON, "Memorial Day"),
    date(2027, 6, 18): (_NOON, "Juneteenth"),
    date(2027, 7, 5): (_NOON, "Independence Day"),
    date(2027, 9, 6): (_NOON, "Labor Day"),
    date(2027, 11, 25): (_NOON, "Thanksgiving"),
    date(2027, 11, 26): (_QUARTER_PAST, "the day after Thanksgiving"),
}
"""Trading days that end early, in Chicago. Days without any trading are none of them: nothing is held into one."""
CLOSED_DAYS = frozenset((date(2026, 1, 1), date(2026, 12, 25), date(2027, 1, 1), date(2027, 12, 24)))
"""Weekdays on which nothing trades."""


@dataclass(frozen=True, slots=True)
class DayEnd:
    """How a trading day ends: early at ``closes_at`` or as usual; ``why`` says by whose word, ``unknown`` by none."""

    closes_at: datetime | None = None
    why: str = ""
    unknown: str = ""


AS_USUAL = DayEnd()


def end_of_day(now: datetime, session: Session | None) -> DayEnd:
    """Say how the trading day of this moment ends, by a session where one was told, else by the table."""
    told = None if session is None else _told(session, now)
    if told is not None:
        return told
    day = trading_day(now)
    if day > COVERS_UNTIL:
        return DayEnd(unknown=f"holidays after {COVERS_UNTIL} are not known here")
    if day not in EARLY_CLOSES:
        return AS_USUAL
    at, name = EARLY_CLOSES[day]
    return DayEnd(datetime.combine(day, at, CHICAGO), f"{name} by the table of {CHECKED}")


def _told(session: Session, now: datetime) -> DayEnd | None:
    """Read it from the report; None where that tells nothing of how this trading day ends."""
    closes, opens_next, closes_next = session.closes_at, session.next_opens_at, session.next_closes_at
    if not session.is_open or closes is None or opens_next is None or closes_next is None or closes <= now:
        return None
    if trading_day(opens_next) == trading_day(closes - timedelta(seconds=1)):
        return None  # another session of the same day follows
    as_late = _since_the_roll(closes) >= _since_the_roll(closes_next)
    is_holiday = trading_day(now) in EARLY_CLOSES and closes.astimezone(CHICAGO).time() < USUAL_CLOSE
    if as_late and not is_holiday:  # of two holidays in a row, the second is no later than the first
        return AS_USUAL
    return DayEnd(closes, "as the service reports")


def _since_the_roll(at: datetime) -> time:
    return (at.astimezone(CHICAGO) + timedelta(hours=7)).time()
