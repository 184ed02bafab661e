"""Duties on disk: which entries are owed exits, and the tickets of those exits, each made once whoever is alive."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ct_mcp.domain.approval import Ticket, TicketState
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.lease import Holder
from ct_mcp.store import tickets
from ct_mcp.store.codec import named_order, time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.journal_table import append
from ct_mcp.store.leases import is_held_by
from ct_mcp.store.parts import LEASE_NAME, void_intents
from ct_mcp.store.sql import SqlConnection

_IS_OURS = "our_service() IN ('', service)"
_OPEN = "INSERT INTO duties VALUES (our_service(), ?, ?, ?, ?, ?, 'open')"
_STANDING = f"""
SELECT ticket_id, number, own_id, opened_at, state FROM duties WHERE state <> 'over' AND {_IS_OURS}
ORDER BY opened_at, ticket_id, number
"""  # noqa: S608
# As they were made; how many contracts one is to close stands in the journal, where it was made under the yes.
_PARTS = """
SELECT part_id, contracts, made_at, CASE WHEN contracts = 0 THEN
    (SELECT detail FROM journal WHERE journal.ticket_id = part_id AND kind = 'approved' LIMIT 1) END
FROM duty_parts WHERE ticket_id = ? AND number = ? ORDER BY rowid
"""
_ADD_PART = """
INSERT INTO duty_parts SELECT ?, ?, ?, ?, ? WHERE EXISTS
    (SELECT 1 FROM duties JOIN tickets USING (ticket_id)
     WHERE ticket_id = ? AND number = ? AND duties.state <> 'over' AND tickets.state = 'spent'
     AND our_service() IN ('', duties.service))
AND (SELECT COUNT(*) FROM duty_parts WHERE ticket_id = ? AND number = ?) = ?
"""
_ANSWERS = """
SELECT detail FROM journal
WHERE ticket_id = ? AND own_id = ? AND kind IN ('accepted', 'answered', 'read_back')
"""
_HAS_BEGUN = """
SELECT EXISTS (SELECT 1 FROM journal WHERE kind = 'intent' AND own_id = ? AND ticket_id IN
    (SELECT part_id FROM duty_parts WHERE ticket_id = ? AND number = ?))
"""
_TURN = f"""
UPDATE duties SET state = ? WHERE ticket_id = ? AND number = ? AND state NOT IN (?, 'over') AND {_IS_OURS}
"""  # noqa: S608


def open_duty(connection: SqlConnection, duty: Duty) -> None:
    """Remember that an entry is owed exits, before it is sent."""
    opened_at = time_to_text(duty.opened_at)
    connection.execute(_OPEN, (duty.ticket_id, duty.number, duty.account, duty.own_id, opened_at))


def duties(connection: SqlConnection, account: str | None = None) -> tuple[Duty, ...]:
    """List those that are not over, the oldest first."""
    found = (_duty_of(connection, row) for row in connection.execute(_STANDING).fetchall())
    return tuple(duty for duty in found if duty is not None and account in (None, duty.account))


def add_part(connection: SqlConnection, duty: Duty, ticket: Ticket, part: DutyPart, holder: Holder) -> bool:
    """Keep the ticket of some exits, spent, under the yes of its entry; True for exactly one caller.

    False where somebody else has added one since ``duty`` was read, where it is over, where that yes was not spent, or
    where what this one is made in place of is about to be sent after all; else nothing of that will be any more. Also
    where a ``holder`` has not the lease at this moment, or somebody had it since; whoever sent the entry is nobody.
    """
    if holder.name and not is_held_by(connection, LEASE_NAME, holder, part.made_at):
        return False
    key = duty.ticket_id, duty.number
    if any(connection.execute(_HAS_BEGUN, (own_id, *key)).fetchone()[0] for own_id in part.instead_of):
        return False
    row = (*key, part.ticket_id, part.contracts, time_to_text(part.made_at))
    if connection.execute(_ADD_PART, (*row, *key, *key, len(duty.parts))).rowcount == 0:
        return False
    void_intents(connection, part.instead_of)
    tickets.keep(connection, replace(ticket, state=TicketState.SPENT))
    closes = {"closes": part.closes} if part.closes else {}
    entry = NewEntry(
        EntryKind.APPROVED,
        ticket.summary,
        account=duty.account,
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        detail={"by": ticket.decided_by, "entry": duty.own_id, "contracts": part.contracts, **closes},
    )
    append(connection, entry, part.made_at)
    return True


def turn_duty(connection: SqlConnection, duty: Duty, state: DutyState, entry: NewEntry, now: datetime) -> bool:
    """Note and journal how far it has come; False, and no entry, where it is so already, or over."""
    if connection.execute(_TURN, (state, duty.ticket_id, duty.number, state)).rowcount == 0:
        return False
    append(connection, entry, now)
    return True


def entries_owed(connection: SqlConnection, account: str | None = None) -> dict[str, PlaceOrder]:
    """Give the entries that are owed exits, or have them, by our order ids and by the service's."""
    return {name: duty.order for duty in duties(connection, account) for name in _names_of(connection, duty)}


def _names_of(connection: SqlConnection, duty: Duty) -> Iterator[str]:
    """Give the ids of an entry: ours, and those that the service has named it by."""
    yield duty.own_id
    rows = connection.execute(_ANSWERS, (duty.ticket_id, duty.own_id))
    named = dict.fromkeys(named_order(detail) for (detail,) in rows)
    yield from (name for name in named if isinstance(name, str))


def _duty_of(connection: SqlConnection, row: tuple[str, int, str, str, str]) -> Duty | None:
    """Read one with its order, which stands in its ticket; what was sent by no ticket of ours owes nothing."""
    ticket_id, number, own_id, opened_at, state = row
    ticket = tickets.find(connection, ticket_id)
    command = None if ticket is None else ticket.commands[number]
    if not isinstance(command, PlaceOrder):
        return None
    rows = connection.execute(_PARTS, (ticket_id, number))
    parts = (
        DutyPart(part_id, contracts, time_from_text(made_at), closes=_closed_by(detail))
        for part_id, contracts, made_at, detail in rows
    )
    return Duty(ticket_id, number, own_id, command, time_from_text(opened_at), DutyState(state), tuple(parts))


def _closed_by(detail: str | None) -> int:
    """Read how many contracts a ticket is to close; one of an older version does not say."""
    return int(json.loads(detail).get("closes", 0)) if detail else 0
