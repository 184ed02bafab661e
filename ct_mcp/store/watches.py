"""Watches on disk: what is watched, the tickets of what that has sent, each made once, and what it has told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ct_mcp.domain.approval import Ticket, TicketState
from ct_mcp.domain.instrument import Instrument, held_instrument
from ct_mcp.domain.lease import Holder
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.watch import AlertOn, Notice, Watch, WatchKind, WatchPart, WatchState
from ct_mcp.errors import NeedsRoom
from ct_mcp.store import tickets
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.journal_table import append
from ct_mcp.store.leases import is_held_by
from ct_mcp.store.parts import LEASE_NAME
from ct_mcp.store.sql import NO_LIMIT, SqlConnection

_IS_OURS = "our_service() IN ('', service)"
_INSERT = "INSERT INTO watches VALUES (our_service(), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = (
    "watch_id, kind, account, made_at, until, ticket_id, order_id, instrument, distance, due, alert_on, is_above, "
    "level, state"
)
_STANDING = f"SELECT {_COLUMNS} FROM watches WHERE state <> 'over' AND {_IS_OURS} ORDER BY made_at, watch_id"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM watches WHERE watch_id = ? AND {_IS_OURS}"  # noqa: S608
_PARTS = f"SELECT part_id, made_at FROM watch_parts WHERE watch_id = ? AND {_IS_OURS} ORDER BY rowid"  # noqa: S608
_ADD_PART = f"""
INSERT INTO watch_parts SELECT our_service(), ?, ?, ? WHERE EXISTS
    (SELECT 1 FROM watches WHERE watch_id = ? AND state <> 'over' AND {_IS_OURS})
