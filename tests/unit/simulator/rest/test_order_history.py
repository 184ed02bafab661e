"""The endpoints of executions, and of the history of one order."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
DATA = Path(__file__).parent.parent.parent.parent / "data"


def _documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


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
