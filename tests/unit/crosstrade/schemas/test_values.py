"""Numbers and times of the wire."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.schemas.values import (
    json_number,
    on_tick,
    parse_decimal,
    parse_epoch,
    parse_json,
    parse_money,
    parse_price,
    parse_time,
    parse_utc,
    parse_whole,
)
from ct_mcp.errors import BadRequest
from ct_mcp.text import iso

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, "5"),
        (Decimal("5.10"), "5.10"),
        (" -12.5 ", "-12.5"),
        (True, None),
        ("NaN", None),
        ("1e5", None),
        ("", None),
        (None, None),
        ([], None),
        (10**14, None),
        (Decimal("1E+400"), None),
        (Decimal("1E+999999999999"), None),
    ],
)
def test_numbers_are_exact_or_nothing(value: object, number: str | None) -> None:
    assert parse_decimal(value) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("6618.250000000001", "6618.25"),
        ("66.10000000000001", "66.1"),
        ("103.00390625", "103.00390625"),
        ("0.0064915", "0.0064915"),
        ("6600.0", "6600"),
        ("-37.63", "-37.63"),
        ("-0.0", "0"),
    ],
)
def test_prices_lose_their_noise_and_nothing_else(value: str, price: str) -> None:
    read = parse_price(Decimal(value))
    assert str(read) == price


def test_prices_fall_on_the_tick_where_it_is_known() -> None:
    assert on_tick(Decimal("6618.2499"), Decimal("0.25")) == Decimal("6618.25")
    assert on_tick(parse_price("no price"), Decimal("0.25")) is None


def test_money_is_in_cents() -> None:
    assert str(parse_money(Decimal("100565.00000000285"))) == "100565.00"
    assert str(parse_money(Decimal("-0.001"))) == "0.00"
    assert parse_money(None) is None


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (Decimal("3.0"), 3), (Decimal("3.5"), None), (True, None), ("x", None)]
)
def test_counts_are_whole_or_nothing(value: object, number: int | None) -> None:
    assert parse_whole(value) == number


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-18T12:00:00.0000000Z", NOON),
        ("2026-03-18T05:00:00.0000000-07:00", NOON),
        ("2026-03-18T12:00:00Z", NOON),
        ("2026-03-18T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
        ("2026-03-18T12:00:00.5", None),
        ("2026-13-18T12:00:00Z", None),
        ("0001-01-01T00:00:00+09:00", None),
        ("03/18/2026 01:51:54 PM", None),
        (1773867114, None),
        (None, None),
    ],
)
def test_times_become_utc_or_nothing(text: object, utc: datetime | None) -> None:
    assert parse_time(text) == utc


def test_a_time_without_a_zone_counts_only_where_it_is_utc_by_its_name() -> None:
    assert parse_utc("2026-03-18 12:00:00") == NOON
    assert parse_time("2026-03-18 12:00:00") is None
    assert parse_utc("2026-03-18T05:00:00-07:00") == NOON


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1773835200, NOON),
        (1773835200000, NOON),
        (Decimal("1773835200250.0"), NOON.replace(microsecond=250000)),
        (0, None),
        (-5, None),
        ("x", None),
        (999_999_999_999, datetime(2001, 9, 9, 1, 46, 39, 999000, tzinfo=UTC)),
    ],
)
def test_an_epoch_is_seconds_or_milliseconds_by_its_size(value: object, at: datetime | None) -> None:
    assert parse_epoch(value) == at


@given(st.decimals(min_value=-999_999, max_value=999_999, places=8))
def test_a_price_that_is_sent_is_read_back_as_it_was(price: Decimal) -> None:
    assert parse_price(parse_json(repr(json_number("price", price)))) == price


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_a_time_that_is_sent_is_read_back_as_it_was(at: datetime) -> None:
    whole = at.replace(microsecond=0)
    assert parse_time(iso(whole)) == whole
    assert parse_epoch(int(whole.timestamp())) == whole
    assert parse_epoch(int(whole.timestamp()) * 1000) == whole


@pytest.mark.parametrize("value", ["NaN", "Infinity", "0.12345678901234567890123"])
def test_a_number_that_no_json_holds_is_not_sent(value: str) -> None:
    with pytest.raises(BadRequest, match=r"price .* cannot be sent"):
        json_number("price", Decimal(value))


def test_whole_prices_are_sent_as_whole_numbers() -> None:
    assert repr(json_number("price", Decimal("6600.00"))) == "6600"
    assert repr(json_number("price", Decimal("6612.25"))) == "6612.25"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(), st.lists, max_leaves=3
    )
)
def test_nothing_breaks_the_readers(value: object) -> None:
    for read in (parse_decimal, parse_price, parse_money, parse_whole, parse_epoch, parse_time, parse_utc):
        read(value)
