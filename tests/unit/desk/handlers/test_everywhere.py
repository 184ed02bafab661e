"""Flat everywhere: what a later reading shows takes away the flat that an earlier one read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.desk.handlers.everywhere import Departure
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.submission import Submission
from tests.unit.desk.conftest import Holds, Stands

BEGAN = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
READINGS = st.lists(st.sampled_from(("flat", "held", "order", "on its way", "unread")), max_size=12)


def departure() -> Departure:
    """Somebody who left, and of whom nothing was read yet."""
    nobody: Any = None
    return Departure(nobody, Submission())


@given(readings=READINGS)
def test_flat_is_the_last_reading_and_nothing_seen_since_whatever_came_before(
    holding: Holds, standing: Stands, readings: list[str]
) -> None:
    takes: dict[str, Callable[[Departure, datetime], None]] = {
        "flat": lambda left, at: left.takes(AccountState((), ()), at),
        "held": lambda left, at: left.takes(AccountState((holding(-1),), ()), at),
        "order": lambda left, at: left.takes(AccountState((), (standing(),)), at),
        "on its way": lambda left, _: left.shows("may still fill: BUY 1"),
        "unread": lambda left, _: None,
    }
    left, flat_at, moves = departure(), None, 0
    for number, reading in enumerate(readings):
        at = BEGAN + timedelta(seconds=1.5 * number)
        takes[reading](left, at)
        moves += flat_at is not None and reading in ("held", "order", "on its way")
        flat_at = at if reading == "flat" else flat_at if reading == "unread" else None
        assert left.flat_at == flat_at
    assert len(left.moves) == moves


def test_a_move_is_told_with_both_times(holding: Holds) -> None:
    left = departure()
    left.takes(AccountState((), ()), BEGAN)
    left.takes(AccountState((holding(-1),), ()), BEGAN + timedelta(seconds=1.3))
    (move,) = left.moves
    assert move.startswith("SHORT 1 MES 09-26")
    assert move.endswith("(at 14:30:01.3 UTC, flat at 14:30:00.0 UTC)")
