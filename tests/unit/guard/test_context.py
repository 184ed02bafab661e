"""Where in a trading day the time to be flat by lies."""

from datetime import UTC, datetime, time

import pytest

from ct_mcp.guard.context import flat_by_moment
from ct_mcp.guard.policy import FlatBy


def utc(text: str) -> datetime:
    """A moment from its UTC spelling."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "at", "zone", "moment"),
    [
        ("2026-11-23T15:30", time(15, 55), "America/Chicago", "2026-11-23T21:55"),
        ("2026-11-23T23:30", time(15, 55), "America/Chicago", "2026-11-24T21:55"),
        ("2026-11-23T15:30", time(16, 55), "America/New_York", "2026-11-23T21:55"),
        ("2026-11-23T15:30", time(6, 55), "Asia/Tokyo", "2026-11-23T21:55"),
        ("2026-11-23T15:30", time(23, 0), "America/Chicago", "2026-11-23T05:00"),
        ("2026-11-23T15:30", time(17, 0), "America/Chicago", "2026-11-23T23:00"),
        ("2026-11-23T15:30", time(17, 1), "America/Chicago", "2026-11-22T23:01"),
    ],
)
def test_it_lies_in_the_trading_day_of_now(now: str, at: time, zone: str, moment: str) -> None:
    assert flat_by_moment(FlatBy(at, zone), utc(now)) == utc(moment)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-03-08T18:00", "2026-03-08T20:55"),  # clocks went forward in the night
        ("2026-11-01T12:00", "2026-11-01T21:55"),  # and back
    ],
)
def test_it_follows_the_clocks_of_its_zone(now: str, moment: str) -> None:
    assert flat_by_moment(FlatBy(time(15, 55), "America/Chicago"), utc(now)) == utc(moment)


def test_a_day_that_skips_it_ends_with_the_roll() -> None:
    # 17:00 Chicago was 23:00 UTC on the 7th and is 22:00 UTC on the 8th: 22:30 UTC lies in neither.
    assert flat_by_moment(FlatBy(time(22, 30), "UTC"), utc("2026-03-08T12:00")) == utc("2026-03-08T22:00")
