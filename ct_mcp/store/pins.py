"""The person's PIN on disk: its hash, and the tries that were not right."""

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection

from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.ledger import append

TRIES = 5
TRIES_WITHIN = timedelta(minutes=15)
"""So many wrong tries within this time lock the PIN, for the same time from the last of them on."""

_LAST = "SELECT at FROM pin_tries ORDER BY number DESC LIMIT ?"
_FORGET = "DELETE FROM pin_tries WHERE number <= (SELECT MAX(number) FROM pin_tries) - ?"


@dataclass(frozen=True, slots=True)
class StoredPin:
    """What scrypt made of the PIN, and with what; the PIN itself is nowhere."""

    salt: bytes
    cost: int
    block_size: int
    parallel: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PinLocked:
    """Too many wrong tries: the next one counts after this time."""

    until: datetime


def find(connection: Connection) -> StoredPin | None:
    """The PIN that is set."""
    row = connection.execute("SELECT salt, cost, block_size, parallel, digest FROM pin").fetchone()
    return None if row is None else StoredPin(*row)


def keep(connection: Connection, pin: StoredPin, now: datetime) -> None:
    """Set the PIN, and journal that it was set; wrong tries at the one before are forgotten."""
    known = find(connection) is not None
    connection.execute("INSERT OR REPLACE INTO pin VALUES (1, ?, ?, ?, ?, ?)", astuple(pin))
    forgive(connection)
    append(connection, NewEntry(EntryKind.PIN_SET, f"PIN {'changed' if known else 'set'} by the person"), now)


def count_try(connection: Connection, now: datetime) -> StoredPin | PinLocked | None:
    """Count a try as wrong, before anybody compares it, and give what to compare it with; None where none is set.

    A locked PIN counts nothing, so that its lock is not prolonged for ever by whoever goes on trying.
    """
    pin = find(connection)
    if pin is None:
        return None
    locked = _lock(connection)
    if locked is not None and now < locked.until:
        summary = f"PIN tried while it is locked until {time_to_text(locked.until)}"
        append(connection, NewEntry(EntryKind.PIN_WRONG, summary, detail={"what": "locked"}), now)
        return locked
    connection.execute("INSERT INTO pin_tries (at) VALUES (?)", (time_to_text(now),))
    connection.execute(_FORGET, (TRIES,))
    return pin


def forgive(connection: Connection) -> None:
    """The right PIN was given: the tries before it count no more."""
    connection.execute("DELETE FROM pin_tries")


def _lock(connection: Connection) -> PinLocked | None:
    times = [time_from_text(at) for (at,) in connection.execute(_LAST, (TRIES,))]
    if len(times) < TRIES or times[0] - times[-1] > TRIES_WITHIN:
        return None
    return PinLocked(times[0] + TRIES_WITHIN)
