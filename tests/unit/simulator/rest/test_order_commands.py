"""The endpoints that place, change and cancel orders."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
RESTING = {"orderType": "LIMIT", "limitPrice": 5000.0}
ORDER = {"instrument": "ES 09-26", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
PLACE = "/accounts/Sim101/orders/place"


async def _status(call: Call, order_id: str) -> str:
    answer = await call("GET", f"/accounts/Sim101/orders/{order_id}/status")
    return str(answer["status"])


async def test_the_answer_to_an_order_is_its_id_and_nothing_more(call: Call) -> None:
    answer = await call("POST", PLACE, json=ORDER)
    assert set(answer) == {"orderId", "success"}
    assert len(answer["orderId"]) == 32


async def test_enumerations_are_read_in_any_case(call: Call) -> None:
    spelled = {"action": "Sell", "orderType": "stopMarket", "timeInForce": "Gtc", "stopPrice": 5000.0}
    await call("POST", PLACE, json=ORDER | spelled)
    row = (await call("GET", "/orders"))["orders"][0]
    assert (row["orderAction"], row["orderType"], row["timeInForce"]) == ("Sell", "StopMarket", "Gtc")


async def test_fields_that_the_api_does_not_know_are_ignored(call: Call) -> None:
    await call("POST", PLACE, json=ORDER | {"stopLoss": 5990.0, "takeProfit": 6100.0, "tif": "GTC"})
    assert (await call("GET", "/orders"))["count"] == 1


@pytest.mark.parametrize("missing", ["instrument", "action", "quantity", "orderType", "timeInForce"])
async def test_the_five_required_fields_are_required(sim: Simulator, call: Call, missing: str) -> None:
    body = {key: value for key, value in ORDER.items() if key != missing}
    assert await call("POST", PLACE, json=body, status=400) == {"error": "Invalid request"}
    assert sim.exchange.orders == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "BUY_TO_COVER"},
        {"orderType": "STOP_MARKET"},
        {"timeInForce": "IOC"},
        {"quantity": 0},
        {"quantity": 1.5},
        {"quantity": None},
        {"orderType": "LIMIT"},
        {"orderType": "LIMIT", "limitPrice": -1},
        {"orderType": "STOPMARKET", "limitPrice": 5000},
        {"orderType": "STOPLIMIT", "limitPrice": 5000},
        {"orderType": "LIMIT", "limitPrice": float("nan")},
    ],
)
async def test_what_cannot_be_an_order_is_an_invalid_request(
    sim: Simulator, client: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    body = json.dumps(ORDER | wrong)
    answer = await client.post(PLACE, content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid request"})
    assert sim.exchange.orders == []


async def test_an_own_id_is_burnt_for_ever(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(**RESTING, orderId="mine-1")
    await call("POST", f"/accounts/Sim101/orders/{placed}/cancel", json={})
    sim.advance(86_400)
    answer = await call("POST", PLACE, json=ORDER | {"orderId": "mine-1"}, status=400)
    assert answer == {"error": "Order id 'mine-1' has already been used"}


@pytest.mark.parametrize(
    ("required", "status"), [("flat", 200), ("flat, short", 200), ("long", 400), ("short,long", 400)]
)
async def test_an_order_can_demand_how_the_position_stands(
    sim: Simulator, call: Call, required: str, status: int
) -> None:
    answer = await call("POST", PLACE, json=ORDER | {"requireMarketPosition": required}, status=status)
    assert ("error" in answer) is (status == 400)
    assert len(sim.exchange.orders) == (status == 200)


async def test_an_account_can_be_held_to_so_many_positions(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    other = ORDER | {"instrument": "CL 10-26", "maxPositions": 1}
    assert "Maximum positions" in (await call("POST", PLACE, json=other, status=400))["error"]
    await call("POST", PLACE, json=ORDER | {"maxPositions": 1})
    await call("POST", PLACE, json=other | {"maxPositions": 2})


async def test_an_order_that_is_gone_cannot_be_cancelled(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place()
    sim.advance(1)
    for gone in (placed, "nothing"):
        answer = await call("POST", f"/accounts/Sim101/orders/{gone}/cancel", json={}, status=400)
        assert answer == {"error": f"Order linked to '{gone}' not found or already terminal."}


async def test_an_order_is_cancelled_by_either_id(sim: Simulator, call: Call, place: Place) -> None:
    first, second = await place(**RESTING, orderId="a"), await place(**RESTING, orderId="b")
    assert await call("POST", f"/accounts/Sim101/orders/{first}/cancel") == {"orderId": first, "success": True}
    assert await call("POST", "/accounts/Sim101/orders/b/cancel") == {"orderId": second, "success": True}
    sim.advance(1)
    assert [await _status(call, order) for order in (first, second)] == ["Cancelled", "Cancelled"]


async def test_many_orders_are_cancelled_by_account_and_instrument(sim: Simulator, call: Call, place: Place) -> None:
    es, mes = await place(**RESTING), await place(**RESTING, instrument="MES 09-26")
    real = await place("APEX-482910", **RESTING)
    sim.advance(1)
    answer = await call("POST", "/accounts/sim101/orders/cancel", json={"instrument": "ESU6"})
    assert answer == {"orderIds": [es], "success": True}
    sim.advance(1)
    assert (await call("POST", "/accounts/sim101/orders/cancel", json={}))["orderIds"] == [mes]
    sim.advance(1)
    assert (await call("POST", "/accounts/sim101/orders/cancel", json={}))["orderIds"] == []
    assert (await call("POST", "/orders/cancelall", json={}))["orderIds"] == [real]


async def test_the_only_put_changes_an_order(sim: Simulator, call: Call, place: Place) -> None:
    placed = await place(**RESTING)
    sim.advance(1)
    path = f"/accounts/Sim101/orders/{placed}/change"
    assert (await call("PUT", path, json={"limitPrice": 5001.25, "quantity": 4}))["orderId"] == placed
    assert await _status(call, placed) == "ChangePending"
    sim.advance(1)
    order = await call("GET", f"/accounts/Sim101/orders/{placed}")
    assert (order["limitPrice"], order["quantity"], order["orderState"]) == (5001.25, 4, "Working")
    await call("POST", path, json={}, status=405)
    await call("PUT", "/accounts/Sim101/orders/nothing/change", json={"quantity": 1}, status=400)


async def test_a_template_brings_its_bracket(sim: Simulator, call: Call, place: Place) -> None:
    await place(strategy="Swing 80x200", quantity=2)
    sim.advance(1)
    rows = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    assert [(row["name"], row["orderType"], row["ownerStrategy"]["name"]) for row in rows] == [
        ("Stop1", "StopMarket", "Swing 80x200"),
        ("Target1", "Limit", "Swing 80x200"),
    ]


async def test_the_legs_of_a_bracket_name_their_strategy_and_the_callers_id(
    sim: Simulator, call: Call, place: Place
) -> None:
    placed = await place(strategy="Swing 80x200", orderId="mine-1")
    sim.advance(1)
    stop, target = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    entry = await call("GET", f"/accounts/Sim101/orders/{placed}")
    assert stop["ownerStrategy"] == target["ownerStrategy"] == entry["ownerStrategy"]
    assert isinstance(stop["ownerStrategy"]["id"], int)
    assert stop["automatedTradingOrderId"] == "mine-1"
    assert stop["userData"] == target["userData"] == entry["userData"]
    assert "mine-1" in entry["userData"]
    assert (await call("GET", "/accounts/Sim101/orders/mine-1"))["orderId"] == placed


@pytest.mark.parametrize(("named", "status"), [("its own", 200), ("334081999", 400), ("", 200)])
async def test_a_leg_is_changed_by_the_strategy_that_owns_it(
    sim: Simulator, call: Call, place: Place, named: str, status: int
) -> None:
    await place(strategy="Swing 80x200")
    sim.advance(1)
    stop = (await call("GET", "/accounts/Sim101/orders"))["orders"][0]
    owner = str(stop["ownerStrategy"]["id"]) if named == "its own" else named
    path = f"/accounts/Sim101/orders/{stop['id']}/change"
    await call("PUT", path, json={"stopPrice": stop["stopPrice"] - 1, "strategyId": owner}, status=status)
    sim.advance(1)
    after = (await call("GET", "/accounts/Sim101/orders"))["orders"][0]
    assert (after["stopPrice"] < stop["stopPrice"]) is (status == 200)


async def test_a_template_that_does_not_exist_is_rejected_after_the_acknowledgement(
    sim: Simulator, call: Call, place: Place
) -> None:
    placed = await place(strategy="Nothing of the kind")
    assert await _status(call, placed) == "Submitted"
    sim.advance(1)
    assert await _status(call, placed) == "Rejected"
    assert "Nothing of the kind" not in (await call("GET", "/atm-templates"))["templates"]
