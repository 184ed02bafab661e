"""Calls that are made in steps, and what waiting is to them."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from ct_mcp.simulator.clock import ManualClock, wall_clock
from ct_mcp.simulator.steps import Steps, awaited, waited
from ct_mcp.simulator.world import Simulator

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


def _seconds_waited(steps: Steps[datetime]) -> float:
    now = NOW
    try:
        seconds = next(steps)
        while True:
            now += timedelta(seconds=seconds)
            seconds = steps.send(now)
    except StopIteration as end:
        told = end.value
    assert told == now
    return (now - NOW).total_seconds()


def test_what_is_so_already_is_not_waited_for() -> None:
    assert _seconds_waited(awaited(lambda: True, NOW)) == 0


def test_nothing_is_waited_for_longer_than_five_seconds() -> None:
    assert _seconds_waited(awaited(lambda: False, NOW)) == pytest.approx(5)


def test_waiting_ends_when_it_is_so() -> None:
    looks = iter([False, False, False, True])
    assert _seconds_waited(awaited(lambda: next(looks), NOW)) == pytest.approx(0.15)


@pytest.mark.parametrize("seconds", [0, 0.25])
def test_a_wait_is_as_long_as_it_is_said(seconds: float) -> None:
    assert _seconds_waited(waited(seconds, NOW)) == seconds


async def test_a_call_takes_the_time_of_a_clock_that_stands_still(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    await sim.addon.pause(2.5)
    assert clock() == sim.addon.now == before + timedelta(seconds=2.5)


async def test_two_calls_wait_beside_each_other(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sim.addon.pause, 2.0)
        tasks.start_soon(sim.addon.pause, 3.0)
    assert clock() == before + timedelta(seconds=3)


async def test_by_the_wall_clock_a_call_really_waits() -> None:
    sim = Simulator(clock=wall_clock)
    sim.advance()
    before = sim.addon.now
    await sim.addon.pause(0.01)
    assert sim.addon.now - before >= timedelta(seconds=0.01)


async def test_what_is_not_made_in_steps_is_finished_at_once(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    assert await sim.addon.finished({"success": True}) == {"success": True}
    assert clock() == before
