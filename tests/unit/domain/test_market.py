"""Contracts, quotes, periods and the trading day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import (
    Contract,
    Period,
    PeriodUnit,
    Quote,
    parse_period,
    trading_day,
    trading_day_began,
    trading_days_ended,
)
from ct_mcp.errors import BadRequest

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
CONTRACT = Contract("E-mini S&P 500", "Globex", Decimal("0.25"), Decimal("12.5"), Decimal(50))


def utc(text: str) -> datetime:
    """A moment from its UTC spelling."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quote_at(at: datetime | None) -> Quote:
    """A quote with nothing but its stamp."""
    return Quote(Instrument("ES", 2026, 12), CONTRACT, None, None, None, None, None, None, None, None, at, None)


@pytest.mark.parametrize(("price", "on"), [("6400.25", True), ("6400.10", False), ("-0.75", True), ("0", True)])
def test_a_price_is_on_tick_or_between_two(*, price: str, on: bool) -> None:
    assert CONTRACT.is_on_tick(Decimal(price)) is on


def test_a_distance_is_told_in_ticks_and_in_money() -> None:
    assert CONTRACT.ticks(Decimal("2.5")) == 10
    assert CONTRACT.money(Decimal("2.5"), 3) == Decimal(375)


def test_a_quote_tells_its_age_and_never_a_negative_one() -> None:
    assert quote_at(NOW - timedelta(seconds=3)).age_seconds(NOW) == 3.0
    assert quote_at(NOW + timedelta(seconds=3)).age_seconds(NOW) == 0.0
    assert quote_at(None).age_seconds(NOW) is None


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("5 minute", Period(5, PeriodUnit.MINUTE)),
        ("1 minutes", Period(1, PeriodUnit.MINUTE)),
        (" 15 Minute ", Period(15, PeriodUnit.MINUTE)),
        ("1 hour", Period(60, PeriodUnit.MINUTE)),
        ("4 hours", Period(240, PeriodUnit.MINUTE)),
        ("1 day", Period(1, PeriodUnit.DAY)),
        ("2 weeks", Period(2, PeriodUnit.WEEK)),
        ("1 month", Period(1, PeriodUnit.MONTH)),
        ("1 year", Period(1, PeriodUnit.YEAR)),
    ],
)
def test_a_period_is_read(text: str, period: Period) -> None:
    assert parse_period(text) == period


@pytest.mark.parametrize(
    "text",
    [
        "",
        "minute",
        "5",
        "0 minute",
        "-5 minute",
        "05 minute",
        "5.5 minute",
        "5minute",
        "5 ticks",
        "100000 day",
        "5 minute; x",
    ],
)
def test_any_other_period_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="must be like"):
        parse_period(text)


@pytest.mark.parametrize("text", ["1\u0662 minute", "5\u00a0minute", "1 wee\u212a", "\uff15 minute"])
def test_a_look_alike_of_a_period_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_period(text)


@given(count=st.integers(1, 99999), unit=st.sampled_from(PeriodUnit))
def test_a_period_that_we_write_we_read(count: int, unit: PeriodUnit) -> None:
    assert parse_period(str(Period(count, unit))) == Period(count, unit)


@pytest.mark.parametrize(
    ("unit", "days"), [(PeriodUnit.DAY, 1), (PeriodUnit.WEEK, 7), (PeriodUnit.MONTH, 30), (PeriodUnit.YEAR, 365)]
)
def test_a_period_has_a_nominal_length(unit: PeriodUnit, days: int) -> None:
    assert Period(2, unit).length == timedelta(days=2 * days)
    assert Period(90, PeriodUnit.MINUTE).length == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-23T22:59:59", date(2026, 11, 23)),  # 16:59:59 in Chicago, winter
        ("2026-11-23T23:00:00", date(2026, 11, 24)),
        ("2026-07-01T21:59:59", date(2026, 7, 1)),  # summer
        ("2026-07-01T22:00:00", date(2026, 7, 2)),
        ("2026-11-22T23:00:00", date(2026, 11, 23)),  # Sunday evening is Monday's session
        ("2026-03-08T21:59:59", date(2026, 3, 8)),  # the day the clocks go forward
        ("2026-03-08T22:00:00", date(2026, 3, 9)),
        ("2026-11-01T22:59:59", date(2026, 11, 1)),  # and the day they go back
        ("2026-11-01T23:00:00", date(2026, 11, 2)),
        ("2026-12-31T23:30:00", date(2027, 1, 1)),
    ],
)
def test_the_trading_day_rolls_at_five_in_chicago(at: str, day: date) -> None:
    assert trading_day(utc(at)) == day


@pytest.mark.parametrize(
    ("at", "began"),
    [
        ("2026-11-23T15:30", "2026-11-22T23:00"),
        ("2026-11-23T23:00", "2026-11-23T23:00"),
        ("2026-07-01T15:30", "2026-06-30T22:00"),
        ("2026-03-08T18:00", "2026-03-07T23:00"),
        ("2026-11-01T18:00", "2026-10-31T22:00"),
    ],
)
def test_a_trading_day_began_at_five_in_chicago(at: str, began: str) -> None:
    assert trading_day_began(utc(at)) == utc(began)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # made aware by the strategy
def test_a_moment_lies_in_the_day_that_began_before_it(at: datetime) -> None:
    began = trading_day_began(at)
    assert began <= at
    assert trading_day(began) == trading_day(at)
    assert trading_day(began - timedelta(seconds=1)) == trading_day(at) - timedelta(days=1)


@pytest.mark.parametrize(
    "ends",
    [
        ["2026-11-19T22:00", "2026-11-20T22:00", "2026-11-23T22:00"],  # the close of the session
        ["2026-11-19T23:00", "2026-11-20T23:00", "2026-11-23T23:00"],  # the end of the trading day
        ["2026-11-19T00:00", "2026-11-20T00:00", "2026-11-23T00:00"],  # midnight of the day itself
        ["2026-11-19T06:00", "2026-11-20T06:00", "2026-11-23T06:00"],  # the same in Chicago
        ["2026-11-20T00:00", "2026-11-21T00:00", "2026-11-24T00:00"],  # midnight that ends it
    ],
)
def test_a_bar_of_a_day_is_of_one_trading_day_however_it_is_stamped(ends: list[str]) -> None:
    assert trading_days_ended([utc(at) for at in ends]) == [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)]
