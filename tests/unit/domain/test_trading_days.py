"""Which trading days a person means."""

from datetime import UTC, date, datetime

import pytest

from ct_mcp.domain.trading_days import read_trading_day, read_trading_days, session_day
from ct_mcp.errors import BadRequest

MONDAY_MORNING = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
MONDAY_EVENING = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # 17:30 in Chicago
SATURDAY = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
SUNDAY_EVENING = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (MONDAY_MORNING, "2026-11-23"),
        (MONDAY_EVENING, "2026-11-24"),
        (SATURDAY, "2026-11-20"),
        (SUNDAY_EVENING, "2026-11-23"),
    ],
)
def test_today_is_the_session_that_goes_on_or_ended_last(now: datetime, day: str) -> None:
    assert str(session_day(now)) == day


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("today", None, "2026-11-23", "2026-11-23"),
        ("Yesterday", None, "2026-11-20", "2026-11-20"),
        ("this week", None, "2026-11-23", "2026-11-29"),
        ("last  week", None, "2026-11-16", "2026-11-22"),
        ("this month", None, "2026-11-01", "2026-11-30"),
        ("last month", None, "2026-10-01", "2026-10-31"),
        ("friday", None, "2026-11-20", "2026-11-20"),
        ("monday", None, "2026-11-23", "2026-11-23"),
        ("2026-11-02", None, "2026-11-02", "None"),
        ("2026-11-02", "2026-11-06", "2026-11-02", "2026-11-06"),
        ("last week", "today", "2026-11-16", "2026-11-23"),
        (None, "yesterday", "None", "2026-11-20"),
        (None, None, "None", "None"),
    ],
)
def test_spans_are_read(since: str | None, until: str | None, first: str, last: str) -> None:
    days = read_trading_days(since, until, MONDAY_MORNING)
    assert (str(days.first), str(days.last)) == (first, last)


@pytest.mark.parametrize("text", ["someday", "2026-13-01", "", "20261123x", "next week", "11/23/2026"])
def test_what_names_no_day_is_refused_with_what_may_be_said(text: str) -> None:
    with pytest.raises(BadRequest, match="today, yesterday, this week"):
        read_trading_days(text, None, MONDAY_MORNING)


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadRequest, match="lies before"):
        read_trading_days("today", "yesterday", MONDAY_MORNING)


def test_one_day_is_one_day() -> None:
    assert read_trading_day("yesterday", MONDAY_EVENING) == date(2026, 11, 23)
    with pytest.raises(BadRequest, match="more than one"):
        read_trading_day("this week", MONDAY_MORNING)
