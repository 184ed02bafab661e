"""The socket around the protocol, with sockets that a test hands in, and once over a real one."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Request, Response

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap
from ct_mcp.crosstrade.stream.socket import LiveStream, Socket, jittered, over_websocket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.simulator.clock import ManualClock

ES = Instrument("ES", 2026, 12)
EVENT = '{"type":"orderUpdate","account":"Sim101","seq":%d}'
GOING = ConnectionClosedError(Close(1001, "going away"), None)
ELSEWHERE = ConnectionClosedError(Close(1000, "Session active elsewhere"), None)


class Script:
    """Connections one after the other, each a list of what its reading gives; the test ends when they are used up."""

    def __init__(self, clock: ManualClock, *connections: list[str | bytes | Exception]) -> None:
        self.clock, self.connections, self.sent, self.pauses = clock, list(connections), list[str](), list[float]()
        self.heard: list[Event] = []

        self.scope = anyio.CancelScope()
        self.stream = LiveStream(self.open, clock=clock, pause=self.pause, look_every_seconds=0.01)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Socket]:
        match self.connections.pop(0):
            case [Exception() as failure]:
                raise failure
            case frames:
                yield Reader(self, frames)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.connections:
            self.scope.cancel()
        await anyio.lowlevel.checkpoint()

    async def run(self, holds: Callable[[], Awaitable[bool]]) -> None:
        with anyio.fail_after(60), self.scope:
            await self.stream.run(self.heard.append, holds)

    @property
    def gaps(self) -> list[str]:
        """Of the endings: that a connection begins is one as well."""
        return [event.why for event in self.heard if isinstance(event, Gap) and "began" not in event.why]


class Reader:
    """A socket that reads its frames, then stays silent while time passes."""

    def __init__(self, script: Script, frames: list[str | bytes | Exception]) -> None:
        self.script, self.frames = script, frames

    async def recv(self) -> str | bytes:
        if self.frames:
            match self.frames.pop(0):
                case str() | bytes() as frame:
                    return frame
                case failure:
                    raise failure
        self.script.clock.advance(5)
        await anyio.sleep_forever()
        raise AssertionError("nobody wakes it")

    async def send(self, message: str) -> None:
        self.script.sent.append(message)


async def always() -> bool:
    return True


async def test_what_comes_is_told_and_the_end_is_a_gap(clock: ManualClock) -> None:
    script = Script(clock, [EVENT % 1, GOING])
    await script.run(always)
    assert AccountChanged("Sim101") in script.heard
    assert script.gaps == ["the stream ended: going away"]
    assert len(script.sent) == 2


async def test_it_comes_back_and_waits_longer_each_time_it_cannot(clock: ManualClock) -> None:
    refused = [OSError("refused")]
    script = Script(clock, list(refused), list(refused), [EVENT % 1, GOING], list(refused))
    script.stream.want(frozenset({ES}))
    await script.run(always)
    assert script.pauses == [2.0, 5.0, 2.0, 5.0]
    assert json.loads(script.sent[-1]) == {"action": "subscribe", "instruments": ["ES 12-26"]}
    assert script.gaps[0] == "the stream ended: OSError", "what the system said may hold an address"


async def test_silence_is_asked_and_then_given_up(clock: ManualClock) -> None:
    script = Script(clock, [])
    await script.run(always)
    assert json.loads(script.sent[-1]) == {"action": "ping"}
    assert script.gaps == ["the stream ended: nothing came for too long"]


async def test_a_frame_of_bytes_is_read_as_text(clock: ManualClock) -> None:
    script = Script(clock, [(EVENT % 1).encode(), b"\xff", GOING])
    await script.run(always)
    assert AccountChanged("Sim101") in script.heard
    assert script.gaps == ["a frame of the stream is no JSON", "the stream ended: going away"]


async def test_a_connection_that_breaks_off_says_so(clock: ManualClock) -> None:
    script = Script(clock, [ConnectionClosedError(None, None)])
    await script.run(always)
    assert script.gaps == ["the stream ended: it broke off"]


async def test_another_program_that_has_the_stream_keeps_it(clock: ManualClock) -> None:
    script = Script(clock, [ELSEWHERE], ["never read"])
    await script.run(always)
    assert script.stream.protocol.is_displaced
    assert script.connections == [["never read"]]


@pytest.mark.parametrize(("status", "comes_back"), [(401, False), (403, False), (503, True)])
async def test_a_token_that_is_refused_is_not_tried_again(clock: ManualClock, status: int, comes_back: bool) -> None:
    refusal = InvalidStatus(Response(status, "no", Headers()))
    script = Script(clock, [refusal], [EVENT % 1, GOING])
    await script.run(always)
    assert (not script.connections) == comes_back
    assert script.stream.refused == ("" if comes_back else f"the service answered {status}")


async def test_it_is_opened_only_by_the_one_who_holds_it(clock: ManualClock) -> None:
    answers = iter([False, True, True, False])

    async def holds() -> bool:
        return next(answers)

    script = Script(clock, [EVENT % 1, "never read"])
    await script.run(holds)
    assert script.pauses == [1.0, 2.0]
    assert script.gaps == ["the stream ended: another process has it now"]


async def test_waiting_is_bounded_by_what_is_asked_for() -> None:
    with anyio.fail_after(60):
        await jittered(0.0)


async def test_over_a_real_socket_the_token_goes_to_the_service_and_to_nobody_else(clock: ManualClock) -> None:
    seen: list[tuple[str, str | None]] = []
    elsewhere: list[str] = []

    def note(_: ServerConnection, request: Request) -> Response | None:
        seen.append((request.path, request.headers.get("Authorization")))
        if len(seen) == 1:
            return Response(302, "Found", Headers({"Location": f"ws://127.0.0.1:{other_port}/ws/stream"}))
        return None

    def trap(connection: ServerConnection, request: Request) -> Response:
        elsewhere.append(request.path)
        return connection.respond(403, "no")

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(EVENT % 1)
        await connection.close(1000, "Session active elsewhere")

    async def at_once(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    heard: list[Event] = []
    async with serve(talk, "127.0.0.1", 0, process_request=trap) as other:
        other_port = other.sockets[0].getsockname()[1]
        async with serve(talk, "127.0.0.1", 0, process_request=note) as server:
            base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            stream = LiveStream(over_websocket(base, "the-token"), clock=clock, pause=at_once)
            with anyio.fail_after(60):
                await stream.run(heard.append, always)
    assert seen == [("/ws/stream", "Bearer the-token")] * 2
    assert not elsewhere
    assert AccountChanged("Sim101") in heard
    assert stream.protocol.is_displaced
