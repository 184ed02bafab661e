"""What the service says about orders and executions."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.addon import Habits
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Settings, Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
DATA = Path(__file__).parent.parent / "data"
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
    settings = Settings(rate_limit=None, habits=Habits(own_id_lookup=False))
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


async def test_a_history_tells_the_call_the_states_and_the_fills(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(quantity=12, orderId="mine-1")
    sim.advance(1)
    story = await call("GET", "/accounts/whoever/orders/mine-1/lifecycle")
    assert (story["orderId"], story["originalOrderId"], story["account"]) == (placed, "mine-1", "Sim101")
    assert story["count"] == len(story["events"])
    told = [(event["source"], event["orderState"] or event["event"]) for event in story["events"]]
    assert told[:4] == [
        ("api_received", "PlaceOrder"),
        ("order_update", "Submitted"),
        ("order_update", "Accepted"),
        ("order_update", "Working"),
    ]
    assert [event["quantity"] for event in story["events"] if event["event"] == "Fill"] == [10, 2]
    assert set(_documented("GetOrderLifecycle")["events"][0]) <= set(story["events"][0])
    assert story["events"][0]["timestamp"] == "2026-09-09T14:30:00.123Z"
    assert story["events"][0]["epoch"] == 1_788_964_200_123.0


async def test_a_history_can_be_cut_and_can_carry_what_was_said(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(quantity=12)
    sim.advance(1)
    path = f"/accounts/Sim101/orders/{placed}/lifecycle"
    assert (await call("GET", path, params={"limit": 2}))["count"] == 2
    fills_left_out = await call("GET", path, params={"includeFills": "false"})
    assert "Fill" not in [event["event"] for event in fills_left_out["events"]]
    events = (await call("GET", path, params={"includeRaw": "true"}))["events"]
    assert json.loads(events[0]["raw"])["quantity"] == 12
    assert all(json.loads(event["raw"]) for event in events)


async def test_a_history_knows_what_was_refused_and_nothing_of_what_never_came(
    call: Call, client: httpx.AsyncClient
) -> None:
    order = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
    refused = order | {"orderId": "mine-1", "requireMarketPosition": "long"}
    await client.post("/accounts/Sim101/orders/place", json=refused)
    story = await call("GET", "/accounts/Sim101/orders/mine-1/lifecycle")
    assert [event["event"] for event in story["events"]] == ["PlaceOrder"]
    nothing = await call("GET", "/accounts/Sim101/orders/never-sent/lifecycle")
    assert (nothing["count"], nothing["events"], nothing["success"]) == (0, [], True)


async def test_a_late_reject_stands_in_the_history(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(quantity=500)
    sim.advance(1)
    assert (await call("GET", f"/accounts/Sim101/orders/{placed}/status"))["status"] == "Rejected"
    last = (await call("GET", f"/accounts/Sim101/orders/{placed}/lifecycle"))["events"][-1]
    assert last["orderState"] == "Rejected"
    assert last["nativeError"].startswith("Insufficient margin")


async def test_executions_are_listed_for_the_last_minutes_only(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(quantity=12)
    sim.advance(1)
    path = "/accounts/Sim101/executions"
    rows = (await call("GET", path))["executions"]
    assert [(row["quantity"], row["position"], row["marketPosition"]) for row in rows] == [
        (10, 10, "Long"),
        (2, 12, "Long"),
    ]
    assert rows[0]["time"] == "2026-09-09T07:30:00.3234579"
    assert rows[0]["epoch"] == 1_788_964_200_323
    assert set(_documented("ListExecutions")["executions"][0]) <= set(rows[0])
    sim.advance(330)
    assert (await call("GET", path))["executions"] == []
    assert len((await call("GET", path, params={"lookbackTime": 600}))["executions"]) == 2
    sim.advance(900)
    assert (await call("GET", path, params={"lookbackTime": 100_000}))["executions"] == []
    assert (await call("GET", f"/accounts/Sim101/orders/{placed}/executions"))["executions"] == rows


async def test_one_execution_is_shown_by_itself(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    row = (await call("GET", "/accounts/Sim101/executions"))["executions"][0]
    assert await call("GET", f"/accounts/Sim101/executions/{row['id']}") == row | {"success": True}
    assert "not found" in (await call("GET", "/accounts/Sim101/executions/none", status=400))["error"]
