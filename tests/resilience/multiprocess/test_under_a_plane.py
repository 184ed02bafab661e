"""Traders of a team in processes of their own: a halt stops all of them, a policy all machines of one of them.

Each has a simulator of its own, as each has a token of its own; all stand with the plane in one real PostgreSQL.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from anyio import to_thread

from ct_mcp.domain.team import EVERYBODY
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.plane_team import TeamPlane
from ct_mcp.store.postgres import Patience
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import OwnServer, Team, as_text, need_server, running_server
from tests.resilience.multiprocess.conftest import AT_ONCE, TOKEN, Process, Processes

Order = Callable[..., str]
WIDE = {"max_position_contracts": 10_000}
GRACE = "[team]\ngrace_seconds = 60\n"


def sent(sim: Simulator) -> int:
    """How many contracts reached the market."""
    return sum(order.terms.quantity for order in sim.exchange.orders)


def held(sim: Simulator) -> int:
    """How many contracts the simulated account holds."""
    return sum(abs(position.quantity) for position in sim.exchange.accounts["Sim101"].open_positions())


class Room:
    """Three processes, each before a simulator; who they are and what they keep is said as they are opened."""

    def __init__(self, processes: Processes, sims: list[Simulator], urls: list[str], folder: Path) -> None:
        self.processes, self.sims = processes, sims
        self._urls, self._folder = urls, folder

    async def open(self, number: int, trader: PostgresUrl, sim: int, **given: object) -> Process:
        """Put the desk of a trader together, in one of the processes, before one of the simulators."""
        process, folder = self.processes.all[number], str(self._folder / f"state-{number}")
        now = self.sims[sim].clock().isoformat()
        asked = {"place": folder, "folder": folder, "limits": dict(WIDE), **given}
        await process.asked("open", url=self._urls[sim], token=TOKEN, now=now, plane=as_text(trader), **asked)
        return process

    async def pass_time(self, seconds: float, *processes: Process) -> None:
        """Let the time go on, in the first market and at these desks."""
        clock = self.sims[0].clock
        assert isinstance(clock, ManualClock)
        clock.advance(seconds)
        for process in processes:
            await process.asked("pass_time", seconds=seconds)


@pytest.fixture
async def room(_started: Processes, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Room]:
    """All have loaded everything."""
    await _started.are_ready()
    settings = SimulatorSettings(pace=AT_ONCE, rate_limit=None)
    sims = [Simulator(seed=7, clock=clock, token=TOKEN, settings=settings) for _ in range(3)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(served(sim)) for sim in sims]
        yield Room(_started, sims, urls, tmp_path)
        await _started.asked("close")


@asynccontextmanager
async def acting(member: PostgresUrl) -> AsyncIterator[TeamPlane]:
    """Connect as a risk manager, whom a busy machine may keep waiting."""
    plane = TeamPlane(member, patience=Patience(20, 20, 20, 60))
    try:
        yield plane
    finally:
        await plane.close()


@pytest.fixture
async def risk_manager(team: Team) -> AsyncIterator[TeamPlane]:
    """Who may halt."""
    async with acting(team.rita) as plane:
        yield plane


@pytest.fixture
async def traders(room: Room, team: Team) -> Processes:
    """Three traders of one team, each with a folder and a market."""
    for number, name in enumerate(("ann", "ben", "cyd")):
        await room.open(number, team.member(name), sim=number)
    return room.processes


@asynccontextmanager
async def killed(server: OwnServer) -> AsyncIterator[None]:
    """End the database as a power cut does, and start it again afterwards."""
    await to_thread.run_sync(server.stop)
    try:
        yield
    finally:
        await to_thread.run_sync(server.start)


def was_denied(told: list[str]) -> bool:
    """Whether nothing was sent, by a rule at the review, or at the last look before the wire."""
    return told[0] in {"denied", "TRADING_HALTED", "ORDER_DENIED"}


async def opens(process: Process, action: str) -> list[str]:
    """Let it propose and commit; the status and the reasons, of a denial at the proposal as well."""
    proposed = await process.asked("propose", action=action)
    if isinstance(proposed, list):
        return ["denied", *proposed]
    told: list[str] = await process.asked("commit", ticket_id=proposed)
    return told


async def test_after_the_commit_of_a_halt_of_everybody_none_of_them_begins_to_open_and_all_can_leave(
    traders: Processes, room: Room, risk_manager: TeamPlane, order: Order, flatten: str
) -> None:
    """They open as fast as they can. What was on its way at the commit is one order of each, at most."""
    assert await traders.asked("trade", action=order(1), denials=3) == ["under way"] * 3
    await risk_manager.halt(EVERYBODY, "the day's news")
    at_the_commit = [sent(sim) for sim in room.sims]
    for told, before, sim in zip(await traders.tell(), at_the_commit, room.sims, strict=True):
        *opened, first, second, third = told
        assert [status for status, *_ in opened] == ["filled"] * sent(sim)
        assert [was_denied(one) for one in (first, second, third)] == [True] * 3
        assert all(reason.startswith("TRADING_HALTED: by=rita-") for _, reason in (second, third))
        assert 3 <= before <= sent(sim) <= before + 1
    intents = await traders.asked("intents")
    assert all(0 <= written - sent(sim) <= 1 for written, sim in zip(intents, room.sims, strict=True))
    assert [was_denied(await opens(each, order(2))) for each in traders.all] == [True] * 3
    assert await traders.asked("intents") == intents
    tickets = await traders.asked("propose", action=flatten)
    left = await traders.asked("commit", *({"ticket_id": ticket} for ticket in tickets))
    assert [status for status, *_ in left] == ["flat"] * 3
    assert [held(sim) for sim in room.sims] == [0, 0, 0]
    assert await traders.asked("verify") == [[True, 0]] * 3
    await risk_manager.resume(EVERYBODY)
    assert [(await opens(each, order(1)))[0] for each in traders.all] == ["filled"] * 3


@pytest.mark.parametrize("at", ["open_ticket", "spend_ticket", "append_intent"])
@pytest.mark.parametrize("halts", ["everybody", "one"])
async def test_wherever_an_opening_is_a_halt_that_is_committed_meanwhile_stops_it(
    traders: Processes, room: Room, risk_manager: TeamPlane, team: Team, order: Order, halts: str, at: str
) -> None:
    """All three stop right before the same call; the one that is halted, or all, send nothing any more."""
    drawn = await traders.asked("propose", action=order(1)) if at != "open_ticket" else []
    if at == "open_ticket":
        assert await traders.asked("propose", action=order(1), stop_at=at) == [at] * 3
    else:
        given = ({"ticket_id": ticket} for ticket in drawn)
        assert await traders.asked("commit", *given, stop_at=at) == [at] * 3
    whom = (
        EVERYBODY
        if halts == "everybody"
        else next(member.name for member in await risk_manager.members() if member.name.startswith("ben"))
    )
    await risk_manager.halt(whom, "the day's news")
    told = await traders.go_on()
    if at == "open_ticket":
        told = await traders.asked("commit", *({"ticket_id": ticket} for ticket in told))
    expected = [0, 0, 0] if halts == "everybody" else [1, 0, 1]
    assert [sent(sim) for sim in room.sims] == expected
    assert [status == "filled" for status, *_ in told] == [bool(number) for number in expected], told
    assert await traders.asked("verify") == [[True, 0]] * 3


@pytest.mark.parametrize("state", ["sqlite", "postgresql"])
@pytest.mark.parametrize("limit", [2, 3])
async def test_all_machines_of_a_trader_together_never_pass_the_narrower_limit_of_the_plane(
    room: Room, risk_manager: TeamPlane, team: Team, order: Order, state: str, limit: int, tmp_path: Path
) -> None:
    """The trader's own limit is far wider. All stop right before the intent, and go on at once."""
    trader = team.member("dora")
    team.keep_state_of(trader)
    await risk_manager.set_policy(trader.user, f"[limits]\nmax_position_contracts = {limit}\n")
    place = as_text(trader) if state == "postgresql" else str(tmp_path / "one")
    for number in range(3):
        await room.open(number, trader, sim=0, place=place)
    orders = [order(1), order(2), order(2, ticks=-20)]
    tickets = await room.processes.asked("propose", *({"action": each} for each in orders))
    given = ({"ticket_id": ticket} for ticket in tickets)
    assert await room.processes.asked("commit", *given, stop_at="append_intent") == ["append_intent"] * 3
    told = await room.processes.go_on()
    assert 0 < sent(room.sims[0]) <= limit
    codes = {reasons[0].split(":")[0] for status, *reasons in told if status == "denied"}
    assert codes <= {"POSITION_EXCEEDS_MAXIMUM", "OUTCOME_UNRESOLVED"}, "on its way in another counts"


