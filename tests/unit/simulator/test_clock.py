"""The manual clock, and the schedule of what is due."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ct_mcp.simulator.clock import ManualClock, Schedule, wall_clock


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


NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


def test_steps_run_in_the_order_of_time_and_then_of_arrival() -> None:
    ran: list[tuple[str, datetime]] = []
    timetable = Schedule()
    timetable.after(NOW, 2, lambda at: ran.append(("late", at)))
    timetable.after(NOW, 1, lambda at: ran.append(("first", at)))
    timetable.after(NOW, 1, lambda at: ran.append(("second", at)))
    while timetable.due(NOW + timedelta(seconds=5)):
        timetable.run_next()
    assert [name for name, _ in ran] == ["first", "second", "late"]
    assert ran[0][1] == NOW + timedelta(seconds=1)


def test_nothing_is_due_before_its_time() -> None:
    timetable = Schedule()
    assert timetable.due(NOW) is None
    timetable.after(NOW, 1, lambda _: None)
    assert timetable.due(NOW) is None
    assert timetable.due(NOW + timedelta(seconds=1)) == NOW + timedelta(seconds=1)
