"""A simulated world for a card: set up as the card wants it, and with a clock that its pauses move."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count

import httpx

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.in_process import InProcessTransport
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from tests.contract.agreement.asking import hold, place, rest
from tests.contract.agreement.deck import At, Card, When

TOKEN = "a-token-that-must-never-be-seen"
INSTRUMENT = "MES 09-26"
Spoil = Callable[[httpx.Response], httpx.Response]


class SpoiltTransport(httpx.AsyncBaseTransport):
    """The way to a simulator that answers a little differently."""

    def __init__(self, inner: InProcessTransport, spoil: Spoil) -> None:
        """Take what changes the answers."""
        self._inner, self._spoil = inner, spoil

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and change the answer."""
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        answer.request = request
        return self._spoil(answer)


def world(when: When = When.ORDINARY) -> Simulator:
    """A simulator on a Wednesday morning, its budget of requests limited only where a card is about that."""
    clock = ManualClock(datetime(2026, 9, 9, 14, 30, 0, 123457, tzinfo=UTC))
    settings = SimulatorSettings() if when is When.CROWDED else SimulatorSettings(rate_limit=None)
    return Simulator(seed=7, clock=clock, token=TOKEN, settings=settings)


def place_in(sim: Simulator) -> At:
    """Where a card looks in a simulator."""
    numbers = count(1)

    async def pause(seconds: float) -> None:
        sim.advance(seconds)

    return At("Sim101", INSTRUMENT, pause, lambda: f"own-{next(numbers)}")


@asynccontextmanager
async def connected(sim: Simulator, spoil: Spoil | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A bare HTTP client of a simulator."""
    transport = SpoiltTransport(sim.transport(), spoil) if spoil else sim.transport()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sim/v1/api", headers=headers) as http:
        yield http


async def _give_a_history(http: httpx.AsyncClient, at: At) -> None:
    """For those who only look: a position, a flat one, an order that rests, and one that is cancelled."""
    await place(http, at, instrument="NQ 09-26")
    await at.pause(1)
    await http.post(f"{at.home}/positions/close", json={"instrument": "NQ 09-26"})
    await hold(http, at, 2)
    await http.post(f"{at.home}/orders/{await rest(http, at)}/cancel", json={})
    await rest(http, at)


def _arrange(sim: Simulator, when: When) -> None:
    match when:
        case When.OFFLINE:
            sim.faults.arm(Fault.ADDON_OFFLINE)
        case When.CLOSE_STUCK:
            sim.faults.arm(Lag.CLOSE_STUCK)
        case When.WARNED:
            sim.faults.arm(Fault.WARNING)


async def look(card: Card, spoil: Spoil | None = None) -> Simulator:
    """Look at one card in a world of its own.

    Raises:
        Differs: The simulator is not as the card says.
        NotObservable: There is nothing to look at.
    """
    sim = world(card.when)
    at = place_in(sim)
    if not card.trades and card.when is When.ORDINARY:
        async with connected(sim) as http:
            await _give_a_history(http, at)
    _arrange(sim, card.when)
    async with connected(sim, spoil) as http:
        await card.look(http, at)
    return sim
