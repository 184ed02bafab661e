"""What the status says is open: read now, by a list and a report that may be seconds old, and never on one alone."""

import pytest

from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from tests.e2e.conftest import Assistant, Wire, World

ACCOUNT = "Sim101"


@pytest.fixture
def era() -> str:
    return "auto"


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(accounts=(SIM, LIVE))


@pytest.fixture
def policy() -> Policy:
    return Policy()


def somebody_buys(world: World, quantity: int) -> None:
    """The person's own hand in NinjaTrader."""
    exchange, contract = world.sim.exchange, world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.BUY, quantity, SimOrderType.MARKET)
    exchange.submit(exchange.accounts[ACCOUNT], terms, OrderLabels(), world.clock())


async def test_nothing_is_said_of_a_position_that_was_left(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later(60)
    await assistant.call("get_status")
    assert (await assistant.call("flatten", account=ACCOUNT)).status == "flat"
    told = await assistant.call("get_status")
    assert not told.text.startswith("UNPROTECTED"), told.text
    assert (told.open_positions, told.without_stop, told.stop_unknown) == ([], [], [])


async def test_what_was_just_bought_is_open(assistant: Assistant, world: World) -> None:
    await assistant.call("get_status")
    somebody_buys(world, 3)
    world.later(1)
    told = await assistant.call("get_status")
    assert told.text.startswith("UNPROTECTED, tell the person now: Sim101  LONG 3"), told.text
    accounts = await assistant.call("get_accounts")
    assert accounts.accounts[0]["open_positions"] == 1, accounts.text


async def test_what_has_grown_is_not_called_whole(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    await assistant.protects(world.price(-40), quantity=2)
    world.later(60)
    await assistant.call("get_status")
    somebody_buys(world, 3)
    world.later(1)
    told = await assistant.call("get_status")
    assert "every open position has a stop for all of it" not in told.text, told.text
    assert "NO STOP for 3 of 5" in told.text, told.text


async def test_without_the_report_what_the_list_holds_is_told_and_the_rest_is_not_known(
    assistant: Assistant, world: World
) -> None:
    somebody_buys(world, 2)
    world.later(5)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    told = await assistant.call("get_status")
    assert [line.split(" MES")[0] for line in told.open_positions] == ["Sim101  LONG 2"]
    assert told.stop_unknown == [f"{LIVE.name}  positions not read"]


@pytest.mark.parametrize("empty", [True, False], ids=["the list is empty", "the list is not read"])
async def test_positions_that_were_not_read_are_not_told_as_none(
    assistant: Assistant, world: World, *, empty: bool
) -> None:
    somebody_buys(world, 2)
    world.later(5)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    fault = Fault.EMPTY_LISTS if empty else Fault.BAD_GATEWAY
    world.sim.faults.arm(fault, rpc="GetAllPositions")
    told = await assistant.call("get_status")
    assert "open: unknown" in told.text, told.text
    assert (told.open_positions, told.without_stop) == (None, None)


@pytest.mark.parametrize("fault", [Fault.EMPTY_LISTS, Fault.ERROR_500_BEFORE_ACCEPT])
async def test_what_the_report_alone_shows_is_looked_up(assistant: Assistant, world: World, fault: Fault) -> None:
    somebody_buys(world, 2)
    world.later(5)
    world.sim.faults.arm(fault, rpc="GetAllPositions")
    told = await assistant.call("get_status")
    assert told.text.startswith("UNPROTECTED, tell the person now: Sim101  LONG 2"), told.text


async def test_the_list_of_accounts_is_read_again_once_the_report_names_others(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    def lists() -> int:
        return sum(path.endswith("/accounts") for _, path, _ in wire.left)

    await assistant.call("get_status")
    assert lists() == 1
    await assistant.call("get_status")
    assert lists() == 1
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    told = await assistant.call("get_status")
    assert lists() == 2
    assert [account["account"] for account in told.accounts] == [SIM.name, LIVE.name]
