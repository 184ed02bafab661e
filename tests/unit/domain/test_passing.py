"""A clock that is set back holds nothing up, and one that is off by little hurries nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.domain.passing import has_passed, seconds_since

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "passed"), [(0, False), (9, False), (10, True), (3600, True), (-1, False), (-3600, True)]
)
def test_what_lies_far_ahead_was_written_before_the_clock_was_set_back(ago: int, passed: bool) -> None:
    at = NOW - timedelta(seconds=ago)
    assert has_passed(at, 10.0, NOW) is passed
    assert seconds_since(at, NOW) == abs(ago)
