"""The spellings of an instrument."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.instruments import resolve
from ct_mcp.simulator.products import MONTH_CODES, PRODUCTS, contracts_listed

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
