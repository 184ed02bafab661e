"""Which numbers may be computed with at all."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ct_mcp.domain.order import is_price, is_whole_number
from ct_mcp.text import format_price, plain, utc_minute


@pytest.mark.parametrize("quantity", [1, 5, 2**63])
def test_an_int_of_one_or_more_counts_contracts(quantity: int) -> None:
    assert is_whole_number(quantity)


@pytest.mark.parametrize("quantity", [True, False, 0, -1, 1.0, "1", None, Decimal(1)])
def test_nothing_else_counts_contracts(quantity: object) -> None:
    assert not is_whole_number(quantity)


@pytest.mark.parametrize("price", ["6400.25", "-37.63", "0.00005", "1000000000"])
def test_a_finite_decimal_of_sane_size_is_a_price(price: str) -> None:
    assert is_price(Decimal(price))


@pytest.mark.parametrize(
    "price", ["NaN", "sNaN", "-NaN", "Infinity", "-Infinity", "1E+400", "1E-400", "0", "-0", "1E+10"]
)
def test_nothing_else_is_a_price(price: str) -> None:
    assert not is_price(Decimal(price))


@pytest.mark.parametrize("price", [6400, 6400.25, True, "6400", None])
def test_what_is_no_decimal_is_no_price(price: object) -> None:
    assert not is_price(price)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("6400.00", "6400"),
        ("6400.250", "6400.25"),
        ("1.5E+6", "1500000"),
        ("-0.10", "-0.1"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1E+400", "1E+400"),
    ],
)
def test_a_number_is_written_short_and_without_exponents(number: str, text: str) -> None:
    assert format_price(Decimal(number)) == text


def test_what_is_not_known_is_written_so() -> None:
    assert format_price(None) == "unknown"


def test_no_number_is_written_long() -> None:
    assert len(format_price(Decimal("9" * 200 + "E+999999"))) <= 40


def test_the_words_of_others_are_one_short_visible_line() -> None:
    assert plain("APEX\n1\u202e2\x1b[2J") == "APEX?1?2?[2J"
    assert len(plain("x" * 500)) == 60


def test_a_moment_is_spelt_in_utc() -> None:
    assert utc_minute(datetime(2026, 11, 23, 15, 30, tzinfo=UTC)) == "2026-11-23 15:30 UTC"
