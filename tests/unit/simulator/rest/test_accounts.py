"""The endpoints of accounts."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
DATA = Path(__file__).parent.parent.parent.parent / "data"


def _documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


async def test_two_accounts_are_listed_one_of_them_real(call: Call) -> None:
    answer = await call("GET", "/accounts")
    assert answer["success"] is True
    assert [(row["name"], row["provider"]) for row in answer["accounts"]] == [
        ("Sim101", "Simulator"),
        ("APEX-482910", "Rithmic"),
    ]
    assert answer["accounts"][1]["displayName"] != answer["accounts"][1]["name"]


async def test_an_account_carries_every_documented_key(call: Call) -> None:
    answer, documented = await call("GET", "/accounts/Sim101"), _documented("GetAccount")
    assert set(answer) == set(documented)
    assert set(answer["item"]) == set(documented["item"])
    for key, value in documented["item"].items():
        assert type(answer["item"][key]) is type(value), key


async def test_an_account_is_found_in_any_case_and_named_as_it_is(call: Call) -> None:
    assert (await call("GET", "/accounts/SIM101"))["name"] == "Sim101"


async def test_money_carries_binary_noise(call: Call) -> None:
    answer = await call("GET", "/accounts/Sim101")
    assert repr(answer["item"]["cashValue"]) == "100565.00000000285"


async def test_an_unknown_account_is_refused(call: Call) -> None:
    answer = await call("GET", "/accounts/Sim999", status=400)
    assert answer == {"success": False, "error": "invalid_account", "detail": "Account 'Sim999' not found"}


async def test_a_position_ties_up_margin_and_shows_its_open_profit(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=2)
    sim.advance(1)
    item = (await call("GET", "/accounts/Sim101"))["item"]
    assert (item["initialMargin"], item["intradayMargin"]) == (46_200.0, 1_000.0)
    assert item["netLiquidation"] == pytest.approx(item["cashValue"] + item["unrealizedProfitLoss"])
    assert item["buyingPower"] == pytest.approx(item["netLiquidation"] - 1_000.0)
    assert item["realizedProfitLoss"] == pytest.approx(-item["commission"] - item["fee"])
    assert item["sodCashValue"] == pytest.approx(100_565.0)


async def test_the_snapshot_nests_accounts_and_has_no_success(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=2)
    sim.advance(1)
    answer, documented = await call("GET", "/accounts/snapshot"), _documented("GetAccountSummary")
    assert set(answer) == set(documented)
    row, sample = answer["accounts"][0], documented["accounts"][0]
    assert set(sample["account"]) <= set(row["account"])
    assert row["account"]["isAccountFlat"] is False
    assert row["positions"][0]["quantity"] == 2
    assert answer["epoch"] == 1_788_964_201_123
    assert answer["timestamp"] == "2026-09-09T07:30:01.1234579-07:00"


async def test_the_snapshot_may_be_three_seconds_old(sim: Simulator, call: Call, place: Place) -> None:
    before = await call("GET", "/accounts/snapshot")
    await place(quantity=2)
    sim.advance(2.9)
    assert await call("GET", "/accounts/snapshot") == before
    sim.advance(0.1)
    assert (await call("GET", "/accounts/snapshot"))["accounts"][0]["account"]["isAccountFlat"] is False


async def test_watermarks_are_wrapped_and_spelled_in_lower_case(sim: Simulator, call: Call, place: Place) -> None:
    await place(quantity=2)
    sim.advance(1)
    answer, documented = await call("GET", "/accounts/sim101/watermarks"), _documented("GetWatermarks")
    assert answer["data"]["account"] == "Sim101"
    for part in ("watermarks", "stats"):
        assert set(answer["data"][part]) == set(documented["data"][part])
    assert answer["data"]["stats"]["poscount"] == 1
    assert answer["data"]["watermarks"]["netliqhigh"] >= answer["data"]["stats"]["netliq"]


async def test_there_are_no_watermarks_before_anything_was_traded(call: Call) -> None:
    answer = await call("GET", "/accounts/Sim101/watermarks")
    assert answer == {"success": True, "data": {"account": "Sim101", "watermarks": {}, "stats": {}}}


async def test_watermarks_need_no_addon(sim: Simulator, call: Call) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    assert (await call("GET", "/accounts/Sim101/watermarks"))["success"] is True
    assert (await call("GET", "/accounts/Sim101", status=408))["error"] == "Client not ready"


async def test_a_new_session_sets_the_day_back(sim: Simulator, clock: ManualClock, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    await place(action="SELL")
    sim.advance(1)
    day = (await call("GET", "/accounts/Sim101"))["item"]
    sim.advance(8 * 3600)
    item = (await call("GET", "/accounts/Sim101"))["item"]
    assert day["realizedProfitLoss"] != 0
    assert item["realizedProfitLoss"] == 0
    assert item["weeklyProfitLoss"] == pytest.approx(day["realizedProfitLoss"])
    assert item["sodCashValue"] == item["cashValue"]
    assert clock() > sim.exchange.executions[-1].at
