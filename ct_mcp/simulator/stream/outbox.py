"""What waits to go out on one connection: numbered pushes, a bounded number of them, and everything else."""

import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime

import anyio

from ct_mcp.simulator.faults import Disturbance, Faults
from ct_mcp.simulator.rest.times import milliseconds
from ct_mcp.simulator.stream.frames import Frame
from ct_mcp.simulator.stream.habits import StreamHabits

GARBAGE: dict[Disturbance, str] = {
    Disturbance.FRAME_NOT_JSON: "<html><body><h1>502 Bad Gateway</h1></body></html>",
    Disturbance.FRAME_BROKEN_OFF: '{"type":"marketData","quotes":[{"instrument":"ES ',
    Disturbance.FRAME_NO_OBJECT: "[1,null]",
    Disturbance.FRAME_UNKNOWN: '{"type":"maintenanceNotice","text":"Scheduled maintenance on Saturday"}',
    Disturbance.FRAME_HUGE: '{"type":"maintenanceNotice","text":"' + "x" * 2_097_152 + '"}',
}


@dataclass(frozen=True, slots=True)
class Closing:
    """How the connection ends; without a code it ends without a close frame."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    text: str
    is_push: bool


class Outbox:
    """Frames in the order in which they go out, and the end of the connection after them."""

    def __init__(self, faults: Faults, habits: StreamHabits) -> None:
        """Begin with nothing, and with number one."""
        self.closing: Closing | None = None
        self._faults, self._habits = faults, habits
        self._frames: deque[_Waiting] = deque()
        self.dropped = self._pushes = self._seq = 0
        self._news, self._room = anyio.Event(), anyio.Event()

    def push(self, frame: Frame, at: datetime) -> None:
        """Let a numbered frame follow, if the reader has not fallen too far behind."""
        kind = str(frame["type"])
        full = self._pushes >= self._habits.queue_frames
        if self._faults.take(Disturbance.FRAME_DROPPED, kind) or full:
            self.dropped += 1
            return
        self._seq += 1
        if self._faults.take(Disturbance.FRAME_LOST, kind):
            return
        if garbage := self._faults.first_due(tuple(GARBAGE), kind):
            self._put(GARBAGE[garbage], is_push=True)
        numbered = {**frame, "seq": self._seq, "dropped": self.dropped, "epoch": milliseconds(at)}
        if not self._habits.dropped_adds_up:
            self.dropped = 0
        for _ in range(2 if self._faults.take(Disturbance.FRAME_DOUBLED, kind) else 1):
            self._put(_written(numbered), is_push=True)

    def say(self, frame: Frame) -> None:
        """Let an answer follow, which has no number and is never dropped."""
        self._put(_written(frame), is_push=False)

    def close(self, closing: Closing) -> None:
        """End the connection after what waits; the first end counts, and nothing follows it."""
        self.closing = self.closing or closing
        self._news.set()
        self._room.set()

    def take(self) -> str | None:
        """Take the next frame, if there is one."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._pushes -= frame.is_push
        self._room.set()
        return frame.text

    async def next(self) -> str | None:
        """Wait for the next frame; None if the connection ends instead."""
        while (text := self.take()) is None and self.closing is None:
            self._news = anyio.Event()
            await self._news.wait()
        return text

    async def room(self) -> None:
        """Wait until the reader has caught up somewhat; till then nothing more is taken from it."""
        while len(self._frames) >= 2 * self._habits.queue_frames and self.closing is None:
            self._room = anyio.Event()
            await self._room.wait()

    def _put(self, text: str, *, is_push: bool) -> None:
        if self.closing is not None or self._faults.holds(Disturbance.SOCKET_SILENT):
            return
        self._frames.append(_Waiting(text, is_push))
        self._pushes += is_push
        self._news.set()


def _written(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace").decode()
