"""Orders that stand and that one list does not hold: lists have come back empty, and another one is asked then."""

import pytest
from mcp_types import ElicitResult

from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.queries import Query
from ct_mcp.server.tools.charts import read_chart
from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from tests.conftest import Person
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


def somebody(world: World, action: Action, quantity: int, stop: float = 0.0) -> SimOrder:
    """The person's own hand in NinjaTrader."""
    exchange, contract = world.sim.exchange, world.sim.market.front("MES", world.clock())
    kind = SimOrderType.STOP_MARKET if stop else SimOrderType.MARKET
    terms = OrderTerms(contract, action, quantity, kind, stop_price=stop)
    order = exchange.submit(exchange.accounts[ACCOUNT], terms, OrderLabels(), world.clock())
    world.later(5)
    return order


def standing(world: World) -> int:
    """Contracts that really stand to be sold."""
    return sum(order.terms.quantity for order in world.sim.exchange.live_orders(ACCOUNT))


# What is placed


async def test_a_stop_of_the_persons_own_that_the_list_hides_is_moved_and_not_doubled(
    assistant: Assistant, world: World
) -> None:
    somebody(world, Action.BUY, 2)
    stop = somebody(world, Action.SELL, 2, stop=world.price(-40))
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")  # GetAllOrders lists the stop
    nearer = world.price(-30)
    told = await assistant.call("protect_position", account=ACCOUNT, instrument="MES", stop_loss=nearer)
    assert standing(world) == 2, told.text
    assert stop.terms.stop_price == nearer, told.text


async def test_where_no_second_list_can_be_read_a_stop_is_placed_once_the_person_says_so(
    assistant: Assistant, world: World, person: Person
) -> None:
    somebody(world, Action.BUY, 2)
    somebody(world, Action.SELL, 2, stop=world.price(-40))
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAllOrders")
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call("protect_position", account=ACCOUNT, instrument="MES", stop_loss=world.price(-30))
    assert standing(world) == 2, told.text
    assert "NOT KNOWN whether a stop" in person.asked[-1], person.asked


async def test_a_position_that_is_really_bare_gets_its_stop_unasked(
    assistant: Assistant, world: World, person: Person, wire: Wire
) -> None:
    somebody(world, Action.BUY, 2)
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")  # and GetAllOrders lists no order that stands
    await assistant.call("protect_position", account=ACCOUNT, instrument="MES", stop_loss=world.price(-30))
    assert standing(world) == 2
    assert not person.asked
    assert any(path.endswith("/orders") and "accounts" not in path for _, path, _ in wire.left)


async def test_a_list_that_holds_what_is_over_is_believed_without_a_second_one(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    somebody(world, Action.BUY, 2)  # its order is listed, and over
    await assistant.call("protect_position", account=ACCOUNT, instrument="MES", stop_loss=world.price(-30))
    assert standing(world) == 2
    assert not [path for _, path, _ in wire.left if path.endswith("/orders") and "accounts" not in path]


async def test_the_stop_of_an_entry_waits_for_no_second_list(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAllOrders")
    told = await assistant.buys(2, stop_loss=world.price(-40))
    assert (world.net(), standing(world)) == (2, 2), told.text


@pytest.mark.parametrize("second", [True, False], ids=["a second list shows it", "no second list can be read"])
async def test_after_a_refused_bracket_a_hidden_stop_is_not_cried_for(
    assistant: Assistant, world: World, wire: Wire, *, second: bool
) -> None:
    somebody(world, Action.BUY, 2)

    def hides() -> None:  # the person's own hand was quicker
        somebody(world, Action.SELL, 2, stop=world.price(-40))
        world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
        if not second:
            world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAllOrders")

    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="CancelAndBracket")
    wire.meanwhile["/cancel_and_bracket"] = hides
    prices = {"stop_loss": world.price(-30), "take_profit": world.price(30)}
    told = await assistant.call("protect_position", account=ACCOUNT, instrument="MES", **prices)
    assert standing(world) == 2, told.text
    assert "UNPROTECTED" not in told.text, told.text
    assert ("NOT KNOWN" in told.text) is not second, told.text


# What is said


@pytest.mark.parametrize("account", [ACCOUNT, None])
async def test_what_one_list_hides_is_told_from_the_other(
    assistant: Assistant, world: World, account: str | None
) -> None:
    somebody(world, Action.BUY, 2)
    stop = somebody(world, Action.SELL, 2, stop=world.price(-40))
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders" if account else "GetAllOrders")
    told = await assistant.call("get_positions", account=account)
    assert "stop 2 of 2" in told.text, told.text
    assert "left out what stands in Sim101" in told.text
    told = await assistant.call("get_orders", account=account)
    assert [each["order_id"] for each in told.orders] == [stop.id]
    told = await assistant.call("get_status")
    assert (told.without_stop, told.stop_unknown) == ([], []), told.text


@pytest.mark.parametrize("account", [ACCOUNT, None])
async def test_where_no_second_list_can_be_read_it_is_not_known_whether_a_stop_stands(
    assistant: Assistant, world: World, account: str | None
) -> None:
    somebody(world, Action.BUY, 2)
    somebody(world, Action.SELL, 2, stop=world.price(-40))
    empty, unread = ("ListOrders", "GetAllOrders") if account else ("GetAllOrders", "ListOrders")
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc=empty)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=unread)
    told = await assistant.call("get_positions", account=account)
    assert "NOT KNOWN whether a stop stands" in told.text, told.text
    assert "NO STOP" not in told.text
    assert told.positions[0]["contracts_without_stop"] is None
    assert "NOT KNOWN whether any stands" in (await assistant.call("get_orders", account=account)).text
    if not account:
        told = await assistant.call("get_status")
        assert told.text.startswith("whether a stop stands is NOT KNOWN: Sim101"), told.text
        assert told.without_stop == []


