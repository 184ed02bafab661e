"""When the market is open."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.hours import (
    CENTRAL,
    Holidays,
    MarketHours,
    current_session,
    session_ahead,
    session_before,
    sessions_between,
)

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _central(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CENTRAL)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-09-06 16:59:59", False),  # Sunday, before the week opens
        ("2026-09-06 17:00:00", True),
        ("2026-09-09 15:59:59", True),
        ("2026-09-09 16:00:00", False),  # the daily break
        ("2026-09-09 17:00:00", True),
        ("2026-09-11 15:59:59", True),
        ("2026-09-11 16:00:00", False),  # Friday, the week is over
        ("2026-09-11 18:00:00", False),
        ("2026-09-12 12:00:00", False),
    ],
)
def test_globex_is_open_from_sunday_evening_to_friday_afternoon(moment: str, is_open: bool) -> None:
    assert (current_session(_central(moment), MarketHours.GLOBEX) is not None) is is_open


@pytest.mark.parametrize(("day", "opens"), [("2026-01-07", 23), ("2026-07-08", 22)])
def test_the_open_moves_with_daylight_saving_time(day: str, opens: int) -> None:
    session = session_ahead(_central(f"{day} 12:00:00"), MarketHours.GLOBEX)
    assert session.opens_at.hour == opens
    assert session.day.isoformat() == day


@given(MOMENTS)
def test_a_market_that_is_always_open_is_open(moment: datetime) -> None:
    assert current_session(moment, MarketHours.ALWAYS) is not None


@given(MOMENTS)
def test_the_session_ahead_has_not_ended_and_the_one_before_has(moment: datetime) -> None:
    ahead, before = session_ahead(moment, MarketHours.GLOBEX), session_before(moment, MarketHours.GLOBEX)
    assert before.closes_at <= moment < ahead.closes_at
    assert timedelta(0) < ahead.opens_at - before.closes_at <= timedelta(hours=50)


HOLIDAYS: Holidays = ((date(2026, 11, 26), time(12)), (date(2026, 11, 27), time(12, 15)), (date(2026, 12, 25), None))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-26 11:59:59", True),
        ("2026-11-26 12:00:00", False),
        ("2026-11-26 17:00:00", True),
        ("2026-11-27 12:14:59", True),
        ("2026-11-27 12:15:00", False),
        ("2026-12-24 15:59:59", True),
        ("2026-12-24 18:00:00", False),
        ("2026-12-25 12:00:00", False),
        ("2026-12-27 17:00:00", True),
    ],
)
def test_a_holiday_closes_early_or_does_not_open(moment: str, is_open: bool) -> None:
    assert (current_session(_central(moment), MarketHours.GLOBEX, HOLIDAYS) is not None) is is_open
    assert current_session(_central(moment), MarketHours.ALWAYS, HOLIDAYS) is not None


def test_the_sessions_around_a_holiday_follow_each_other() -> None:
    start, end = _central("2026-12-24 12:00:00"), _central("2026-12-28 12:00:00")
    days = [session.day for session in sessions_between(start, end, MarketHours.GLOBEX, HOLIDAYS)]
    assert days == [date(2026, 12, 24), date(2026, 12, 28)]
    assert session_ahead(_central("2026-12-24 16:30:00"), MarketHours.GLOBEX, HOLIDAYS).day == date(2026, 12, 28)
    assert session_before(_central("2026-12-26 12:00:00"), MarketHours.GLOBEX, HOLIDAYS).day == date(2026, 12, 24)
