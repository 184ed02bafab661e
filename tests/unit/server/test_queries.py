"""The reads of one answer: bounded, noted, and never flat or tradable on one report alone."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.errors import OrderDenied, Unavailable
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.server.account_queries import blocked_reason, flattenable_accounts
from ct_mcp.server.queries import Query, time_limit
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.unit.server.conftest import Ask


async def test_a_read_that_lasts_too_long_ends_as_unknown() -> None:
    @time_limit(0.0)
    async def read() -> str:
        await anyio.sleep_forever()
        return "never"

    with pytest.raises(Unavailable, match="unknown now, not empty"):
        await read()


async def test_a_bounded_read_keeps_its_name_and_its_answer() -> None:
    @time_limit()
    async def read(name: str) -> str:
        """Read something."""
        return name

    assert (read.__name__, read.__doc__) == ("read", "Read something.")
    assert await read("something") == "something"


async def test_notes_are_kept_once_each_in_the_order_they_came(desk: Desk) -> None:
    reading = Query(desk)
    for note in ("b", "a", "b"):
        reading.note(note)
    assert reading.notes == ["b", "a"]


CASES = {
    "connected": (Account("A", AccountKind.SIMULATED, connection_status="connected"), ""),
    "not said": (Account("A", AccountKind.SIMULATED), ""),
    "lost": (Account("A", AccountKind.SIMULATED, connection_status="ConnectionLost"), "ACCOUNT_DISCONNECTED"),
    "live": (Account("A", AccountKind.LIVE), "ACCOUNT_NOT_SIMULATED"),
    "unknown": (Account("A", AccountKind.UNKNOWN), "ACCOUNT_NOT_SIMULATED"),
}


@pytest.mark.parametrize(("account", "code"), CASES.values(), ids=CASES.keys())
async def test_an_account_may_trade_or_says_why_not(desk: Desk, account: Account, code: str) -> None:
    assert (await blocked_reason(Query(desk), account)).split(":")[0] == code


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE)], ids=["live"])
async def test_an_account_that_the_settings_do_not_name_may_not_trade_live(desk: Desk) -> None:
    assert (await blocked_reason(Query(desk), Account("A", AccountKind.LIVE))).startswith("ACCOUNT_NOT_NAMED")


class Contradicting(httpx.AsyncBaseTransport):
    """Says in the summary of accounts that Sim101 is not flat, and nothing more of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/snapshot"):
            return await self._inner.handle_async_request(request)
        account = {"name": "Sim101", "provider": "Simulator", "isAccountFlat": False}
        return httpx.Response(200, json={"type": "snapshot", "accounts": [{"account": account, "positions": []}]})


class TestContradictingReports:
    """A service whose reports contradict each other: then nothing is known, and nothing is called flat."""

    @pytest.fixture
    async def crosstrade(
        self, sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
    ) -> AsyncIterator[CrossTrade]:
        """Our client of such a service."""
        world: dict[str, Any] = {"transport": Contradicting(sim.transport()), "clock": clock, "sleep": pause}
        async with CrossTrade("https://simulator.invalid", sim.token, **world) as client:
            yield client

    async def test_positions_are_unknown(self, ask: Ask) -> None:
        told = await ask("get_positions", account="Sim101")
        assert told.is_error
        assert "another says that Sim101 is not flat" in told.text
        assert "unknown now, not empty" in told.text

    async def test_the_list_of_accounts_does_not_call_it_flat(self, ask: Ask) -> None:
        told = await ask("get_accounts")
        assert told.data["accounts"][0]["open_positions"] is None
        assert "positions unknown" in told.text


REAL = "APEX-482910"


class NothingButNames(httpx.AsyncBaseTransport):
    """The service as some of its pages show it: rows of the list of accounts carry nothing but a name."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on; leave of each listed account its name alone."""
        response = await self.inner.handle_async_request(request)
        if request.url.path != "/v1/api/accounts":
            return response
        said = json.loads(await response.aread())
        said["accounts"] = [{"name": row["name"]} for row in said["accounts"]]
        return httpx.Response(response.status_code, json=said, request=request)


class TestFlattenableAccounts:
    """When no account is named, a kind that is not listed is asked for, and unknown is not simulated."""

    @pytest.fixture
    async def crosstrade(
        self, sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
    ) -> AsyncIterator[CrossTrade]:
        """A client of such a service."""
        world: dict[str, Any] = {"transport": NothingButNames(sim.transport()), "clock": clock, "sleep": pause}
        async with CrossTrade("https://simulator.invalid", sim.token, **world) as client:
            yield client

    async def test_where_the_list_says_nothing_the_report_of_all_is_asked_for_once(
        self, desk: Desk, sim: Simulator
    ) -> None:
        names, left_alone = await flattenable_accounts(Query(desk))
        assert names == ("Sim101",)
        why = f"ACCOUNT_NOT_SIMULATED: mode=sim, account={REAL}, kind=live"
        assert left_alone == (f"not touched (get_positions tells what it holds): {REAL} ({why})",)
        assert len(sim.requests_of("GetAccountSummary")) == 1
        assert sim.requests_of("GetAccount") == []

    async def test_an_account_of_which_no_list_says_anything_is_asked_for_by_itself(
        self, desk: Desk, sim: Simulator
    ) -> None:
        sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetAccountSummary")
        assert (await flattenable_accounts(Query(desk)))[0] == ("Sim101",)
        assert len(sim.requests_of("GetAccount")) == 2

    async def test_one_whose_kind_stays_unknown_is_left_alone(self, desk: Desk, sim: Simulator) -> None:
        sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccount")
        sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetAccountSummary")
        with pytest.raises(
            OrderDenied, match=r"Sim101 \(ACCOUNT_NOT_SIMULATED: mode=sim, account=Sim101, kind=unknown\)"
        ):
            await flattenable_accounts(Query(desk))

    @pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE, accounts={REAL: AccountPolicy()})], ids=["live"])
    async def test_in_live_mode_the_settings_decide_and_no_kind_is_needed(self, desk: Desk, sim: Simulator) -> None:
        sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccount")
        assert (await flattenable_accounts(Query(desk)))[0] == (REAL,)
