"""The acts at a team's plane, each chained to the one before, as Python checks what the database has written.

The hash is sha256 over all parts of an act in their order, the hash before it among them, each with its length in
bytes before it: ``1:1,32:2026-...``. It stands alone, since `plane_tables` makes the same in SQL, and neither may
change without the other.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from ct_mcp.domain.team import PlaneEntry
from ct_mcp.store.codec import time_from_text
from ct_mcp.store.journal import GENESIS, Verification

Row = tuple[Any, ...]
"""An act as the database holds it: the fields of `PlaneEntry` in their order, the time as text."""


def sealed(parts: Iterable[object]) -> str:
    """Give the hash over the parts of an act."""
    texts = [str(part).encode() for part in parts]
    return sha256(b",".join(b"%d:%b" % (len(text), text) for text in texts)).hexdigest()


def act_of(row: Row) -> PlaneEntry:
    """Read an act."""
    sequence, at, *rest = row
    return PlaneEntry(sequence, time_from_text(at), *rest)


def check_acts(rows: Iterable[Row], end: tuple[int, str]) -> Verification:
    """Check the chain from its first act on; ``end`` is the number and the hash that the last one was given."""
    count, last_hash = 0, GENESIS
    for row in rows:
        if why := _fault(row, count + 1, last_hash):
            return Verification(ok=False, count=count, last_hash=last_hash, broken_at=count + 1, why=why)
        count, last_hash = count + 1, row[-1]
    if (count, last_hash) != end:
        why = "it is missing, or there is more than was done"
        return Verification(ok=False, count=count, last_hash=last_hash, broken_at=count + 1, why=why)
    return Verification(ok=True, count=count, last_hash=last_hash)


def _fault(row: Row, sequence: int, last_hash: str) -> str:
    *body, stated = row
    if row[0] != sequence:
        return "it is missing"
    if body[-1] != last_hash:
        return "it does not follow from the act before it, or that one was rewritten"
    return "" if stated == sealed(body) else "its words do not match its hash"
