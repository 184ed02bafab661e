"""Fences: whoever was paused while others went on finds, in the very transaction of its intent, that it may not send.

It stands alone, since the journal, leases, watches and duties each know a part of it.

How it works; the numbers stand again at the blocks that do it.

 1. A lease counts its holders: with each that takes it from another, from nobody, or after it ran out, its epoch grows.
    What a watch is about to send belongs to the epoch in which it was made. Once there is a newer one, its intent is
    not written: the newer holder has looked at the same and sends what is due.
 2. The exits of an entry may be sent by whoever is alive, lease or not. Who makes some anew, because those before were
    never about to be sent, voids these in the same transaction, which fails where their intent was written meanwhile.
"""

from ct_mcp.store.journal import NewEntry
from ct_mcp.store.sql import SqlConnection

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


def begin_epoch(connection: SqlConnection, lease: str) -> None:
    """Count a new holder of a lease."""
    connection.execute(_NEXT_EPOCH, (lease,))


def bind_to_epoch(connection: SqlConnection, part_id: str, lease: str) -> None:
    """Let the ticket of what is about to be sent belong to the present holder of a lease."""
    connection.execute(_KEEP_EPOCH, (part_id, lease))


# 2: what was made anew

_VOID = "INSERT INTO void_intents VALUES (?) ON CONFLICT DO NOTHING"
_IS_VOID = "SELECT EXISTS (SELECT 1 FROM void_intents WHERE own_id = ?)"


def void_intents(connection: SqlConnection, own_ids: tuple[str, ...]) -> None:
    """Let nothing be sent under these order ids any more."""
    for own_id in own_ids:
        connection.execute(_VOID, (own_id,))


def why_fenced(connection: SqlConnection, intent: NewEntry) -> str:
    """Say why an intent may not be written any more; empty where it may."""
    if connection.execute(_IS_OVERTAKEN, (intent.ticket_id,)).fetchone()[0]:
        return "another ct-mcp has taken over what this one was about to send"
    if connection.execute(_IS_VOID, (intent.own_id,)).fetchone()[0]:
        return "another ct-mcp has made anew what this one was about to send"
    return ""
