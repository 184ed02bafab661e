"""What happens over the wire when orders are cancelled and a bracket is placed instead."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
PATH = "/accounts/sim101/orders/cancel_and_bracket"
LONG = {"instrument": "ES", "action": "Buy", "quantity": 9, "takeProfit": 9000.0, "stopLoss": 5000.0}


async def _live(call: Call) -> list[tuple[str, str, int]]:
    rows = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    return [(row["orderType"], row["orderAction"], row["quantity"]) for row in rows]


async def test_a_position_is_bracketed_at_its_size(
    sim: Simulator, call: Call, place: Place, clock: ManualClock
) -> None:
    await place(quantity=3)
    old = await place(action="SELL", quantity=3, orderType="STOPMARKET", stopPrice=5500.0)
    sim.advance(1)
    before = clock()
    answer = await call("POST", PATH, json=LONG)
    assert (clock() - before).total_seconds() == pytest.approx(0.25)
    assert set(answer) == {"orderIds", "success"}
    assert old not in answer["orderIds"]
    sim.advance(1)
    rows = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    assert [row["id"] for row in rows] == answer["orderIds"]
    assert await _live(call) == [("Limit", "Sell", 3), ("StopMarket", "Sell", 3)]
    assert rows[0]["ocoId"] == rows[1]["ocoId"] != ""
    assert {row["ownerStrategy"]["id"] for row in rows} == {None}


async def test_the_gap_is_as_long_as_it_is_asked_for(
    sim: Simulator, call: Call, place: Place, clock: ManualClock
) -> None:
    await place()
    sim.advance(1)
    before = clock()
    await call("POST", PATH, json=LONG | {"delay": 1500})
    assert (clock() - before).total_seconds() == pytest.approx(1.5)


async def test_on_a_flat_account_the_bracket_opens(call: Call) -> None:
    answer = await call("POST", PATH, json=LONG)
    assert len(answer["orderIds"]) == 2
    assert await _live(call) == [("Limit", "Sell", 9), ("StopMarket", "Sell", 9)]


async def test_a_position_that_has_gone_meanwhile_is_told_in_a_warning(
    sim: Simulator, call: Call, place: Place
) -> None:
    await place()
    sim.advance(1)
    await place(action="SELL")
    sim.advance(0.19)
    answer = await call("POST", PATH, json=LONG)
    assert answer == {
        "orderIds": [],
        "success": True,
        "warning": "Position in 'ES 09-26' is flat. Bracket not placed.",
    }
    assert await _live(call) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"takeProfit": None, "stopLoss": None},
        {"stopLoss": -1},
        {"quantity": 0},
        {"action": "LONG"},
        {"delay": -1},
        {"delay": 10_001},
        {"instrument": ""},
    ],
)
async def test_what_cannot_be_a_bracket_cancels_nothing(
    sim: Simulator, call: Call, place: Place, wrong: dict[str, Any]
) -> None:
    await place(orderType="LIMIT", limitPrice=5000.0)
    sim.advance(1)
    assert await call("POST", PATH, json=LONG | wrong, status=400) == {"error": "Invalid request"}
    assert await _live(call) == [("Limit", "Buy", 1)]


async def test_each_leg_has_a_history(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    for order_id in (await call("POST", PATH, json=LONG | {"stopLoss": 9000.0}))["orderIds"]:
        sim.advance(1)
        story = await call("GET", f"/accounts/Sim101/orders/{order_id}/lifecycle")
        assert story["events"][0]["event"] == "CancelAndBracket"
    assert story["events"][-1]["orderState"] == "Rejected"
    assert "can't be placed above the market" in story["events"][-1]["nativeError"]
    assert await _live(call) == [("Limit", "Sell", 1)]
