"""Tickets: bound to one action, decided once, spent once, lapsing."""

from dataclasses import fields
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import action_from_text, action_to_text, time_from_text, time_to_text

_INSERT = "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BY_ID = "SELECT * FROM tickets WHERE ticket_id = ?"
# All as `Ticket.state_at` has it: what was made in the future has lapsed, since the clock was set back.
# A ticket made under another policy stands for nobody else: its approval may be the weaker one.
_STANDING = """
SELECT * FROM tickets WHERE fingerprint = :fingerprint AND approval = :approval AND simulated = :simulated
AND expires_at > :now AND created_at <= :now AND state IN ('open', 'approved') ORDER BY created_at LIMIT 1
"""
_OPEN = """
SELECT * FROM tickets WHERE expires_at > :now AND created_at <= :now AND state = 'open' ORDER BY created_at, ticket_id
"""
_APPROVE = """
UPDATE tickets SET state = 'approved', decided_by = :by WHERE ticket_id = :ticket_id AND expires_at > :now
AND created_at <= :now AND state = 'open'
"""
_DECLINE = """
UPDATE tickets SET state = 'declined', decided_by = :by
WHERE ticket_id = :ticket_id AND expires_at > :now AND created_at <= :now AND state IN ('open', 'approved')
"""
_SPEND = """
UPDATE tickets SET state = 'spent' WHERE ticket_id = :ticket_id AND expires_at > :now AND created_at <= :now
AND (state = 'approved' OR (state = 'open' AND approval = 'none'))
"""


def propose(connection: Connection, ticket: Ticket, now: datetime) -> Ticket:
    """Keep the ticket, or find the one that stands for the same action: two impatient calls are one proposal."""
    alike = {
        "fingerprint": ticket.fingerprint,
        "approval": ticket.approval.value,
        "simulated": ticket.simulated,
        "now": time_to_text(now),
    }
    standing = connection.execute(_STANDING, alike).fetchone()
    if standing is not None:
        return _ticket_of(standing)
    connection.execute(_INSERT, _row_of(ticket))
    return ticket


def find(connection: Connection, ticket_id: str) -> Ticket | None:
    """Find one by its id, in whatever state."""
    row = connection.execute(_BY_ID, (ticket_id,)).fetchone()
    return None if row is None else _ticket_of(row)


def waiting(connection: Connection, now: datetime) -> tuple[Ticket, ...]:
    """Those that still wait for a word of the person, oldest first."""
    return tuple(_ticket_of(row) for row in connection.execute(_OPEN, {"now": time_to_text(now)}))


def approve(connection: Connection, ticket_id: str, by: str, now: datetime) -> bool:
    """Say whether this yes counted: the ticket was open and had not lapsed."""
    return connection.execute(_APPROVE, {"by": by, **_at(ticket_id, now)}).rowcount == 1


def decline(connection: Connection, ticket_id: str, by: str, now: datetime) -> bool:
    """Say whether this no counted: the ticket was neither spent, declined nor lapsed."""
    return connection.execute(_DECLINE, {"by": by, **_at(ticket_id, now)}).rowcount == 1


def spend(connection: Connection, ticket_id: str, now: datetime) -> bool:
    """Say whether the caller, and nobody else ever, may send what the ticket holds."""
    return connection.execute(_SPEND, _at(ticket_id, now)).rowcount == 1


def _at(ticket_id: str, now: datetime) -> dict[str, str]:
    return {"ticket_id": ticket_id, "now": time_to_text(now)}


def _row_of(ticket: Ticket) -> tuple[object, ...]:
    written = {
        "action": action_to_text(ticket.action),
        "approval": ticket.approval.value,
        "created_at": time_to_text(ticket.created_at),
        "expires_at": time_to_text(ticket.expires_at),
        "state": ticket.state.value,
    }
    return tuple(written.get(field.name, getattr(ticket, field.name)) for field in fields(ticket))


def _ticket_of(row: tuple[Any, ...]) -> Ticket:
    read = dict(zip((field.name for field in fields(Ticket)), row, strict=True))
    try:
        read["action"] = action_from_text(read["action"])
        read["approval"], read["state"] = Approval(read["approval"]), TicketState(read["state"])
        read["created_at"], read["expires_at"] = time_from_text(read["created_at"]), time_from_text(read["expires_at"])
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise StoreFailed(f"ticket {read['ticket_id']} cannot be read: {error}") from error
    return Ticket(**{**read, "simulated": bool(read["simulated"])})
