"""The request budget over several processes, in real time, as the service counts: judged by when requests arrived."""

from itertools import combinations
from time import monotonic
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ct_mcp.simulator.clock import wall_clock
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.simulator import Simulator
from tests.resilience.multiprocess.conftest import Opened

TOKEN = "a-token-that-must-never-be-seen"
AT_ONCE = 10
"""So many reads leave before any waits: 13, less one with which each process opens its connection."""


class Arrivals:
    """When each request arrived, and for what, on the way into the simulator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.times: list[float] = []
        self.paths: list[str] = []
        self.reads_wait = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.times.append(monotonic())
        self.paths.append(scope["path"])
        if len(self.times) >= 3 + AT_ONCE:
            self.reads_wait.set()
        await self._app(scope, receive, send)


@pytest.fixture
def sim() -> Simulator:
    """A world in real time that counts requests as the service does."""
    return Simulator(seed=7, clock=wall_clock, token=TOKEN, market_hours=MarketHours.ALWAYS)


@pytest.fixture
def arrivals(sim: Simulator) -> Arrivals:
    """What arrives there, from before it is served."""
    recorder = Arrivals(sim.app)
    sim.app = recorder
    return recorder


async def test_reads_of_all_keep_to_the_rate_and_an_exit_of_one_goes_before_them(
    arrivals: Arrivals, opened: Opened, flatten: str, sim: Simulator
) -> None:
    processes = await opened(real_time=True)
    first, second, third = processes.all
    answered = await processes.asked("read", count=1)

    async def read(process: Any, count: int) -> None:
        answered.append(await process.asked("read", count=count))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, first, 9)
        tasks.start_soon(read, second, 9)
        await arrivals.reads_wait.wait()
        ticket = await third.asked("propose", action=flatten)
        assert (await third.asked("commit", ticket_id=ticket))[0] == "flat"
        tasks.start_soon(read, third, 3)

    assert sum(answered) == 24
    assert all(seen.accepted for seen in sim.requests), "the service itself has refused none"
    for begin, end in combinations(range(len(arrivals.times)), 2):
        passed = arrivals.times[end] - arrivals.times[begin]
        assert end - begin + 1 <= 20 + 3 * passed, f"{end - begin + 1} requests within {passed:.3f} s"
    sent = next(number for number, path in enumerate(arrivals.paths) if "flatten" in path)
    reads_before = [path for path in arrivals.paths[:sent] if "quote" in path]
    assert len(reads_before) < 24 - 3, "the exit did not wait until the reads were through"
