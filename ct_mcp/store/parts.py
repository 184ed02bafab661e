"""Whether a ticket that a watch or the keeper of exits has made is still theirs to send.

Asked in the very transaction that writes its intent, and once more before the wire. Between its making and its send a
process may sleep, and whoever took over meanwhile has made another: then nothing of the old one may leave. Whoever
makes exits anew voids those before in the same transaction: that holds also where two machines differ about the time.

It stands alone, since the journal knows of neither watches nor duties.
"""

from datetime import datetime, timedelta

from ct_mcp.domain.duty import SENDING_SECONDS
from ct_mcp.domain.lease import Holder
from ct_mcp.errors import TakenOver
from ct_mcp.store import journal_table
from ct_mcp.store.codec import time_from_text
from ct_mcp.store.journal import Entry, NewEntry
from ct_mcp.store.leases import is_held_by
from ct_mcp.store.sql import SqlConnection

LEASE_NAME = "exits"
"""Exits and watches are looked after by the same process, of all that share a store."""

_SENDING = timedelta(seconds=SENDING_SECONDS)
# For what a watch sends, and what closes, nobody waits so long: it may be read for longer, and is not to be stale.
_LEAVING = timedelta(seconds=30)
# Of a watch the newest goes; of a duty others may stand beside it, but what closes replaces all that was made before.
_OF_WATCH = """
SELECT watches.state <> 'over' AND NOT EXISTS
    (SELECT 1 FROM watch_parts AS later
     WHERE later.service = part.service AND later.watch_id = part.watch_id AND later.rowid > part.rowid), 0
FROM watch_parts AS part JOIN watches USING (service, watch_id) WHERE part.part_id = ?
"""
_OF_DUTY = """
SELECT duties.state <> 'over' AND NOT EXISTS
    (SELECT 1 FROM duty_parts AS later WHERE later.ticket_id = part.ticket_id AND later.number = part.number
     AND later.contracts = 0 AND later.rowid > part.rowid), part.contracts
FROM duty_parts AS part JOIN duties USING (ticket_id, number) WHERE part.part_id = ?
"""
_VOID = "INSERT INTO void_intents VALUES (?) ON CONFLICT DO NOTHING"
_IS_VOID = "SELECT EXISTS (SELECT 1 FROM void_intents WHERE own_id = ?)"
_LAST_WORD = "SELECT at FROM journal WHERE ticket_id = ? ORDER BY sequence DESC LIMIT 1"


def check_turn(connection: SqlConnection, ticket_id: str, holder: Holder, now: datetime) -> None:
    """Pass over every other ticket; ``holder`` is nobody for whoever sent the entry, and needs no lease for its exits.

    Raises:
        TakenOver: Another may be about it: the lease is not the holder's, or was another's meanwhile, a newer one
            was made, it is over, or nothing was heard of it for as long as others wait for it.
    """
    of_watch = connection.execute(_OF_WATCH, (ticket_id,)).fetchone()
    row = of_watch or connection.execute(_OF_DUTY, (ticket_id,)).fetchone()
    if row is None:
        return
    if (of_watch or holder.name) and not is_held_by(connection, LEASE_NAME, holder, now):
        raise TakenOver("another ct-mcp looks after it by now, or this one slept beyond its turn")
    is_newest, contracts = row
    if not is_newest:
        raise TakenOver("it was ended, or something newer was made for the same, before this was sent")
    within = _SENDING if contracts else _LEAVING
    if is_quiet(connection, ticket_id, now, within):
        raise TakenOver(f"it was not sent within {within.total_seconds():.0f} s, and may be another's to send by now")


def is_quiet(connection: SqlConnection, ticket_id: str, now: datetime, within: timedelta = _SENDING) -> bool:
    """Say whether nothing was written of a ticket for so long that whoever made it counts as gone."""
    last = connection.execute(_LAST_WORD, (ticket_id,)).fetchone()
    return last is None or abs(now - time_from_text(last[0])) >= within


def void_intents(connection: SqlConnection, own_ids: tuple[str, ...]) -> None:
    """Let nothing be sent under these order ids any more."""
    for own_id in own_ids:
        connection.execute(_VOID, (own_id,))


def check_turn_alone(connection: SqlConnection, ticket_id: str, holder: Holder, now: datetime) -> None:
    """Do what `check_turn` does where the shared store is out of reach, of what this process has taken along.

    Raises:
        TakenOver: It needs a lease, which nobody can see just now, or its intent was not written a moment ago.
    """
    if holder.name or is_quiet(connection, ticket_id, now):
        raise TakenOver("whether it is still this one's to send cannot be asked: the shared store is out of reach")


def append_intent(
    connection: SqlConnection, entry: NewEntry, now: datetime, seen: int | None, holder: Holder
) -> Entry | None:
    """Write an intent where it is its sender's turn, unless what its review read has moved; see `journal_table`."""
    _check_intent(connection, entry, holder, now)
    return journal_table.append_intent(connection, entry, now, seen)


def append_intent_of_all(
    connection: SqlConnection, entry: NewEntry, now: datetime, seen: int, holder: Holder
) -> Entry | None:
    """Do the same for one that was judged by all accounts."""
    _check_intent(connection, entry, holder, now)
    return journal_table.append_intent_of_all(connection, entry, now, seen)


def _check_intent(connection: SqlConnection, entry: NewEntry, holder: Holder, now: datetime) -> None:
    check_turn(connection, entry.ticket_id or "", holder, now)
    if connection.execute(_IS_VOID, (entry.own_id,)).fetchone()[0]:
        raise TakenOver("another ct-mcp has made anew what this one was about to send")
