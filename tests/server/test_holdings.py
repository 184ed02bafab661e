"""A service whose reports contradict each other: then nothing is known, and nothing is called flat."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Simulator


class Contradicting(httpx.AsyncBaseTransport):
    """Says in the summary of accounts that Sim101 is not flat, and nothing more of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/snapshot"):
            return await self._inner.handle_async_request(request)
        account = {"name": "Sim101", "provider": "Simulator", "isAccountFlat": False}
        return httpx.Response(200, json={"type": "snapshot", "accounts": [{"account": account, "positions": []}]})


@pytest.fixture
async def crosstrade(
    sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[CrossTrade]:
    """Our client of such a service."""
    world = {"transport": Contradicting(sim.transport()), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", sim.token, **world) as client:
        yield client


async def test_positions_are_unknown(ask) -> None:
    told = await ask("get_positions", account="Sim101")
    assert told.is_error
    assert "another says that Sim101 is not flat" in told.text
    assert "unknown now, not empty" in told.text


async def test_the_list_of_accounts_does_not_call_it_flat(ask) -> None:
    told = await ask("get_accounts")
    assert told.data["accounts"][0]["open_positions"] is None
    assert "positions unknown" in told.text
