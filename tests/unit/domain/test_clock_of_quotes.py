"""Telling a wrong clock of NinjaTrader's computer from a quote that is old."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote, their_clock_ahead_seconds
from tests.factories import quote

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
Quotes = Callable[..., list[Quote]]


def aged(root: str, seconds: float | None, *, is_open: bool | None = True) -> Quote:
    """A quote of so many seconds ago."""
    at = None if seconds is None else NOW - timedelta(seconds=seconds)
    return replace(quote(), instrument=Instrument(root, 2026, 9), at=at, is_market_open=is_open)


@pytest.mark.parametrize(
    ("ages", "ahead"),
    [
        ([("ES", -29.0)], 29.0),
        ([("ES", -4.0)], None),
        ([("ES", 30.0)], None),
        ([("ES", 30.0), ("ES", 30.0)], None),
        ([("ES", 30.0), ("NQ", 31.5)], -30.0),
        ([("ES", 30.0), ("NQ", 0.5)], None),
        ([("ES", 30.0), ("NQ", 90.0)], None),
        ([("ES", 900.0), ("NQ", 900.5)], None),
        ([("ES", None)], None),
        ([], None),
    ],
)
def test_it_is_told_by_stamps_to_come_and_by_the_same_age_on_several(
    ages: list[tuple[str, float | None]], ahead: float | None
) -> None:
    assert their_clock_ahead_seconds([aged(*each) for each in ages], NOW) == ahead


def test_a_closed_market_says_nothing() -> None:
    closed = [aged("ES", 40.0, is_open=False), aged("NQ", 40.0, is_open=False)]
    assert their_clock_ahead_seconds(closed, NOW) is None
