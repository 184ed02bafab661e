"""The words of the journal: what is written down, how one entry is chained to the next, what breaks the chain."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

_NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


class EntryKind(StrEnum):
    """What happened.

    An INTENT is outstanding until an entry of a kind in `SETTLING` follows it; UNKNOWN is no such entry.
    """

    ASKED = "asked"
    DENIED = "denied"
    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINED = "declined"
    LAPSED = "lapsed"
    INTENT = "intent"
    ANSWERED = "answered"
    UNKNOWN = "unknown"
    READ_BACK = "read_back"
    SETTLED = "settled"
    HALTED = "halted"
    RESUMED = "resumed"
    ARMED = "armed"
    DISARMED = "disarmed"
    DAY_LOSS = "day_loss"
    SUSPICIOUS = "suspicious"
    ERROR = "error"


SETTLING = frozenset({EntryKind.ANSWERED, EntryKind.SETTLED})
"""ANSWERED: accepted, rejected, or certainly never sent. SETTLED: found out later, by looking or by the person."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is to be written down.

    ``summary`` is one line in our words. ``reason`` holds the assistant's words and nothing else. ``detail`` may hold
    whatever JSON holds; decimals, times and domain values in it are written as their text. ``fingerprint`` and
    ``opens`` belong to an INTENT: which action it is, and whether it may open or add.
    """

    kind: EntryKind
    summary: str
    account: str | None = None
    ticket_id: str | None = None
    own_id: str | None = None
    fingerprint: str | None = None
    opens: bool = False
    reason: str = ""
    detail: Mapping[str, object] = field(default=_NOTHING_MORE)


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
    """When an identical action was last about to be sent, and whether the fate of all such is known."""

    at: datetime
    settled: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking the whole chain found; ``last_hash`` is worth keeping somewhere else."""

    ok: bool
    count: int
    last_hash: str
    broken_at: int | None = None
    why: str = ""
