"""The request budget over several processes, in real time: judged by the times by which it reckoned.

When a request arrives says little: on a busy machine it may be much later than it was allowed to leave.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ct_mcp.crosstrade.rate_limit import CAPACITY, PER_SECOND, RESERVE, Rank
from ct_mcp.simulator.clock import wall_clock
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from tests.resilience.multiprocess.conftest import Opened

TOKEN = "a-token-that-must-never-be-seen"
AT_ONCE = int(CAPACITY - RESERVE) - 3
"""So many reads leave before any waits, less those with which each of three processes opens its connection."""


class Arrivals:
    """What has arrived, on the way into the simulator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.count = 0
        self.reads_wait = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        if self.count >= 3 + AT_ONCE:
            self.reads_wait.set()
        await self._app(scope, receive, send)


@pytest.fixture
def sim() -> Simulator:
    """A world in real time that leaves the counting to us."""
    settings = SimulatorSettings(rate_limit=None)
    return Simulator(seed=7, clock=wall_clock, token=TOKEN, settings=settings, market_hours=MarketHours.ALWAYS)


@pytest.fixture
def arrivals(sim: Simulator) -> Arrivals:
    """What arrives there, from before it is served."""
    recorder = Arrivals(sim.app)
    sim.app = recorder
    return recorder


async def test_reads_of_all_keep_to_the_rate_and_an_exit_of_one_goes_before_them(
    arrivals: Arrivals, opened: Opened, flatten: str
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
    told = sorted((each for of_one in await processes.asked("budget_answers") for each in of_one), key=lambda it: it[0])
    exits, reads = ([each for each in told if each[1] == rank.value] for rank in (Rank.EXIT, Rank.USUAL))
    _keeps_within(CAPACITY, [at for at, _, seconds in told if not seconds])
    _keeps_within(CAPACITY - RESERVE, [at for at, _, seconds in reads if not seconds])
    assert any(seconds for _, _, seconds in reads), "reads had to wait"
    assert [seconds for _, _, seconds in exits] == [0.0], "and nothing of that was the exit's to wait for"


def _keeps_within(at_once: float, granted: Sequence[str]) -> None:
    """So many at once, and three a second after that: over every stretch of time."""
    times = [datetime.fromisoformat(at) for at in granted]
    for begin, end in combinations(range(len(times)), 2):
        passed = (times[end] - times[begin]).total_seconds()
        assert end - begin + 1 <= at_once + PER_SECOND * passed + 1e-6, f"{end - begin + 1} within {passed:.3f} s"
