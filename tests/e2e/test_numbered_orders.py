"""A broker that numbers orders: the id of a placement keeps working, and what is read shows the broker's number."""

from dataclasses import dataclass

import httpx
import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.duty import DutyState
from ct_mcp.simulator.addon import AddOnAssumptions
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from tests.e2e.conftest import Assistant, Told, Wire, World

NUMBERS = SimulatorSettings(pace=ExchangePace(numbers_orders=True))
OLD = SimulatorSettings(assumptions=AddOnAssumptions(own_id_lookup=False))


@dataclass
class OldAddOn(Wire):
    """An add-on of before 1.13.2, which tells no history, where ``is_old``."""

    is_old: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_old and request.url.path.endswith("/lifecycle"):
            return httpx.Response(400, json={"success": False, "error": "Unknown API command"})
        return await super().handle_async_request(request)


@pytest.fixture
def wire(sim: Simulator) -> OldAddOn:
    """What leaves our client."""
    return OldAddOn(sim.transport())


def live(world: World) -> list[SimOrder]:
    """What can really still fill."""
    return world.sim.exchange.live_orders("Sim101")


def by_hand(world: World, action: Action, quantity: int) -> None:
    """Somebody trades in NinjaTrader."""
    account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, action, quantity, SimOrderType.MARKET)
    world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())


async def looks_on(desk: Desk, world: World, times: int = 60) -> None:
    """Let the watch look for two minutes."""
    for _ in range(times):
        world.later(2)
        await desk.exit_watch.look()


@pytest.mark.parametrize("settings", [NUMBERS, SimulatorSettings()], ids=["numbered at once", "numbered later"])
@pytest.mark.parametrize("resized", [False, True])
async def test_a_stop_that_got_a_number_does_not_outlive_its_position(
    assistant: Assistant, world: World, desk: Desk, resized: bool
) -> None:
    await assistant.buys(2, stop_loss="10 points")
    (stop,) = live(world)
    await looks_on(desk, world, times=5)
    world.sim.exchange.renumber(stop)
    if resized:
        by_hand(world, Action.SELL, 1)
        world.later(1)
        stop.terms = OrderTerms(
            stop.terms.contract, Action.SELL, 1, SimOrderType.STOP_MARKET, stop_price=stop.terms.stop_price
        )
    by_hand(world, Action.SELL, 1 if resized else 2)
    await looks_on(desk, world)
    assert (world.net(), live(world), str(stop.state)) == (0, [], "Cancelled")
    assert await desk.store.duties() == ()


async def test_a_stop_that_got_a_number_is_kept_while_its_position_is_held(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.buys(2, stop_loss="10 points")
    (stop,) = live(world)
    world.sim.exchange.renumber(stop)
    await looks_on(desk, world)
    assert (world.net(), live(world)) == (2, [stop])
    assert [duty.state for duty in await desk.store.duties()] == [DutyState.STANDING]


@pytest.mark.parametrize("settings", [OLD], ids=["our id is not kept"])
@pytest.mark.parametrize("is_old", [False, True], ids=["with histories", "without"])
@pytest.mark.parametrize("resized", [False, True])
async def test_an_entry_that_got_a_number_gets_its_stop_once_it_fills(
    assistant: Assistant, world: World, desk: Desk, wire: OldAddOn, is_old: bool, resized: bool
) -> None:
    wire.is_old = is_old
    await assistant.rests(world.price(-8), quantity=2, stop_loss="10 points")
    (entry,) = live(world)
    world.sim.exchange.renumber(entry)
    if resized:
        terms = entry.terms
        entry.terms = OrderTerms(terms.contract, terms.action, 3, terms.order_type, limit_price=terms.limit_price)
    while entry.is_live:
        await looks_on(desk, world, times=1)
    await looks_on(desk, world, times=5)
    filled = 3 if resized else 2
    assert (world.net(), [order.terms.quantity for order in live(world)]) == (filled, [filled])


@pytest.mark.parametrize("settings", [OLD], ids=["our id is not kept"])
async def test_an_entry_that_got_a_number_is_recognized_in_the_list_after_it_was_asked_for_once(
    assistant: Assistant, world: World, desk: Desk, wire: OldAddOn
) -> None:
    wire.is_old = True
    placed = await assistant.rests(world.price(-70), quantity=2, stop_loss="10 points")
    world.sim.exchange.renumber(live(world)[-1])
    before = len(wire.left)
    await looks_on(desk, world)
    assert sum(path.endswith(placed) for _, path, _ in wire.left[before:]) == 1


@pytest.mark.parametrize("settings", [OLD], ids=["our id is not kept"])
@pytest.mark.parametrize("when", ["before", "with"])
@pytest.mark.parametrize("quantity", [2, 3])
async def test_an_entry_that_got_its_number_with_a_change_gets_its_stop_once_it_fills(
    assistant: Assistant, world: World, desk: Desk, wire: OldAddOn, when: str, quantity: int
) -> None:
    wire.is_old = True
    await assistant.rests(world.price(-40), quantity=2, stop_loss="10 points")
    (entry,) = live(world)
    named = entry.id
    if when == "before":
        world.sim.exchange.renumber(entry)
        named = entry.shown_id
    else:
        wire.meanwhile["/change"] = lambda: world.sim.exchange.renumber(entry)
    more = {"limit_price": world.price(-8), "quantity": quantity}
    told = await assistant.call("change_order", account="Sim101", order_id=named, **more)
    assert told.status == "changed", told.text
    while entry.is_live:
        await looks_on(desk, world, times=1)
    await looks_on(desk, world, times=5)
    assert (world.net(), [order.terms.quantity for order in live(world)]) == (quantity, [quantity])


@pytest.mark.parametrize("settings", [NUMBERS, SimulatorSettings()], ids=["numbered", "as on Sim"])
async def test_a_day_at_a_broker_that_numbers_orders_is_told_as_any_other(assistant: Assistant, world: World) -> None:
    told: list[Told] = [await assistant.buys(2, stop_loss="10 points", take_profit="20 points")]

    async def then(tool: str, **more: object) -> None:
        told.append(await assistant.call(tool, account="Sim101", **more))
        world.later(90)

    world.later(30)
    rows = (await assistant.call("get_orders", account="Sim101")).structure["orders"]
    stop = next(row["order_id"] for row in rows if "stop" in str(row).lower())
    await then("change_order", order_id=stop, stop_price=world.price(-20))
    await then("flatten")
    told.append(await assistant.buys(2))
    world.later(90)
    await then(
        "protect_position",
        instrument="MES 09-26",
        stop_loss_price=world.price(-60),
        take_profit_price=world.price(90),
    )
    await then("close_position", instrument="MES 09-26", quantity=1)
    await then("cancel_orders", instrument="MES 09-26")
    await then("close_position", instrument="MES 09-26")
    told.append(await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-50)))
    await then("cancel_order", order_id=told[-1].order_id)
    expected = ["filled", "changed", "flat", "filled", "working", "filled", "cancelled", "flat", "working", "cancelled"]
    assert [each.status for each in told] == expected, "\n\n".join(each.text for each in told)
    assert not [each.alarm for each in told if each.alarm]