async def test_a_chart_and_the_snapshot_show_a_stop_that_one_list_hides(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    somebody(world, Action.BUY, 2)
    somebody(world, Action.SELL, 2, stop=world.price(-40))
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    chart = await read_chart(Query(desk), "MES", "5 minute", 5, ACCOUNT)
    assert chart.holdings is not None
    assert len(chart.holdings.orders or ()) == 1
    (snapshot,) = (await assistant.client.read_resource(f"crosstrade://accounts/{ACCOUNT}/snapshot")).contents
    assert "STOP_MARKET" in getattr(snapshot, "text", ""), snapshot


async def test_a_bare_position_is_told_so_without_a_second_list(assistant: Assistant, world: World, wire: Wire) -> None:
    somebody(world, Action.BUY, 2)
    wire.left.clear()
    assert "NO STOP" in (await assistant.call("get_positions", account=ACCOUNT)).text
    assert sum(path.endswith("/orders") for _, path, _ in wire.left) == 1


# What is waited for


@pytest.mark.parametrize("account", [ACCOUNT, None])
async def test_a_list_that_comes_back_empty_is_no_news_of_an_exit(
    assistant: Assistant, world: World, wire: Wire, account: str | None
) -> None:
    somebody(world, Action.BUY, 2)
    somebody(world, Action.SELL, 2, stop=world.price(-40))
    path = f"/accounts/{account}/positions" if account else "/api/positions"

    def hides() -> None:  # from the second reading of positions on
        wire.meanwhile[path] = lambda: world.sim.faults.arm(Fault.EMPTY_LISTS)

    wire.meanwhile[path] = hides
    told = await assistant.call("wait_for", seconds=10, account=account)
    assert path not in wire.meanwhile, "it was read twice"
    assert "gone" not in told.text.replace("told as gone", ""), told.text
    assert "a list left out what may still be held or stand" in told.text, told.text


async def test_an_exit_that_is_really_over_is_told_as_gone(assistant: Assistant, world: World, wire: Wire) -> None:
    somebody(world, Action.BUY, 2)
    stop = somebody(world, Action.SELL, 2, stop=world.price(-40))
    path = f"/accounts/{ACCOUNT}/positions"

    def leaves() -> None:
        world.sim.exchange.cancel(stop, world.clock())
        somebody(world, Action.SELL, 2)

    def reads() -> None:
        wire.meanwhile[path] = leaves

    wire.meanwhile[path] = reads
    told = await assistant.call("wait_for", seconds=10, account=ACCOUNT)
    assert "gone: Sim101  LONG 2 MES" in told.text, told.text
    assert "gone: Sim101  SELL 2 MES 09-26 STOP MARKET" in told.text, told.text
