"""CrossTrade asks for a pause: reads and what opens wait for it, and no exit does, however long it is."""

from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import OwnBudget
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from tests.e2e.conftest import Assistant, Converse, World

UNASKED = Policy(simulated=Approval.NONE)
EXITS: list[tuple[str, dict[str, Any], int]] = [
    ("flatten", {"account": "Sim101"}, 0),
    ("flatten", {"account": "Sim101", "instrument": "MES"}, 0),
    ("close_position", {"account": "Sim101", "instrument": "MES"}, 0),
    ("close_position", {"account": "Sim101", "instrument": "MES", "quantity": 1}, 1),
    ("flatten_everything", {}, 0),
]


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked."""
    return UNASKED


@pytest.mark.parametrize(("tool", "given", "left"), EXITS)
async def test_an_exit_leaves_within_seconds_and_is_read_back(
    *, assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock, tool: str, given: Any, left: int
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later(30)
    await budget.penalise(clock(), 300.0)
    began = clock()
    told = await assistant.call(tool, **given)
    assert (told.status, told.position_after, world.net()) == ("filled" if left else "flat", left, left), told.text
    assert (clock() - began).total_seconds() < 10


async def test_an_exit_of_a_server_that_has_just_started_leaves_as_well(
    *, converse: Converse, another_desk: Desk, assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later(30)
    await budget.penalise(clock(), 300.0)
    async with converse(over=another_desk) as newcomer:
        told = await newcomer.call("flatten", account="Sim101")
    assert (told.status, world.net()) == ("flat", 0), told.text


async def test_an_order_is_cancelled_in_a_pause(
    assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock
) -> None:
    order_id = await assistant.rests(world.price(-40))
    world.later(30)
    await budget.penalise(clock(), 300.0)
    told = await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    assert (told.status, world.live()) == ("cancelled", []), told.text


async def test_what_opens_waits_and_is_told_that_the_service_asked_for_it(
    assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock
) -> None:
    await budget.penalise(clock(), 300.0)
    told = await assistant.buys(1)
    assert told.text.startswith("RATE_LIMITED: CrossTrade asked us to wait; the next request may leave in 30"), (
        told.text
    )
    assert "Nothing was sent to the market." in told.text
    assert "cancels, closes and flattens are sent all the same" in told.text
    assert "our own request budget" not in told.text
    assert world.writes() == 0


async def test_an_exit_that_is_refused_again_did_not_leave_and_is_told_so(
    assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later(30)
    await budget.penalise(clock(), 300.0)
    world.sim.faults.arm(Fault.RATE_LIMITED, rpc="Flatten", times=1)
    told = await assistant.call("flatten", account="Sim101")
    assert told.text.startswith("RATE_LIMITED: Flatten was answered with HTTP 429"), told.text
    assert "Nothing was changed in the account" in told.text
    assert world.net() == 2
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, world.net()) == ("flat", 0), told.text


async def test_an_exit_of_which_the_brokers_limit_leaves_it_open_is_unknown_and_not_sent_again(
    *, assistant: Assistant, world: World, budget: OwnBudget, clock: ManualClock, crosstrade: CrossTrade
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later(30)
    await budget.penalise(clock(), 300.0)
    world.sim.faults.arm(Fault.BROKER_RATE_LIMITED, rpc="Flatten", times=1)
    before = world.writes()
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, told.sent) == ("unknown", "unknown"), told.text
    assert world.writes() - before <= 1
    assert (await crosstrade.allowance()).paused_seconds > 200
