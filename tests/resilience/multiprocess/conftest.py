"""Real processes, one simulator that they all talk to, and a folder or a database that they share."""

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from ct_mcp.domain.commands import Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.ticket_codec import commands_to_text
from tests.factories import place_order
from tests.forked import start_program
from tests.postgres import as_text

WORKER = "tests.resilience.multiprocess.worker"
TOKEN = "a-token-that-must-never-be-seen"
AT_ONCE = ExchangePace(acknowledgement_seconds=0.0, fill_seconds=0.0)
LONGEST_SECONDS = 60


class Process:
    """One of them. A question that meets a stop is answered later, by `goes_on`."""

    def __init__(self) -> None:
        self._is_ready = False
        self._process = start_program(WORKER)

    async def asked(self, command: str, **given: object) -> Any:
        """What it answers, or where it stops."""
        return await self._answer(json.dumps([command, given]))

    async def goes_on(self) -> Any:
        """What it answers after the stop."""
        return await self._answer("go on")

    async def tells(self) -> Any:
        """What it answers after it has said where it is, and gone on."""
        return await self._answer("")

    async def is_ready(self) -> None:
        """Wait until it has loaded everything."""
        if not self._is_ready:
            assert await self._answer("") == "ready"
        self._is_ready = True

    async def _answer(self, line: str) -> Any:
        with anyio.fail_after(LONGEST_SECONDS):
            told = json.loads(await to_thread.run_sync(partial(self._exchange, line), abandon_on_cancel=True))
        return told["at"] if "at" in told else told["told"]

    def _exchange(self, line: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if line:
            stdin.write(f"{line}\n")
            stdin.flush()
        return stdout.readline()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait(timeout=60)

    def pause(self) -> None:
        """Stop it wherever it is, as a machine that is put to sleep; not on Windows."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, and what it waits for."""
        self._process.kill()
        self._process.communicate(timeout=60)


class Processes:
    """All of them, asked at once; ``all[0]`` is one of them."""

    def __init__(self) -> None:
        self.all = [Process() for _ in range(3)]

    async def are_ready(self) -> None:
        """Wait until each has loaded everything."""
        await _gathered([each.is_ready for each in self.all])

    async def asked(self, command: str, *given: Mapping[str, object], **same: object) -> list[Any]:
        """What each answers, or where it stops; ``given`` is for one after the other, ``same`` for all."""
        own = given or ({},) * len(self.all)
        return await _gathered([partial(p.asked, command, **same, **one) for p, one in zip(self.all, own, strict=True)])

    async def tell(self) -> list[Any]:
        """What each answers that has gone on by itself."""
        return await _gathered([each.tells for each in self.all])

    async def go_on(self) -> list[Any]:
        """What each answers after its stop."""
        return await _gathered([each.goes_on for each in self.all])


async def _gathered(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Await all at once; what each gave, in their order."""
    answers: dict[int, Any] = {}

    async def one(number: int, call: Callable[[], Awaitable[Any]]) -> None:
        answers[number] = await call()

    async with anyio.create_task_group() as tasks:
        for number, call in enumerate(calls):
            tasks.start_soon(one, number, call)
    return [answers[number] for number in range(len(calls))]


@pytest.fixture(scope="session")
def _started() -> Iterator[Processes]:
    """Started once for all tests: starting is what takes the time."""
    processes = Processes()
    yield processes
    for process in processes.all:
        process.end()


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """A world whose clock stands, where every order fills at once and nobody counts requests."""
    return Simulator(seed=7, clock=clock, token=TOKEN, settings=SimulatorSettings(pace=AT_ONCE, rate_limit=None))


Opened = Callable[..., Awaitable[Processes]]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What they share: a folder of one machine, or the tables of all machines of a trader."""
    return str(tmp_path / "state") if request.param == "sqlite" else as_text(request.getfixturevalue("trader"))


@pytest.fixture
async def opened(_started: Processes, sim: Simulator, place: str, clock: ManualClock) -> AsyncIterator[Opened]:
    """Open a desk in each process, all over one place and within these limits, at a standing clock or the real one."""
    await _started.are_ready()

    async with served(sim) as url:

        async def opening(*, real_time: bool = False, **limits: object) -> Processes:
            now = "" if real_time else clock().isoformat()
            await _started.asked("open", place=place, url=url, token=TOKEN, now=now, limits=limits)
            return _started

        yield opening
        await _started.asked("close")


@pytest.fixture
def order(sim: Simulator, clock: ManualClock) -> Callable[..., str]:
    """An order, as it is told to a process; of another quantity, side, price or root it is another action."""

    def made(
        quantity: int, action: str = "BUY", ticks: int | None = None, account: str = "Sim101", root: str = "MES"
    ) -> str:
        front = sim.market.front(root, clock())
        last = sim.market.top(front, clock()).last
        limit = None if ticks is None else (last + ticks) * Decimal("0.25")
        instrument = Instrument(root, front.year, front.month)
        return commands_to_text((place_order(action, quantity, limit, account=account, instrument=instrument),))

    return made


@pytest.fixture(scope="session")
def flatten() -> str:
    """Leaving the account, as it is told to a process."""
    return commands_to_text((Flatten("Sim101", None),))
