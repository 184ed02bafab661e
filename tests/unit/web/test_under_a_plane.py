"""The console and the approval page of a trader whose team has a plane."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.planes import FakePlane, member
from tests.unit.web.conftest import Enter, Propose


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


async def test_the_console_says_that_the_team_has_halted_and_offers_no_way_to_lift_it(
    enter: Enter, plane: FakePlane, clock: ManualClock
) -> None:
    plane.halt("tilt <b>")
    plane.set("[team]\ngrace_seconds = 60")
    page = (await enter()).page
    assert "YOUR TEAM HAS HALTED YOU" in page
    assert "tilt &lt;b&gt;. Only a risk manager lifts that, at the team" in page
    assert "team: policy 1 for everybody, set by bob at " in page
    assert page.count("enough") + page.count("tilt") == 1, "it is said once"
    assert "Trading is on" not in page
    assert "Resume trading" not in page
    assert "Halt trading" in page, "their own halt is theirs"
    plane.resume()
    clock.advance(2)
    page = await (await enter()).look()
    assert "YOUR TEAM" not in page
    assert "Trading is on." in page


async def test_without_a_team_nothing_is_said_of_one(enter: Enter) -> None:
    assert "team" not in (await enter()).page.casefold()


async def test_a_yes_is_held_until_the_second_is_there(
    enter: Enter, propose: Propose, plane: FakePlane, clock: ManualClock
) -> None:
    plane.set('[team]\nsecond_yes = "all"')
    ticket = await propose()
    browser = await enter()
    page = await browser.look(f"/ticket/{ticket.ticket_id}")
    assert "a second person of your team is asked as well" in page
    clock.advance(3)
    await browser.post(f"/ticket/{ticket.ticket_id}/approve")
    page = await browser.look(f"/ticket/{ticket.ticket_id}")
    assert "Approved, and not sent yet" in page
    assert "Your yes is held until a second person of your team has said yes as well" in page
