"""Which products are micros of which, what their money is, and how their prices are written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.products import MINI_OF, currency_of, minis, price_of, product_of, read_32nds, usual_point_value


def test_ten_micros_are_one_mini_and_nothing_is_a_micro_of_a_micro() -> None:
    assert minis("MES", 10) == minis("ES", 1) == Decimal(1)
    assert not set(MINI_OF) & set(MINI_OF.values())


SIZES = {"FDXM": "FDAX", "FDXS": "FDAX", "QM": "CL", "MCL": "CL", "QO": "GC", "MGC": "GC", "QG": "NG", "MNG": "NG"}


@pytest.mark.parametrize(("root", "full"), SIZES.items())
def test_each_size_of_a_product_is_of_that_product_worth_less_and_in_its_currency(root: str, full: str) -> None:
    assert product_of(root) == product_of(full) == full
    assert (usual_point_value(root) or 0) < (usual_point_value(full) or 0)
    assert currency_of(root, "") == currency_of(full, "")


@pytest.mark.parametrize("root", sorted(set(SIZES) - set(MINI_OF)))
def test_a_smaller_size_that_is_no_micro_counts_as_a_whole_contract(root: str) -> None:
    assert minis(root, 3) == Decimal(3)


@pytest.mark.parametrize(
    ("root", "exchange", "currency"),
    [
        ("ES", "", "USD"),
        ("XYZ", "Globex", "USD"),
        ("FDAX", "Eurex", "EUR"),
        ("NIY", "Globex", "JPY"),
        ("FSMI", "Eurex", "CHF"),
        ("XYZ", "", None),
    ],
)
def test_a_contract_is_settled_in_the_currency_of_its_root_or_exchange(
    root: str, exchange: str, currency: str | None
) -> None:
    assert currency_of(root, exchange) == currency


# Bonds and notes in 32nds


@pytest.mark.parametrize(
    ("price", "written"),
    [
        ("115.25", "115'08"), ("115.78125", "115'25"), ("115.796875", "115'255"), ("115.7890625", "115'252"),
        ("115.8046875", "115'257"), ("103.00390625", "103'001"), ("103.02734375", "103'008"),
        ("103.0234375", "103'007"),
        ("115", "115'00"),
        ("0.5", "0'16"), ("-0.03125", "-0'01"), ("103.01171875", "103'003"),
    ],
)  # fmt: skip
def test_a_price_of_a_bond_is_written_both_ways(price: str, written: str) -> None:
    assert price_of("ZB 12-26", Decimal(price)) == f"{price} ({written})"


@pytest.mark.parametrize("price", ["115.16", "NaN", "Infinity", "1e30", "115.0000001"])
def test_what_is_no_part_of_a_thirty_second_is_written_once(price: str) -> None:
    assert "'" not in price_of("ZN 12-26", Decimal(price))


def test_what_is_quoted_in_decimals_is_written_in_decimals() -> None:
    assert price_of("ES 12-26", Decimal("6412.25")) == "6412.25"
    assert price_of("ZB 12-26", None) == "unknown"


@given(st.integers(0, 256 * 9_999), st.sampled_from("'-\u2019"))
def test_what_is_written_in_32nds_reads_back_as_the_same_price(eighths: int, mark: str) -> None:
    price = Decimal(eighths) / 256
    written = price_of("ZT 12-26", price).partition(" (")[2].rstrip(")")
    assert read_32nds(written.replace("'", mark)) == price


@pytest.mark.parametrize(
    "text", ["", "115", "115.25", "115'", "115'8", "115'32", "115'254", "115'259", "115'2555", "x'08", "-1'08"]
)
def test_what_is_no_price_in_32nds_is_not_read_as_one(text: str) -> None:
    assert read_32nds(text) is None
