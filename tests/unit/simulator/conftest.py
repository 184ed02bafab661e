"""A simulator on a Wednesday morning in Chicago, and ways to talk to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.commands import Steps
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

TOKEN = "test-token"
T = TypeVar("T")
Call = Callable[..., Awaitable[httpx.Response]]
CarryOut = Callable[[Exchange, Steps[T], datetime], tuple[T, datetime]]


@pytest.fixture
def clock() -> ManualClock:
    """A clock at half past nine on a trading day, one hour after the stock market has opened."""
    return ManualClock(datetime(2026, 9, 9, 14, 30, 0, 123457, tzinfo=UTC))


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """A simulator without a rate limit."""
    return Simulator(seed=7, clock=clock, token=TOKEN, settings=SimulatorSettings(rate_limit=None))


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the right token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        yield http


@pytest.fixture
def call(client: httpx.AsyncClient) -> Call:
    """Send a request and give the body back; the status has to be the one that is expected."""

    async def send(method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        answer = await client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


@pytest.fixture
def place(client: httpx.AsyncClient) -> Callable[..., Awaitable[str]]:
    """Place an order, one ES at the market if nothing else is said, and give its id back."""

    async def send(account: str = "Sim101", **fields: Any) -> str:
        body = {
            "instrument": "ES 09-26",
            "action": "BUY",
            "quantity": 1,
            "orderType": "MARKET",
            "timeInForce": "DAY",
        } | fields
        answer = await client.post(f"/accounts/{account}/orders/place", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["orderId"])

    return send


@pytest.fixture(scope="session")
def carry_out() -> CarryOut[Any]:
    """Take the steps of a call, let time pass between them, and tell what came of it and when it was."""

    def take(exchange: Exchange, steps: Steps[T], now: datetime) -> tuple[T, datetime]:
        try:
            seconds = next(steps)
            while True:
                now += timedelta(seconds=seconds)
                exchange.advance(now)
                seconds = steps.send(now)
        except StopIteration as end:
            return end.value, now

    return take
