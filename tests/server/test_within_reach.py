"""Which accounts are flattened when none is named: a kind that is not listed is asked for; unknown is not simulated."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.errors import OrderDenied
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.server.reading import Reading
from ct_mcp.server.within_reach import accounts_to_leave
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator

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


@pytest.fixture
async def crosstrade(sim: Simulator, clock, pause) -> AsyncIterator[CrossTrade]:
    """A client of such a service."""
    world = {"transport": NothingButNames(sim.transport()), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", sim.token, **world) as client:
        yield client


async def test_an_account_of_which_the_list_says_nothing_is_asked_for_by_itself(desk: Desk, sim: Simulator) -> None:
    names, left_alone = await accounts_to_leave(Reading(desk))
    assert names == ("Sim101",)
    why = f"ACCOUNT_NOT_SIMULATED: mode=sim, account={REAL}, kind=live"
    assert left_alone == (f"left alone, and may still hold something: {REAL} ({why})",)
    assert len(sim.requests_of("GetAccount")) == 2


async def test_one_whose_kind_stays_unknown_is_left_alone(desk: Desk, sim: Simulator) -> None:
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccount")
    with pytest.raises(OrderDenied, match=r"Sim101 \(ACCOUNT_NOT_SIMULATED: mode=sim, account=Sim101, kind=unknown\)"):
        await accounts_to_leave(Reading(desk))


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE, accounts={REAL: AccountPolicy()})], ids=["live"])
async def test_in_live_mode_the_settings_decide_and_no_kind_is_needed(desk: Desk, sim: Simulator) -> None:
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccount")
    assert (await accounts_to_leave(Reading(desk)))[0] == (REAL,)
