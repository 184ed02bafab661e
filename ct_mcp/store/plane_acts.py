"""The acts at a team's plane, each chained to the one before, as Python checks what the database has written.

The hash is sha256 over all parts of an act in their order, the hash before it among them, each with its length in
bytes before it: ``1:1,32:2026-...``. `plane_tables` makes the same in SQL. What stands at the plane (halts, policies,
second answers) is held against what the acts say, so that a row that was changed by hand is found as well.
"""

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from ct_mcp.domain.team import PlaneEntry, SecondState
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


class StandsByActs:
    """What stands at the plane by its acts."""

    def __init__(self) -> None:
        """Begin before the first act."""
        self._halts: dict[str, Row] = {}
        self._policies = set[Row]()
        self._answers = set[Row]()

    def noted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Give the acts on to who checks them, and note each that has passed."""
        for row in rows:
            yield row
            self._note(act_of(row))

    def differs(self, halts: Iterable[Row], policies: Iterable[Row], answers: Iterable[Row]) -> str:
        """Say what stands otherwise than by the acts; questions of long ago may be gone."""
        if set(halts) != {(trader, *said) for trader, said in self._halts.items()}:
            return "the halts are not what the acts say"
        if set(policies) != self._policies:
            return "the policies are not what the acts say"
        return "" if set(answers) <= self._answers else "the second answers are not what the acts say"

    def _note(self, entry: PlaneEntry) -> None:
        detail = _named(entry.detail)
        match entry.act:
            case "halted":
                self._halts[entry.trader] = (entry.by, detail.get("reason"))
            case "resumed":
                self._halts.pop(entry.trader, None)
            case "policy_set":
                self._policies.add((detail.get("number"), entry.trader, detail.get("sha256")))
            case "second_yes" | "second_no":
                state = SecondState.APPROVED if entry.act == "second_yes" else SecondState.DECLINED
                self._answers.add((detail.get("ticket_id"), detail.get("fingerprint"), state.value, entry.by))


def _named(detail: str) -> dict[str, Any]:
    """Read what an act was about; nothing of what is none of ours."""
    read = json.loads(detail)
    return read if isinstance(read, dict) else {}


def _fault(row: Row, sequence: int, last_hash: str) -> str:
    *body, stated = row
    if row[0] != sequence:
        return "it is missing"
    if body[-1] != last_hash:
        return "it does not follow from the act before it, or that one was rewritten"
    return "" if stated == sealed(body) else "its words do not match its hash"
