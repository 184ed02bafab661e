"""The endpoints of the market."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

Call = Callable[..., Awaitable[Any]]
DATA = Path(__file__).parent.parent.parent.parent / "data"


def _documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


async def test_a_quote_carries_the_documented_keys_and_its_epoch_in_seconds(call: Call) -> None:
    quote = await call("GET", "/market/quote", params={"instrument": "ES"})
    assert list(quote) == list(_documented("GetQuote"))
    assert quote["epoch"] == 1_788_964_200
    assert (quote["quoteTime"], quote["quoteTimeUtc"]) == ("09/09/2026 07:30:00 AM", "2026-09-09 14:30:00")
    assert (quote["instrument"], quote["expiration"], quote["tickValue"]) == ("ES 09-26", "2026-09-01", 12.5)
    assert quote["bid"] < quote["ask"]
    assert quote["isMarketOpen"] is True


async def test_several_quotes_are_a_bare_list(call: Call) -> None:
    quotes = await call("GET", "/market/quote", params={"instrument": "ES,NQZ26, CL1!"})
    assert [quote["instrument"] for quote in quotes] == ["ES 09-26", "NQ 12-26", "CL 10-26"]


async def test_one_unknown_name_among_several_is_refused(call: Call) -> None:
    answer = await call("GET", "/market/quote", params={"instrument": "ES,XX"}, status=400)
    assert answer == {"error": "Instrument 'XX' not found"}


async def test_a_quote_needs_an_instrument(call: Call) -> None:
    assert await call("GET", "/market/quote", status=400) == {"error": "Invalid request"}


async def test_the_older_quote_knows_less_and_says_success(call: Call) -> None:
    old = await call("GET", "/accounts/Sim101/quote", params={"instrument": "ESU6"})
    new = await call("GET", "/market/quote", params={"instrument": "ESU6"})
    assert old == {key: new[key] for key in new if key in old} | {"success": True}
    assert not {"tickValue", "dataSource", "isMarketOpen", "epoch"} & set(old)
    assert len(await call("GET", "/accounts/Sim101/quote", params={"instrument": "ES,NQ"})) == 2


async def test_a_stale_quote_stands_still(sim: Simulator, call: Call) -> None:
    async def quote() -> Any:
        return await call("GET", "/market/quote", params={"instrument": "ES"})

    sim.faults.arm(Fault.STALE_QUOTE)
    first = await quote()
    sim.advance(120)
    assert await quote() == first
    sim.faults.disarm(Fault.STALE_QUOTE)
    assert (await quote())["epoch"] == first["epoch"] + 120


async def test_the_hours_of_an_open_market_tell_the_time_until_its_close(call: Call) -> None:
    info = await call("GET", "/market/info", params={"instrument": "ES"})
    documented = _documented("MarketInfo")
    assert set(info) == set(documented)
    assert set(info["session"]) == set(documented["session"])
    assert info["status"] == {"isOpen": True, "state": "Open"}
    session = info["session"]
    assert (session["label"], session["action"]) == ("Current Session", "Until Close")
    assert session["utcStart"] == "2026-09-08T22:00:00.0000000Z"
    assert (session["localStart"], session["localEnd"]) == ("2026-09-08 17:00:00", "2026-09-09 16:00:00")
    assert session["countdown"] == "06:29:59"
    assert session["secondsRemaining"] == pytest.approx(23_399.876543)
    assert info["upcoming"]["utcStart"] == "2026-09-09T22:00:00.0000000Z"
    assert info["timeZone"] == "Central Standard Time"


async def test_the_hours_of_a_closed_market_tell_the_time_until_its_open(sim: Simulator, call: Call) -> None:
    sim.advance(3 * 86_400)  # Saturday
    info = await call("GET", "/market/info")
    assert info["instrument"] == "ES 12-26"
    assert info["status"] == {"isOpen": False, "state": "Closed"}
    assert (info["session"]["label"], info["session"]["action"]) == ("Next Session", "Until Open")
    assert info["session"]["utcStart"] == "2026-09-13T22:00:00.0000000Z"


async def test_a_market_that_is_closed_by_a_fault_names_the_next_session(sim: Simulator, call: Call) -> None:
    sim.faults.arm(Fault.SESSION_CLOSED)
    info = await call("GET", "/market/info")
    assert info["status"]["isOpen"] is False
    assert info["session"]["utcStart"] == "2026-09-09T22:00:00.0000000Z"
    assert (await call("GET", "/market/quote", params={"instrument": "ES"}))["isMarketOpen"] is False


async def test_a_market_that_is_always_open_says_so_on_a_saturday() -> None:
    clock = ManualClock(datetime(2026, 9, 12, 15, 0, tzinfo=UTC))
    sim = Simulator(seed=7, clock=clock, token="t", market_hours="always", settings=SimulatorSettings(rate_limit=None))
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        info = (await http.get("/market/info")).json()
    assert info["status"]["isOpen"] is True


async def test_bars_are_in_a_frame_and_their_epoch_in_milliseconds(call: Call) -> None:
    answer = await call("POST", "/market/bars", json={"instrument": "ES", "period": 5, "limit": 3})
    assert list(answer) == list(_documented("GetBars"))
    assert (answer["instrument"], answer["periodType"], answer["period"]) == ("ES 09-26", "minute", 5)
    assert answer["count"] == len(answer["bars"]) == 3
    last = answer["bars"][-1]
    assert (last["time"], last["epoch"]) == ("2026-09-09T14:30:00.0000000Z", 1_788_964_200_000)
    assert last["low"] <= min(last["open"], last["close"]) <= max(last["open"], last["close"]) <= last["high"]


async def test_bars_can_be_asked_for_by_their_window(call: Call) -> None:
    window = {"from": "2026-09-09T13:00:00Z", "to": "2026-09-09T13:10:00Z", "daysBack": 30}
    answer = await call("POST", "/market/bars", json={"instrument": "ES"} | window)
    assert [bar["time"][11:16] for bar in answer["bars"]] == [f"13:{minute:02d}" for minute in range(1, 11)]


async def test_there_are_no_bars_of_the_future(sim: Simulator, call: Call) -> None:
    window = {"from": "2026-09-09T14:25:00Z", "to": "2026-09-10T00:00:00Z"}
    answer = await call("POST", "/market/bars", json={"instrument": "ES"} | window)
    newest = datetime.fromisoformat(answer["bars"][-1]["time"])
    assert sim.addon.now - timedelta(minutes=1) < newest <= sim.addon.now


@pytest.mark.parametrize("field", ["from", "to"])
@pytest.mark.parametrize(
    ("text", "echoed"),
    [
        ("03/17/2026", "03/17/2026"),
        ("2026-03-17T00:00:00", "16/03/2026 17:00:00"),
        ("2026-03-17", "16/03/2026 17:00:00"),
        ("2026-03-17T00:00:00-05:00", "16/03/2026 22:00:00"),
        ("2026-13-17T00:00:00Z", "2026-13-17T00:00:00Z"),
    ],
)
async def test_a_moment_in_another_form_is_refused_and_echoed(call: Call, field: str, text: str, echoed: str) -> None:
    answer = await call("POST", "/market/bars", json={"instrument": "ES", field: text}, status=400)
    assert answer["error"].startswith(f"Invalid '{field}'")
    assert echoed in answer["error"]


@pytest.mark.parametrize("wrong", [{"periodType": "renko"}, {"period": 0}, {"limit": 0}, {"instrument": ""}])
async def test_bars_that_do_not_exist_are_an_invalid_request(call: Call, wrong: dict[str, Any]) -> None:
    assert await call("POST", "/market/bars", json={"instrument": "ES"} | wrong, status=400) == {
        "error": "Invalid request"
    }


async def test_templates_are_a_simple_list(call: Call) -> None:
    answer = await call("GET", "/atm-templates")
    assert answer["success"] is True
    assert "Scalp 8x8" in answer["templates"]
