"""Reads the cells of a grid that NinjaTrader has exported: numbers and times as the region writes them. Pure.

How a file writes numbers and dates is found out from the file, since every cell of it is written alike. What could be
read in two ways is not guessed: of dates the person is asked, and a number that fits neither way is refused.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from io import StringIO
from zoneinfo import ZoneInfo

from ct_mcp.errors import BadRequest

_MOST_BYTES = 64 * 1024 * 1024
_SPACES = re.compile(r"[\s\u00a0\u2007\u202f'\u2019]")
_MONEY = re.compile(r"[$€£¥]|[A-Z]{2,3}\b|\bkr\b", re.ASCII | re.IGNORECASE)
_NEGATIVE = re.compile(r"^(?:\(([^()]*)\)|-([^-]*)|([^-]*)-)$")
_PLAIN = re.compile(r"\d+(\.\d+)?|\.\d+", re.ASCII)
_TIME = re.compile(
    r"(?P<one>\d{1,4})(?P<mark>[./-])(?P<two>\d{1,2})[./-](?P<three>\d{1,4}),?[ T]+"
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,](?P<part>\d{1,7}))?)?"
    r"(?: ?(?P<half>[ap])\.? ?m\.?)?",
    re.ASCII | re.IGNORECASE,
)


class DateOrder(StrEnum):
    """Which of the first two numbers of a date is the day."""

    DAY_FIRST = "day"
    MONTH_FIRST = "month"


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of an export beneath the names of its columns, each with the line it stands in."""

    names: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    separator: str

    def has(self, name: str) -> bool:
        """Say whether there is such a column."""
        return name in self.names

    def cells(self, *names: str) -> Iterable[tuple[int, str]]:
        """Give what stands in these columns and is not empty, with its line."""
        for line, row in self.rows:
            yield from ((line, row[name]) for name in names if row.get(name))


def decoded(data: bytes) -> str:
    """Give the text of a file, in UTF-8, in UTF-16 as spreadsheets save it, or in the older code page of Windows.

    Raises:
        BadRequest: It is far too large, or no text.
    """
    if len(data) > _MOST_BYTES:
        raise BadRequest(f"the file has {len(data)} bytes, and {_MOST_BYTES} at most are read; export fewer days")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        raise BadRequest("the file is no text: export the grid as CSV, not as a workbook")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def grid_of(text: str) -> Grid:
    """Read the names of the columns and the rows beneath; the separator is the one that parts the names most.

    Raises:
        BadRequest: There is nothing in it, or it is no table.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    if not first.count(separator):
        raise BadRequest("the file has no columns: it is no grid that NinjaTrader has exported as CSV")
    reader = csv.reader(StringIO(text.lstrip("\ufeff\r\n"), newline=""), delimiter=separator)
    try:
        names = [name.strip() for name in next(reader)]
        rows = [
            (reader.line_num, {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name})
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise BadRequest(f"the file is no table from line {reader.line_num} on: {error}") from None
    return Grid(tuple(names), tuple(rows), separator)


# --- numbers ---


def decimal_mark(cells: Iterable[str], separator: str) -> str:
    """Find out what parts the whole from the rest: a comma or a point.

    Where a cell has both, the last one does; one alone does not if three digits follow, which may be thousands. Where
    no cell tells, it is a comma in a file whose cells are parted by semicolons.

    Raises:
        BadRequest: Some cells say one thing, and some the other.
    """
    told: set[str] = set()
    for cell in cells:
        digits = _SPACES.sub("", cell)
        point, comma = digits.rfind("."), digits.rfind(",")
        mark = "." if point > comma else ","
        if max(point, comma) < 0:
            continue
        after = re.match(r"\d*", digits[max(point, comma) + 1 :], re.ASCII)
        is_sure = min(point, comma) >= 0 or (after is not None and len(after[0]) != 3)
        if is_sure and digits.count(mark) == 1:
            told.add(mark)
        elif digits.count(mark) > 1:
            told.add("," if mark == "." else ".")
    if len(told) > 1:
        raise BadRequest("some numbers of the file have a decimal comma and some a decimal point: export it again")
    return told.pop() if told else ("," if separator == ";" else ".")


def read_number(cell: str, mark: str) -> Decimal | None:
    """Read a number or an amount: ``6.400,25``, ``$1,234.50``, ``($60.00)``, ``-$ 200,00``; None for others."""
    text = _SPACES.sub("", _MONEY.sub("", cell))
    amount = _NEGATIVE.sub(r"\1\2\3", text)
    digits = amount.replace("." if mark == "," else ",", "").replace(mark, ".")
    if not _PLAIN.fullmatch(digits):
        return None
    return Decimal(digits) if amount == text else -Decimal(digits)


# --- times ---


def date_order(cells: Iterable[tuple[int, str]], said: DateOrder | None) -> DateOrder:
    """Find out which number of the dates is the day, or take what the person said where no date tells.

    Raises:
        BadRequest: No date tells and nobody said so; or the dates contradict each other, or what was said.
    """
    dates = [(line, found) for line, cell in cells if (found := _TIME.match(cell)) and len(found["one"]) < 4]
    told: dict[DateOrder, int] = {}
    for line, found in dates:
        if found["mark"] == "." or int(found["one"]) > 12:
            told.setdefault(DateOrder.DAY_FIRST, line)
        elif int(found["two"]) > 12:
            told.setdefault(DateOrder.MONTH_FIRST, line)
    if len(told) > 1:
        lines = " and ".join(map(str, sorted(told.values())))
        raise BadRequest(f"lines {lines} write their dates in two ways: export each by itself")
    if told and said is not None and said not in told:
        raise BadRequest(f"line {min(told.values())} has a date that cannot be {said}-first; leave that out")
    if told or not dates:
        return next(iter(told), DateOrder.MONTH_FIRST)
    if said is None:
        raise BadRequest(
            "the dates may begin with the day or with the month, and none of them tells", next_step="say which it is"
        )
    return said


def read_time(cell: str, order: DateOrder, zone: ZoneInfo | None) -> datetime | None:
    """Read a time of the computer that made the export, in UTC; None where it is none. Without a zone it is ours."""
    found = _TIME.fullmatch(cell.strip())
    if found is None:
        return None
    one, two, three = int(found["one"]), int(found["two"]), int(found["three"])
    if len(found["one"]) == 4:
        year, month, day = one, two, three
    else:
        month, day = (one, two) if order is DateOrder.MONTH_FIRST else (two, one)
        year = three if three > 99 else 2000 + three
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    part = int((found["part"] or "0").ljust(6, "0")[:6])
    try:
        local = datetime(year, month, day, hour, int(found["minute"]), int(found["second"] or 0), part, tzinfo=zone)
    except ValueError:
        return None
    return local.astimezone(UTC)
