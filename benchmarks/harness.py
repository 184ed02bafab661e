"""Where an episode is played: the simulator, the server under test, the journal, and the clock that all share."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from child import Child, script
from client_behaviours import EPISODE_SECONDS, Assistant, Seat
from fault_plan import NOBODY_LISTENS, Arm
from journal_check import JournalReader
from operations import Truth

# Every episode begins at the same moment of the market, so that the same seed meets the same prices.
_BEGINS_AT = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
_LONGEST_SECONDS = 30.0


class Simulator(Child):
    """The simulator, for as long as an episode takes."""

    longest_life_seconds = EPISODE_SECONDS


class Harness:
    """The simulator, the clock that everybody shares, and who sits at the assistant's place."""

    def __init__(self, home: Path, seed: int, stack: ExitStack, *, stream: bool) -> None:
        self.has_stream = stream
        self.state_dir = home / "state"
        self.state_dir.mkdir(parents=True)
        self._clock = home / "clock"
        self._ahead = (_BEGINS_AT - datetime.now(UTC)).total_seconds()
        self.pass_time(0.0)
        self._refuse("0 0")
        self._simulator = stack.enter_context(Simulator(script("counting.py", str(seed), str(self._clock)), home))
        door = json.loads(self._simulator.hear())
        rest = [str(self.state_dir), str(self._clock), "stream" if stream else "no stream"]
        server = script("hasty.py", door["url"], door["token"], *rest)
        self.seat = stack.enter_context(Seat.take(partial(Assistant, server, home)))
        self.journal = JournalReader(self.state_dir)
        stack.enter_context(self.journal.opened())

    @property
    def now(self) -> datetime:
        """The time that everybody is told."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody at once."""
        self._ahead += seconds
        fresh = self._clock.with_suffix(".new")  # in one stroke: whoever reads meanwhile finds the old or the new
        fresh.write_text(repr(self._ahead), encoding="utf-8")
        fresh.replace(self._clock)

    def tell(self, **said: Any) -> Truth:
        """Tell the simulator something, and hear what it says."""
        self._simulator.say(json.dumps(said).encode())
        heard: Truth = json.loads(self._simulator.hear())
        return heard

    def arm(self, arms: Sequence[Arm]) -> None:
        """Let things go wrong from now on."""
        self.tell(arm=[arm for arm in arms if arm[0] != NOBODY_LISTENS])
        for _, after, times in (arm for arm in arms if arm[0] == NOBODY_LISTENS):
            self._refuse(f"{after} {times}")

    def let_go(self, root: str) -> Truth:
        """Let nothing go wrong any more, wait until nothing is under way, and hear what is so."""
        truth = self.tell(disarm=True, truth=root)
        file = self.state_dir / "unreachable"
        armed, left = self._refused, file.read_text(encoding="utf-8").split()[1] if file.exists() else "0"
        truth["struck"][NOBODY_LISTENS] = armed - int(left)
        self._refuse("0 0")
        return truth

    def _refuse(self, said: str) -> None:
        self._refused = int(said.split()[1])
        (self.state_dir / "unreachable").write_text(said, encoding="utf-8")

    def is_quiet(self) -> bool:
        """Wait until no ticket is being spent any more, whoever gave it up; False where that never ends."""
        file, until = self.state_dir / "under-way", time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < until:
            if not file.exists() or file.read_text(encoding="utf-8") == "0":
                return True
            time.sleep(0.002)
        return False
