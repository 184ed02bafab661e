"""Products, their contract months, and the spellings of an instrument."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.products import (
    MONTH_CODES,
    PRODUCTS,
    Product,
    SimContract,
    contracts_listed,
    front_month,
    is_listed,
    resolve,
)

DAYS = st.dates(date(2024, 1, 1), date(2040, 1, 1))
ROOTS = st.sampled_from(sorted(PRODUCTS))


@pytest.mark.parametrize(
    ("root", "day", "name"),
    [
        ("ES", "2026-09-09", "ES 09-26"),
        ("ES", "2026-09-10", "ES 12-26"),  # Thursday of the week before the third Friday
        ("MNQ", "2026-12-31", "MNQ 03-27"),
        ("CL", "2026-09-09", "CL 10-26"),
        ("CL", "2026-09-17", "CL 11-26"),
        ("GC", "2026-09-09", "GC 10-26"),
        ("GC", "2026-09-29", "GC 12-26"),
    ],
)
def test_the_front_month_rolls_some_days_before_its_last(root: str, day: str, name: str) -> None:
    assert front_month(root, date.fromisoformat(day)).name == name


@pytest.mark.parametrize(
    ("contract", "last_day"),
    [
        (SimContract("ES", 2026, 9), "2026-09-18"),
        (SimContract("CL", 2026, 10), "2026-09-22"),
        (SimContract("GC", 2026, 12), "2026-12-29"),
    ],
)
def test_a_month_has_a_last_trading_day(contract: SimContract, last_day: str) -> None:
    assert contract.last_day.isoformat() == last_day


@given(ROOTS, DAYS)
def test_the_front_month_is_listed_and_several_follow_it(root: str, day: date) -> None:
    front, listed = front_month(root, day), contracts_listed(root, day)
    assert front in listed
    assert len([month for month in listed if month >= front]) >= 4
    assert listed == sorted(listed, key=lambda month: month.last_day)


@given(ROOTS, DAYS)
def test_every_listed_month_belongs_to_its_product(root: str, day: date) -> None:
    assert all(month.month in PRODUCTS[root].months for month in contracts_listed(root, day))
    assert not is_listed(SimContract("ES", day.year, 1), day)


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_prices_and_ticks_turn_into_each_other(product: Product) -> None:
    for ticks in (1, 3, 7, 24_201, 26_501):
        assert product.ticks(product.price(ticks)) == ticks
    assert product.ticks(product.price(100) + product.tick_size / 2) is None


@pytest.mark.parametrize(
    ("root", "tick_value"), [("ES", 12.5), ("MES", 1.25), ("NQ", 5.0), ("MNQ", 0.5), ("CL", 10.0), ("GC", 10.0)]
)
def test_a_tick_is_worth_what_the_exchange_says(root: str, tick_value: float) -> None:
    assert PRODUCTS[root].tick_value == tick_value


TODAY = date(2026, 9, 9)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _name(text: str, today: date = TODAY) -> str | None:
    contract = resolve(text, today)
    return contract.name if contract else None


@pytest.mark.parametrize("text", ["ES 12-26", "ESZ26", "ESZ6", "ESZ2026", "ES DEC26", "es 12-26", " ES  12-26 "])
def test_a_dated_spelling_means_its_month(text: str) -> None:
    assert _name(text) == "ES 12-26"


@pytest.mark.parametrize(("text", "name"), [("ES", "ES 09-26"), ("ES1!", "ES 09-26"), ("mes", "MES 09-26")])
def test_a_root_means_the_front_month(text: str, name: str) -> None:
    assert _name(text) == name


def test_a_root_means_another_month_after_the_roll() -> None:
    assert _name("ES", date(2026, 9, 10)) == "ES 12-26"


@pytest.mark.parametrize("text", ["", "ES 13-26", "ES 01-26", "ES 12-29", "ESX6", "XX", "XX 12-26", "ES!", "ES 12/26"])
def test_what_is_no_instrument_is_not_found(text: str) -> None:
    assert _name(text) is None


def test_one_digit_of_a_year_means_the_nearest_one() -> None:
    assert _name("ESZ5") == "ES 12-25"
    assert _name("ESH0", date(2029, 12, 1)) == "ES 03-30"


def test_an_expired_month_is_still_known_for_a_year() -> None:
    assert _name("ES 03-26") == "ES 03-26"
    assert _name("ES 06-25") is None


@given(st.sampled_from(sorted(PRODUCTS)), st.dates(date(2024, 1, 1), date(2040, 1, 1)), st.data())
def test_every_dated_spelling_of_a_listed_month_means_it(root: str, today: date, data: st.DataObject) -> None:
    month = data.draw(st.sampled_from(contracts_listed(root, today)))
    code, year = MONTH_CODES[month.month - 1], month.year % 100
    for text in (
        month.name,
        f"{root}{code}{year:02d}",
        f"{root}{code}{year % 10}",
        f"{root} {MONTHS[month.month - 1]}{year}",
    ):
        assert resolve(text, today) == month
