"""Results of tools: compact text and structure that say the same, since some clients show only one of the two."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, overload

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field

from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.text import sanitize

_Row = TypeVar("_Row")
# Clients drop an answer of more than about 25,000 tokens; a row in both halves is some 150 of them.
MOST_ROWS = 80


class ToolResult(BaseModel):
    """The structured half of a result. None means not known. What reads and writes one is built with the first."""

    model_config = ConfigDict(defer_build=True)


class ReadResult(ToolResult):
    """The structured half of what was read."""

    read_at: str = Field(description="UTC. Figures are as of then, unless one says otherwise.")
    notes: list[str] = Field(description="What could not be read, and warnings; words in quotes are CrossTrade's.")


def tool_result(text: str, structure: ToolResult, *, is_error: bool = False) -> CallToolResult:
    """Put the two halves together."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=structure.model_dump(mode="json", exclude_none=False),
        is_error=is_error,
    )


def text_result(text: str) -> CallToolResult:
    """Answer in text alone, where the structure would hold nothing but the same table: many clients pay for both."""
    return CallToolResult(content=[TextContent(type="text", text=text)])


def to_float(value: Decimal | None) -> float | None:
    """Give a figure as JSON has it."""
    return None if value is None else float(value)


def page_of(rows: Sequence[_Row], skip: int, what: str, how: str) -> tuple[Sequence[_Row], list[str]]:
    """Give as many rows as an answer may hold, and a note that says what was left out and how to ask for it."""
    page = rows[skip : skip + MOST_ROWS]
    more = len(rows) - skip - len(page)
    if more <= 0:
        return page, []
    again = f"call again with skip={skip + MOST_ROWS}, or {how}" if how.startswith(("name", "ask")) else how
    return page, [f"{more} {what} more are left out here: {again}"]


def shown_amount(amount: int | Decimal) -> int | float:
    """Give a quantity as JSON has it: contracts are whole, what is no future may be held in parts."""
    return amount if isinstance(amount, int) else float(amount)


def kind_of(instrument: Instrument) -> str:
    """Name what an instrument is; nothing but futures can be traded here."""
    return (instrument.kind or "unknown") if isinstance(instrument, OtherInstrument) else "Future"


def age_seconds(at: datetime | None, now: datetime) -> float | None:
    """Give the seconds since a time, never negative; None for an unknown time."""
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)


@overload
def sanitize_name(text: str, longest: int = 80) -> str: ...
@overload
def sanitize_name(text: None, longest: int = 80) -> None: ...
def sanitize_name(text: str | None, longest: int = 80) -> str | None:
    """Make a name or a word that somebody else chose one bounded line of data, without hidden characters."""
    return None if text is None else sanitize(text, longest=longest)


def note_lines(notes: Iterable[str]) -> list[str]:
    """Write notes as lines of the text half."""
    return [f"note: {note}" for note in notes]


def join_lines(parts: Iterable[str]) -> str:
    """Join lines of text without the empty ones."""
    return "\n".join(part for part in parts if part)


def join_cells(cells: Iterable[Any]) -> str:
    """Write one row of a table: two blanks between cells, ``unknown`` for None."""
    return "  ".join("unknown" if cell is None else str(cell) for cell in cells)


def section(what: str, rows: Sequence[_Row] | None, line: Callable[[_Row], str]) -> list[str]:
    """Write a heading with its rows beneath it; says so where there are none, and where they are not known."""
    if rows is None:
        return [f"{what}: unknown"]
    return [f"{what}:", *map(line, rows)] if rows else [f"{what}: none"]
