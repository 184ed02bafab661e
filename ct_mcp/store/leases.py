"""Leases: one holder in the world at a time, for as long as it keeps renewing; taken over once it has died."""

from datetime import datetime, timedelta
from sqlite3 import Connection

from ct_mcp.store.codec import time_from_text, time_to_text

_FIND = "SELECT holder, renewed_at, seconds FROM leases WHERE name = ?"
_KEEP = "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)"
_END = "DELETE FROM leases WHERE name = ? AND holder = ?"


def take(connection: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Take the lease where it is free, has run out, or is ours already; says whether it is ours now."""
    if holder_of(connection, name, now) not in (None, holder):
        return False
    connection.execute(_KEEP, (name, holder, time_to_text(now), ttl.total_seconds()))
    return True


def renew(connection: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Hold it for longer. False if it ran out, or is another's: whoever is told so has lost it."""
    return holder_of(connection, name, now) == holder and take(connection, name, holder, now, ttl)


def release(connection: Connection, name: str, holder: str) -> bool:
    """Give it back; False if it was another's, or nobody's."""
    return connection.execute(_END, (name, holder)).rowcount == 1


def holder_of(connection: Connection, name: str, now: datetime) -> str | None:
    """Who holds it at this moment.

    A lease is not believed either that was renewed in the future, further off than two clocks in one process can
    be: the clock was set back, and a holder that lives will have renewed it by the new time.
    """
    row = connection.execute(_FIND, (name,)).fetchone()
    if row is None:
        return None
    holder, renewed_at, seconds = str(row[0]), time_from_text(row[1]), float(row[2])
    return holder if abs((now - renewed_at).total_seconds()) < seconds else None
