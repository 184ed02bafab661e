"""The second person's yes at the desk: no road spends a ticket that lacks it, whoever commits."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.team import SecondState
from ct_mcp.errors import BadRequest, NeedsRoom, NotConfirmed
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.planes import GONE, FakePlane, member
from tests.unit.desk.conftest import Buys

SECOND = '[team]\nsecond_yes = "all"'


@pytest.fixture
def policy() -> Policy:
    """Somebody is asked on a page."""
    return Policy(simulated=Approval.PAGE)


@pytest.fixture
def plane(clock: ManualClock) -> FakePlane:
    """A team that wants a second yes of everything."""
    plane = FakePlane(clock)
    plane.set(SECOND)
    return plane


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
async def ticket(desk: Desk, buy: Buys) -> Ticket:
    """One that the trader has said yes to."""
    proposed = await desk.propose(buy(2))
    assert isinstance(proposed, Ticket)
    assert await desk.decisions.approve(proposed, "page")
    return await desk.ticket(proposed.ticket_id)


@pytest.mark.parametrize("why", ["nobody has answered", "to other commands", "out of reach", "no", "no team any more"])
async def test_without_it_nothing_is_spent(
    desk: Desk, plane: FakePlane, ticket: Ticket, sim: Simulator, why: str
) -> None:
    if why == "to other commands":
        plane.answers_with(SecondState.APPROVED, fingerprint="another")
    elif why == "no":
        plane.declines()
    elif why == "out of reach":
        plane.approves()
        plane.fails = GONE
    elif why == "no team any more":
        desk.team.link = None
    with pytest.raises(NotConfirmed, match="cannot be used"):
        await desk.commit(ticket.ticket_id)
    state = (await desk.ticket(ticket.ticket_id)).state
    assert state is (TicketState.DECLINED if why == "no" else TicketState.APPROVED)
    assert not sim.exchange.orders


async def test_with_it_the_ticket_is_spent_once(desk: Desk, plane: FakePlane, ticket: Ticket) -> None:
    plane.approves()
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
    with pytest.raises(NotConfirmed):
        await desk.commit(ticket.ticket_id)


async def test_where_nobody_could_be_asked_each_later_look_asks_again(
    desk: Desk, plane: FakePlane, ticket: Ticket, clock: ManualClock
) -> None:
    plane.questions.clear()
    plane.answers.clear()
    plane.fails = GONE
    assert "it cannot be reached" in (await desk.second_yes.look(ticket)).words
    plane.fails = None
    clock.advance(2)
    told = await desk.awaiting(ticket)
    assert told.status is Status.NEEDS_APPROVAL
    assert list(plane.questions) == [ticket.ticket_id]
    assert "answers at the plane" in told.next_step


@pytest.mark.parametrize("error", [BadRequest("another was asked"), NeedsRoom("20 wait already")])
async def test_what_the_plane_refuses_is_told(
    desk: Desk, plane: FakePlane, ticket: Ticket, error: BadRequest | NeedsRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(_: object) -> None:
        raise error

    plane.answers.clear()
    monkeypatch.setattr(plane, "ask", refuses)
    assert error.what in (await desk.second_yes.look(ticket)).words


async def test_a_policy_that_wants_it_by_now_denies_what_nobody_was_asked_for(
    desk: Desk, plane: FakePlane, buy: Buys, sim: Simulator
) -> None:
    plane.set("")
    proposed = await desk.propose(buy())
    assert isinstance(proposed, Ticket)
    assert not proposed.needs_second
    assert await desk.decisions.approve(proposed, "page")
    plane.set(SECOND)
    told = await desk.commit(proposed.ticket_id)
    assert told.status is Status.DENIED
    assert "APPROVAL_OUTGROWN: a second person's yes is due by now" in " ".join(told.reasons)
    assert not sim.exchange.orders


async def test_the_same_proposed_again_is_a_question_of_its_own_once_it_wants_it(
    desk: Desk, plane: FakePlane, buy: Buys
) -> None:
    plane.set("")
    first = await desk.propose(buy())
    plane.set(SECOND)
    second = await desk.propose(buy())
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert (first.needs_second, second.needs_second) == (False, True)
    assert (await desk.ticket(first.ticket_id)).state is TicketState.EXPIRED
