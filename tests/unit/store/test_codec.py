"""Single values survive the disk unchanged."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import canonical, time_from_text, time_to_text


def test_the_same_value_has_one_text_whatever_the_order_of_its_keys() -> None:
    assert (
        canonical({"b": 1, "a": Decimal("1.50")}) == canonical({"a": Decimal("1.50"), "b": 1}) == '{"a":"1.50","b":1}'
    )


def _within_itself() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {(1, 2): 3}, {1: 2, "a": 3}, _within_itself()])
def test_what_json_cannot_hold_is_refused_in_words(value: object) -> None:
    with pytest.raises(StoreFailed, match="cannot be written as JSON"):
        canonical(value)


@settings(deadline=None)
@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_is_read_back_as_the_same_moment_in_utc(at: datetime) -> None:
    back = time_from_text(time_to_text(at))
    assert back == at.astimezone(UTC)
    assert back.tzinfo is UTC


def test_the_text_of_times_sorts_as_the_times_do() -> None:
    early = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    late = (early + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=-6)))
    assert time_to_text(early) < time_to_text(late)


def test_a_time_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="zone"):
        time_to_text(datetime(2026, 11, 23))  # noqa: DTZ001
