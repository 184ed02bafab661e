"""Answers: compact text and structure that say the same, since some clients show the model only one of the two."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from ct_mcp.crosstrade.words import cleaned

_Row = TypeVar("_Row")


class Answer(BaseModel):
    """The structured half of an answer. None means not known."""


class ReadAnswer(Answer):
    """The structured half of what was read."""

    read_at: str = Field(description="UTC. Figures are as of then, unless one says otherwise.")
    notes: list[str] = Field(description="What could not be read, and warnings; words in quotes are CrossTrade's.")


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
    return "of unknown age" if seconds is None else f"{span(seconds)} old"


def span(seconds: float) -> str:
    """A length of time in words, ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if seconds < 120:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def counted(number: int, what: str) -> str:
    """So many of something, ``no orders``, ``1 order``, ``2 orders``."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def signed(net: int | None) -> str:
    """Contracts held, ``+2``, ``-1``, or ``flat``."""
    return "unknown" if net is None else f"{net:+d}" if net else "flat"


def moved(amount: Decimal | float | None) -> str:
    """An amount with its sign, ``+1,234.50``."""
    return "unknown" if amount is None else f"{amount:+,.2f}"


def theirs(text: str | None, longest: int = 80) -> str | None:
    """A name or a word that somebody else chose: data, on one line, without hidden characters, bounded."""
    return None if text is None else cleaned(text, longest=longest)


def noted(notes: Iterable[str]) -> list[str]:
    """Notes as lines of the text half."""
    return [f"note: {note}" for note in notes]


def lines(parts: Iterable[str]) -> str:
    """Lines of text without the empty ones."""
    return "\n".join(part for part in parts if part)


def row(cells: Iterable[Any]) -> str:
    """One row of a table: cells with two blanks in between, unknown ones said so."""
    return "  ".join("unknown" if cell is None else str(cell) for cell in cells)


def listed(what: str, rows: Sequence[_Row] | None, line: Callable[[_Row], str]) -> list[str]:
    """A heading with its rows beneath it; says so where there are none, and where they are not known."""
    if rows is None:
        return [f"{what}: unknown"]
    return [f"{what}:", *map(line, rows)] if rows else [f"{what}: none"]
