"""The clock that a test moves."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ct_mcp.simulator.clock import ManualClock, wall_clock


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    assert clock() == clock()
    assert clock.advance(1.5) == datetime(2026, 9, 9, 14, 30, 1, 500_000, tzinfo=UTC)


def test_a_manual_clock_does_not_go_back() -> None:
    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    with pytest.raises(ValueError, match="past"):
        clock.move_to(datetime(2026, 9, 9, 14, 29, tzinfo=UTC))


def test_clocks_tell_the_time_in_utc() -> None:
    chicago = timezone(timedelta(hours=-5))
    assert ManualClock(datetime(2026, 9, 9, 9, 30, tzinfo=chicago))().utcoffset() == timedelta(0)
    assert wall_clock().utcoffset() == timedelta(0)
