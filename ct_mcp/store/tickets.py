"""Tickets on disk: bound to their commands and to the question that showed them, decided once, spent once."""

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from typing import Any

from ct_mcp.domain.approval import CLOCKS_DIFFER, Approval, Ticket, TicketState
from ct_mcp.errors import NeedsRoom, StoreDamaged, StoreFailed
from ct_mcp.store.codec import MOVE_ASIDE, time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.journal_table import append
from ct_mcp.store.sql import SqlConnection
from ct_mcp.store.ticket_codec import commands_from_text, commands_to_text, request_from_text, request_to_text
from ct_mcp.text import plain

_INSERT = "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_SERVICE = "INSERT INTO ticket_services VALUES (?, our_service())"
_BY_ID = "SELECT * FROM visible_tickets WHERE ticket_id = ?"
_BY_IDS = "SELECT * FROM visible_tickets WHERE ticket_id IN ({places})"
# SQLite takes 999 values in one statement.
_AT_ONCE = 900
# All as `Ticket.state_at` has it: what was made in the future has expired, since the clock was set back.
# A ticket made under another policy is no double of this one: its approval may be the weaker one.
_DOUBLE = """
SELECT tickets.* FROM tickets JOIN ticket_services USING (ticket_id)
WHERE service = our_service() AND fingerprint = :fingerprint AND approval = :approval AND simulated = :simulated
AND expires_at > :now AND created_at <= :made_by AND state IN ('open', 'approved') ORDER BY created_at LIMIT 1
"""
_OPEN = """
SELECT * FROM visible_tickets
WHERE expires_at > :now AND created_at <= :made_by AND state = 'open' ORDER BY created_at, ticket_id
"""
_UNANSWERED = """
SELECT * FROM visible_tickets
WHERE expires_at >= :since AND expires_at <= :now AND state = 'open' AND approval <> 'none'
ORDER BY expires_at, ticket_id
"""
_APPROVE = """
UPDATE tickets SET state = 'approved', decided_by = :by WHERE ticket_id = :ticket_id AND expires_at > :now
AND created_at <= :made_by AND state = 'open'
"""
_DECLINE = """
UPDATE tickets SET state = 'declined', decided_by = :by
WHERE ticket_id = (SELECT ticket_id FROM visible_tickets WHERE ticket_id = :ticket_id)
AND expires_at > :now AND created_at <= :made_by AND state IN ('open', 'approved')
"""
_OVERTAKE = """
UPDATE tickets SET state = 'expired', decided_by = 'a newer question' WHERE ticket_id = ? AND state = 'open'
"""
# The state alone is no yes: whoever can write to the file can set it, but the chain of the journal shows the forgery.
# Nor does it say that nothing was sent: what a disk has lost of it, the journal still tells.
_SPEND = """
UPDATE tickets SET state = 'spent' WHERE ticket_id = :ticket_id AND expires_at > :now AND created_at <= :made_by
AND EXISTS (SELECT 1 FROM ticket_services WHERE ticket_id = :ticket_id AND service = our_service())
AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.ticket_id = tickets.ticket_id AND journal.kind = 'intent')
AND ((state = 'open' AND approval = 'none') OR (state = 'approved' AND EXISTS
    (SELECT 1 FROM journal WHERE journal.ticket_id = tickets.ticket_id AND journal.kind = 'approved')))
"""


def propose(
    connection: SqlConnection,
    ticket: Ticket,
    now: datetime,
    most_waiting: int | None = None,
    proposed: NewEntry | None = None,
) -> Ticket:
    """Keep the ticket and journal it, or find the one that already asks the same: two impatient calls are one proposal.

    One that shows an account as it is no more has expired with that: the same asked again is a question of its own.

    Raises:
        NeedsRoom: So many of one of its accounts wait for the person already.
    """
    alike = {
        "fingerprint": ticket.fingerprint,
        "approval": ticket.approval.value,
        "simulated": ticket.simulated,
        **_times(now),
    }
    double = connection.execute(_DOUBLE, alike).fetchone()
    if double is not None and not _is_overtaken(connection, found := _ticket_of(double), ticket):
        return found
    if most_waiting is not None and ticket.approval is not Approval.NONE:
        _need_room(connection, ticket, now, most_waiting)
    keep(connection, ticket)
    if proposed is not None:
        append(connection, proposed, now)
    return ticket


def _is_overtaken(connection: SqlConnection, found: Ticket, newer: Ticket) -> bool:
    """End an open ticket whose question shows less than the newer one; what was approved stays so."""
    if found.request is None or newer.request is None or not found.request.is_overtaken_by(newer.request):
        return False
    return connection.execute(_OVERTAKE, (found.ticket_id,)).rowcount == 1