async def test_a_narrower_limit_that_is_set_meanwhile_holds_for_what_two_machines_are_about_to_send(
    room: Room, risk_manager: TeamPlane, team: Team, order: Order
) -> None:
    trader = team.member("emil")
    team.keep_state_of(trader)
    first, second = [await room.open(number, trader, sim=0, place=as_text(trader)) for number in range(2)]
    for process in (first, second):
        ticket = await process.asked("propose", action=order(2, ticks=10 if process is second else None))
        assert await process.asked("commit", ticket_id=ticket, stop_at="append_intent") == "append_intent"
    await risk_manager.set_policy(EVERYBODY, "[limits]\nmax_position_contracts = 1\n")
    assert [was_denied(await process.goes_on()) for process in (first, second)] == [True, True]
    assert sent(room.sims[0]) == 0
    assert (await opens(first, order(2)))[1].startswith("POSITION_EXCEEDS_MAXIMUM")
    assert (await opens(second, order(1)))[0] == "filled"


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A server that a test stops."""
    need_server()
    with running_server(synchronous_commit="on") as server:
        yield server


async def test_a_plane_that_is_killed_and_started_again_keeps_back_what_opens_after_the_grace_and_no_exit(
    room: Room, own_server: OwnServer, order: Order, flatten: str
) -> None:
    """The state of both is on their machines. One goes on all the time, the other is restarted in between."""
    team = Team(own_server)
    async with acting(team.rita) as risk_manager:
        await risk_manager.set_policy(EVERYBODY, GRACE)
        await risk_manager.halt(team.bob.user, "too many losses")
        alice, bob = await room.open(0, team.alice, sim=0), await room.open(1, team.bob, sim=0)
        assert (await opens(alice, order(1)))[0] == "filled"
        assert (await opens(bob, order(1)))[1].startswith("TRADING_HALTED")
        async with killed(own_server):
            assert (await opens(alice, order(1)))[0] == "filled", "within the grace"
            await room.pass_time(61, alice, bob)
            assert (await opens(alice, order(1)))[1].startswith("PLANE_OUT_OF_REACH")
            assert (await opens(bob, order(1)))[1].startswith("TRADING_HALTED"), "a halt that was known stays"
            await bob.asked("close")
            bob = await room.open(1, team.bob, sim=0)
            assert (await opens(bob, order(1)))[1].startswith("TRADING_HALTED"), "over a restart as well"
            ticket = await alice.asked("propose", action=flatten)
            assert (await alice.asked("commit", ticket_id=ticket))[0] == "flat"
            assert held(room.sims[0]) == 0
        assert (await opens(alice, order(1)))[0] == "filled", "by itself, once it answers"
        assert (await opens(bob, order(1)))[1].startswith("TRADING_HALTED")
        await risk_manager.resume(team.bob.user)
        assert (await opens(bob, order(1)))[0] == "filled"
        assert (await risk_manager.verify()).ok


@pytest.mark.parametrize("at", ["open_ticket", "spend_ticket", "append_intent"])
async def test_what_a_machine_is_about_to_send_as_the_plane_is_killed_is_denied_where_no_grace_is_set(
    room: Room, own_server: OwnServer, order: Order, at: str
) -> None:
    alice = await room.open(0, Team(own_server).alice, sim=0)
    if at == "open_ticket":
        assert await alice.asked("propose", action=order(1), stop_at=at) == at
    else:
        ticket = await alice.asked("propose", action=order(1))
        assert await alice.asked("commit", ticket_id=ticket, stop_at=at) == at
    async with killed(own_server):
        told = await alice.goes_on()
        if at == "open_ticket":
            told = await alice.asked("commit", ticket_id=told)
        assert (was_denied(told), "the team's plane does not answer" in told[1]) == (True, True)
        assert sent(room.sims[0]) == 0
    assert (await opens(alice, order(1)))[0] == "filled"
    assert await alice.asked("verify") == [True, 0]
