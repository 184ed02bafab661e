"""Fences: whoever was paused while others went on finds, in the very transaction of its intent, that it may not send.

It stands alone, since the journal, leases, watches and duties each know a part of it.

How it works; the numbers stand again at the blocks that do it.

 1. A lease counts its holders: with each that takes it from another, from nobody, or after it ran out, its epoch grows.
    What a watch is about to send belongs to the epoch in which it was made. Once there is a newer one, its intent is
    not written: the newer holder has looked at the same and sends what is due.
 2. The exits of an entry may be sent by whoever is alive, lease or not. Where the first intent of some is not written
    within seconds, others take them for never sent, and make them anew: so from a little earlier on they cannot be
    sent any more.
"""

from datetime import datetime, timedelta

from ct_mcp.store.codec import time_from_text
from ct_mcp.store.sql import SqlConnection

LATEST = timedelta(seconds=8)
"""Earlier than others give up on exits (`desk/exit_state.py`) by more than two clocks that share a store differ."""

# 1: epochs

_NEXT_EPOCH = """
INSERT INTO lease_epochs VALUES (our_service(), ?, 1) ON CONFLICT (service, name)
DO UPDATE SET epoch = lease_epochs.epoch + 1
"""
_KEEP_EPOCH = """
INSERT INTO part_epochs SELECT ?, service, name, epoch FROM lease_epochs WHERE service = our_service() AND name = ?
"""
_IS_OVERTAKEN = """
SELECT EXISTS (SELECT 1 FROM part_epochs JOIN lease_epochs USING (service, name)
WHERE part_id = ? AND part_epochs.epoch <> lease_epochs.epoch)
"""
# 2: exits that come too late

_MADE_AT = "SELECT made_at FROM duty_parts WHERE part_id = ?"


def begin_epoch(connection: SqlConnection, lease: str) -> None:
    """Count a new holder of a lease."""
    connection.execute(_NEXT_EPOCH, (lease,))


def bind_to_epoch(connection: SqlConnection, part_id: str, lease: str) -> None:
    """Let the ticket of what is about to be sent belong to the present holder of a lease."""
    connection.execute(_KEEP_EPOCH, (part_id, lease))


def why_fenced(connection: SqlConnection, ticket_id: str | None, now: datetime) -> str:
    """Say why nothing of a ticket may be sent any more; empty where it may."""
    if connection.execute(_IS_OVERTAKEN, (ticket_id,)).fetchone()[0]:
        return "another ct-mcp has taken over what this one was about to send"
    row = connection.execute(_MADE_AT, (ticket_id,)).fetchone()
    if row is not None and abs(now - time_from_text(row[0])) >= LATEST:  # 2
        return f"these exits were not sent within {LATEST.total_seconds():.0f} s, and others may have made them anew"
    return ""
