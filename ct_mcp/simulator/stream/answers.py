"""Answers to RPCs on their way out: on time, late, out of order, twice or never."""

from datetime import datetime, timedelta

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.faults import Disturbance
from ct_mcp.simulator.stream.frames import Frame
from ct_mcp.simulator.stream.outbox import Outbox


class Answers:
    """What is held back, and what goes straight on."""

    def __init__(self, addon: AddOn, outbox: Outbox, late_seconds: float) -> None:
        """Begin with nothing held back."""
        self._addon, self._outbox = addon, outbox
        self._lateness = timedelta(seconds=late_seconds)
        self._late: list[tuple[datetime, Frame]] = []
        self._overtaken: list[Frame] = []

    def give(self, api: str, frame: Frame) -> None:
        """Send an answer as the disturbances allow."""
        faults = self._addon.faults
        if faults.take(Disturbance.RPC_ANSWER_LOST, api):
            return
        if faults.take(Disturbance.RPC_ANSWER_LATE, api):
            self._late.append((self._addon.now + self._lateness, frame))
        elif faults.take(Disturbance.RPC_ANSWER_OVERTAKEN, api):
            self._overtaken.append(frame)
        else:
            times = 2 if faults.take(Disturbance.RPC_ANSWER_DOUBLED, api) else 1
            self._say([frame] * times + self._overtaken)
            self._overtaken = []

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until` at which a late answer goes out."""
        return min((at for at, _ in self._late if at <= until), default=None)

    def due(self) -> None:
        """Send the late answers that are due."""
        now = self._addon.now
        self._say([frame for at, frame in self._late if at <= now])
        self._late = [(at, frame) for at, frame in self._late if at > now]

    def _say(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._outbox.say(frame)
