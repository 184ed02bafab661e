"""Numbers and times of an exported grid are read as the file writes them, or asked about, and never guessed."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.grid_cells import DateOrder, date_order, decimal_mark, decoded, grid_of, read_number, read_time
from ct_mcp.errors import BadRequest

CHICAGO, BERLIN = ZoneInfo("America/Chicago"), ZoneInfo("Europe/Berlin")
DAY, MONTH = DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [
        ("6400.25", ".", "6400.25"),
        ("6,400.25", ".", "6400.25"),
        ("6.400,25", ",", "6400.25"),
        ("6400,25", ",", "6400.25"),
        ("6 400,25", ",", "6400.25"),
        ("6\u202f400,25", ",", "6400.25"),
        ("$1,234.50", ".", "1234.50"),
        ("($60.00)", ".", "-60.00"),
        ("-$ 200,00", ",", "-200.00"),
        ("-$60.00", ".", "-60.00"),
        ("12,50 €", ",", "12.50"),
        ("CHF 1'234.50", ".", "1234.50"),
        ("60.00-", ".", "-60.00"),
        (".25", ".", "0.25"),
        ("0", ".", "0"),
    ],
)
def test_numbers_of_every_region_are_read(cell: str, mark: str, number: str) -> None:
    assert read_number(cell, mark) == Decimal(number)


@pytest.mark.parametrize("cell", ["", "n/a", "1.2.3", "--5", "1e5", "NaN", "infinity", "=1+1", "٣"])
def test_what_is_no_number_is_none(cell: str) -> None:
    assert read_number(cell, ".") is None


@pytest.mark.parametrize(
    ("cells", "separator", "mark"),
    [
        (["6400.25"], ",", "."),
        (["6400,25"], ";", ","),
        (["6.400", "1,5"], ";", ","),
        (["6,400", "1.5"], ",", "."),
        (["1,234,567"], ",", "."),
        (["6.400"], ";", ","),
        (["6.400"], ",", "."),
        (["1,234.50"], ";", "."),
        ([], ",", "."),
    ],
)
def test_the_decimal_mark_is_that_of_all_cells_together(cells: list[str], separator: str, mark: str) -> None:
    assert decimal_mark(cells, separator) == mark


def test_numbers_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadRequest, match="decimal comma and some a decimal point"):
        decimal_mark(["1.5", "1,5"], ";")


@given(st.decimals(-(10**7), 10**7, places=2), st.sampled_from([".", ","]))
def test_what_a_region_writes_is_read_back(number: Decimal, mark: str) -> None:
    written = f"{number:,.2f}"
    if mark == ",":
        written = written.translate(str.maketrans(",.", ".,"))
    assert read_number(written, mark) == number


@pytest.mark.parametrize(
    ("cell", "order", "zone", "utc"),
    [
        ("11/23/2026 9:31:00 AM", MONTH, CHICAGO, "2026-11-23 15:31:00"),
        ("11/23/2026 9:31 PM", MONTH, CHICAGO, "2026-11-24 03:31:00"),
        ("11/23/2026 12:05:00 AM", MONTH, CHICAGO, "2026-11-23 06:05:00"),
        ("11/23/2026 12:05:00 p.m.", MONTH, CHICAGO, "2026-11-23 18:05:00"),
        ("23.11.2026 16:31:00", DAY, BERLIN, "2026-11-23 15:31:00"),
        ("23-11-2026 16:31:00", DAY, BERLIN, "2026-11-23 15:31:00"),
        ("2026-11-23 16:31:00", MONTH, BERLIN, "2026-11-23 15:31:00"),
        ("2026-07-23T16:31:00.123", DAY, BERLIN, "2026-07-23 14:31:00.123000"),
        ("6/7/26 1:02:03 PM", MONTH, CHICAGO, "2026-06-07 18:02:03"),
    ],
)
def test_times_of_every_region_are_read(cell: str, order: DateOrder, zone: ZoneInfo, utc: str) -> None:
    at = read_time(cell, order, zone)
    assert at is not None
    assert str(at.replace(tzinfo=None)) == utc


@pytest.mark.parametrize("cell", ["", "yesterday", "11/23/2026", "13:05", "2/30/2026 9:00 AM", "1/2/2026 13:00 PM"])
def test_what_is_no_time_is_none(cell: str) -> None:
    assert read_time(cell, MONTH, CHICAGO) is None


def at_lines(*cells: str) -> list[tuple[int, str]]:
    """Number the cells as lines of a file."""
    return list(enumerate(cells, start=2))


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["11/23/2026 9:31 AM"], MONTH),
        (["1/2/2026 9:31 AM", "23/11/2026 9:31 AM"], DAY),
        (["01.02.2026 09:31"], DAY),
        (["2026-01-02 09:31"], MONTH),
    ],
)
def test_which_number_is_the_day_is_found_out_where_any_date_tells(cells: list[str], order: DateOrder) -> None:
    assert date_order(at_lines(*cells), None) is order


def test_where_no_date_tells_the_person_is_asked() -> None:
    with pytest.raises(BadRequest, match="none of them tells"):
        date_order(at_lines("1/2/2026 9:31 AM", "3/4/2026 9:31 AM"), None)
    assert date_order(at_lines("1/2/2026 9:31 AM"), DAY) is DAY


def test_dates_of_two_orders_and_an_answer_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadRequest, match="lines 2 and 3"):
        date_order(at_lines("23/11/2026 9:31", "11/23/2026 9:31"), None)
    with pytest.raises(BadRequest, match="line 2"):
        date_order(at_lines("11/23/2026 9:31"), DAY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_of_any_encoding_that_windows_writes_is_read(encoding: str) -> None:
    assert decoded("Instrument;Prix €".encode(encoding)) == "Instrument;Prix €"


def test_a_workbook_is_refused_by_what_it_is() -> None:
    with pytest.raises(BadRequest, match="not as a workbook"):
        decoded(b"PK\x03\x04\x00\x00")


@pytest.mark.parametrize("text", ["", "\n\n", "one column\nalone"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="no columns"):
        grid_of(text)


def test_rows_keep_their_lines_and_the_empty_last_column_is_no_column() -> None:
    grid = grid_of("A,B,\n1,2,\n\n3,4,\n")
    assert grid.rows == ((2, {"A": "1", "B": "2"}), (4, {"A": "3", "B": "4"}))
