"""The endpoints that reverse, replace and bracket: they do one thing, wait, and do another."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
RESTING = {"orderType": "LIMIT", "limitPrice": 5000.0}
ORDER = {"instrument": "ES 09-26", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
REVERSE = "/accounts/sim101/positions/reverse"
REVERSE_POSITION = "/accounts/sim101/positions/reverseposition"


async def _status(call: Call, order_id: str) -> str:
    answer = await call("GET", f"/accounts/Sim101/orders/{order_id}/status")
    return str(answer["status"])


async def _held(sim: Simulator, call: Call) -> list[tuple[str, int]]:
    sim.advance(1)
    rows = (await call("GET", "/accounts/Sim101/positions"))["positions"]
    return [(row["marketPosition"], row["quantity"]) for row in rows]


async def test_a_position_is_turned_around_at_its_size(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=3)
    sim.advance(1)
    answer = await call("POST", REVERSE, json={"instrument": "ES"})
    assert set(answer) == {"orderId", "success"}
    assert await _held(sim, call) == [("Short", 3)]
    order = await call("GET", f"/accounts/Sim101/orders/{answer['orderId']}")
    assert (order["orderAction"], order["quantity"], order["orderState"]) == ("Sell", 3, "Filled")


@pytest.mark.parametrize(("path", "body"), [(REVERSE, {"instrument": "ES 09-26"}), (REVERSE_POSITION, ORDER)])
async def test_without_a_position_there_is_nothing_to_turn(
    sim: Simulator, call: Call, place: Place, path: str, body: dict[str, Any]
) -> None:
    await place(**RESTING)
    sim.advance(1)
    answer = await call("POST", path, json=body, status=400)
    assert answer == {"error": "No position found for instrument 'ES 09-26' in account 'sim101'"}
    assert len(await _live(call)) == len(sim.exchange.orders) == 1


async def _live(call: Call) -> list[dict[str, Any]]:
    answer = await call("GET", "/accounts/Sim101/orders")
    return list(answer["orders"])


async def test_the_answer_to_a_reversal_comes_after_the_wait(
    sim: Simulator, call: Call, place: Place, clock: ManualClock
) -> None:
    await place(quantity=3)
    sim.advance(1)
    before = clock()
    order = ORDER | {"action": "SELL", "quantity": 1, "orderType": "STOPMARKET", "stopPrice": 5000.0}
    placed = (await call("POST", REVERSE_POSITION, json=order))["orderId"]
    assert 0.2 <= (clock() - before).total_seconds() < 1
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"] == []
    assert [row["id"] for row in await _live(call)] == [placed]


async def test_a_position_that_does_not_close_in_time_stands_beside_the_new_one(
    sim: Simulator, call: Call, place: Place, clock: ManualClock
) -> None:
    await place(quantity=3)
    sim.advance(1)
    sim.faults.arm(Lag.CLOSE_STUCK)
    before = clock()
    await call("POST", REVERSE_POSITION, json=ORDER | {"quantity": 2})
    assert (clock() - before).total_seconds() == pytest.approx(5)
    assert await _held(sim, call) == [("Long", 5)]
    sim.faults.disarm()
    assert await _held(sim, call) == [("Long", 2)]


async def test_other_calls_are_answered_while_one_waits(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=3)
    sim.advance(1)
    seen: list[int] = []

    async def turn() -> None:
        await call("POST", REVERSE, json={"instrument": "ES"})

    async def look() -> None:
        rows = (await call("GET", "/accounts/Sim101/positions"))["positions"]
        seen.append(len(rows))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        tasks.start_soon(look)
    assert seen == [1]
    assert await _held(sim, call) == [("Short", 3)]


async def test_a_reversal_has_a_history(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    placed = (await call("POST", REVERSE_POSITION, json=ORDER | {"action": "SELL"}))["orderId"]
    story = await call("GET", f"/accounts/Sim101/orders/{placed}/lifecycle")
    assert [event["event"] for event in story["events"] if event["source"] == "api_received"] == ["ReversePosition"]


@pytest.mark.parametrize(("held", "instrument"), [(0, "ES"), (3, "ES"), (-3, "ES 09-26")])
async def test_flat_place_leaves_first_and_places_in_any_case(
    sim: Simulator, call: Call, place: Place, held: int, instrument: str
) -> None:
    if held:
        await place(quantity=abs(held), action="BUY" if held > 0 else "SELL")
        sim.advance(1)
    body = ORDER | {"action": "SELL", "instrument": instrument}
    placed = (await call("POST", "/accounts/Sim101/orders/flatplace", json=body))["orderId"]
    assert await _held(sim, call) == [("Short", 1)]
    assert await _status(call, placed) == "Filled"


async def test_flat_place_places_although_the_position_still_stands(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=3)
    sim.advance(1)
    sim.faults.arm(Lag.CLOSE_STUCK)
    await call("POST", "/accounts/Sim101/orders/flatplace", json=ORDER)
    assert await _held(sim, call) == [("Long", 4)]


async def test_flat_place_leaves_nothing_for_an_id_that_is_burnt(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=3, orderId="mine-1")
    sim.advance(1)
    body = ORDER | {"orderId": "mine-1"}
    answer = await call("POST", "/accounts/Sim101/orders/flatplace", json=body, status=400)
    assert "already been used" in answer["error"]
    assert await _held(sim, call) == [("Long", 3)]


async def test_a_replaced_order_is_cancelled_and_another_placed(sim: Simulator, call: Call, place: Place) -> None:
    old = await place(**RESTING)
    sim.advance(1)
    body = ORDER | {"orderType": "LIMIT", "limitPrice": 5100.0}
    new = (await call("POST", f"/accounts/Sim101/orders/{old}/replace", json=body))["orderId"]
    sim.advance(1)
    assert (await _status(call, old), await _status(call, new)) == ("Cancelled", "Working")


async def test_nothing_is_placed_for_an_order_that_is_gone(sim: Simulator, call: Call, place: Place) -> None:
    old = await place()
    sim.advance(1)
    answer = await call("POST", f"/accounts/Sim101/orders/{old}/replace", json=ORDER, status=400)
    assert "not found or already terminal" in answer["error"]
    assert len(sim.exchange.orders) == 1


async def test_nothing_is_placed_for_an_order_that_fills_while_it_is_cancelled(
    sim: Simulator, call: Call, place: Place
) -> None:
    old = await place()
    sim.advance(0.19)
    answer = await call("POST", f"/accounts/Sim101/orders/{old}/replace", json=ORDER, status=400)
    assert answer == {"error": f"Order linked to '{old}' not found or already terminal."}
    assert (len(sim.exchange.orders), await _status(call, old)) == (1, "Filled")


async def test_nothing_is_placed_for_an_order_that_cannot_be_cancelled(
    sim: Simulator, call: Call, place: Place
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS, times=1)
    old = await place(**RESTING)
    answer = await call("POST", f"/accounts/Sim101/orders/{old}/replace", json=ORDER, status=400)
    assert answer == {"error": f"Order '{old}' was not cancelled in time. The new order was not placed."}
    assert len(sim.exchange.orders) == 1


PATH = "/accounts/sim101/orders/cancel_and_bracket"
LONG = {"instrument": "ES", "action": "Buy", "quantity": 9, "takeProfit": 9000.0, "stopLoss": 5000.0}


async def _live_exits(call: Call) -> list[tuple[str, str, int]]:
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
    assert await _live_exits(call) == [("Limit", "Sell", 3), ("StopMarket", "Sell", 3)]
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
    assert await _live_exits(call) == [("Limit", "Sell", 9), ("StopMarket", "Sell", 9)]


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
    assert await _live_exits(call) == []


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
    assert await _live_exits(call) == [("Limit", "Buy", 1)]


async def test_each_leg_has_a_history(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    for order_id in (await call("POST", PATH, json=LONG | {"stopLoss": 9000.0}))["orderIds"]:
        sim.advance(1)
        story = await call("GET", f"/accounts/Sim101/orders/{order_id}/lifecycle")
        assert story["events"][0]["event"] == "CancelAndBracket"
    assert story["events"][-1]["orderState"] == "Rejected"
    assert "can't be placed above the market" in story["events"][-1]["nativeError"]
    assert await _live_exits(call) == [("Limit", "Sell", 1)]
