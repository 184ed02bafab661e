"""Whether a ticket that a watch or the keeper of exits has made is still theirs to send.

Asked in the very transaction that writes its intent, and once more before the wire. Between its making and its send a
process may sleep, and whoever took over meanwhile has made another: then nothing of the old one may leave. It stands
alone, since the journal knows of neither watches nor duties.
"""

from datetime import datetime, timedelta
from sqlite3 import Connection

from ct_mcp.domain.duty import SENDING_SECONDS
from ct_mcp.errors import TakenOver
from ct_mcp.store.codec import time_from_text
from ct_mcp.store.leases import lease_holder

LEASE_NAME = "exits"
"""Exits and watches are looked after by the same process of a machine."""

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
_LAST_WORD = "SELECT at FROM journal WHERE ticket_id = ? ORDER BY sequence DESC LIMIT 1"


def check_turn(connection: Connection, ticket_id: str, holder: str, now: datetime) -> None:
    """Pass over every other ticket; ``holder`` is empty for whoever sent the entry, and needs no lease for its exits.

    Raises:
        TakenOver: Another may be about it: the lease is not the holder's, a newer one was made, it is over, or nothing
            was heard of it for as long as others wait for it.
    """
    of_watch = connection.execute(_OF_WATCH, (ticket_id,)).fetchone()
    row = of_watch or connection.execute(_OF_DUTY, (ticket_id,)).fetchone()
    if row is None:
        return
    if (of_watch or holder) and lease_holder(connection, LEASE_NAME, now) != holder:
        raise TakenOver("another ct-mcp looks after it by now, or this one slept beyond its turn")
    is_newest, contracts = row
    if not is_newest:
        raise TakenOver("it was ended, or something newer was made for the same, before this was sent")
    within = _SENDING if contracts else _LEAVING
    if is_quiet(connection, ticket_id, now, within):
        raise TakenOver(f"it was not sent within {within.total_seconds():.0f} s, and may be another's to send by now")


def is_quiet(connection: Connection, ticket_id: str, now: datetime, within: timedelta = _SENDING) -> bool:
    """Say whether nothing was written of a ticket for so long that whoever made it counts as gone."""
    last = connection.execute(_LAST_WORD, (ticket_id,)).fetchone()
    return last is None or abs(now - time_from_text(last[0])) >= within
