"""The tool that reads our own journal: what was asked, decided, sent and answered. Never a phrase or a token."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.context import ToolContext, desk_of
from ct_mcp.server.format import ReadResult, ToolResult, age_seconds, join_cells, join_lines, sanitize_name, tool_result
from ct_mcp.server.queries import time_limit
from ct_mcp.server.tools.forms import AnyAccount, name_on_record
from ct_mcp.text import aged, count, iso

if TYPE_CHECKING:  # the store is loaded by the first call
    from ct_mcp.desk.desk import Desk
    from ct_mcp.store.journal import Entry

# Only these details are shown, by these names; whatever else an entry may come to hold stays in the file.
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
_REFUSALS_OF = timedelta(days=7)


class JournalEntryView(ToolResult):
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


class JournalResult(ReadResult):
    """The newest entries, newest first."""

    entries: list[JournalEntryView]


@time_limit()
async def get_journal(
    ctx: ToolContext,
    limit: Annotated[int, Field(ge=1, le=100, description="Newest so many")] = 20,
    account: AnyAccount = None,
    refused_only: Annotated[bool, Field(description="true: only what was denied or declined, of a week")] = False,
) -> Annotated[CallToolResult, JournalResult]:
    """Our own journal: what was asked, denied, approved, sent and answered. Works offline."""
    desk = desk_of(ctx)
    name = None if account is None else await _named(desk, account)
    if refused_only:
        entries = await desk.store.refusals(limit, desk.clock() - _REFUSALS_OF, name)
    else:
        entries = await desk.store.entries(limit, name)
    return journal_result(entries, desk.clock())


async def _named(desk: "Desk", account: str) -> str:
    """Give an account its name: as the journal spells it, which needs no service, else as the record or it does."""
    return account if await desk.store.entries(1, account) else await name_on_record(desk, account)


def journal_result(entries: Sequence["Entry"], now: datetime) -> CallToolResult:
    """Make both halves of the journal's newest entries."""
    rows = [_entry_view(entry, now) for entry in entries]
    structure = JournalResult(read_at=iso(now) or "", notes=[], entries=rows)
    head = f"{count(len(rows), 'line')} of the journal, newest first, read {structure.read_at}"
    return tool_result(join_lines((head, *map(_entry_line, rows))), structure)


def _entry_view(entry: "Entry", now: datetime) -> JournalEntryView:
    return JournalEntryView(
        number=entry.sequence,
        at=iso(entry.at) or "",
        age_seconds=age_seconds(entry.at, now),
        kind=entry.kind,
        summary=sanitize_name(entry.summary, _LONGEST),
        account=sanitize_name(entry.account),
        ticket_id=entry.ticket_id,
        our_order_id=entry.own_id,
        details="; ".join(_details(entry)),
        assistants_words=sanitize_name(entry.reason, _LONGEST) or None,
    )


def _details(entry: "Entry") -> Iterator[str]:
    for name in _DETAILS:
        value = entry.detail.get(name)
        if value is None or value in ([], ""):
            continue
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{name.replace('_', ' ')}: {sanitize_name(words, 2 * _LONGEST)}"


def _entry_line(it: JournalEntryView) -> str:
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
    return join_cells(part for part in parts if part)
