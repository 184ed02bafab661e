"""Real server processes over stdio, a simulator that they talk to, and a folder that outlives them."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import anyio
import pytest
from anyio import to_thread
from mcp import Client
from mcp_types import TextContent

from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.forked import Program, start_program
from tests.resilience.stopping_server import POLICY, TOOLSETS, Furniture, furnish

STOPPING_SERVER = "tests.resilience.stopping_server"
AT_ONCE = ExchangePace(acknowledgement_seconds=0.0, fill_seconds=0.0)
LONGEST_SECONDS = 300
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "hardship", "version": "1"},
}


class Server:
    """A server process and its client, line by line; every line that it writes has to be a message."""

    def __init__(self, process: "Program | subprocess.Popen[str]") -> None:
        self._process = process
        self._watchdog = Timer(LONGEST_SECONDS, self._process.kill)
        self._watchdog.daemon = True
        self._number = 0
        self._answers: dict[object, dict[str, Any]] = {}

    @property
    def pid(self) -> int:
        """Which process it is."""
        return self._process.pid

    def say(self, *messages: object) -> None:
        """Write one line for each; text goes out as it is."""
        assert self._process.stdin is not None
        for message in messages:
            self._process.stdin.write(f"{message if isinstance(message, str) else json.dumps(message)}\n")
        self._process.stdin.flush()

    async def meets(self) -> None:
        """Shake hands; from now on it has so long to live, however long ago it was made."""
        self._watchdog.start()
        await self.answer(self.asks("initialize", **HELLO))
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def asks(self, method: str, **params: object) -> int:
        """Send a request; gives its number."""
        self._number += 1
        self.say({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number

    def begins(self, tool: str, **arguments: object) -> int:
        """Call a tool, and wait for nothing."""
        return self.asks("tools/call", name=tool, arguments=arguments)

    async def answer(self, number: int) -> dict[str, Any]:
        """Wait for one answer; the others are kept."""
        while number not in self._answers:
            message = json.loads(await self._read(self._process.stdout))
            assert message["jsonrpc"] == "2.0"
            self._answers[message.get("id")] = message
        return self._answers.pop(number)

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool; its structure, and its whole text as ``text``."""
        result = (await self.answer(self.begins(tool, **arguments)))["result"]
        text = "\n".join(part["text"] for part in result["content"])
        return {"text": text, **(result.get("structuredContent") or {})}

    async def stops(self) -> None:
        """Wait until it stands at its place."""
        assert await self._read(self._process.stderr) == "stopped\n"

    async def _read(self, stream: Any) -> str:
        with anyio.fail_after(LONGEST_SECONDS):
            line: str = await to_thread.run_sync(stream.readline, abandon_on_cancel=True)
        assert line, f"the server has ended: {self._process.communicate()[1]}"
        return line

    def is_killed(self) -> None:
        """End it without a word: SIGKILL, and TerminateProcess on Windows."""
        self._process.kill()
        self._watchdog.cancel()
        with suppress(OSError), self._process:  # closes its pipes, and waits
            pass

    def closes_stdin(self) -> int:
        """Close stdin, read nothing, and wait for the end; the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(LONGEST_SECONDS)
        self._watchdog.cancel()
        return code

    def leftovers(self) -> list[str]:
        """What is still on stdout of a server that has ended; the last line may have been broken off."""
        assert self._process.stdout is not None
        *lines, _ = self._process.stdout.read().split("\n")
        return lines

    def leave(self) -> tuple[int, str, str]:
        """Close stdin and wait for the end; the exit code, what was still on stdout, and all of stderr."""
        rest, log = self._process.communicate(timeout=LONGEST_SECONDS)
        self._watchdog.cancel()
        return self._process.wait(), rest, log


def launched(*command: str, **environ: str) -> Server:
    """Start a server as a client does, in a Python of its own."""
    pipe, env = subprocess.PIPE, {**os.environ, **environ}
    return Server(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", env=env))


class Yard:
    """Servers made beforehand, so that one loads while another is looked at; all are gone in the end."""

    def __init__(self) -> None:
        self._made: list[Server] = []
        self._given: list[Server] = []

    def given(self) -> Server:
        """One that was told nothing yet."""
        while len(self._made) < 3:
            self._made.append(Server(start_program(STOPPING_SERVER)))
        self._given.append(self._made.pop(0))
        return self._given[-1]

    def end(self) -> None:
        """End all."""
        for server in (*self._made, *self._given):
            server.is_killed()


@pytest.fixture(scope="session")
def yard() -> Iterator[Yard]:
    """Where servers stand ready."""
    yard = Yard()
    yield yard
    yard.end()


@pytest.fixture
def token() -> str:
    """What must never be seen."""
    return "a-token-that-must-never-be-seen"


@pytest.fixture
def sim(clock: ManualClock, token: str) -> Simulator:
    """A world whose clock stands, where every order fills at once and nobody counts requests."""
    return Simulator(seed=7, clock=clock, token=token, settings=SimulatorSettings(pace=AT_ONCE, rate_limit=None))


@pytest.fixture
async def url(sim: Simulator) -> AsyncIterator[str]:
    """Where the simulator is served on loopback."""
    async with served(sim) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder that one server leaves to the next."""
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """The servers' own store, opened beside them."""
    store = SqliteStore(folder)
    yield store
    await store.close()


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
def start(yard: Yard, url: str, token: str, folder: Path, clock: ManualClock) -> Start:
    """Start a server over the folder, at the clock of now: ``start()``, or ``start("before intent")``."""

    async def started(place: str = "") -> Server:
        server = yard.given()
        server.say({"url": url, "token": token, "folder": str(folder), "now": clock().isoformat(), "place": place})
        await server.meets()
        return server

    return started


class Successor:
    """A client of a server in this process, which was not there before the other was killed."""

    def __init__(self, client: Client, furniture: Furniture) -> None:
        self.client, self.furniture = client, furniture

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool; its structure, and its whole text as ``text``."""
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        return {"text": text, **(result.structured_content or {})}


Succeeded = Callable[..., AbstractAsyncContextManager[Successor]]


@pytest.fixture
def succeeded(url: str, token: str, folder: Path, clock: ManualClock) -> Succeeded:
    """Serve over the same folder in this process, at the clock that the test moves."""

    @asynccontextmanager
    async def connected(store: SqliteStore | None = None) -> AsyncIterator[Successor]:
        furniture = furnish(url, token, store or SqliteStore(folder, busy_timeout_seconds=0.1), clock)
        try:
            async with Client(build_server(ServerContext(lambda: furniture.desk, POLICY, toolsets=TOOLSETS))) as client:
                yield Successor(client, furniture)
        finally:
            await furniture.close()

    return connected


@pytest.fixture
def tell_why(folder: Path) -> Callable[[str], Awaitable[str]]:
    """What ``ct-mcp journal why`` prints about a ticket or an order."""

    def told(any_id: str) -> str:
        command = [sys.executable, "-m", "ct_mcp", "journal", "why", any_id, "--state-dir", str(folder)]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=True).stdout

    return lambda any_id: to_thread.run_sync(partial(told, any_id))
