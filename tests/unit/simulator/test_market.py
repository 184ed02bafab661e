"""Quotes, session figures and bars of the seeded market."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import MarketHours, current_session
from ct_mcp.simulator.market import BarsRequest, Market, PeriodType, bars
from ct_mcp.simulator.products import SimContract

OPEN = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
BREAK = datetime(2026, 9, 9, 21, 30, tzinfo=UTC)
ES = SimContract("ES", 2026, 9)
MOMENTS = st.datetimes(datetime(2026, 6, 1), datetime(2026, 9, 18), timezones=st.just(UTC))  # noqa: DTZ001


def _market(hours: MarketHours = MarketHours.GLOBEX, faults: Faults | None = None) -> Market:
    return Market(7, hours, faults or Faults())


@given(MOMENTS)
def test_the_bid_is_below_the_ask_and_the_last_price_is_one_of_them(moment: datetime) -> None:
    top = _market().top(ES, moment)
    assert top.bid < top.ask
    assert top.last in (top.bid, top.ask)


@given(MOMENTS)
def test_the_last_price_lies_inside_the_session(moment: datetime) -> None:
    quote = _market().quote(ES, moment)
    assert quote.session.low <= quote.top.last <= quote.session.high
    assert quote.session.low <= quote.session.open <= quote.session.high
    assert quote.session.volume >= 0


def test_volume_grows_within_a_session() -> None:
    market = _market()
    volumes = [market.quote(ES, OPEN + timedelta(minutes=minute)).session.volume for minute in range(10)]
    assert volumes == sorted(set(volumes))


def test_prices_stand_while_the_market_is_closed() -> None:
    market = _market()
    first, second = market.quote(ES, BREAK), market.quote(ES, BREAK + timedelta(minutes=20))
    assert first == second
    assert first.at == datetime(2026, 9, 9, 21, 0, tzinfo=UTC)
    assert not first.is_open


def test_the_settlement_is_where_the_session_before_ended() -> None:
    market = _market()
    yesterday = market.quote(ES, datetime(2026, 9, 8, 21, 30, tzinfo=UTC))
    assert market.quote(ES, OPEN).settled == yesterday.top.last


def test_a_micro_trades_at_the_prices_of_its_big_brother() -> None:
    market = _market()
    assert market.top(SimContract("MES", 2026, 9), OPEN) == market.top(ES, OPEN)


def test_months_differ_by_their_carry_and_the_front_month_trades_most() -> None:
    market = _market()
    near, far = market.quote(ES, OPEN), market.quote(SimContract("ES", 2026, 12), OPEN)
    assert far.top.last - near.top.last == 72
    assert far.session.volume < near.session.volume


def test_an_expired_month_does_not_trade() -> None:
    market, march = _market(), SimContract("ES", 2026, 3)
    assert market.has_expired(march, OPEN)
    assert not market.quote(march, OPEN).is_open
    assert market.quote(march, OPEN).at == datetime(2026, 3, 20, 21, 0, tzinfo=UTC)


def test_a_fault_closes_the_market() -> None:
    faults = Faults()
    market = _market(faults=faults)
    assert market.is_open(OPEN)
    faults.arm(Fault.SESSION_CLOSED)
    assert not market.is_open(OPEN)


def test_a_market_that_is_always_open_trades_on_a_saturday() -> None:
    saturday = datetime(2026, 9, 12, 15, 0, tzinfo=UTC)
    assert _market(MarketHours.ALWAYS).quote(ES, saturday).is_open
    assert not _market().quote(ES, saturday).is_open


NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
MARKET = Market(7, MarketHours.GLOBEX, Faults())


def _wanted(
    days: float, period_type: PeriodType = PeriodType.MINUTE, period: int = 1, limit: int = 5000
) -> BarsRequest:
    return BarsRequest(ES, period_type, period, NOW - timedelta(days=days), NOW, limit)


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
    oldest = bars(MARKET, BarsRequest(ES, PeriodType.WEEK, 1, start, start + timedelta(days=430), 5000))
    assert oldest == []
