"""Bars come from the path that the quotes come from."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.bars import BarsWanted, PeriodType, bars
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours, current_session
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.products import Contract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = Contract("ES", 2026, 9)
MARKET = Market(7, MarketHours.GLOBEX, Faults())


def _wanted(days: float, period_type: PeriodType = PeriodType.MINUTE, period: int = 1, limit: int = 5000) -> BarsWanted:
    return BarsWanted(ES, period_type, period, NOW - timedelta(days=days), NOW, limit)


@given(st.integers(0, 119), st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_every_quote_of_a_minute_lies_inside_its_bar(index: int, shares: list[float]) -> None:
    bar = bars(MARKET, _wanted(1, limit=120))[index]
    start = bar.closes_at - timedelta(minutes=1)
    quotes = [MARKET.top(ES, start + share * timedelta(minutes=1)).last for share in shares]
    assert bar.candle.low <= min(quotes)
    assert max(quotes) <= bar.candle.high


def test_a_bar_opens_where_the_one_before_closed() -> None:
    listed = bars(MARKET, _wanted(0.2))
    assert all(left.candle.close == right.candle.open for left, right in itertools.pairwise(listed))
    assert listed[-1].closes_at == NOW
    assert listed[-1].candle.close == MARKET.top(ES, NOW).last


def test_there_are_no_bars_while_the_market_is_closed() -> None:
    listed = bars(MARKET, _wanted(7))
    just_before = [bar.closes_at - timedelta(milliseconds=1) for bar in listed]
    assert all(current_session(moment, MarketHours.GLOBEX) for moment in just_before)
    gaps = {right.closes_at - left.closes_at for left, right in itertools.pairwise(listed)}
    assert gaps == {timedelta(minutes=1), timedelta(minutes=61)} | {timedelta(hours=49, minutes=1)}


def test_the_newest_bars_are_kept() -> None:
    assert bars(MARKET, _wanted(2, limit=10)) == bars(MARKET, _wanted(2))[-10:]


@pytest.mark.parametrize("period", [5, 15, 60])
def test_a_longer_bar_is_made_of_shorter_ones(period: int) -> None:
    long, short = bars(MARKET, _wanted(1, period=period))[-1], bars(MARKET, _wanted(1))
    parts = [
        bar.candle for bar in short if long.closes_at - timedelta(minutes=period) < bar.closes_at <= long.closes_at
    ]
    assert long.candle.high == max(part.high for part in parts)
    assert long.candle.low == min(part.low for part in parts)
    assert (long.candle.open, long.candle.close) == (parts[0].open, parts[-1].close)
    assert long.candle.volume == pytest.approx(sum(part.volume for part in parts), abs=len(parts))


def test_a_bar_of_a_day_is_its_session() -> None:
    day = bars(MARKET, _wanted(3, PeriodType.DAY))[-1]
    quote = MARKET.quote(ES, day.closes_at + timedelta(minutes=1))
    assert day.candle == quote.session


@pytest.mark.parametrize(("period_type", "count"), [(PeriodType.WEEK, 4), (PeriodType.MONTH, 1), (PeriodType.YEAR, 0)])
def test_longer_periods_are_listed_once_they_have_ended(period_type: PeriodType, count: int) -> None:
    listed = bars(MARKET, _wanted(30, period_type))
    assert len(listed) == count
    assert all(bar.closes_at <= NOW for bar in listed)


def test_there_are_no_bars_from_before_a_month_was_listed() -> None:
    start = NOW - timedelta(days=900)
    oldest = bars(MARKET, BarsWanted(ES, PeriodType.WEEK, 1, start, start + timedelta(days=430), 5000))
    assert oldest == []
