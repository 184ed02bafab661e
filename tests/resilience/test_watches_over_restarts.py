"""Who runs watches is killed, or put to sleep, at any step of a send: another goes on, and sends nothing twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.forked import Program, start_program
from tests.resilience.conftest import LONGEST_SECONDS, Succeeded, Successor
from tests.resilience.test_restarts import BUY, price, writes

ROOT = Path(__file__).parents[2]
SECONDS_OF_A_LEASE = 16


class Holder:
    """A process that looks when it is told to, over the folder and the clock of the test."""

    def __init__(self, url: str, token: str, folder: Path, clock: Callable[[], object]) -> None:
        self._told = {"url": url, "token": token, "folder": str(folder)}
        self._clock, self._file = clock, folder.with_name(f"clock-{id(self)}")
        self._process: Program | subprocess.Popen[str] | None = None

    def begins(self, place: str = "", *, sleeps: bool = False) -> None:
        """Start it, with its place."""
        self._process = start_program("tests.resilience.stopping_watch", CLOCK=str(self._file))
        self._say(json.dumps({**self._told, "place": place, "sleeps": sleeps}))

    async def looks(self) -> str:
        """Let it look once: ``looked``, or ``stopped`` at its place."""
        self._file.write_text(str(self._clock()), encoding="utf-8")
        self._say("look")
        return await self._hears()

    def looks_on(self) -> None:
        """Let it look once, and wait for nothing."""
        self._file.write_text(str(self._clock()), encoding="utf-8")
        self._say("look")

    def is_killed(self) -> None:
        """End it without a word, also one that sleeps."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=LONGEST_SECONDS)
            self._process = None

    async def wakes(self) -> str:
        """Let one go on that was put to sleep, to the end of its look."""
        assert self._process is not None
        self._file.write_text(str(self._clock()), encoding="utf-8")
        if sys.platform != "win32":
            os.kill(self._process.pid, signal.SIGCONT)
        return await self._hears()

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    async def _hears(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        with anyio.fail_after(LONGEST_SECONDS):
            line = await to_thread.run_sync(self._process.stderr.readline, abandon_on_cancel=True)
        assert line in ("looked\n", "stopped\n"), line + self._process.stderr.read()
        return line.strip()


@pytest.fixture
def holder(url: str, token: str, folder: Path, clock: ManualClock) -> Iterator[Holder]:
    """The process that holds the lease of watches."""
    holder = Holder(url, token, folder, lambda: clock().isoformat())
    yield holder
    holder.is_killed()


# What is watched


def stop_price(sim: Simulator) -> float:
    """Where the one stop stands."""
    (stop,) = (each for each in sim.exchange.live_orders("Sim101") if each.terms.order_type.has_stop)
    return stop.terms.stop_price


async def cancels(assistant: Successor, sim: Simulator) -> None:
    """An entry that is to be cancelled by now."""
    told = await assistant.call("place_order", **{**BUY, "order_type": "LIMIT", "limit_price": price(sim, -40)})
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": told["order_id"], "time": "20 minutes"}
    assert (await assistant.call("set_watch", **wanted))["status"] == "set"
    sim.advance(20 * 60 + 1)


async def flattens(assistant: Successor, sim: Simulator) -> None:
    """A position that is to be left by now."""
    assert (await assistant.call("place_order", **BUY))["status"] == "filled"
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", time="20 minutes")
    assert told["status"] == "set", told["text"]
    sim.advance(20 * 60 + 1)


async def trails(assistant: Successor, sim: Simulator) -> None:
    """A stop that the price asks to be moved."""
    assert (await assistant.call("place_order", **BUY))["status"] == "filled"
    sim.advance(15)
    stop = {**BUY, "action": "SELL", "order_type": "STOP_MARKET", "stop_price": price(sim, -40)}
    told = await assistant.call("place_order", **stop)
    assert told["status"] == "working", told["text"]
    wanted = {"kind": "trailing_stop", "account": "Sim101", "order_id": told["order_id"], "distance": "5 points"}
    assert (await assistant.call("set_watch", **wanted))["status"] == "set"
    sim.advance(2)


Prepare = Callable[[Successor, Simulator], Awaitable[None]]
RPC: dict[Prepare, str] = {cancels: "Cancel", flattens: "Flatten", trails: "Change"}


@pytest.fixture
async def prepared(succeeded: Succeeded, sim: Simulator) -> Callable[[Prepare], Awaitable[int]]:
    """Set a watch by a server that is gone afterwards; gives how much was sent by then."""

    async def done(prepare: Prepare) -> int:
        async with succeeded() as assistant:
            await prepare(assistant, sim)
            await assistant.furniture.desk.exit_watch.let_go()
        return len(writes(sim))

    return done


async def goes_on(succeeded: Succeeded, sim: Simulator, seconds: float = 400.0) -> str:
    """Let a server of this process run what is watched for a while; all that watches have told."""
    async with succeeded() as successor:
        end = sim.clock() + timedelta(seconds=seconds)
        sim.advance(SECONDS_OF_A_LEASE)
        while sim.clock() < end:
            await successor.furniture.desk.exit_watch.look()
            sim.advance(11)
        notices = await successor.furniture.store.notices(0, 100)
    return " | ".join(notice.words for notice in notices)


NOT_SENT = ["before add_watch_part", "after add_watch_part", "before append_intent"]
MAYBE_SENT = ["after append_intent", "before check_turn"]
SENT = ["before accepted", "after accepted", "before answered"]


@pytest.mark.parametrize("place", NOT_SENT)
@pytest.mark.parametrize("prepare", [cancels, flattens])
async def test_killed_before_the_intent_another_sends_it_once(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    store: SqliteStore,
    prepare: Prepare,
    place: str,
) -> None:
    before = await prepared(prepare)
    holder.begins(place)
    assert await holder.looks() == "stopped"
    holder.is_killed()
    assert len(writes(sim)) == before
    told = await goes_on(succeeded, sim)
    assert writes(sim)[before:] == [RPC[prepare]], told
    assert sim.exchange.live_orders("Sim101") == []
    assert sim.exchange.accounts["Sim101"].open_positions() == []
    assert await store.watches() == ()
    assert (await store.verify()).ok


@pytest.mark.parametrize("place", MAYBE_SENT)
async def test_killed_after_the_intent_a_cancel_is_not_sent_again_and_stays_unknown(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    store: SqliteStore,
    place: str,
) -> None:
    before = await prepared(cancels)
    holder.begins(place)
    assert await holder.looks() == "stopped"
    holder.is_killed()
    told = await goes_on(succeeded, sim)
    assert len(writes(sim)) == before, "what may have left is sent by nobody again"
    assert "the cancel was sent, and the order still stands" in told
    assert [entry.kind for entry in await store.unsettled()] == [EntryKind.INTENT], "and nobody says what became of it"
    assert await store.watches() == ()


@pytest.mark.parametrize("place", MAYBE_SENT)
async def test_killed_after_the_intent_a_flatten_that_may_be_on_its_way_goes_again_after_a_minute_alone(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    place: str,
) -> None:
    before = await prepared(flattens)
    holder.begins(place)
    assert await holder.looks() == "stopped"
    holder.is_killed()
    await goes_on(succeeded, sim, 44.0)
    assert len(writes(sim)) == before
    told = await goes_on(succeeded, sim)
    assert writes(sim)[before:] == ["Flatten"], told
    assert sim.exchange.accounts["Sim101"].open_positions() == []


@pytest.mark.parametrize("prepare", [cancels, flattens])
async def test_killed_while_it_is_sent_or_right_afterwards_it_is_seen_done_and_not_sent_again(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    store: SqliteStore,
    prepare: Prepare,
) -> None:
    before = await prepared(prepare)
    holder.begins()
    sim.faults.arm(Fault.SLOW_ANSWER, rpc=RPC[prepare], times=1)
    holder.looks_on()
    with anyio.fail_after(LONGEST_SECONDS):
        await sim.faults.slow_answer_waits()
    holder.is_killed()
    sim.faults.disarm()
    told = await goes_on(succeeded, sim)
    assert writes(sim)[before:] == [RPC[prepare]], told
    assert sim.exchange.live_orders("Sim101") == []
    assert sim.exchange.accounts["Sim101"].open_positions() == []
    assert await store.watches() == ()


@pytest.mark.parametrize("prepare", [cancels, flattens])
@pytest.mark.parametrize("place", [*SENT, "before turn_watch"])
async def test_killed_before_it_is_noted_it_is_not_sent_again(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    store: SqliteStore,
    prepare: Prepare,
    place: str,
) -> None:
    before = await prepared(prepare)
    holder.begins(place)
    assert await holder.looks() == "stopped"
    holder.is_killed()
    told = await goes_on(succeeded, sim)
    assert writes(sim)[before:] == [RPC[prepare]], told
    assert await store.watches() == ()


@pytest.mark.parametrize("place", [*NOT_SENT, *MAYBE_SENT, *SENT])
async def test_killed_at_any_step_of_a_move_the_stop_stands_and_the_next_one_trails_it(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    store: SqliteStore,
    place: str,
) -> None:
    before, stood = await prepared(trails), stop_price(sim)
    holder.begins(place)
    assert await holder.looks() == "stopped"
    holder.is_killed()
    sim.advance(1)  # it is changed a moment after it was taken
    left = stop_price(sim)
    assert left > stood if place in SENT else left == stood
    told = await goes_on(succeeded, sim, 60.0)
    if sim.exchange.accounts["Sim101"].open_positions():
        assert stop_price(sim) > stood, told
    assert set(writes(sim)[before:]) <= {"Change"}
    assert len(await store.unsettled()) <= 1


# Put to sleep, and two at once


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP")
@pytest.mark.parametrize("prepare", [cancels, flattens, trails])
@pytest.mark.parametrize("place", ["before add_watch_part", "before append_intent", "before check_turn"])
async def test_one_that_slept_beyond_its_lease_sends_nothing_when_it_wakes(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    succeeded: Succeeded,
    sim: Simulator,
    prepare: Prepare,
    place: str,
) -> None:
    await prepared(prepare)
    holder.begins(place, sleeps=True)
    assert await holder.looks() == "stopped"
    await goes_on(succeeded, sim, 45.0)
    sent = len(writes(sim))
    assert await holder.wakes() == "looked"
    assert len(writes(sim)) == sent


async def test_of_two_that_look_at_once_one_sends(
    holder: Holder,
    prepared: Callable[[Prepare], Awaitable[int]],
    url: str,
    token: str,
    folder: Path,
    clock: ManualClock,
    sim: Simulator,
) -> None:
    before = await prepared(cancels)
    other = Holder(url, token, folder, lambda: clock().isoformat())
    try:
        holder.begins()
        other.begins()
        for _ in range(2):
            async with anyio.create_task_group() as both:
                both.start_soon(holder.looks)
                both.start_soon(other.looks)
    finally:
        other.is_killed()
    assert writes(sim)[before:] == ["Cancel"]
