"""The endpoints of positions."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
DATA = Path(__file__).parent.parent.parent.parent / "data"


async def _hold(sim: Simulator, place: Place, quantity: int = 3, **fields: Any) -> None:
    await place(quantity=quantity, **fields)
    sim.advance(1)


async def test_a_flat_account_has_an_empty_list(call: Call) -> None:
    assert await call("GET", "/accounts/Sim101/positions") == {"positions": [], "success": True}


async def test_a_position_carries_the_documented_keys(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place, action="SELL")
    row = (await call("GET", "/accounts/Sim101/positions"))["positions"][0]
    documented = json.loads((DATA / "ListPositions.json").read_text(encoding="utf-8"))["positions"][0]
    assert set(row) | {"tag"} == set(documented) | {"tag"}
    assert (row["marketPosition"], row["quantity"]) == ("Short", 3)
    quote = await call("GET", "/market/quote", params={"instrument": "ES"})
    assert row["marketPrice"] == quote["last"]
    assert row["unrealizedProfitLoss"] == pytest.approx((row["averagePrice"] - quote["last"]) * 3 * 50)


async def test_the_list_over_all_accounts_counts_and_tags(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    await _hold(sim, place, quantity=1, account="APEX-482910", instrument="CL 10-26")
    answer = await call("GET", "/positions")
    assert (answer["count"], answer["success"]) == (2, True)
    assert [(row["account"], row["instrument"], row["tag"]) for row in answer["positions"]] == [
        ("Sim101", "ES 09-26", None),
        ("APEX-482910", "CL 10-26", None),
    ]


async def test_flat_rows_are_listed_on_demand(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    await call("POST", "/positions/flatten", json={})
    sim.advance(1)
    assert (await call("GET", "/positions"))["count"] == 0
    row = (await call("GET", "/positions", params={"includeFlat": "true"}))["positions"][0]
    assert (row["marketPosition"], row["quantity"], row["averagePrice"]) == ("Flat", 0, 0.0)


@pytest.mark.parametrize("spelling", ["ES 09-26", "ES", "ES1!", "ESU26", "ESU6", "ES SEP26"])
async def test_one_position_is_found_by_every_spelling(sim: Simulator, call: Call, place: Place, spelling: str) -> None:
    await _hold(sim, place)
    answer = await call("GET", "/accounts/sim101/position", params={"instrument": spelling})
    assert (answer["instrument"], answer["account"], answer["success"]) == ("ES 09-26", "Sim101", True)


async def test_a_root_misses_the_position_of_the_month_before_the_roll(
    sim: Simulator, call: Call, place: Place
) -> None:
    await _hold(sim, place)
    sim.advance(86_400)
    missed = await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES"}, status=400)
    assert missed == {"error": "No positions found for instrument 'ES 12-26'"}
    await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES 09-26"})


async def test_an_unknown_instrument_is_refused(call: Call) -> None:
    answer = await call("GET", "/accounts/Sim101/position", params={"instrument": "XX 12-26"}, status=400)
    assert answer == {"error": "Instrument 'XX 12-26' not found"}


async def test_an_empty_flatten_body_closes_everything_everywhere(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    await _hold(sim, place, quantity=1, account="APEX-482910", instrument="CL 10-26")
    resting = await place(orderType="LIMIT", limitPrice=5000.0, instrument="MES 09-26")
    sim.advance(1)
    answer = await call("POST", "/positions/flatten", json={})
    assert [row["quantity"] for row in answer["closedPositions"]] == [3, 1]
    assert len(answer["orderIds"]) == 2
    sim.advance(1)
    assert (await call("GET", "/positions"))["count"] == 0
    assert (await call("GET", f"/accounts/Sim101/orders/{resting}/status"))["status"] == "Cancelled"


async def test_a_missing_flatten_body_is_an_empty_one(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    await call("POST", "/positions/flatten")
    sim.advance(1)
    assert (await call("GET", "/positions"))["count"] == 0


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"account": "sim101"}, ["CL 10-26"]),
        ({"instrument": "CL"}, ["ES 09-26"]),
        ({"marketPosition": "Long"}, ["CL 10-26"]),
        ({"account": "Sim101", "instrument": "CL"}, ["ES 09-26", "CL 10-26"]),
    ],
)
async def test_flatten_filters_have_to_fit_all_of_them(
    sim: Simulator, call: Call, place: Place, filters: dict[str, str], left: list[str]
) -> None:
    await _hold(sim, place)
    await _hold(sim, place, quantity=1, account="APEX-482910", instrument="CL 10-26", action="SELL")
    answer = await call("POST", "/positions/flatten", json=filters)
    assert ("warning" in answer) is (len(left) == 2)
    sim.advance(1)
    assert [row["instrument"] for row in (await call("GET", "/positions"))["positions"]] == left


async def test_a_flatten_with_a_filter_that_makes_no_sense_is_refused(call: Call) -> None:
    answer = await call("POST", "/positions/flatten", json={"marketPosition": "sideways"}, status=400)
    assert answer == {"error": "Invalid request"}


async def test_the_flatten_of_one_account_names_no_orders(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    answer = await call("POST", "/accounts/sim101/positions/flatten", json={"instrument": "ES"})
    assert set(answer) == {"closedPositions", "success"}
    sim.advance(1)
    again = await call("POST", "/accounts/sim101/positions/flatten", json={})
    assert again == {"closedPositions": [], "success": True, "warning": "No open positions to flatten"}


async def test_a_close_proves_the_request_and_not_the_fill(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    answer = await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES 09-26"})
    assert (answer["pending"], answer["verified"], answer["remainingQuantity"]) == (True, False, 3)
    assert answer["closedPositions"][0]["quantity"] == 3
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"][0]["quantity"] == 3
    sim.advance(1)
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"] == []


@pytest.mark.parametrize(
    ("how_much", "remaining"),
    [
        ({"quantity": 2}, 3),
        ({"quantity": 9}, 0),
        ({"percent": 0.5}, 2),
        ({"percent": 1}, 0),
        ({"quantity": 1, "percent": 1}, 4),
    ],
)
async def test_a_part_of_a_position_can_be_closed(
    sim: Simulator, call: Call, place: Place, how_much: dict[str, float], remaining: int
) -> None:
    await _hold(sim, place, quantity=5)
    await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES 09-26"} | how_much)
    sim.advance(1)
    rows = (await call("GET", "/accounts/Sim101/positions"))["positions"]
    assert sum(row["quantity"] for row in rows) == remaining


async def test_a_second_close_joins_the_first_and_a_part_is_refused_meanwhile(
    sim: Simulator, call: Call, place: Place
) -> None:
    await _hold(sim, place)
    close = {"instrument": "ES 09-26"}
    for _ in range(2):
        await call("POST", "/accounts/Sim101/positions/close", json=close)
    part = await call("POST", "/accounts/Sim101/positions/close", json=close | {"quantity": 1}, status=400)
    assert part["error"] == "close_in_progress"
    sim.advance(1)
    assert (await call("GET", "/positions", params={"includeFlat": True}))["positions"][0]["quantity"] == 0


async def test_a_close_after_a_part_is_refused_until_that_is_done(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    close = {"instrument": "ES 09-26"}
    await call("POST", "/accounts/Sim101/positions/close", json=close | {"quantity": 1})
    answer = await call("POST", "/accounts/Sim101/positions/close", json=close, status=400)
    assert answer["error"] == "close_in_progress"


@pytest.mark.parametrize(
    "wrong", [{"percent": 1.5}, {"percent": 0}, {"quantity": 0}, {"quantity": -1}, {"quantity": "x"}]
)
async def test_an_amount_that_makes_no_sense_is_refused(call: Call, wrong: dict[str, Any]) -> None:
    body = {"instrument": "ES"} | wrong
    assert await call("POST", "/accounts/Sim101/positions/close", json=body, status=400) == {"error": "Invalid request"}


async def test_what_is_not_held_cannot_be_closed(call: Call) -> None:
    answer = await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES"}, status=400)
    assert answer == {"error": "No positions found for instrument 'ES 09-26'"}


async def test_a_closing_order_has_a_history(sim: Simulator, call: Call, place: Place) -> None:
    await _hold(sim, place)
    answer = await call("POST", "/positions/flatten", json={"account": "Sim101"})
    sim.advance(1)
    story = await call("GET", f"/accounts/Sim101/orders/{answer['orderIds'][0]}/lifecycle")
    assert [event["event"] for event in story["events"]][-1] == "Fill"
    assert "Flatten" in [event["event"] for event in story["events"] if event["source"] == "api_received"]