AND (SELECT COUNT(*) FROM watch_parts WHERE watch_id = ? AND {_IS_OURS}) = ?
"""  # noqa: S608
_TURN = f"UPDATE watches SET state = ? WHERE watch_id = ? AND state NOT IN (?, 'over') AND {_IS_OURS}"  # noqa: S608
# It belongs to the service of its watch, also where a terminal without a token has ended that.
_SAY = f"""
INSERT INTO notices (service, at, account, watch_id, words, told)
SELECT service, ?, account, watch_id, ?, 0 FROM watches WHERE watch_id = ? AND {_IS_OURS}
"""  # noqa: S608
_SAY_OF_EXITS = """
INSERT INTO notices (service, at, account, watch_id, words, told) VALUES (our_service(), ?, ?, '', ?, 0)
"""
_NOTICES = f"""
SELECT number, at, account, watch_id, words FROM notices WHERE number > ? AND {_IS_OURS} ORDER BY number DESC LIMIT ?
"""  # noqa: S608
_UNTOLD = f"""
SELECT number, at, account, watch_id, words FROM notices WHERE (told = 0 OR number > ?) AND {_IS_OURS}
ORDER BY number DESC LIMIT ?
"""  # noqa: S608
_TOLD = f"UPDATE notices SET told = 1 WHERE told = 0 AND {_IS_OURS}"  # noqa: S608
_MOST_TOLD = 20


def open_watch(connection: SqlConnection, watch: Watch, most: int, entries: Sequence[NewEntry], now: datetime) -> bool:
    """Keep a watch and journal it; what is known already is left as it is, and so is what a setting made before.

    Raises:
        NeedsRoom: So many watch already. One of the person's settings always has room.
    """
    if find(connection, watch.watch_id) is not None:
        return False
    standing = [each for each in watches(connection) if not each.is_of_settings]
    if not watch.is_of_settings and len(standing) >= most:
        raise NeedsRoom(f"watches={len(standing)}, maximum={most}; end one with end_watch first")
    connection.execute(_INSERT, _row_of(watch))
    for entry in entries:
        append(connection, entry, now)
    return True


def watches(connection: SqlConnection) -> tuple[Watch, ...]:
    """List those that are not over, the oldest first."""
    return tuple(_watch_of(connection, row) for row in connection.execute(_STANDING).fetchall())


def find(connection: SqlConnection, watch_id: str) -> Watch | None:
    """Find one by its id, in whatever state."""
    row = connection.execute(_FIND, (watch_id,)).fetchone()
    return None if row is None else _watch_of(connection, row)


def add_part(connection: SqlConnection, watch: Watch, ticket: Ticket, holder: Holder, now: datetime) -> bool:
    """Keep the ticket of what it is about to send, spent; True for exactly one caller.

    False where the lease is not the caller's at this moment, or was another's meanwhile, where somebody
    else has added one since ``watch`` was read, and where it is over.
    """
    if not is_held_by(connection, LEASE_NAME, holder, now):
        return False
    row = (watch.watch_id, ticket.ticket_id, time_to_text(now), watch.watch_id, watch.watch_id, len(watch.parts))
    if connection.execute(_ADD_PART, row).rowcount == 0:
        return False
    tickets.keep(connection, replace(ticket, state=TicketState.SPENT))
    entry = NewEntry(
        EntryKind.APPROVED,
        ticket.summary,
        account=watch.account,
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        detail={"by": ticket.decided_by, "watch": watch.watch_id},
    )
    append(connection, entry, now)
    return True


def turn_watch(connection: SqlConnection, watch: Watch, state: WatchState, entry: NewEntry, now: datetime) -> bool:
    """Note, journal and tell how far it has come; False, and no word, where it is so already, or over."""
    if connection.execute(_TURN, (state, watch.watch_id, state)).rowcount == 0:
        return False
    tell(connection, watch, entry, now)
    return True


def tell(connection: SqlConnection, watch: Watch | None, entry: NewEntry, now: datetime) -> None:
    """Journal what it tells, and keep it for every channel to show; what no watch tells is of exits that stand."""
    append(connection, entry, now)
    if watch is None:
        connection.execute(_SAY_OF_EXITS, (time_to_text(now), entry.account or "", entry.summary))
    else:
        connection.execute(_SAY, (time_to_text(now), entry.summary, watch.watch_id))


def notices(connection: SqlConnection, after: int, limit: int) -> tuple[Notice, ...]:
    """List what was told after a number, the newest so many, oldest first."""
    return tuple(map(_notice_of, reversed(connection.execute(_NOTICES, (after, limit)).fetchall())))


def take_notices(connection: SqlConnection, after: int | None) -> tuple[Notice, ...]:
    """Give what came after a number and what nobody has heard yet, oldest first; from then on it counts as heard."""
    rows = connection.execute(_UNTOLD, (NO_LIMIT if after is None else after, _MOST_TOLD)).fetchall()
    if rows:
        connection.execute(_TOLD)
    return tuple(map(_notice_of, reversed(rows)))


def _row_of(watch: Watch) -> tuple[object, ...]:
    at, distance = watch.instrument, watch.distance
    return (
        watch.watch_id,
        watch.kind.value,
        watch.account,
        time_to_text(watch.made_at),
        time_to_text(watch.until),
        watch.ticket_id,
        watch.order_id,
        None if at is None else f"{at.root}|{at.year}|{at.month}",
        None if distance is None else f"{distance.amount} {distance.unit}",
        None if watch.due is None else time_to_text(watch.due),
        None if watch.on is None else watch.on.value,
        watch.is_above,
        None if watch.level is None else str(watch.level),
        watch.state.value,
    )


def _watch_of(connection: SqlConnection, row: tuple[Any, ...]) -> Watch:
    watch_id, kind, account, made_at, until, ticket_id, order_id, at, distance, due, on, above, level, state = row
    parts = connection.execute(_PARTS, (watch_id,)).fetchall()
    return Watch(
        watch_id,
        WatchKind(kind),
        account,
        time_from_text(made_at),
        time_from_text(until),
        ticket_id,
        order_id,
        _instrument(at),
        _distance(distance),
        None if due is None else time_from_text(due),
        None if on is None else AlertOn(on),
        None if above is None else bool(above),
        None if level is None else Decimal(level),
        WatchState(state),
        tuple(WatchPart(part_id, time_from_text(at)) for part_id, at in parts),
    )


def _instrument(text: str | None) -> Instrument | None:
    if text is None:
        return None
    root, year, month = text.rsplit("|", 2)
    return held_instrument(root, int(year), int(month))


def _distance(text: str | None) -> Distance | None:
    if text is None:
        return None
    amount, unit = text.split()
    return Distance(Decimal(amount), Unit(unit))


def _notice_of(row: tuple[Any, ...]) -> Notice:
    number, at, account, watch_id, words = row
    return Notice(number, time_from_text(at), account, watch_id, words)
