"""Searching the journal, for a person who wants to know: what was written lately, and the story of one order."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from ct_mcp.store.codec import canonical, time_to_text
from ct_mcp.store.journal import Entry, EntryKind, entry_of

_WANTED = """
SELECT * FROM journal WHERE (:account IS NULL OR account = :account) AND (:kind IS NULL OR kind = :kind)
AND (:since IS NULL OR at >= :since) ORDER BY sequence DESC LIMIT :limit
"""
# The detail is canonical JSON, so an order that is named in it is spelt in one way only.
_TICKETS_ABOUT = """
SELECT DISTINCT ticket_id FROM journal WHERE ticket_id IS NOT NULL
AND (ticket_id = :id OR own_id = :id OR instr(detail, :named) > 0)
"""
_OF_TICKET = "SELECT * FROM journal WHERE ticket_id = ?"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None leaves it open. A limit of -1 is none."""

    limit: int = -1
    account: str | None = None
    kind: EntryKind | None = None
    since: datetime | None = None


def search(connection: Connection, wanted: Wanted) -> tuple[Entry, ...]:
    """The newest entries of those that are wanted, newest last."""
    row = {
        "limit": wanted.limit,
        "account": wanted.account,
        "kind": wanted.kind.value if wanted.kind else None,
        "since": time_to_text(wanted.since) if wanted.since else None,
    }
    found = [entry_of(each) for each in connection.execute(_WANTED, row)]
    return tuple(reversed(found))


def story(connection: Connection, any_id: str) -> tuple[Entry, ...]:
    """All that was written about one order, oldest first, by the id of a ticket or of the order, ours or theirs.

    An order that was placed by one ticket and changed or cancelled by others is one story.
    """
    found = _about(connection, {any_id})
    named = {str(entry.detail["order_id"]) for entry in found if entry.detail.get("order_id")}
    return _about(connection, {any_id, *named})


def _about(connection: Connection, ids: set[str]) -> tuple[Entry, ...]:
    tickets: set[str] = set()
    for each in ids:
        found = connection.execute(_TICKETS_ABOUT, {"id": each, "named": f'"order_id":{canonical(each)}'})
        tickets |= {ticket_id for (ticket_id,) in found}
    rows = (row for ticket_id in tickets for row in connection.execute(_OF_TICKET, (ticket_id,)))
    return tuple(sorted((entry_of(row) for row in rows), key=lambda entry: entry.sequence))
