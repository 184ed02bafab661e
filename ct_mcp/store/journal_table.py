"""The journal on disk: appended, looked up, checked."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from sqlite3 import Connection

from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal import (
    GENESIS,
    SETTLING,
    Entry,
    EntryKind,
    LastIntent,
    NewEntry,
    Verification,
    check,
    entry_of,
    seal,
)
from ct_mcp.store.memory import Outstanding

_HEAD = """
SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0),
       (SELECT hash FROM journal ORDER BY sequence DESC LIMIT 1)
"""
_LAST_AT = "SELECT at FROM journal ORDER BY sequence DESC LIMIT 1"
# Clocks are put right by a little all the time.
_CLOCKS_DIFFER = timedelta(minutes=1)
_INSERT = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BEGIN_TO_WAIT = "INSERT INTO outstanding VALUES (?, ?, ?, ?)"
# An answer that names its order settles that one; an answer to the ticket settles all that was sent for it so far.
_SETTLE = """
DELETE FROM outstanding WHERE ticket_id = :ticket_id
AND (:own_id IS NULL OR own_id IS NULL OR own_id = :own_id)
"""
_NEWEST = "SELECT * FROM journal ORDER BY sequence DESC LIMIT :limit"
_OF_ACCOUNT = "SELECT * FROM journal WHERE account = :account ORDER BY sequence DESC LIMIT :limit"
_OF_TICKET = """
SELECT * FROM journal WHERE ticket_id = :ticket_id AND (:account IS NULL OR account = :account)
ORDER BY sequence DESC LIMIT :limit
"""
# As the index has it, letter for letter: SQLite takes a partial index only for its own condition.
_NOES = """
SELECT * FROM journal WHERE kind IN ('denied', 'declined', 'suspicious', 'resumed') ORDER BY sequence DESC LIMIT ?
"""
_UNSETTLED = "SELECT journal.* FROM outstanding JOIN journal USING (sequence) ORDER BY sequence"
_UNSETTLED_IN = """
SELECT journal.* FROM outstanding JOIN journal USING (sequence) WHERE account = ? ORDER BY sequence
"""
# What a review has to know of, and which another process, or another part of this one, may write meanwhile.
_MOVED = """
SELECT EXISTS (SELECT 1 FROM journal WHERE sequence > :seen
AND (kind = 'halted' OR (account = :account AND kind IN ('intent', 'day_loss', 'disarmed'))))
"""
_ORDERS_SENT = "SELECT COUNT(*) FROM journal WHERE kind = 'intent' AND opens = 1 AND account = ? AND at >= ?"
_IS_UNKNOWN = "SELECT EXISTS (SELECT 1 FROM outstanding WHERE fingerprint = ?)"
_INTENTS_OF_ACTION = """
SELECT at, sequence, ticket_id, own_id FROM journal WHERE kind = 'intent' AND fingerprint = ?
ORDER BY sequence DESC LIMIT ?
"""
_CAME_OF_IT = """
SELECT kind, detail, at FROM journal
WHERE ticket_id = :ticket_id AND sequence > :sequence AND (own_id IS NULL OR :own_id IS NULL OR own_id = :own_id)
AND kind IN ('accepted', 'answered', 'unknown', 'read_back', 'settled')
"""
# So many in a row that never left are passed over, and the next one counts: more would be somebody going in circles.
_PASSED_OVER = 50
_ALL = "SELECT * FROM journal ORDER BY sequence"
_MISCOUNTED = """
WITH due AS (
    SELECT sequence FROM journal AS intent WHERE kind = 'intent' AND NOT EXISTS (
        SELECT 1 FROM journal AS answer
        WHERE answer.ticket_id = intent.ticket_id AND answer.kind IN ('answered', 'settled')
        AND answer.sequence > intent.sequence
        AND (answer.own_id IS NULL OR intent.own_id IS NULL OR answer.own_id = intent.own_id)
    )
)
SELECT MIN(sequence) FROM (
    SELECT sequence FROM (SELECT sequence FROM due EXCEPT SELECT sequence FROM outstanding)
    UNION ALL SELECT sequence FROM (SELECT sequence FROM outstanding EXCEPT SELECT sequence FROM due)
)
"""


def append(connection: Connection, new: NewEntry, now: datetime) -> Entry:
    """Write one entry at the end of the chain."""
    _end_armings_where_the_clock_was_set_back(connection, now)
    last_given, last_hash = connection.execute(_HEAD).fetchone()
    row = seal(new, now, last_given + 1, last_hash or GENESIS)
    connection.execute(_INSERT, row)
    if new.kind is EntryKind.INTENT:
        connection.execute(_BEGIN_TO_WAIT, (row[0], new.ticket_id, new.own_id, new.fingerprint))
    if new.kind in SETTLING:
        connection.execute(_SETTLE, {"ticket_id": new.ticket_id, "own_id": new.own_id})
    return entry_of(row)


def _end_armings_where_the_clock_was_set_back(connection: Connection, now: datetime) -> None:
    """An arming ends by the clock: where that cannot be believed, the person arms again."""
    last = connection.execute(_LAST_AT).fetchone()
    if last is None or last[0] <= time_to_text(now + _CLOCKS_DIFFER):
        return
    armed = connection.execute("SELECT account FROM armings ORDER BY account").fetchall()
    connection.execute("DELETE FROM armings")
    for (account,) in armed:
        summary = f"{account} disarmed: the clock was set back since {last[0]}"
        append(connection, NewEntry(EntryKind.DISARMED, summary, account=account), now)


def append_intent(connection: Connection, new: NewEntry, now: datetime, seen: int) -> Entry | None:
    """Write an intent, unless what its review read has moved since; the one look and the one stroke are one."""
    moved = connection.execute(_MOVED, {"seen": seen, "account": new.account}).fetchone()[0]
    return None if moved else append(connection, new, now)


def newest(connection: Connection, limit: int, account: str | None, ticket_id: str | None) -> tuple[Entry, ...]:
    """The last entries, newest first."""
    query = _OF_TICKET if ticket_id is not None else _OF_ACCOUNT if account is not None else _NEWEST
    wanted = {"limit": limit, "account": account, "ticket_id": ticket_id}
    return tuple(entry_of(row) for row in connection.execute(query, wanted))


def noes(connection: Connection, limit: int) -> tuple[Entry, ...]:
    """The last of what was denied, declined, suspicious or resumed, newest first."""
    return tuple(entry_of(row) for row in connection.execute(_NOES, (limit,)))


def unsettled(connection: Connection) -> tuple[Entry, ...]:
    """The intents of unknown fate, oldest first."""
    return tuple(entry_of(row) for row in connection.execute(_UNSETTLED))


def outstanding(connection: Connection, account: str) -> Outstanding:
    """The intents of unknown fate in an account, with where the journal ends."""
    entries = tuple(entry_of(row) for row in connection.execute(_UNSETTLED_IN, (account,)))
    return Outstanding(connection.execute(_HEAD).fetchone()[0], entries)


def orders_sent(connection: Connection, account: str, since: datetime) -> int:
    """How many orders that open or add were about to be sent."""
    count: int = connection.execute(_ORDERS_SENT, (account, time_to_text(since))).fetchone()[0]
    return count


def last_intent(connection: Connection, fingerprint: str) -> LastIntent | None:
    """When this very action was last sent, or may have been; settled only if no such one is outstanding.

    It counts from the end of the sending: whoever gave up on a slow answer may ask again right after it.
    What certainly never left is passed over, but never while the fate of one like it is unknown.
    """
    is_unknown = bool(connection.execute(_IS_UNKNOWN, (fingerprint,)).fetchone()[0])
    newest_first = connection.execute(_INTENTS_OF_ACTION, (fingerprint, _PASSED_OVER + 1)).fetchall()
    for passed, (at, sequence, ticket_id, own_id) in enumerate(newest_first):
        intent = {"sequence": sequence, "ticket_id": ticket_id, "own_id": own_id}
        came = connection.execute(_CAME_OF_IT, intent).fetchall()
        if is_unknown or passed == _PASSED_OVER or not _never_left(came):
            return LastIntent(_last_word(at, came), not is_unknown)
    return None


def _last_word(at: str, came: Sequence[tuple[str, str, str]]) -> datetime:
    """When the last of the sending was written; what a later look found, or a person said, begins nothing anew."""
    return max(map(time_from_text, (at, *(then for kind, _, then in came if kind != EntryKind.SETTLED))))


def _never_left(came: Sequence[tuple[str, str, str]]) -> bool:
    """Say whether all that came of an intent is the certainty that it was not sent; no word of it is none."""
    return bool(came) and all(kind == EntryKind.ANSWERED and "not_sent" in json.loads(said) for kind, said, _ in came)


def verify(connection: Connection) -> Verification:
    """Check the whole chain, and that what counts as outstanding is what the chain says."""
    last_given, _ = connection.execute(_HEAD).fetchone()
    found = check(connection.execute(_ALL), last_given)
    miscounted = connection.execute(_MISCOUNTED).fetchone()[0] if found.ok else None
    if miscounted is None:
        return found
    return Verification(
        ok=False,
        count=found.count,
        last_hash=found.last_hash,
        broken_at=miscounted,
        why="whether it is outstanding is not what the journal says",
    )
