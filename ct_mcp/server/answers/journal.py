"""Our own journal: what was asked, decided, sent and answered. Never a phrase, a question or a token."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.present import Answer, ReadAnswer, age, aged, answered, counted, lines, row, stamp, theirs
from ct_mcp.store.journal import Entry

# Only these details are told, in these words; whatever else an entry may come to hold stays in the file.
_DETAILS = (
    "denials",
    "reasons",
    "warnings",
    "step",
    "status",
    "state",
    "order_id",
    "filled",
    "approval",
    "by",
    "what",
    "not_sent",
    "day",
    "figure",
    "until",
)
_LONGEST = 400


class JournalRow(Answer):
    """One entry."""

    number: int
    at: str
    age_seconds: float | None
    kind: str
    summary: str
    account: str | None
    ticket_id: str | None
    our_order_id: str | None = Field(description="The id that we gave the order.")
    details: str
    assistants_words: str | None = Field(description="The reason an assistant gave: its words, not a fact.")


class JournalAnswer(ReadAnswer):
    """The newest entries, newest first."""

    entries: list[JournalRow]


def journal_answer(entries: Sequence[Entry], now: datetime) -> CallToolResult:
    """Both halves of the journal's newest entries."""
    rows = [_row(entry, now) for entry in entries]
    structure = JournalAnswer(read_at=stamp(now) or "", notes=[], entries=rows)
    head = f"{counted(len(rows), 'line')} of the journal, newest first, read {structure.read_at}"
    return answered(lines((head, *map(_line, rows))), structure)


def _row(entry: Entry, now: datetime) -> JournalRow:
    return JournalRow(
        number=entry.sequence,
        at=stamp(entry.at) or "",
        age_seconds=age(entry.at, now),
        kind=entry.kind,
        summary=theirs(entry.summary, _LONGEST) or "",
        account=theirs(entry.account),
        ticket_id=entry.ticket_id,
        our_order_id=entry.own_id,
        details="; ".join(_details(entry)),
        assistants_words=theirs(entry.reason, _LONGEST) or None,
    )


def _details(entry: Entry) -> Iterator[str]:
    for name in _DETAILS:
        value = entry.detail.get(name)
        if value is None or value in ([], ""):
            continue
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{name.replace('_', ' ')}: {theirs(words, 2 * _LONGEST)}"


def _line(it: JournalRow) -> str:
    parts = (
        f"#{it.number}",
        it.at,
        f"({aged(it.age_seconds)})",
        it.kind,
        it.summary,
        f"account {it.account}" if it.account else "",
        f"ticket {it.ticket_id}" if it.ticket_id else "",
        f"our order id {it.our_order_id}" if it.our_order_id else "",
        it.details,
        f'assistant\'s words: "{it.assistants_words}"' if it.assistants_words else "",
    )
    return row(part for part in parts if part)