def keep(connection: SqlConnection, ticket: Ticket) -> None:
    """Write a ticket down as it is."""
    connection.execute(_INSERT, _row_of(ticket))
    connection.execute(_INSERT_SERVICE, (ticket.ticket_id,))


def _need_room(connection: SqlConnection, ticket: Ticket, now: datetime, most: int) -> None:
    asking = [other.accounts for other in waiting(connection, now) if other.approval is not Approval.NONE]
    for account in ticket.accounts:
        if (count := sum(account in accounts for accounts in asking)) >= most:
            raise NeedsRoom(f"waiting={count}, maximum={most}, account={plain(account)}")


def find(connection: SqlConnection, ticket_id: str) -> Ticket | None:
    """Find one by its id, in whatever state."""
    row = connection.execute(_BY_ID, (ticket_id,)).fetchone()
    return None if row is None else _ticket_of(row)


def find_all(connection: SqlConnection, ticket_ids: Collection[str]) -> dict[str, Ticket]:
    """Find those that there are, each once, by their ids, in whatever state."""
    wanted, found = list(dict.fromkeys(ticket_ids)), []
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        found += connection.execute(_BY_IDS.format(places=", ".join("?" * len(some))), some).fetchall()
    return {ticket.ticket_id: ticket for ticket in map(_ticket_of, found)}


def waiting(connection: SqlConnection, now: datetime) -> tuple[Ticket, ...]:
    """List those that still wait for the person, oldest first."""
    return tuple(_ticket_of(row) for row in connection.execute(_OPEN, _times(now)))


def unanswered(connection: SqlConnection, since: datetime, now: datetime) -> tuple[Ticket, ...]:
    """List those that asked the person and expired without an answer, in the time from ``since`` on, oldest first."""
    row = {"since": time_to_text(since), "now": time_to_text(now)}
    return tuple(_ticket_of(each) for each in connection.execute(_UNANSWERED, row))


def approve(connection: SqlConnection, ticket_id: str, by: str, now: datetime) -> bool:
    """Take the person's yes and journal it, so that neither is there alone.

    Say whether it counted: the ticket was open and had not expired.
    """
    ticket = find(connection, ticket_id)
    if ticket is None or connection.execute(_APPROVE, {"by": by, **_at(ticket_id, now)}).rowcount == 0:
        return False
    entry = NewEntry(
        EntryKind.APPROVED,
        ticket.summary,
        account=", ".join(ticket.accounts),
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        detail={"by": by},
    )
    append(connection, entry, now)
    return True


def decline(connection: SqlConnection, ticket_id: str, by: str, now: datetime) -> bool:
    """Say whether this no counted: the ticket was neither spent, declined nor expired."""
    return connection.execute(_DECLINE, {"by": by, **_at(ticket_id, now)}).rowcount == 1


def spend(connection: SqlConnection, ticket_id: str, now: datetime) -> bool:
    """Say whether the caller, and nobody else ever, may send what the ticket holds."""
    return connection.execute(_SPEND, _at(ticket_id, now)).rowcount == 1


def _at(ticket_id: str, now: datetime) -> dict[str, str]:
    return {"ticket_id": ticket_id, **_times(now)}


def _times(now: datetime) -> dict[str, str]:
    """Give now, and by when a ticket must have been made: clocks are put right by a little all the time."""
    return {"now": time_to_text(now), "made_by": time_to_text(now + CLOCKS_DIFFER)}


def _row_of(ticket: Ticket) -> tuple[object, ...]:
    """Write a ticket as the columns of the table, which are its fields in their order."""
    written = {
        "commands": commands_to_text(ticket.commands),
        "request": None if ticket.request is None else request_to_text(ticket.request),
        "approval": ticket.approval.value,
        "created_at": time_to_text(ticket.created_at),
        "expires_at": time_to_text(ticket.expires_at),
        "state": ticket.state.value,
    }
    return tuple(written.get(field.name, getattr(ticket, field.name)) for field in fields(ticket))


def _ticket_of(row: tuple[Any, ...]) -> Ticket:
    stored = dict(zip((field.name for field in fields(Ticket)), row, strict=True))
    try:
        read = {
            "commands": commands_from_text(stored["commands"]),
            "request": None if stored["request"] is None else request_from_text(stored["request"]),
            "approval": Approval(stored["approval"]),
            "simulated": bool(stored["simulated"]),
            "created_at": time_from_text(stored["created_at"]),
            "expires_at": time_from_text(stored["expires_at"]),
            "state": TicketState(stored["state"]),
        }
    except StoreFailed as failure:
        raise _unreadable(stored, failure.what) from failure
    except (ValueError, TypeError) as error:
        raise _unreadable(stored, str(error)) from error
    return Ticket(**stored | read)


def _unreadable(stored: dict[str, Any], why: str) -> StoreFailed:
    return StoreDamaged(f"ticket {stored['ticket_id']} cannot be read: {why}", next_step=MOVE_ASIDE)
