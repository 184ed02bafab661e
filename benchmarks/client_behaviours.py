"""How a client may call: and wait, or lose patience, or lose the server. What it heard is what it knows."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from child import Child
from conversation import Conversation
from judge import UNHEARD, Said
from operations import Operation

# A call without a fault takes some 15 to 40 ms; so long after its beginning something happens to it.
_SOONEST_SECONDS, _LATEST_SECONDS = 0.0, 0.06
# A server that falls silent ends with this; on a busy machine an episode takes minutes.
EPISODE_SECONDS = 3_600.0
Start = Callable[[], "Assistant"]


class Assistant(Conversation):
    """A client that has several calls in flight, and may take one back."""

    longest_life_seconds = EPISODE_SECONDS

    def __init__(self, command: list[str], home: Any) -> None:
        super().__init__(command, home)
        self._heard: dict[int, dict[str, Any]] = {}
        self.initialize()

    def begin(self, operation: Operation) -> int:
        """Call, and wait for nothing."""
        self._last_id += 1
        params = {"name": operation.tool, "arguments": operation.arguments}
        self._send({"id": self._last_id, "method": "tools/call", "params": params})
        return self._last_id

    def take_back(self, call: int) -> None:
        """Tell the server that nobody waits for it any more."""
        self._send({"method": "notifications/cancelled", "params": {"requestId": call, "reason": "impatient"}})

    def answer(self, call: int) -> Said:
        """Wait for the answer to one call."""
        while call not in self._heard:
            message = json.loads(self.hear())
            if isinstance(message.get("id"), int):
                self._heard[message["id"]] = message
        return said(self._heard.pop(call))

    def answer_so_far(self, call: int) -> Said:
        """The answer to a call, if it came before others that were waited for."""
        message = self._heard.pop(call, None)
        return said(message) if message else UNHEARD

    def _send(self, message: dict[str, Any]) -> None:
        self.say(json.dumps({"jsonrpc": "2.0", **message}).encode())


class Seat:
    """Where the assistant sits: another one takes its place when its server is killed."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.assistant = start()
        self.other = self
        """Where the same person's other machine is; this one where there is none."""

    def killed(self) -> "Assistant":
        """Kill the server in the middle, and start it again over the same state folder."""
        self.assistant.kill()
        self._leave()
        self.assistant = self._start()
        return self.assistant

    def _leave(self) -> None:
        Child.__exit__(self.assistant, None, None, None)

    @classmethod
    @contextmanager
    def take(cls, start: Start) -> Iterator["Seat"]:
        """Sit there while the block runs."""
        seat = cls(start)
        try:
            yield seat
        finally:
            seat._leave()


Behaviour = Callable[[Seat, Operation, Random], list[Said]]


def plainly(seat: Seat, operation: Operation, _: Random) -> list[Said]:
    """Call and wait."""
    return [seat.assistant.answer(seat.assistant.begin(operation))]


def cancelled(seat: Seat, operation: Operation, rng: Random) -> list[Said]:
    """Take it back in the middle, and ask again."""
    assistant = seat.assistant
    first = assistant.begin(operation)
    _wait(rng)
    assistant.take_back(first)
    second = assistant.answer(assistant.begin(operation))
    return [assistant.answer_so_far(first), second]


def retried(seat: Seat, operation: Operation, rng: Random) -> list[Said]:
    """Ask again while the first call is under way, as a client does that has waited long enough."""
    assistant = seat.assistant
    first = assistant.begin(operation)
    _wait(rng)
    second = assistant.begin(operation)
    return [assistant.answer(first), assistant.answer(second)]


def killed(seat: Seat, operation: Operation, rng: Random) -> list[Said]:
    """Lose the server in the middle, start it again, and ask again."""
    seat.assistant.begin(operation)
    _wait(rng)
    assistant = seat.killed()
    return [UNHEARD, assistant.answer(assistant.begin(operation))]


def asked_elsewhere(seat: Seat, operation: Operation, rng: Random) -> list[Said]:
    """Ask for the same at the other machine while the first call is under way."""
    first = seat.assistant.begin(operation)
    _wait(rng)
    second = seat.other.assistant.answer(seat.other.assistant.begin(operation))
    return [seat.assistant.answer(first), second]


def killed_here(seat: Seat, operation: Operation, rng: Random) -> list[Said]:
    """Lose the server in the middle, and ask for the same at the other machine."""
    seat.assistant.begin(operation)
    _wait(rng)
    seat.killed()
    return [UNHEARD, seat.other.assistant.answer(seat.other.assistant.begin(operation))]


BEHAVIOURS: dict[str, tuple[Behaviour, int]] = {
    "plainly": (plainly, 66),
    "cancelled and asked again": (cancelled, 15),
    "asked again meanwhile": (retried, 17),
    "killed and asked again": (killed, 2),
}
"""Each with how often it is taken, in a hundred."""
OF_TWO_MACHINES: dict[str, tuple[Behaviour, int]] = {
    **BEHAVIOURS,
    "asked at the other machine meanwhile": (asked_elsewhere, 30),
    "killed and asked at the other machine": (killed_here, 4),
}
"""The same, with how often beside those."""


def said(message: dict[str, Any]) -> Said:
    """What an assistant has of an answer."""
    result = message.get("result")
    if result is None:
        return Said(None, str(message.get("error", {}).get("message")), {}, is_heard=False)
    structure = result.get("structuredContent") or {}
    text = "\n".join(part.get("text", "") for part in result["content"])
    return Said(structure.get("status"), text, structure)


def _wait(rng: Random) -> None:
    time.sleep(rng.uniform(_SOONEST_SECONDS, _LATEST_SECONDS))
