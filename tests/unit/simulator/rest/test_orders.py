"""The endpoints that read orders."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.addon import AddOnAssumptions
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
DATA = Path(__file__).parent.parent.parent.parent / "data"
RESTING = {"orderType": "LIMIT", "limitPrice": 5000.0}


def _documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


async def test_a_row_carries_its_id_under_id_and_its_side_under_order_action(call: Call, place: Place) -> None:
    placed = await place(**RESTING, ocoId="group-1", orderId="mine-1")
    row = (await call("GET", "/accounts/sim101/orders"))["orders"][0]
    assert (row["id"], row["orderId"], row["ocoId"]) == (placed, None, "group-1")
    assert (row["orderAction"], row["orderType"], row["orderState"]) == ("Buy", "Limit", "Submitted")
    assert (row["limitPrice"], row["stopPrice"], row["timeInForce"]) == (5000.0, 0.0, "Day")
    assert row["time"] == "2026-09-09T07:30:00.1234579"
    keys = "id orderId ocoId name account instrument orderType orderState orderAction quantity limitPrice stopPrice"
    more = "filled averageFillPrice timeInForce time ownerStrategy userData automatedTradingOrderId"
    assert set(row) == {*keys.split(), *more.split()}


async def test_one_order_by_itself_has_its_id_under_order_id(call: Call, place: Place) -> None:
    placed = await place(**RESTING)
    answer = await call("GET", f"/accounts/Sim101/orders/{placed}")
    assert (answer["orderId"], answer["gtd"], answer["success"]) == (placed, "2099-12-01T00:00:00.0000000", True)
    assert "id" not in answer
    assert set(_documented("GetOrder")) <= set(answer)


async def test_orders_that_are_done_are_listed_on_demand_and_pruned_after_a_day(
    sim: Simulator, call: Call, place: Place
) -> None:
    filled = await place()
    sim.advance(1)
    gtc = await place(**RESTING, timeInForce="GTC")

    async def ids(active_only: str) -> list[str]:
        answer = await call("GET", "/accounts/Sim101/orders", params={"activeOnly": active_only})
        return [row["id"] for row in answer["orders"]]

    assert await ids("true") == [gtc]
    assert await ids("false") == [filled, gtc]
    sim.advance(86_400)
    assert await ids("false") == [gtc]


async def test_the_list_over_all_accounts_counts(call: Call, place: Place) -> None:
    await place(**RESTING)
    real = await place("APEX-482910", **RESTING)
    answer = await call("GET", "/orders")
    assert (answer["count"], answer["success"]) == (2, True)
    assert real.isdecimal()


async def test_the_state_of_an_order_is_the_cheapest_question(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place()
    states = []
    for seconds in (0, 0.05, 0.15):
        sim.advance(seconds)
        answer = await call("GET", f"/accounts/Sim101/orders/{placed}/status")
        states.append(answer["status"])
    assert states == ["Submitted", "Working", "Filled"]
    assert answer == {"status": "Filled", "success": True}


@pytest.mark.parametrize("what", ["", "/status", "/executions"])
async def test_an_unknown_order_is_not_found(call: Call, place: Place, what: str) -> None:
    other = await place("APEX-482910", **RESTING)
    for unknown in ("nothing", other):
        answer = await call("GET", f"/accounts/Sim101/orders/{unknown}{what}", status=400)
        assert answer == {"error": f"Order linked to '{unknown}' not found"}


async def test_an_order_is_found_by_the_callers_own_id(call: Call, place: Place) -> None:
    placed = await place(**RESTING, orderId="mine-1")
    assert (await call("GET", "/accounts/Sim101/orders/mine-1"))["orderId"] == placed


async def test_an_older_addon_finds_only_orders_with_a_template_by_the_callers_id(clock: ManualClock) -> None:
    settings = SimulatorSettings(rate_limit=None, assumptions=AddOnAssumptions(own_id_lookup=False))
    sim = Simulator(seed=7, clock=clock, token="t", settings=settings)
    order = {"instrument": "ES", "action": "BUY", "quantity": 1, "timeInForce": "DAY"} | RESTING
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        await http.post("/accounts/Sim101/orders/place", json=order | {"orderId": "plain"})
        await http.post("/accounts/Sim101/orders/place", json=order | {"orderId": "atm", "strategy": "Scalp 8x8"})
        plain, atm = [(await http.get(f"/accounts/Sim101/orders/{own}")).status_code for own in ("plain", "atm")]
        story = (await http.get("/accounts/Sim101/orders/plain/lifecycle")).json()
    assert (plain, atm) == (400, 200)
    assert story["originalOrderId"] == "plain"
    assert story["count"] > 0


async def test_only_an_order_with_a_template_carries_the_callers_id(call: Call, place: Place) -> None:
    await place(**RESTING, orderId="plain-1")
    await place(**RESTING, orderId="a<b&c", strategy="Scalp 8x8")
    plain, atm = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    assert (plain["userData"], plain["automatedTradingOrderId"]) == (None, None)
    assert plain["ownerStrategy"] == {"id": None, "name": None, "displayName": None}
    assert atm["userData"] == (
        "<NinjaTrader><AutomatedTradingOrderId>a&lt;b&amp;c</AutomatedTradingOrderId></NinjaTrader>"
    )
    assert (atm["automatedTradingOrderId"], atm["ownerStrategy"]["name"]) == ("a<b&c", "Scalp 8x8")


async def test_the_number_of_a_broker_is_shown_and_the_id_of_the_placement_keeps_working(
    sim: Simulator, call: Call, place: Place
) -> None:
    placed = await place(**RESTING)
    sim.exchange.renumber(sim.exchange.orders[0])
    number = (await call("GET", "/accounts/Sim101/orders"))["orders"][0]["id"]
    assert number.isdecimal()
    for either in (placed, number):
        assert (await call("GET", f"/accounts/Sim101/orders/{either}"))["orderId"] == number
        assert (await call("GET", f"/accounts/Sim101/orders/{either}/lifecycle"))["orderId"] == number


async def test_a_broker_that_numbers_orders_does_so_at_once_and_the_answer_names_the_other_id(
    clock: ManualClock,
) -> None:
    settings = SimulatorSettings(rate_limit=None, pace=ExchangePace(numbers_orders=True))
    sim = Simulator(seed=7, clock=clock, token="t", settings=settings)
    order = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        placed = (await http.post("/accounts/Sim101/orders/place", json=order)).json()["orderId"]
        sim.advance(1)
        fill = (await http.get("/accounts/Sim101/executions")).json()["executions"][0]["orderId"]
    assert (len(placed), fill) == (32, sim.exchange.orders[0].shown_id)
    assert fill.isdecimal()
