"""Where an episode is played: the simulator, the servers under test, the journal, and the clock that all share."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from child import Child, script
from client_behaviours import EPISODE_SECONDS, Assistant, Seat
from fault_plan import DATABASE, NOBODY_LISTENS, Arm
from journal_check import JournalReader
from operations import Truth
from shared_state import SharedState

# Every episode begins at the same moment of the market, so that the same seed meets the same prices.
_BEGINS_AT = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
_LONGEST_SECONDS = 30.0


class Simulator(Child):
    """The simulator, for as long as an episode takes."""

    longest_life_seconds = EPISODE_SECONDS


@dataclass(frozen=True, slots=True)
class Played:
    """What is played with: the stream or none, and a folder or a database (the URL of its administrator)."""

    stream: bool
    database: str = ""

    @property
    def machines(self) -> int:
        """Of those that share a database there are two."""
        return 2 if self.database else 1


class Machine:
    """One server with a state folder of its own, and who sits at it."""

    seat: Seat

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.refuse("0 0")

    def refuse(self, said: str) -> None:
        """Let nobody listen, after so many requests, so many times."""
        self._refused = int(said.split()[1])
        (self.folder / "unreachable").write_text(said, encoding="utf-8")

    def let_go(self) -> int:
        """Let somebody listen again; gives how often nobody did."""
        left = int((self.folder / "unreachable").read_text(encoding="utf-8").split()[1])
        refused = self._refused - left
        self.refuse("0 0")
        return refused

    def is_quiet(self, until: float) -> bool:
        """Wait until no ticket is being spent any more, whoever gave it up; False where that never ends."""
        file = self.folder / "under-way"
        while time.monotonic() < until:
            if not file.exists() or file.read_text(encoding="utf-8") == "0":
                return True
            time.sleep(0.002)
        return False


class Harness:
    """The simulator, the clock that everybody shares, and who sits at the assistant's place, at one or two machines."""

    def __init__(self, home: Path, seed: int, stack: ExitStack, played: Played) -> None:
        self.has_stream = played.stream
        self.machines = [Machine(home / f"state-{number}") for number in range(played.machines)]
        self.at = self.machines[0]
        self._clock = home / "clock"
        self._ahead = (_BEGINS_AT - datetime.now(UTC)).total_seconds()
        self.pass_time(0.0)
        self._simulator = stack.enter_context(Simulator(script("counting.py", str(seed), str(self._clock)), home))
        door = json.loads(self._simulator.hear())
        self._shared = SharedState(played.database, stack) if played.database else None
        for machine in self.machines:
            if self._shared is not None:
                self._shared.reached_from(machine.folder)
            rest = [str(machine.folder), str(self._clock), "stream" if played.stream else "no stream"]
            server = script("hasty.py", door["url"], door["token"], *rest)
            machine.seat = stack.enter_context(Seat.take(partial(Assistant, server, home)))
        for machine in self.machines:
            machine.seat.other = self.machines[-1 if machine is self.machines[0] else 0].seat
        folders = [machine.folder for machine in self.machines]
        self.journal = JournalReader(folders, None if self._shared is None else self._shared.opened())
        stack.enter_context(self.journal.opened())

    @property
    def seat(self) -> Seat:
        """Where the assistant sits."""
        return self.at.seat

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

    def sit_down(self, rng: Random) -> None:
        """Go to one of the machines."""
        if len(self.machines) > 1:
            self.at = rng.choice(self.machines)

    def tell(self, **said: Any) -> Truth:
        """Tell the simulator something, and hear what it says."""
        self._simulator.say(json.dumps(said).encode())
        heard: Truth = json.loads(self._simulator.hear())
        return heard

    def arm(self, arms: Sequence[Arm], rng: Random) -> None:
        """Let things go wrong from now on; what happens to a machine, to that where the assistant sits."""
        self.tell(arm=[arm for arm in arms if arm[0] not in (NOBODY_LISTENS, *DATABASE)])
        for fault, after, times in arms:
            if fault == NOBODY_LISTENS:
                self.at.refuse(f"{after} {times}")
            elif fault in DATABASE and self._shared is not None:
                self._shared.arm(self.at.folder, fault, rng)

    def let_go(self, root: str, arms: Sequence[Arm] = ()) -> Truth:
        """Let nothing go wrong any more, wait until nothing is under way, and hear what is so."""
        truth = self.tell(disarm=True, truth=root)
        truth["struck"][NOBODY_LISTENS] = self.at.let_go()
        if self._shared is not None:
            struck = self._shared.let_go(self.at.folder)
            truth["struck"].update({fault: struck for fault, *_ in arms if fault in DATABASE})
        return truth

    def is_quiet(self) -> bool:
        """Wait until no ticket is being spent any more, whoever gave it up; False where that never ends."""
        until = time.monotonic() + _LONGEST_SECONDS
        return all([machine.is_quiet(until) for machine in self.machines])
