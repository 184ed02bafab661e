"""What a server does beside its calls for a team: hears its word, hears a second person's no, and reports."""

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.guard.policy import Policy
from ct_mcp.server import context as module
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import place_order
from tests.planes import GONE, FakePlane, member


@pytest.fixture
def policy() -> Policy:
    """Somebody is asked on a page."""
    return Policy(simulated=Approval.PAGE)


@pytest.fixture
def plane(clock: ManualClock) -> FakePlane:
    """A team."""
    return FakePlane(clock)


@pytest.fixture
def desk(
    plane: FakePlane,
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    tmp_path: Path,
) -> Desk:
    """The desk of a trader of that team."""
    return Desk(crosstrade, store, member(policy, plane, tmp_path), clock=clock, pause=pause)


@pytest.fixture
def context(desk: Desk, policy: Policy) -> ServerContext:
    """A server that belongs to it."""
    context = ServerContext(lambda: desk, policy)
    context.has_team = True
    return context


class Naps:
    """Sleeps that end at once, so many of them."""

    def __init__(self, most: int) -> None:
        self.left, self.slept = most, list[float]()

    async def __call__(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.slept.append(seconds)
        self.left -= 1
        if self.left < 0:
            await anyio.sleep_forever()


async def beside(work: Callable[[], Coroutine[Any, Any, None]], naps: Naps) -> None:
    """Let it run until it has slept so often."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        while naps.left >= 0:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    """What the server sleeps by."""
    naps = Naps(3)
    monkeypatch.setattr(module, "sleep", naps)
    return naps


async def test_a_server_that_nobody_uses_asks_nothing(context: ServerContext, plane: FakePlane, naps: Naps) -> None:
    await beside(context._follow_team, naps)
    assert plane.times_asked == 0
    assert max(naps.slept) <= 2.0


async def test_one_that_is_used_hears_a_halt_and_tells_whoever_subscribes(
    context: ServerContext, plane: FakePlane, naps: Naps
) -> None:
    told: list[str] = []
    context.on_written.append(lambda: told.append("journal"))
    assert context.desk.team.standing is not None
    plane.halt()
    await beside(context._follow_team, naps)
    assert context.desk.team.standing.halt is not None
    assert told == ["journal"], "once, and not at each word"


async def test_a_plane_that_is_lost_ends_nothing(context: ServerContext, plane: FakePlane, naps: Naps) -> None:
    assert context.desk.team.standing is not None
    plane.fails = GONE
    await beside(context._follow_team, naps)
    assert context.desk.team.standing.lost is not None


async def test_a_second_persons_no_ends_a_ticket_while_the_person_is_still_asked(
    context: ServerContext, plane: FakePlane, naps: Naps, store: SqliteStore, clock: ManualClock
) -> None:
    plane.set('[team]\nsecond_yes = "all"')
    mes = await context.desk.resolver.instrument("MES")
    ticket = await context.desk.propose(place_order(instrument=mes))
    assert isinstance(ticket, Ticket)
    plane.declines()
    clock.advance(2)
    await beside(context._follow_team, naps)
    found = await store.ticket(ticket.ticket_id)
    assert found is not None
    assert (found.state_at(clock()), found.decided_by) == (TicketState.DECLINED, "bob, the second person")


async def test_it_reports_again_and_again_and_sooner_after_a_change(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    told: list[str] = []

    async def report() -> None:
        told.append("report")
        context._report_soon()
        if len(told) == 1:
            raise GONE

    context.report = report
    await beside(context._report_to_team, naps)
    assert len(told) == 3, "a change is told at once, but for the least pause; a plane that is lost ends nothing"
    assert module._REPORT_EVERY_SECONDS <= 10


async def test_before_the_first_answer_nothing_is_told_or_loaded(context: ServerContext, naps: Naps) -> None:
    told, answered = list[str](), anyio.Event()

    async def report() -> None:
        told.append("report")

    context.report, context.has_begun = report, answered.wait
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(context._report_to_team)
        await anyio.wait_all_tasks_blocked()
        assert (told, naps.slept) == ([], [])
        answered.set()
        await anyio.wait_all_tasks_blocked()
        assert told == ["report"]
        tasks.cancel_scope.cancel()


async def test_without_a_team_nothing_runs(desk: Desk, policy: Policy) -> None:
    context = ServerContext(lambda: desk, policy)
    await context._follow_team()
    assert context.report is None
