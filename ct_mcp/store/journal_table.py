"""The journal on disk: appended to, looked up, searched, checked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from ct_mcp.store.codec import canonical, time_from_text, time_to_text
from ct_mcp.store.journal import (
    GENESIS,
    ONLY_REDUCES,
    SETTLING,
    Entry,
    EntryKind,
    LastIntent,
    NewEntry,
    Outstanding,
    Row,
    Verification,
    check,
    entry_of,
    seal,
)
from ct_mcp.store.sql import NO_LIMIT, SqlConnection

_HEAD = """
SELECT (SELECT sequence FROM journal_end), (SELECT hash FROM journal ORDER BY sequence DESC LIMIT 1)
"""
_INSERT = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_AWAIT_OUTCOME = "INSERT INTO outstanding VALUES (?, ?, ?, ?)"
# An answer that names its order settles that one; an answer to the ticket settles all that was sent for it so far.
_SETTLE = """
DELETE FROM outstanding WHERE ticket_id = :ticket_id
AND (:own_id IS NULL OR own_id IS NULL OR own_id = :own_id)
"""
_LAST_AT = "SELECT at FROM journal ORDER BY sequence DESC LIMIT 1"
# Clocks are put right by a little all the time.
_CLOCKS_DIFFER = timedelta(minutes=1)
_ARMED_NO_LONGER = """
SELECT DISTINCT account FROM armings WHERE until <= ? AND account NOT IN (SELECT account FROM armings WHERE until > ?)
ORDER BY account
"""
# What a review has to know of, and which another process, or another part of this one, may write meanwhile.
_MOVED = """
SELECT EXISTS (SELECT 1 FROM journal WHERE sequence > :seen
AND (kind = 'halted' OR (account = :account AND kind IN ('intent', 'day_loss', 'disarmed'))))
"""
_OPENED = "SELECT EXISTS (SELECT 1 FROM journal WHERE sequence > :seen AND kind = 'intent' AND opens = 1)"


def append(connection: SqlConnection, new: NewEntry, now: datetime) -> Entry:
    """Write one entry at the end of the chain."""
    _disarm_if_clock_was_set_back(connection, now)
    return append_late(connection, new, now)


def append_late(connection: SqlConnection, new: NewEntry, at: datetime) -> Entry:
    """Write one that could not be written when it was made: its time says nothing about the clock."""
    last_given, last_hash = connection.execute(_HEAD).fetchone()
    row = seal(new, at, last_given + 1, last_hash or GENESIS)
    connection.execute(_INSERT, row)
    if new.kind is EntryKind.INTENT:
        connection.execute(_AWAIT_OUTCOME, (row[0], new.ticket_id, new.own_id, new.fingerprint))
    if new.kind in SETTLING:
        connection.execute(_SETTLE, {"ticket_id": new.ticket_id, "own_id": new.own_id})
    return entry_of(row)


def append_intent(connection: SqlConnection, new: NewEntry, now: datetime, seen: int | None) -> Entry | None:
    """Write an intent, unless what its review read has moved since; looking and writing are one transaction."""
    moved = seen is not None and connection.execute(_MOVED, {"seen": seen, "account": new.account}).fetchone()[0]
    return None if moved else append(connection, new, now)


def append_intent_of_all(connection: SqlConnection, new: NewEntry, now: datetime, seen: int) -> Entry | None:
    """Do the same for one that was judged by all accounts: what opens in any of them has moved it."""
    moved = connection.execute(_OPENED, {"seen": seen}).fetchone()[0]
    return None if moved else append_intent(connection, new, now, seen)


def _disarm_if_clock_was_set_back(connection: SqlConnection, now: datetime) -> None:
    """End every arming if the clock cannot be believed, since an arming ends by the clock: the person arms again."""
    last = connection.execute(_LAST_AT).fetchone()
    if last is not None:
        disarm_if_set_back(connection, time_from_text(last[0]), now)


def disarm_if_set_back(connection: SqlConnection, seen_at: datetime, now: datetime) -> None:
    """End every arming where the clock has shown a time that is still to come."""
    if seen_at <= now + _CLOCKS_DIFFER:
        return
    armed = connection.execute("SELECT DISTINCT account FROM armings ORDER BY account").fetchall()
    connection.execute("DELETE FROM armings")
    for (account,) in armed:
        summary = f"{account} disarmed: the clock was set back since {time_to_text(seen_at)}"
        append(connection, NewEntry(EntryKind.DISARMED, summary, account=account), now)


def forget_ended_armings(connection: SqlConnection, now: datetime) -> None:
    """Delete every arming that has ended, and journal it: a clock that is set back must not bring one back."""
    end = time_to_text(now)
    ended = connection.execute(_ARMED_NO_LONGER, (end, end)).fetchall()
    connection.execute("DELETE FROM armings WHERE until <= ?", (end,))
    for (account,) in ended:
        append(
            connection, NewEntry(EntryKind.DISARMED, f"{account} disarmed: its time has ended", account=account), now
        )


_NEWEST = "SELECT * FROM journal ORDER BY sequence DESC LIMIT :limit"
_OF_ACCOUNT = "SELECT * FROM journal WHERE account = :account ORDER BY sequence DESC LIMIT :limit"
_OF_TICKET = """
SELECT * FROM journal WHERE ticket_id = :ticket_id AND (:account IS NULL OR account = :account)
ORDER BY sequence DESC LIMIT :limit
"""
# Every command asks for these, and most of what is written is not of them: a proposal, the rules that passed.
_OF_ORDERS = """
SELECT * FROM (SELECT * FROM journal WHERE account = ? ORDER BY sequence DESC LIMIT ?) AS newest
WHERE instr(detail, '"order_id":"') > 0 OR instr(detail, '"filled":') > 0 OR instr(detail, '"refused":') > 0
    OR instr(detail, '"may_fill":[]') > 0
