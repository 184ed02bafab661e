"""What a root means while another month than the front month is held, and a list comes back empty."""

import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.simulator import Simulator
from tests.e2e.altered import Altered
from tests.e2e.conftest import Assistant, Wire, World

POSITIONS, ORDERS, REPORT = "/accounts/Sim101/positions", "/accounts/Sim101/orders", "/accounts/snapshot"


@pytest.fixture
def era() -> str:
    return "auto"


@pytest.fixture
def altered(sim: Simulator) -> Altered:
    return Altered(sim.transport())


@pytest.fixture
def wire(altered: Altered) -> Wire:
    return Wire(altered)


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE)


@pytest.fixture
def december(world: World) -> SimContract:
    contract = world.sim.market.resolve("MES 12-26", world.clock())
    assert contract is not None
    return contract


def trades(world: World, contract: SimContract, kind: SimOrderType = SimOrderType.MARKET, limit: float = 0.0) -> None:
    """Buy two by hand, or let them rest; long enough ago that nothing is on its way."""
    terms = OrderTerms(contract, Action.BUY, 2, kind, limit_price=limit)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
    world.later(30)


@pytest.mark.parametrize("tool", ["flatten", "close_position"])
@pytest.mark.parametrize("times", [1, 1000])
async def test_an_exit_by_its_root_leaves_the_month_that_is_held_though_the_list_is_empty(
    assistant: Assistant, world: World, altered: Altered, december: SimContract, tool: str, times: int
) -> None:
    trades(world, december)
    altered.empties(POSITIONS, times=times)
    told = await assistant.call(tool, account="Sim101", instrument="MES")
    assert world.sim.exchange.accounts["Sim101"].net(december) == 0, told.text
    assert "MES 12-26" in told.text


@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_an_exit_by_its_root_leaves_all_the_same_where_no_other_source_can_be_read(
    assistant: Assistant, world: World, altered: Altered, tool: str
) -> None:
    trades(world, world.sim.market.front("MES", world.clock()))
    altered.empties(POSITIONS)
    altered.refuses(REPORT)
    told = await assistant.call(tool, account="Sim101", instrument="MES")
    assert (told.status, world.net()) == ("flat", 0), told.text


@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_an_exit_of_another_month_is_not_told_as_flat_once_the_list_shows_what_is_held(
    assistant: Assistant, world: World, altered: Altered, december: SimContract, tool: str
) -> None:
    trades(world, december)
    altered.empties(POSITIONS)
    altered.refuses(REPORT)
    told = await assistant.call(tool, account="Sim101", instrument="MES")
    assert told.status != "flat", told.text
    assert "held in another month, which no list had shown before: LONG 2 MES 12-26" in told.text
    again = await assistant.call(tool, account="Sim101", instrument="MES")
    assert (again.status, world.sim.exchange.accounts["Sim101"].net(december)) == ("flat", 0), again.text


async def test_flat_is_said_of_the_named_month_beside_another_that_was_known(
    assistant: Assistant, world: World, december: SimContract
) -> None:
    trades(world, december)
    trades(world, world.sim.market.front("MES", world.clock()))
    told = await assistant.call("flatten", account="Sim101", instrument="MES 09-26")
    assert (told.status, world.net()) == ("flat", 0), told.text


async def test_cancels_by_their_root_go_to_the_month_that_has_orders_though_the_lists_are_empty(
    assistant: Assistant, world: World, altered: Altered, december: SimContract
) -> None:
    trades(world, december, SimOrderType.LIMIT, world.price(-400))
    assert world.live()
    altered.empties(POSITIONS, ORDERS)
    told = await assistant.call("cancel_orders", account="Sim101", instrument="MES")
    assert world.live() == [], told.text


async def test_a_sale_by_its_root_asks_for_the_month_though_the_list_is_empty(
    assistant: Assistant, world: World, altered: Altered, december: SimContract
) -> None:
    trades(world, december)
    altered.empties(POSITIONS)
    told = await assistant.buys(2, action="SELL")
    assert "LONG 2 MES 12-26 is held; name the month" in told.text
    assert world.net() == 0
