"""A wrong clock is told as a clock: in the denial, with the quotes, and in the status."""

import json
from dataclasses import dataclass

import httpx
import pytest

from ct_mcp.simulator.simulator import Simulator
from tests.e2e.conftest import Assistant, Wire, World

AHEAD = [30, 8, 120]
BEHIND = [30, 120]


@dataclass
class Shifted(httpx.AsyncBaseTransport):
    """A service in front of a NinjaTrader whose computer's clock is wrong: each stamp of a quote is."""

    inner: httpx.AsyncBaseTransport
    seconds: int

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on, and move the stamps of quotes."""
        response = await self.inner.handle_async_request(request)
        if request.url.path != "/v1/api/market/quote" or response.status_code != 200:
            return response
        said = json.loads(await response.aread())
        for quote in said if isinstance(said, list) else [said]:
            quote["epoch"] += self.seconds
            for key in ("quoteTime", "quoteTimeUtc"):
                quote.pop(key, None)
        return httpx.Response(response.status_code, json=said, request=request)


@pytest.fixture
def era() -> str:
    """One era is enough: nothing here depends on it."""
    return "auto"


@pytest.fixture
def seconds() -> int:
    """How far the clock of NinjaTrader's computer is ahead."""
    return 0


@pytest.fixture
def wire(sim: Simulator, seconds: int) -> Wire:
    """What leaves our client, to such a service."""
    return Wire(Shifted(sim.transport(), seconds))


@pytest.mark.parametrize("seconds", [*AHEAD, *(-each for each in BEHIND)])
async def test_a_wrong_clock_is_named_wherever_it_shows(assistant: Assistant, world: World, seconds: int) -> None:
    way = "ahead" if seconds > 0 else "behind"
    told = await assistant.buys()
    assert (told.status, world.writes()) == ("denied", 0)
    assert _said(told.reasons_text, seconds, way)
    quotes = await assistant.call("get_quotes", instruments=["MES", "NQ"])
    assert _said(quotes.text, seconds, way)
    assert all(row["stale"] for row in quotes.quotes)
    status = await assistant.call("get_status")
    assert {"clock": "broken"}.items() <= {link["link"]: link["state"] for link in status.links}.items()
    assert _said(status.next_step, seconds, way)


def _said(text: str, seconds: int, way: str) -> bool:
    about = (f"NinjaTrader's computer is about {abs(seconds) + more} s {way}; set it" for more in (-2, -1, 0, 1, 2))
    return any(words in text for words in about)


async def test_a_right_clock_is_no_news(assistant: Assistant) -> None:
    assert (await assistant.buys()).status == "filled"
    status = await assistant.call("get_status", details=True)
    assert "clock ok" in status.text
