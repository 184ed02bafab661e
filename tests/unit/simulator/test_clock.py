"""What is due, in the order of time."""

from datetime import UTC, datetime, timedelta

from ct_mcp.simulator.timetable import Timetable

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


def test_steps_run_in_the_order_of_time_and_then_of_arrival() -> None:
    ran: list[tuple[str, datetime]] = []
    timetable = Timetable()
    timetable.after(NOW, 2, lambda at: ran.append(("late", at)))
    timetable.after(NOW, 1, lambda at: ran.append(("first", at)))
    timetable.after(NOW, 1, lambda at: ran.append(("second", at)))
    while timetable.due(NOW + timedelta(seconds=5)):
        timetable.run_next()
    assert [name for name, _ in ran] == ["first", "second", "late"]
    assert ran[0][1] == NOW + timedelta(seconds=1)


def test_nothing_is_due_before_its_time() -> None:
    timetable = Timetable()
    assert timetable.due(NOW) is None
    timetable.after(NOW, 1, lambda _: None)
    assert timetable.due(NOW) is None
    assert timetable.due(NOW + timedelta(seconds=1)) == NOW + timedelta(seconds=1)
