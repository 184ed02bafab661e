"""Machines that share a database, while one of them dies, sleeps or loses its cable: nothing is sent twice."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import as_text, need_server, running_server
from tests.resilience.multiprocess.conftest import TOKEN, Process
from tests.tcp_proxy import Cable, cable_to

Order = Callable[..., str]
FAR_BEYOND_THE_LEASE = 16.0
sleeps = pytest.param("sleeps", marks=pytest.mark.skipif(sys.platform == "win32", reason="nothing pauses a process"))


@pytest.fixture
def cable(trader: PostgresUrl) -> Iterator[Cable]:
    """Between one machine and the database."""
    assert trader.port is not None
    with cable_to(trader.host, trader.port) as cable:
        yield cable


@pytest.fixture(scope="module")
def survivor() -> Iterator[Process]:
    """A machine that goes on, whatever becomes of the other."""
    process = Process()
    yield process
    process.end()


@pytest.fixture
def victim() -> Iterator[Process]:
    """A machine that something happens to."""
    process = Process()
    yield process
    with suppress(ProcessLookupError):
        process.end()


class Room:
    """Two machines at one simulator, over one database."""

    def __init__(self, survivor: Process, victim: Process, url: str, clock: ManualClock) -> None:
        self.survivor, self.victim = survivor, victim
        self._url, self._clock = url, clock

    async def open(self, process: Process, at: PostgresUrl, **limits: object) -> None:
        """Put its desk together."""
        now = self._clock().isoformat()
        await process.asked("open", place=as_text(at), url=self._url, token=TOKEN, now=now, limits=limits)

    async def open_by_its_clock(self, process: Process, at: PostgresUrl, ahead: float) -> None:
        """Put its desk together on a machine whose clock is so many seconds ahead, which the database compares."""
        await process.asked("set_clock", ahead=ahead)
        await process.asked("open", place=as_text(at), url=self._url, token=TOKEN, now="", limits={})


@pytest.fixture
async def room(survivor: Process, victim: Process, sim: Simulator, clock: ManualClock) -> AsyncIterator[Room]:
    """Both have loaded everything."""
    await survivor.is_ready()
    await victim.is_ready()
    async with served(sim) as url:
        yield Room(survivor, victim, url, clock)
        await survivor.asked("close")


def sent(sim: Simulator) -> int:
    """How many contracts reached the market."""
    return sum(order.terms.quantity for order in sim.exchange.orders)


@pytest.mark.parametrize("at", ["open_ticket", "spend_ticket", "append_intent"])
@pytest.mark.parametrize("what", ["dies", sleeps, "is cut off"])
async def test_whatever_becomes_of_one_machine_both_together_keep_the_limit(
    room: Room, trader: PostgresUrl, cable: Cable, order: Order, sim: Simulator, what: str, at: str
) -> None:
    """One contract may be held. The victim stops somewhere on its way; the survivor sends; then the victim goes on."""
    await room.open(room.survivor, trader, max_position_contracts=1)
    await room.open(room.victim, replace(trader, port=cable.port), max_position_contracts=1)
    told = await on_its_way(room.victim, order(1), at)
    assert told == at
    if what == "dies":
        room.victim.kill()
    elif what == "sleeps":
        room.victim.pause()
    else:
        cable.pull()
    ticket = await room.survivor.asked("propose", action=order(1, ticks=10))
    assert (await room.survivor.asked("commit", ticket_id=ticket))[0] == "filled"
    if what == "sleeps":
        room.victim.resume()
    if what != "dies":
        assert (await goes_on(room.victim))[0] != "filled"
    assert sent(sim) == 1
    assert await room.survivor.asked("verify") == [True, 0]


async def on_its_way(process: Process, action: str, at: str) -> Any:
    """Let a machine propose and commit an order, and stop somewhere."""
    if at == "open_ticket":
        return await process.asked("propose", action=action, stop_at=at)
    ticket = await process.asked("propose", action=action)
    return await process.asked("commit", ticket_id=ticket, stop_at=at)


async def goes_on(process: Process) -> Any:
    """Let it go on to the end of what it was about, and of what may follow from that."""
    told = await process.goes_on()
    return await process.asked("commit", ticket_id=told) if isinstance(told, str) else told


@pytest.mark.skipif(sys.platform == "win32", reason="nothing pauses a process")
async def test_a_holder_that_slept_beyond_its_lease_does_not_send_what_another_has_sent(
    room: Room, trader: PostgresUrl
) -> None:
    for process in (room.survivor, room.victim):
        await room.open(process, trader)
    old = await room.victim.asked("make_part", holder="victim", later=0)
    about_to_send = {"ticket_id": old, "later": 0, "stop_at": "append_intent"}
    assert await room.victim.asked("intend", **about_to_send) == "append_intent"
    room.victim.pause()
    new = await room.survivor.asked("make_part", holder="survivor", later=FAR_BEYOND_THE_LEASE)
    assert await room.survivor.asked("intend", ticket_id=new, later=FAR_BEYOND_THE_LEASE)
    room.victim.resume()
    code, why = await room.victim.goes_on()
    assert (code, "another ct-mcp looks after it by now" in why) == ("TAKEN_OVER", True)
    assert await room.survivor.asked("verify") == [True, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing pauses a process")
async def test_a_holder_that_has_its_lease_again_does_not_send_what_it_began_before_it_slept(
    room: Room, trader: PostgresUrl
) -> None:
    """Nothing newer was made meanwhile, and it is young enough: it is the epoch alone that tells."""
    for process in (room.survivor, room.victim):
        await room.open(process, trader)
    old = await room.victim.asked("make_part", holder="victim", later=0)
    late = FAR_BEYOND_THE_LEASE
    assert await room.victim.asked("intend_with_lease_taken_again", ticket_id=old, later=late) == "about to send"
    room.victim.pause()
    assert await room.survivor.asked("have_lease_between", holder="survivor", later=late) == 2
    room.victim.resume()
    code, why = await room.victim.goes_on()
    assert (code, "another ct-mcp looks after it by now" in why) == ("TAKEN_OVER", True)
    assert await room.survivor.asked("verify") == [True, 0]


@pytest.mark.parametrize("ahead", [1.5, -1.5])
async def test_machines_whose_clocks_differ_a_little_agree_on_who_holds_a_lease(
    room: Room, trader: PostgresUrl, ahead: float
) -> None:
    """Three seconds between the two, and each within what the database allows."""
    await room.open_by_its_clock(room.survivor, trader, ahead)
    await room.open_by_its_clock(room.victim, trader, -ahead)
    old = await room.victim.asked("make_part", holder="victim", later=0)
    assert not await room.survivor.asked("take_exits", holder="survivor", later=10 - 2 * ahead), "it is held still"
    late = FAR_BEYOND_THE_LEASE + 2 * abs(ahead)
    assert await room.survivor.asked("have_lease_between", holder="survivor", later=late) == 2
    assert await room.victim.asked("intend_with_lease_taken_again", ticket_id=old, later=late) == "about to send"
    assert (await room.victim.goes_on())[0] == "TAKEN_OVER"
    assert await room.survivor.asked("verify") == [True, 0]


@pytest.mark.parametrize("ahead", [60, -60])
async def test_a_machine_whose_clock_is_off_makes_nothing_and_takes_no_lease(
    room: Room, trader: PostgresUrl, ahead: float
) -> None:
    await room.open_by_its_clock(room.survivor, trader, 0)
    await room.open_by_its_clock(room.victim, trader, ahead)
    code, why = await room.victim.asked("make_part", holder="victim", later=0)
    assert (code, "the clock of this machine is" in why) == ("JOURNAL_UNAVAILABLE", True)
    made = await room.survivor.asked("make_part", holder="survivor", later=0)
    assert await room.survivor.asked("intend", ticket_id=made, later=0)
    assert await room.survivor.asked("verify") == [True, 1]


@pytest.mark.parametrize("when", ["loses_answer_to", "cuts_before"])
async def test_an_intent_of_which_nobody_heard_whether_it_was_written_is_not_sent(
    room: Room, trader: PostgresUrl, cable: Cable, order: Order, sim: Simulator, when: str
) -> None:
    """Where it was written after all, it counts against the limits until it was looked up: then others may send."""
    await room.open(room.survivor, trader, max_position_contracts=1)
    await room.open(room.victim, replace(trader, port=cable.port), max_position_contracts=1)
    assert await on_its_way(room.victim, order(1), "append_intent") == "append_intent"
    setattr(cable, when, b"COMMIT")
    code, why = await room.victim.goes_on()
    assert (code, "whether it was written is not known" in why) == ("JOURNAL_UNAVAILABLE", True)
    assert sent(sim) == 0
    unknown = 1 if when == "loses_answer_to" else 0
    assert await room.survivor.asked("verify") == [True, unknown]
    assert await room.victim.asked("verify") == [True, unknown], "it reaches the database again by itself"


@pytest.fixture
def third() -> Iterator[Process]:
    """Another machine."""
    process = Process()
    yield process
    with suppress(ProcessLookupError):
        process.end()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing pauses a process")
@pytest.mark.parametrize("at", ["open_ticket", "spend_ticket", "append_intent"])
async def test_of_three_machines_one_dies_one_sleeps_and_all_together_keep_the_limit(
    room: Room, third: Process, trader: PostgresUrl, cable: Cable, order: Order, sim: Simulator, at: str
) -> None:
    """The one that slept is cut off as well when it wakes, before it goes on by another connection."""
    await third.is_ready()
    await room.open(room.survivor, trader, max_position_contracts=1)
    await room.open(room.victim, replace(trader, port=cable.port), max_position_contracts=1)
    await room.open(third, trader, max_position_contracts=1)
    assert await on_its_way(third, order(1, ticks=20), at) == at
    assert await on_its_way(room.victim, order(1), at) == at
    third.kill()
    room.victim.pause()
    ticket = await room.survivor.asked("propose", action=order(1, ticks=10))
    assert (await room.survivor.asked("commit", ticket_id=ticket))[0] == "filled"
    cable.cut()
    room.victim.resume()
    assert (await goes_on(room.victim))[0] != "filled"
    assert sent(sim) == 1
    assert await room.survivor.asked("verify") == [True, 0]


@pytest.mark.parametrize("how", ["immediate", "fast"])
async def test_a_lease_and_its_epoch_outlive_a_restart_of_the_database(room: Room, how: str) -> None:
    need_server()
    with running_server(synchronous_commit="on") as server:
        trader = server.new_trader()
        for process in (room.survivor, room.victim):
            await room.open(process, trader)
        old = await room.victim.asked("make_part", holder="victim", later=0)
        await anyio.to_thread.run_sync(server.stop, how)
        await anyio.to_thread.run_sync(server.start)
        assert not await room.survivor.asked("take_exits", holder="survivor", later=10)
        assert await room.survivor.asked("have_lease_between", holder="survivor", later=FAR_BEYOND_THE_LEASE) == 2
        code, _ = await room.victim.asked("intend", ticket_id=old, later=FAR_BEYOND_THE_LEASE)
        assert code == "TAKEN_OVER"
        assert await room.survivor.asked("verify") == [True, 0]


async def test_a_database_that_was_restarted_loses_nothing_and_lets_nothing_be_sent_twice(
    room: Room, order: Order, sim: Simulator
) -> None:
    need_server()
    with running_server(synchronous_commit="on") as server:
        trader = server.new_trader()
        for process in (room.survivor, room.victim):
            await room.open(process, trader, max_position_contracts=1)
        for process, action in ((room.survivor, order(1)), (room.victim, order(1, ticks=10))):
            assert await on_its_way(process, action, "append_intent") == "append_intent"
        await anyio.to_thread.run_sync(server.stop)
        await anyio.to_thread.run_sync(server.start)
        told = [await process.goes_on() for process in (room.survivor, room.victim)]
        assert sorted(status for status, *_ in told) == ["denied", "filled"]
        assert sent(sim) == 1
        assert await room.survivor.asked("verify") == [True, 0]
