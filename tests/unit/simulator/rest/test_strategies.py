"""The endpoints of strategies."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ct_mcp.simulator.fault_responses import HOSTILE_TEXT
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
RUNS, PAUSED, OVER = "334081723", "334081724", "334081725"
START = "/accounts/sim101/strategies/start"
HOLD: dict[str, Any] = {"strategyClass": "HoldLong", "instrument": "ES 09-26"}


def _path(strategy_id: str, *verb: str, account: str = "sim101") -> str:
    return "/".join((f"/accounts/{account}/strategies/{strategy_id}", *verb))


async def test_a_strategy_is_listed_with_its_account_its_state_and_its_properties(call: Call) -> None:
    (row,) = (await call("GET", "/accounts/sim101/strategies"))["strategies"]
    assert row == {
        "strategyId": RUNS,
        "strategyClass": "SampleMACrossOver",
        "name": "SampleMACrossOver",
        "account": "Sim101",
        "instrument": "ES 09-26",
        "periodType": "Minute",
        "period": 5,
        "hostMode": "chart",
        "state": "Realtime",
        "isEnabled": True,
        "parameters": {"Fast": 10, "Slow": 25},
    }
    assert await call("GET", _path(RUNS)) == row | {"success": True}


@pytest.mark.parametrize(
    ("path", "everything", "ids"),
    [
        ("/accounts/Sim101/strategies", "false", [RUNS]),
        ("/accounts/Sim101/strategies", "true", [RUNS, OVER]),
        ("/strategies", "false", [RUNS, PAUSED]),
        ("/strategies", "true", [RUNS, PAUSED, OVER]),
    ],
)
async def test_strategies_that_are_over_are_listed_on_demand(
    call: Call, path: str, everything: str, ids: list[str]
) -> None:
    answer = await call("GET", path, params={"includeTerminal": everything})
    assert [row["strategyId"] for row in answer["strategies"]] == ids
    assert answer["success"] is True
    assert answer.get("count", len(ids)) == len(ids)


@pytest.mark.parametrize(("started", "shown"), [(0, 0), (1, 1), (3, 2)])
async def test_the_list_of_an_account_can_be_stale(sim: Simulator, call: Call, started: int, shown: int) -> None:
    for _ in range(started):
        await call("POST", START, json=HOLD)
    sim.faults.arm(Lag.STALE_STRATEGY_LIST)
    stale = (await call("GET", "/accounts/Sim101/strategies"))["strategies"]
    whole = (await call("GET", "/strategies"))["strategies"]
    mine = [row for row in whole if row["account"] == "Sim101"]
    assert (len(mine), stale) == (started + 1, mine[:shown])
    sim.faults.disarm()
    assert (await call("GET", "/accounts/Sim101/strategies"))["strategies"] == mine


async def test_enabling_again_changes_nothing_and_says_so(call: Call) -> None:
    path = _path(PAUSED, "enable", account="apex-482910")
    answers = [await call("POST", path) for _ in range(2)]
    assert [answer["wasEnabled"] for answer in answers] == [False, True]
    assert answers[1] == {
        "strategyId": PAUSED,
        "account": "APEX-482910",
        "hostMode": "account",
        "wasEnabled": True,
        "isEnabled": True,
        "state": "Realtime",
        "success": True,
    }


async def test_disabling_again_changes_nothing_and_says_so(call: Call) -> None:
    answers = [await call("POST", _path(RUNS, "disable"), json={}) for _ in range(2)]
    assert [(answer["wasEnabled"], answer["isEnabled"]) for answer in answers] == [(True, False), (False, False)]
    assert (await call("GET", _path(RUNS)))["isEnabled"] is False


@pytest.mark.parametrize(("method", "verb"), [("GET", ()), *(("POST", (v,)) for v in ("enable", "disable", "close"))])
async def test_a_strategy_is_found_in_its_own_account_only(call: Call, method: str, verb: tuple[str, ...]) -> None:
    nobodys = await call(method, _path("1", *verb), status=404)
    assert nobodys == {"success": False, "error": "strategy_not_found", "detail": "Strategy '1' not found"}
    elsewhere = await call(method, _path(PAUSED, *verb), status=404)
    assert elsewhere["error"] == "strategy_not_in_account_collection"
    assert (await call(method, _path(RUNS, *verb, account="x"), status=400))["error"] == "invalid_account"


@pytest.mark.parametrize("verb", ["enable", "disable", "close"])
async def test_a_strategy_that_is_over_cannot_be_revived(call: Call, verb: str) -> None:
    for _ in range(2):
        answer = await call("POST", _path(OVER, verb), status=409)
        assert (answer["success"], answer["error"]) == (False, "strategy_terminated")
    assert (await call("GET", _path(OVER)))["state"] == "Finalized"


async def test_a_closed_strategy_is_over(call: Call) -> None:
    assert await call("POST", _path(RUNS, "close")) == {"strategyId": RUNS, "success": True}
    assert (await call("GET", _path(RUNS)))["state"] == "Finalized"
    await call("POST", _path(RUNS, "close"), status=409)


async def test_a_strategy_is_started_and_then_comes_to_real_time(sim: Simulator, call: Call) -> None:
    answer = await call("POST", START, json=HOLD | {"mode": "chart", "periodType": "range", "period": 8})
    assert answer == {
        "strategyId": "334081726",
        "account": "Sim101",
        "hostMode": "chart",
        "isEnabled": True,
        "state": "Historical",
        "success": True,
    }
    sim.advance(1)
    row = await call("GET", _path(answer["strategyId"]))
    assert (row["state"], row["periodType"], row["period"]) == ("Realtime", "Range", 8)


@pytest.mark.parametrize(
    ("mode", "host"), [({}, "account"), ({"mode": "headless"}, "account"), ({"mode": "Chart"}, "chart")]
)
async def test_a_strategy_runs_without_a_chart_unless_one_is_asked_for(
    call: Call, mode: dict[str, str], host: str
) -> None:
    assert (await call("POST", START, json=HOLD | mode))["hostMode"] == host


async def test_its_orders_and_its_position_are_those_of_the_account(sim: Simulator, call: Call) -> None:
    started = (await call("POST", START, json=HOLD | {"parameters": {"Quantity": 2, "StopTicks": 400}}))["strategyId"]
    sim.advance(5)
    (stop,) = (await call("GET", "/accounts/Sim101/orders"))["orders"]
    owner = {"id": int(started), "name": "HoldLong", "displayName": "HoldLong"}
    assert (stop["name"], stop["orderType"], stop["ownerStrategy"]) == ("Stop loss", "StopMarket", owner)
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"][0]["quantity"] == 2
    await call("POST", _path(started, "close"))
    sim.advance(1)
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"] == []
    assert (await call("GET", "/accounts/Sim101/orders"))["orders"] == []


async def test_its_position_can_be_closed_while_it_is_being_closed(sim: Simulator, call: Call) -> None:
    started = (await call("POST", START, json=HOLD))["strategyId"]
    sim.advance(5)
    await call("POST", _path(started, "close"))
    await call("POST", "/accounts/Sim101/positions/close", json={"instrument": "ES"})
    sim.advance(1)
    assert (await call("GET", "/accounts/Sim101/positions"))["positions"] == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"strategyClass": "Nothing"}, "class 'Nothing' not found"),
        ({"strategyClass": "NinjaTrader.NinjaScript.Strategies.HoldLong"}, "not found"),
        ({"strategyClass": None}, "Invalid request"),
        ({"instrument": "ES"}, "Use the full name, such as 'ES 09-26'"),
        ({"instrument": "XX 09-26"}, "Instrument 'XX 09-26' not found"),
        ({"mode": "cloud"}, "Invalid request"),
        ({"periodType": "Renko"}, "Invalid request"),
        ({"period": 0}, "Invalid request"),
        ({"parameters": {"Size": 1}}, "no public property 'Size'"),
        ({"parameters": {"Quantity": 1.5}}, "Property 'Quantity'"),
        ({"parameters": {"Quantity": True}}, "Property 'Quantity'"),
        ({"parameters": {"Quantity": "1"}}, "Property 'Quantity'"),
        ({"parameters": {"Quantity": 10**12}}, "Property 'Quantity'"),
        ({"parameters": {"Quantity": [1]}}, "Invalid request"),
        ({"parameters": [1]}, "Invalid request"),
    ],
)
async def test_what_cannot_be_started_is_refused(sim: Simulator, call: Call, wrong: dict[str, Any], words: str) -> None:
    assert words in (await call("POST", START, json=HOLD | wrong, status=400))["error"]
    assert len(sim.strategies.all) == 3


async def test_properties_keep_their_types(call: Call) -> None:
    changed = {"Minutes": 30.0, "Offset": 2, "UseTrail": True, "Label": "late"}
    body = HOLD | {"strategyClass": "OpeningRangeBreakout", "parameters": changed}
    started = (await call("POST", START, json=body))["strategyId"]
    assert (await call("GET", _path(started)))["parameters"] == changed


async def test_the_name_of_a_strategy_can_be_hostile(sim: Simulator, call: Call) -> None:
    sim.faults.arm(Fault.HOSTILE_TEXT)
    row = await call("GET", _path(RUNS))
    assert HOSTILE_TEXT in row["name"]
    assert row["strategyClass"] == "SampleMACrossOver"
