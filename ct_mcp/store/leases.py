"""Leases on disk: of all processes of a machine one holds each, until it is given back or not renewed.

It stands alone, since exits, watches and what processes share all ask who holds one.
"""

from datetime import datetime, timedelta
from sqlite3 import Connection

from ct_mcp.store.codec import time_from_text, time_to_text

_FIND_LEASE = "SELECT holder, renewed_at, seconds FROM leases WHERE service = our_service() AND name = ?"
_KEEP_LEASE = "INSERT OR REPLACE INTO leases VALUES (our_service(), ?, ?, ?, ?)"
_END_LEASE = "DELETE FROM leases WHERE service = our_service() AND name = ? AND holder = ?"


def take_lease(connection: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Take the lease where it is free, has run out, or is ours already; say whether it is ours now."""
    if lease_holder(connection, name, now) not in (None, holder):
        return False
    connection.execute(_KEEP_LEASE, (name, holder, time_to_text(now), ttl.total_seconds()))
    return True


def renew_lease(connection: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Hold it for longer; False if it ran out, or is another's: whoever is told so has lost it."""
    return lease_holder(connection, name, now) == holder and take_lease(connection, name, holder, now, ttl)


def release_lease(connection: Connection, name: str, holder: str) -> bool:
    """Give it back; False if it was another's, or nobody's."""
    return connection.execute(_END_LEASE, (name, holder)).rowcount == 1


def lease_holder(connection: Connection, name: str, now: datetime) -> str | None:
    """Tell who holds it at this moment.

    Nor is a lease believed that was renewed in the future, further off than two clocks in one process can be: the
    clock was set back, and a holder that lives will have renewed it by the new time.
    """
    row = connection.execute(_FIND_LEASE, (name,)).fetchone()
    if row is None:
        return None
    holder, renewed_at, seconds = str(row[0]), time_from_text(row[1]), float(row[2])
    return holder if abs((now - renewed_at).total_seconds()) < seconds else None
