"""Leases on disk: of all processes one holds each, until it is given back or not renewed.

A trigger counts in ``lease_epochs`` whenever one changes hands: so that count outlives a lease that was given back, and
an older version that still runs moves it as well.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from ct_mcp.domain.lease import Holder
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal_table import disarm_if_set_back, forget_ended_armings
from ct_mcp.store.sql import SqlConnection

_FIND_LEASE = """
SELECT holder, renewed_at, seconds, epoch FROM lease_epochs LEFT JOIN leases USING (service, name)
WHERE service = our_service() AND name = ?
"""
_KEEP_LEASE = """
INSERT INTO leases VALUES (our_service(), ?, ?, ?, ?) ON CONFLICT (service, name)
DO UPDATE SET holder = excluded.holder, renewed_at = excluded.renewed_at, seconds = excluded.seconds
"""
_END_LEASE = "DELETE FROM leases WHERE service = our_service() AND name = ? AND holder = ?"


class _Lease(NamedTuple):
    """What is kept of one: who took it last and when, whether that still holds, and in which epoch."""

    taken_by: str | None = None
    is_held: bool = False
    epoch: int = 0
    renewed_at: datetime | None = None


def take_lease(connection: SqlConnection, name: str, holder: str, now: datetime, ttl: timedelta) -> int:
    """Take the lease where it is free, has run out, or is ours already; give its epoch, and 0 where it is not ours.

    Whatever runs takes one every few seconds. So it is seen here that an arming has ended, or that the clock was set
    back, also where nothing is journalled in between.
    """
    lease = _find(connection, name, now)
    if lease.renewed_at is not None:
        disarm_if_set_back(connection, lease.renewed_at, now)
    forget_ended_armings(connection, now)
    if lease.is_held and lease.taken_by != holder:
        return 0
    connection.execute(_KEEP_LEASE, (name, holder, time_to_text(now), ttl.total_seconds()))
    return lease.epoch + (lease.taken_by != holder)


def renew_lease(connection: SqlConnection, name: str, holder: str, now: datetime, ttl: timedelta) -> int:
    """Hold it for longer; 0 if it ran out, or is another's: whoever is told so has lost it."""
    return take_lease(connection, name, holder, now, ttl) if lease_holder(connection, name, now) == holder else 0


def release_lease(connection: SqlConnection, name: str, holder: str) -> bool:
    """Give it back; False if it was another's, or nobody's."""
    return connection.execute(_END_LEASE, (name, holder)).rowcount == 1


def lease_holder(connection: SqlConnection, name: str, now: datetime) -> str | None:
    """Tell who holds it at this moment."""
    lease = _find(connection, name, now)
    return lease.taken_by if lease.is_held else None


def is_held_by(connection: SqlConnection, name: str, holder: Holder, now: datetime) -> bool:
    """Say whether it is held at this moment, and has changed hands no more since ``holder`` took it."""
    lease = _find(connection, name, now)
    return lease.is_held and lease.taken_by == holder.name and lease.epoch == holder.epoch


def _find(connection: SqlConnection, name: str, now: datetime) -> _Lease:
    """Read one.

    Nor is a lease believed that was renewed in the future, further off than two clocks in one process can be: the
    clock was set back, and a holder that lives will have renewed it by the new time.
    """
    row = connection.execute(_FIND_LEASE, (name,)).fetchone()
    if row is None:
        return _Lease()
    taken_by, renewed_at, seconds, epoch = row
    if taken_by is None:
        return _Lease(epoch=epoch)
    last = time_from_text(renewed_at)
    return _Lease(taken_by, abs((now - last).total_seconds()) < float(seconds), epoch, last)
