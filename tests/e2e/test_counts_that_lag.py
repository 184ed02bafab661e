"""What an entry has filled, where its row does not count it yet: what fills gets its exits all the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.duty import DutyState
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.e2e.conftest import Assistant, Wire, World

Row = dict[str, Any]


@dataclass
class Counting(Wire):
    """Shows each row of an order as ``count`` makes it, so many ``times``."""

    count: Callable[[Row], bool] = lambda _: False
    times: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        await answer.aread()
        body = json.loads(answer.content)
        if request.method != "GET" or not isinstance(body, dict):
            return answer
        rows = [body] if "orderState" in body else body.get("orders", [])
        if self.times and any([self.count(row) for row in rows]):
            self.times -= 1
        return httpx.Response(answer.status_code, json=body)


@pytest.fixture
def wire(sim: Simulator) -> Counting:
    """What leaves our client, and what is made of the answers."""
    return Counting(sim.transport())


def stops(world: World) -> int:
    """For how many contracts a stop really stands."""
    return sum(order.terms.quantity for order in world.sim.exchange.live_orders("Sim101") if order.terms.stop_price)


async def looks_on(desk: Desk, world: World, times: int = 30) -> None:
    """Let the watch look for a minute."""
    for _ in range(times):
        world.later(2)
        await desk.exit_watch.look()


@pytest.mark.parametrize("lasts", [3, 10_000], ids=["for a moment", "for good"])
@pytest.mark.parametrize("counted", [0, 1])
async def test_all_of_an_entry_that_reads_filled_gets_its_stop(
    assistant: Assistant, world: World, wire: Counting, counted: int, lasts: int
) -> None:
    def behind(row: Row) -> bool:
        is_entry = (row["orderState"], row["orderType"]) == ("Filled", "Market")
        row["filled"] = counted if is_entry else row["filled"]
        return is_entry

    wire.count, wire.times = behind, lasts
    told = await assistant.buys(2, stop_loss="10 points")
    assert (told.status, world.net(), stops(world)) == ("filled", 2, 2), told.text
    assert "filled 2 at" in told.text


async def test_a_fill_whose_price_follows_gets_its_stop_at_that_price(
    assistant: Assistant, world: World, wire: Counting
) -> None:
    def behind(row: Row) -> bool:
        is_entry = (row["orderState"], row["orderType"]) == ("Filled", "Market")
        if is_entry:
            row["filled"], row["averageFillPrice"] = 0, 0.0
        return is_entry

    wire.count, wire.times = behind, 3
    told = await assistant.buys(2, stop_loss="10 points")
    assert (world.net(), stops(world)) == (2, 2), told.text


@pytest.mark.parametrize("held", [0, 3], ids=["flat", "somebody holds three"])
@pytest.mark.parametrize("counted", [0, 1])
async def test_what_filled_of_a_cancelled_entry_gets_its_stop_though_its_row_counts_less(
    assistant: Assistant, world: World, wire: Counting, desk: Desk, counted: int, held: int
) -> None:
    """Two of four fill, the rest is cancelled by hand, and the row counts them a while later."""
    if held:
        await assistant.buys(held)
        world.later(90)
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK)
    told = await assistant.buys(4, order_type="LIMIT", limit_price=world.price(-6), stop_loss="10 points")
    order = world.sim.exchange.orders[-1]

    def behind(row: Row) -> bool:
        is_entry = str(row["orderType"]) == "Limit"
        row["filled"] = min(counted, row["filled"]) if is_entry else row["filled"]
        row["orderState"] = "Working" if is_entry and row["orderState"] == "PartFilled" else row["orderState"]
        return is_entry

    wire.count, wire.times = behind, 10_000
    while order.filled < 2:
        world.later(2)
    world.sim.exchange.cancel(order, world.clock())
    await looks_on(desk, world)
    assert (told.status, world.net(), str(order.state)) == ("working", held + 2, "Cancelled")
    assert stops(world) == 2
    assert [duty.state for duty in await desk.store.duties()] == [DutyState.STANDING]


async def test_an_entry_of_which_nothing_filled_is_owed_nothing_beside_contracts_of_somebody_else(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.buys(3)
    world.later(90)
    await assistant.rests(world.price(-40), stop_loss="10 points")
    world.sim.exchange.cancel(world.sim.exchange.orders[-1], world.clock())
    await looks_on(desk, world)
    assert (await desk.store.duties(), world.net(), stops(world)) == ((), 3, 0)


async def test_an_entry_of_which_nothing_filled_is_owed_nothing_at_the_first_look_where_nothing_is_held(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.rests(world.price(-40), stop_loss="10 points")
    world.sim.exchange.cancel(world.sim.exchange.orders[-1], world.clock())
    await looks_on(desk, world, times=1)
    assert await desk.store.duties() == ()


async def test_nothing_is_not_believed_of_a_row_alone(
    assistant: Assistant, world: World, wire: Counting, desk: Desk
) -> None:
    """It reads cancelled and empty, contracts are held that may be its own, and no executions can be read."""
    await assistant.buys(3)
    world.later(90)
    await assistant.rests(world.price(-40), stop_loss="10 points")
    world.sim.exchange.cancel(world.sim.exchange.orders[-1], world.clock())
    world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetExecutionsByOrderId")
    world.sim.faults.arm(Fault.TEMPORARILY_DISABLED, rpc="ListExecutions")
    await looks_on(desk, world)
    assert [duty.state for duty in await desk.store.duties()] == [DutyState.OPEN]
    world.sim.faults.disarm()
    await looks_on(desk, world, times=60)
    assert await desk.store.duties() == ()
