"""Orders that the service has pruned from its lists: their history is the evidence that is left."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Simulator


class Pruning(httpx.AsyncBaseTransport):
    """Forgets every order, but not its history."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.split("/")
        if request.method != "GET" or "orders" not in parts or parts[-1] in ("lifecycle", "executions"):
            return await self._inner.handle_async_request(request)
        if parts[-1] == "orders":
            return httpx.Response(200, json={"success": True, "orders": []})
        return httpx.Response(400, json={"error": f"Order linked to '{parts[-1]}' not found or already terminal."})


@pytest.fixture
async def crosstrade(
    sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[CrossTrade]:
    """Our client of such a service."""
    world = {"transport": Pruning(sim.transport()), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", sim.token, **world) as client:
        yield client


async def test_the_last_state_of_the_history_is_told(ask, place) -> None:
    order_id = await place()
    told = await ask("get_order", account="Sim101", order_id=order_id, wait_seconds=5)
    assert not told.is_error
    assert told.data["order"] is None
    assert (told.data["state"], told.data["is_closed"]) == ("FILLED", True)
    assert sum(fill["quantity"] for fill in told.data["executions"]) == 2
    assert "not listed any more, which by itself proves nothing" in told.text


async def test_without_any_trace_it_is_an_error(ask) -> None:
    told = await ask("get_order", account="Sim101", order_id="never-sent")
    assert told.is_error
    assert "it may have filled" in told.text
