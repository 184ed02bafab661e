"""The entries of the journal: what is written down, how one is chained to the next, and what breaks the chain.

The server needs this on the way to its first answer, so nothing here loads sqlite3; `journal_table` keeps it on disk.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from ct_mcp.errors import StoreDamaged
from ct_mcp.store.codec import MOVE_ASIDE, canonical, time_from_text, time_to_text

ONLY_REDUCES = "only_reduces"
"""In the detail of an INTENT: true where what it sends only reduces, by its effect, although it counts as an order."""
GENESIS = "0" * 64
"""What the first entry has for a previous hash."""

Row = tuple[Any, ...]
"""An entry as the file holds it: the fields of `Entry` in their order, times and detail as text."""


class EntryKind(StrEnum):
    """What happened.

    An INTENT is outstanding until an entry of a kind in `SETTLING` follows it; an UNKNOWN one settles nothing.
    """

    ASKED = "asked"
    DENIED = "denied"
    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"
    INTENT = "intent"
    ACCEPTED = "accepted"
    ANSWERED = "answered"
    UNKNOWN = "unknown"
    READ_BACK = "read_back"
    SETTLED = "settled"
    HALTED = "halted"
    RESUMED = "resumed"
    ARMED = "armed"
    DISARMED = "disarmed"
    DAY_LOSS = "day_loss"
    FLOOR_TOLD = "floor_told"
    PROTECTED = "protected"
    UNPROTECTED = "unprotected"
    WATCH_SET = "watch_set"
    WATCH_TOLD = "watch_told"
    WATCH_OVER = "watch_over"
    SUSPICIOUS = "suspicious"
    PIN_SET = "pin_set"
    PIN_WRONG = "pin_wrong"
    ERROR = "error"


SETTLING = frozenset({EntryKind.ANSWERED, EntryKind.SETTLED})
"""ANSWERED: read back, rejected, or certainly never sent. SETTLED: found out later, by looking or by the person.

ACCEPTED, their acknowledgement, settles nothing: until it is read back, the order may or may not stand.
"""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is to be written down.

    ``summary`` is one line in our words. ``reason`` holds the assistant's words and nothing else. ``detail`` may hold
    whatever JSON holds; decimals, times and domain values in it are written as their text. ``fingerprint`` and
    ``opens`` belong to an INTENT: which command it is, and whether it counts as an order sent, per minute and per day.
    """

    kind: EntryKind
    summary: str
    account: str | None = None
    ticket_id: str | None = None
    own_id: str | None = None
    fingerprint: str | None = None
    opens: bool = False
    reason: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal as it is on disk; ``hash`` covers all the rest, ``previous_hash`` included."""

    sequence: int
    at: datetime
    kind: EntryKind
    summary: str
    account: str | None
    ticket_id: str | None
    own_id: str | None
    fingerprint: str | None
    opens: bool
    reason: str
    detail: Mapping[str, object]
    previous_hash: str
    hash: str


class LastIntent(NamedTuple):
    """When an identical command was last about to be sent, and whether the outcome of all such is known."""

    at: datetime
    settled: bool


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The intents of unknown outcome in an account, oldest first, and where the journal ended when they were read.

    Whoever decides on what is read from then on writes the intent with ``seen``; see `SqlStore.append_intent`.
    """

    seen: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking the whole chain found; ``last_hash`` is worth keeping somewhere else."""

    ok: bool
    count: int
    last_hash: str
    broken_at: int | None = None
    why: str = ""


def seal(new: NewEntry, now: datetime, sequence: int, previous_hash: str) -> Row:
    """Make the row that follows the one with ``previous_hash``.

    Text from outside may hold half a character (a lone surrogate), which no file can hold, or a NUL, which no database
    can: it is written as its escape, because an entry that must be written must not fail on somebody else's text.
    """
    row = (
        sequence,
        time_to_text(now),
        new.kind.value,
        storable(" ".join(line.strip() for line in new.summary.splitlines())),
        None if new.account is None else storable(new.account),
        new.ticket_id,
        new.own_id,
        new.fingerprint,
        int(new.opens),
        storable(new.reason),
        canonical(dict(new.detail)),
        previous_hash,
    )
    return (*row, _digest(row))


def entry_of(row: Row) -> Entry:
    """Read a row.

    Raises:
        StoreFailed: It was not written by us, or has been tampered with.
    """
    read = dict(zip((each.name for each in fields(Entry)), row, strict=True))
    try:
        read["at"], read["kind"] = time_from_text(read["at"]), EntryKind(read["kind"])
        read["opens"], read["detail"] = bool(read["opens"]), json.loads(read["detail"])
    except (ValueError, TypeError) as error:
        raise StoreDamaged(f"journal entry {row[0]} cannot be read: {error}", next_step=MOVE_ASIDE) from error
    return Entry(**read)


def copy_of(entry: Entry) -> NewEntry:
    """Give what an entry says, to be written down in another journal."""
    return NewEntry(**{each.name: getattr(entry, each.name) for each in fields(NewEntry)})


def check(rows: Iterable[Row], last_given: int) -> Verification:
    """Check the chain from its first row on; ``last_given`` is the highest sequence that an entry was ever given."""
    count, previous_hash = 0, GENESIS
    for row in rows:
        if why := _fault(row, count + 1, previous_hash):
            return Verification(ok=False, count=count, last_hash=previous_hash, broken_at=count + 1, why=why)
        count, previous_hash = count + 1, str(row[-1])
    if count < last_given:
        why = "it is missing, with everything after it"
        return Verification(ok=False, count=count, last_hash=previous_hash, broken_at=count + 1, why=why)
    return Verification(ok=True, count=count, last_hash=previous_hash)


def check_end(rows: Iterable[Row]) -> str:
    """Check that the last entries follow from each other; say of the first that does not what is wrong with it."""
    previous: Row | None = None
    for row in rows:
        sequence, linked_to = (row[0], row[-2]) if previous is None else (previous[0] + 1, previous[-1])
        if why := _fault(row, sequence, linked_to):
            return f"journal entry {sequence}: {why}"
        previous = row
    return ""


def _fault(row: Row, sequence: int, previous_hash: str) -> str:
    *body, linked_to, stated = row
    if row[0] != sequence:
        return "it is missing"
    if linked_to != previous_hash:
        return "it does not follow from the entry before it, or that one was rewritten"
    return "" if stated == _digest((*body, linked_to)) else "its words do not match its hash"


def _digest(row: Row) -> str:
    return sha256(canonical(row).encode("ascii")).hexdigest()


def storable(text: str) -> str:
    """Write what no file or database can hold as its escape: half a character, or a NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
