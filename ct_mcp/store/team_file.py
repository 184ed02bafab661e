"""What was last heard of a team's plane, in a file of the state folder for its owner alone.

A restart forgets neither a halt nor a policy by it, and gains no time: how far the clock has been is kept as well.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import TeamHalt, TeamPolicy, TeamWord
from ct_mcp.errors import StoreFailed
from ct_mcp.files import read_private_file, replace_private_file
from ct_mcp.store.codec import canonical, time_from_text, time_to_text

_LONGEST = 1024 * 1024
"""Two policies of the longest that there may be, and some halts."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the plane said last and when, and the latest time that the clock of this machine has shown since."""

    word: TeamWord
    heard_at: datetime
    seen_at: datetime


class TeamFile:
    """The file of one plane, as one role sees it: what another one said is no word of this one."""

    def __init__(self, folder: Path, plane: str) -> None:
        """Name the file; nothing is read or made yet."""
        self.path = folder / f"team-{sha256(plane.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.json"

    def read(self) -> Heard | None:
        """Read it; None where there is none, or where it is not what we wrote for our eyes alone."""
        try:
            return _heard_of(json.loads(read_private_file(self.path, _LONGEST)))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def keep(self, heard: Heard) -> None:
        """Put it in place of what was heard before. Where that fails, a restart knows what was kept last.

        What another process of this folder has heard since stays; a word of a time that is still to come does not.
        """
        there = self.read()
        if there is not None and heard.heard_at < there.heard_at <= heard.seen_at:
            heard = replace(there, seen_at=max(there.seen_at, heard.seen_at))
        with suppress(OSError, StoreFailed):
            replace_private_file(self.path, canonical(_as_json(heard)))


def _as_json(heard: Heard) -> Mapping[str, object]:
    return {
        "heard_at": time_to_text(heard.heard_at),
        "seen_at": time_to_text(heard.seen_at),
        "halts": [
            {"trader": each.trader, "by": each.halt.by, "at": time_to_text(each.halt.at), "reason": each.halt.reason}
            for each in heard.word.halts
        ],
        "policies": [
            {"number": one.number, "trader": one.trader, "text": one.text, "by": one.by, "at": time_to_text(one.at)}
            for one in heard.word.policies
        ],
    }


def _heard_of(kept: Mapping[str, Any]) -> Heard:
    halts = tuple(
        TeamHalt(str(each["trader"]), Halt(str(each["by"]), time_from_text(each["at"]), str(each["reason"])))
        for each in kept["halts"]
    )
    policies = tuple(
        TeamPolicy(int(one["number"]), str(one["trader"]), str(one["text"]), str(one["by"]), time_from_text(one["at"]))
        for one in kept["policies"]
    )
    return Heard(TeamWord(halts, policies), time_from_text(kept["heard_at"]), time_from_text(kept["seen_at"]))
