"""Answers: compact text and structure that say the same, since some clients show the model only one of the two."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel


class Answer(BaseModel):
    """The structured half of an answer. None means not known."""


def answered(text: str, structure: Answer, *, is_error: bool = False) -> CallToolResult:
    """Put the two halves together."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=structure.model_dump(mode="json", exclude_none=False),
        is_error=is_error,
    )


def number(value: Decimal | None) -> float | None:
    """A figure as JSON has it."""
    return None if value is None else float(value)


def money(value: Decimal | float | None) -> str:
    """An amount in words, ``1,234.50``."""
    return "unknown" if value is None else f"{value:,.2f}"


def price(value: Decimal | float | None) -> str:
    """A price without zeros that say nothing, ``6410.25``."""
    if value is None:
        return "unknown"
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def stamp(at: datetime | None) -> str | None:
    """A time as ISO in UTC with whole seconds, ``2026-11-20T15:04:05Z``."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(at: datetime | None, now: datetime) -> float | None:
    """Seconds since a stamp, never negative."""
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)


def aged(seconds: float | None) -> str:
    """An age in words, ``3 s old``."""
    return "of unknown age" if seconds is None else f"{seconds:.0f} s old"


def lines(parts: Iterable[str]) -> str:
    """Lines of text without the empty ones."""
    return "\n".join(part for part in parts if part)


def row(cells: Iterable[Any]) -> str:
    """One row of a table: cells with two blanks in between, unknown ones said so."""
    return "  ".join("unknown" if cell is None else str(cell) for cell in cells)
