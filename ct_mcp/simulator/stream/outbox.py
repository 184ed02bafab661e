"""Outgoing side of one connection: numbered pushes, answers on time or late, and the end of the connection.

A bounded number of pushes may wait for a slow reader, what is over it is dropped and counted. Answers are never
dropped, but a fault may lose, delay, reorder or double them. Of the reasons for an end only "Session active elsewhere"
is known, and of the codes only 1008.
"""

import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.faults import Faults, StreamFault
from ct_mcp.simulator.rest.wire import epoch_milliseconds
from ct_mcp.simulator.stream.assumptions import StreamAssumptions
from ct_mcp.simulator.stream.messages import FrameJson


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """How a connection ends; without a code it ends without a close frame."""

    code: int | None
    reason: str = ""


CONNECTION_CUT = ConnectionEnd(None)
TOO_MANY_VIOLATIONS = ConnectionEnd(1008, "Too many rate limit violations")
_END_OF_FAULT = {
    StreamFault.SOCKET_CUT: CONNECTION_CUT,
    StreamFault.SOCKET_CLOSED: ConnectionEnd(1012, "Service restart"),
    StreamFault.SOCKET_BANNED: TOO_MANY_VIOLATIONS,
}
GARBAGE: dict[StreamFault, str] = {
    StreamFault.FRAME_NOT_JSON: "<html><body><h1>502 Bad Gateway</h1></body></html>",
    StreamFault.FRAME_BROKEN_OFF: '{"type":"marketData","quotes":[{"instrument":"ES ',
    StreamFault.FRAME_NO_OBJECT: "[1,null]",
    StreamFault.FRAME_UNKNOWN: '{"type":"maintenanceNotice","text":"Scheduled maintenance on Saturday"}',
    StreamFault.FRAME_HUGE: '{"type":"maintenanceNotice","text":"' + "x" * 2_097_152 + '"}',
}


@dataclass(frozen=True, slots=True)
class _WaitingFrame:
    text: str
    is_push: bool


def session_elsewhere(assumptions: StreamAssumptions) -> ConnectionEnd:
    """Return the end of a connection whose place another one has taken."""
    return ConnectionEnd(assumptions.elsewhere_code, "Session active elsewhere")


def due_end(faults: Faults, assumptions: StreamAssumptions) -> ConnectionEnd | None:
    """Use a fault that ends the connection, if one is due, and return the end."""
    fault = next((each for each in (*_END_OF_FAULT, StreamFault.SESSION_ELSEWHERE) if faults.take(each)), None)
    if fault is None:
        return None
    return _END_OF_FAULT.get(fault) or session_elsewhere(assumptions)


class Outbox:
    """Frames in the order in which they go out, and the end of the connection after them."""

    def __init__(self, faults: Faults, assumptions: StreamAssumptions) -> None:
        """Start empty; the first pushed frame has the number one."""
        self.closing: ConnectionEnd | None = None
        self._faults, self._assumptions = faults, assumptions
        self._frames: deque[_WaitingFrame] = deque()
        self.dropped = self._pushes = self._seq = 0
        self._news, self._room = anyio.Event(), anyio.Event()

    def push(self, frame: FrameJson, at: datetime) -> None:
        """Add a numbered frame, unless the reader has fallen too far behind."""
        kind = str(frame["type"])
        full = self._pushes >= self._assumptions.queue_frames
        if self._faults.take(StreamFault.FRAME_DROPPED, kind) or full:
            self.dropped += 1
            return
        self._seq += 1
        if self._faults.take(StreamFault.FRAME_LOST, kind):
            return
        if garbage := self._faults.first_due(tuple(GARBAGE), kind):
            self._put(GARBAGE[garbage], is_push=True)
        numbered = {**frame, "seq": self._seq, "dropped": self.dropped, "epoch": epoch_milliseconds(at)}
        if not self._assumptions.dropped_adds_up:
            self.dropped = 0
        for _ in range(2 if self._faults.take(StreamFault.FRAME_DOUBLED, kind) else 1):
            self._put(_to_text(numbered), is_push=True)

    def answer(self, frame: FrameJson) -> None:
        """Add an answer, which has no number and is never dropped."""
        self._put(_to_text(frame), is_push=False)

    def close(self, end: ConnectionEnd) -> None:
        """End the connection after the frames that wait; the first end counts, and nothing follows it."""
        self.closing = self.closing or end
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
        """Wait until the reader has caught up somewhat; until then nothing more is read from it."""
        while len(self._frames) >= 2 * self._assumptions.queue_frames and self.closing is None:
            self._room = anyio.Event()
            await self._room.wait()

    def _put(self, text: str, *, is_push: bool) -> None:
        if self.closing is not None or self._faults.holds(StreamFault.SOCKET_SILENT):
            return
        self._frames.append(_WaitingFrame(text, is_push))
        self._pushes += is_push
        self._news.set()


class RpcAnswers:
    """Answers to RPCs on their way to the outbox: on time, late, out of order, twice or never."""

    def __init__(self, addon: AddOn, outbox: Outbox, late_seconds: float) -> None:
        """Start with no answer held back."""
        self._addon, self._outbox = addon, outbox
        self._delay = timedelta(seconds=late_seconds)
        self._late: list[tuple[datetime, FrameJson]] = []
        self._overtaken: list[FrameJson] = []

    def send(self, api: str, frame: FrameJson) -> None:
        """Send an answer, as the faults allow."""
        faults = self._addon.faults
        if faults.take(StreamFault.RPC_ANSWER_LOST, api):
            return
        if faults.take(StreamFault.RPC_ANSWER_LATE, api):
            self._late.append((self._addon.now + self._delay, frame))
        elif faults.take(StreamFault.RPC_ANSWER_OVERTAKEN, api):
            self._overtaken.append(frame)
        else:
            times = 2 if faults.take(StreamFault.RPC_ANSWER_DOUBLED, api) else 1
            self._send_all([frame] * times + self._overtaken)
            self._overtaken = []

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which a late answer goes out."""
        return min((at for at, _ in self._late if at <= until), default=None)

    def send_due(self) -> None:
        """Send the late answers that are due."""
        now = self._addon.now
        self._send_all([frame for at, frame in self._late if at <= now])
        self._late = [(at, frame) for at, frame in self._late if at > now]

    def _send_all(self, frames: list[FrameJson]) -> None:
        for frame in frames:
            self._outbox.answer(frame)


def _to_text(frame: FrameJson) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace").decode()
