"""What one process has sent through the shared store, and of which nobody knows yet what became.

An exit that is on its way must not be sent again because the store that knows of it is out of reach. So a process
remembers its own intents until they are settled, with their tickets, and takes them along into the file in which it
goes on alone: there they are looked up and count as they would have counted there.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from ct_mcp.domain.approval import Ticket, TicketState
from ct_mcp.store import duties, journal_table, parts, tickets, watches
from ct_mcp.store.journal import SETTLING, Entry, EntryKind, NewEntry, copy_of

_MOST = 100
_KEEPS_TICKET = frozenset({duties.add_part, watches.add_part})
WRITES_ENTRY: frozenset[Callable[..., Any]] = frozenset(
    {journal_table.append, parts.append_intent, parts.append_intent_of_all}
)
"""What writes one entry, which it is given first."""


class InDoubt:
    """The intents of one process without a known outcome, and the newest of its tickets."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}
        self._intents: dict[int, Entry] = {}

    def note(self, work: Callable[..., Any], arguments: tuple[Any, ...], result: object) -> None:
        """Hear what was just written, and what that gave."""
        if isinstance(result, Ticket):
            self._keep(result)
        elif work in _KEEPS_TICKET and result:
            self._keep(arguments[1])
        elif work in WRITES_ENTRY and isinstance(result, Entry):
            self._hear(result)
        elif work is watches.open_watch:
            self._settle(arguments[2])

    def take_along(self, connection: Connection) -> None:
        """Write what is in doubt into a file, in one transaction; what stands there already stays as it is."""
        connection.execute("BEGIN IMMEDIATE")
        for intent in self._intents.values():
            ticket = self._tickets.get(intent.ticket_id or "")
            if ticket is None or tickets.find(connection, ticket.ticket_id) is not None:
                continue
            tickets.keep(connection, replace(ticket, state=TicketState.SPENT))
            journal_table.append(connection, copy_of(intent), intent.at)
        connection.execute("COMMIT")

    def _keep(self, ticket: Ticket) -> None:
        self._tickets[ticket.ticket_id] = ticket
        while len(self._tickets) > _MOST:
            self._tickets.pop(next(iter(self._tickets)))

    def _hear(self, entry: Entry) -> None:
        if entry.kind is EntryKind.INTENT:
            self._intents[entry.sequence] = entry
            while len(self._intents) > _MOST:
                self._intents.pop(min(self._intents))
        self._settle((entry,))

    def _settle(self, entries: Iterable[Entry | NewEntry]) -> None:
        for end in entries:
            if end.kind in SETTLING:
                self._intents = {at: each for at, each in self._intents.items() if not _settles(end, each)}


def _settles(end: Entry | NewEntry, intent: Entry) -> bool:
    """As the journal counts it: an answer that names no order settles all that was sent for its ticket."""
    return end.ticket_id == intent.ticket_id and (None in {end.own_id, intent.own_id} or end.own_id == intent.own_id)