ORDER BY sequence DESC
"""
_entry_of_order = lru_cache(maxsize=256)(entry_of)
# As the index has it, letter for letter: SQLite takes a partial index only for its own condition.
# The last entries alone are looked through, since this is asked before every order: more than come in hours.
_REFUSALS = """
SELECT * FROM journal WHERE sequence > (SELECT max(sequence) FROM journal) - 10000 AND at >= :since
AND kind IN ('denied', 'declined', 'suspicious', 'resumed')
AND (:among IS NULL OR instr(', ' || account || ',', :among) > 0) ORDER BY sequence DESC LIMIT :limit
"""
_UNSETTLED = """
SELECT * FROM journal WHERE sequence IN (SELECT sequence FROM outstanding) AND (:account IS NULL OR account = :account)
AND NOT EXISTS (SELECT 1 FROM others WHERE others.ticket_id = journal.ticket_id) ORDER BY sequence
"""


def newest(connection: SqlConnection, limit: int, account: str | None, ticket_id: str | None) -> tuple[Entry, ...]:
    """Read the last entries, newest first."""
    query = _OF_TICKET if ticket_id is not None else _OF_ACCOUNT if account is not None else _NEWEST
    wanted = {"limit": limit, "account": account, "ticket_id": ticket_id}
    return tuple(entry_of(row) for row in connection.execute(query, wanted))


def of_orders(connection: SqlConnection, limit: int, account: str) -> tuple[Entry, ...]:
    """Read those of the last entries of an account that name an order, or tell that one brings or brought none."""
    return tuple(map(_entry_of_order, connection.execute(_OF_ORDERS, (account, limit))))


def refusals(connection: SqlConnection, limit: int, since: datetime, account: str | None = None) -> tuple[Entry, ...]:
    """Read the last of what was denied, declined, suspicious or resumed since a moment, newest first.

    With ``account`` only what names it, by itself or among others.
    """
    among = None if account is None else f", {account},"
    wanted = {"since": time_to_text(since), "limit": limit, "among": among}
    return tuple(entry_of(row) for row in connection.execute(_REFUSALS, wanted))


def unsettled(connection: SqlConnection) -> tuple[Entry, ...]:
    """Read the intents of unknown outcome, oldest first."""
    return tuple(entry_of(row) for row in connection.execute(_UNSETTLED, {"account": None}))


def outstanding(connection: SqlConnection, account: str) -> Outstanding:
    """Read the intents of unknown outcome in an account, and where the journal ends."""
    entries = tuple(entry_of(row) for row in connection.execute(_UNSETTLED, {"account": account}))
    return Outstanding(connection.execute(_HEAD).fetchone()[0], entries)


_ORDERS_SENT = """
SELECT COUNT(*) FROM journal WHERE kind = 'intent' AND opens = 1 AND account = ? AND at >= ?
AND NOT EXISTS (SELECT 1 FROM others WHERE others.ticket_id = journal.ticket_id)
"""
_FIRST_SENT = _ORDERS_SENT.replace("COUNT(*)", "MIN(at)")
_IS_OUTSTANDING = """
SELECT EXISTS (SELECT 1 FROM outstanding WHERE fingerprint = ?
AND NOT EXISTS (SELECT 1 FROM others WHERE others.ticket_id = outstanding.ticket_id))
"""
_INTENTS_OF_COMMAND = """
SELECT at, sequence, ticket_id, own_id, detail FROM journal WHERE kind = 'intent' AND fingerprint = ?
AND NOT EXISTS (SELECT 1 FROM others WHERE others.ticket_id = journal.ticket_id)
ORDER BY sequence DESC LIMIT ?
"""
_CAME_OF_IT = """
SELECT kind, detail, at FROM journal
WHERE ticket_id = :ticket_id AND sequence > :sequence AND (own_id IS NULL OR :own_id IS NULL OR own_id = :own_id)
AND kind IN ('accepted', 'answered', 'unknown', 'read_back', 'settled')
"""
# What was told of it then, as the desk spells it.
_REJECTED = "rejected"
# So many in a row that never left are passed over, and the next one counts: more would be somebody going in circles.
_PASSED_OVER = 50


def orders_sent(connection: SqlConnection, account: str, since: datetime) -> int:
    """Count the orders that open or add and were about to be sent."""
    count: int = connection.execute(_ORDERS_SENT, (account, time_to_text(since))).fetchone()[0]
    return count


def first_sent(connection: SqlConnection, account: str, since: datetime) -> datetime | None:
    """Tell when the first of them since a moment was about to be sent; None where none was."""
    at = connection.execute(_FIRST_SENT, (account, time_to_text(since))).fetchone()[0]
    return None if at is None else time_from_text(at)


def last_intent(connection: SqlConnection, fingerprint: str) -> LastIntent | None:
    """Tell when an identical command was last sent, or may have been; settled only if no such one is outstanding.

    It counts from the end of the sending: whoever gave up on a slow answer may ask again right after it.
    What certainly never left is passed over, and so is an exit that was refused, or whose order was, before any of it
    filled; but never while the outcome of one like it is unknown.
    """
    is_outstanding = bool(connection.execute(_IS_OUTSTANDING, (fingerprint,)).fetchone()[0])
    newest_first = connection.execute(_INTENTS_OF_COMMAND, (fingerprint, _PASSED_OVER + 1)).fetchall()
    for passed, (at, sequence, ticket_id, own_id, detail) in enumerate(newest_first):
        intent = {"sequence": sequence, "ticket_id": ticket_id, "own_id": own_id}
        came = connection.execute(_CAME_OF_IT, intent).fetchall()
        is_over = _came_to_nothing(came) or (bool(json.loads(detail).get(ONLY_REDUCES)) and _was_refused(came))
        if is_outstanding or passed == _PASSED_OVER or not is_over:
            return LastIntent(_end_of_sending(at, came), not is_outstanding)
    return None


def _end_of_sending(at: str, came: Sequence[tuple[str, str, str]]) -> datetime:
    """Tell when the last of it was written; what a later look found, or a person said, begins nothing anew."""
    return max(map(time_from_text, (at, *(then for kind, _, then in came if kind != EntryKind.SETTLED))))


def _came_to_nothing(came: Sequence[tuple[str, str, str]]) -> bool:
    told = [json.loads(said) for _, said, _ in came]
    return _never_left(came) or any("refused" in each and not each.get("filled") for each in told)


def _was_refused(came: Sequence[tuple[str, str, str]]) -> bool:
    """Say whether each answer was their no, or the order they took was refused, and nothing is known to have filled."""
    told = [(kind, json.loads(said)) for kind, said, _ in came]
    answers = [kind == EntryKind.ANSWERED for kind, each in told if "step" in each]
    is_no = bool(answers) and all(answers)
    is_refused = is_no or any(each.get("status") == _REJECTED for _, each in told)
    return is_refused and not any(each.get("filled") for _, each in told)


def _never_left(came: Sequence[tuple[str, str, str]]) -> bool:
    """Say whether all that came of an intent is the certainty that it was not sent; no word of it is none."""
    return bool(came) and all(kind == EntryKind.ANSWERED and "not_sent" in json.loads(said) for kind, said, _ in came)


_WANTED = """
SELECT * FROM journal WHERE (:account IS NULL OR account = :account) AND (:kind IS NULL OR kind = :kind)
AND (:since IS NULL OR at >= :since) ORDER BY sequence DESC LIMIT :limit
"""
# The detail is canonical JSON, so an order that is named in it is spelled in one way only.
_TICKETS_ABOUT = """
SELECT DISTINCT ticket_id FROM journal WHERE ticket_id IS NOT NULL
AND (ticket_id = :id OR own_id = :id OR instr(detail, :named) > 0)
"""
_ALL_OF_TICKET = "SELECT * FROM journal WHERE ticket_id = ?"


@dataclass(frozen=True, slots=True)
class JournalQuery:
    """Which entries a person wants to see; None leaves it open."""

    limit: int = NO_LIMIT
    account: str | None = None
    kind: EntryKind | None = None
    since: datetime | None = None


def search(connection: SqlConnection, wanted: JournalQuery) -> tuple[Entry, ...]:
    """Read the newest of the entries that are wanted, newest last."""
    row = {
        "limit": wanted.limit,
        "account": wanted.account,
        "kind": wanted.kind.value if wanted.kind else None,
        "since": time_to_text(wanted.since) if wanted.since else None,
    }
    found = [entry_of(each) for each in connection.execute(_WANTED, row)]
    return tuple(reversed(found))


def story(connection: SqlConnection, any_id: str) -> tuple[Entry, ...]:
    """Read all that was written about one order, oldest first, by the id of a ticket or of the order, ours or theirs.

    An order that was placed by one ticket and changed or cancelled by others is one story.
    """
    found = _about(connection, {any_id})
    named = {str(entry.detail["order_id"]) for entry in found if entry.detail.get("order_id")}
    return _about(connection, {any_id, *named})


def _about(connection: SqlConnection, ids: set[str]) -> tuple[Entry, ...]:
    tickets: set[str] = set()
    for each in ids:
        found = connection.execute(_TICKETS_ABOUT, {"id": each, "named": f'"order_id":{canonical(each)}'})
        tickets |= {ticket_id for (ticket_id,) in found}
    rows = (row for ticket_id in tickets for row in connection.execute(_ALL_OF_TICKET, (ticket_id,)))
    return tuple(sorted((entry_of(row) for row in rows), key=lambda entry: entry.sequence))


_NEXT = "SELECT * FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ?"
_AT_ONCE = 5000
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
    SELECT sequence FROM (SELECT sequence FROM due EXCEPT SELECT sequence FROM outstanding) AS uncounted
    UNION ALL SELECT sequence FROM (SELECT sequence FROM outstanding EXCEPT SELECT sequence FROM due) AS overcounted
) AS miscounted
"""


def verify(connection: SqlConnection) -> Verification:
    """Check the whole chain, and that what counts as outstanding is what the chain says."""
    last_given, _ = connection.execute(_HEAD).fetchone()
    found = check(_all(connection), last_given)
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


def _all(connection: SqlConnection) -> Iterator[Row]:
    """Give all rows in their order, a part at a time: a long journal is never held whole."""
    last = -NO_LIMIT
    while rows := connection.execute(_NEXT, (last, _AT_ONCE)).fetchall():
        yield from rows
        last = rows[-1][0]
