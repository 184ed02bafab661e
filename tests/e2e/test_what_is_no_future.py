"""An account that holds a currency, a share or a coin beside its futures: shown, and in nobody's way."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.simulator import Simulator
from tests.e2e.conftest import Assistant, Wire, World

KINDS = {
    "EURUSD": "Forex",
    "AAPL": "Stock",
    "BTCUSD": "CryptoCurrency",
    "XYZ.A": "Unknown",
    "BRK5": "Stock",
    "^SPX": "Index",
}
AMOUNTS = {"EURUSD": 20000, "AAPL": 10, "BTCUSD": 0.25, "XYZ.A": 3, "BRK5": 7, "^SPX": 1, "NQ": 2}
WITHOUT_PRICES = ("^SPX",)
_TOLD = {**KINDS, "NQ": "Future"}


def _position(account: str, name: str) -> dict[str, Any]:
    told = {
        "account": account,
        "instrument": name,
        "instrumentType": _TOLD[name],
        "marketPosition": "Long",
    }
    return {
        **told,
        "quantity": AMOUNTS[name],
        "averagePrice": None if name in WITHOUT_PRICES else 1.1,
        "marketPrice": 1.2,
        "unrealizedProfitLoss": 3.5,
    }


def _order(account: str, name: str) -> dict[str, Any]:
    told = {"account": account, "id": f"order-{name}", "instrument": name, "instrumentType": _TOLD[name]}
    price = None if name in WITHOUT_PRICES else 1.3
    more = {"orderAction": "Sell", "orderState": "Working", "orderType": "Limit", "limitPrice": price, "stopPrice": 0}
    return {**told, **more, "quantity": AMOUNTS[name], "filled": 0, "timeInForce": "Gtc"}


def _execution(account: str, name: str) -> dict[str, Any]:
    told = {"account": account, "id": f"fill-{name}", "orderId": "o", "instrument": name, "price": 1.1}
    return {**told, "instrumentType": _TOLD[name], "marketPosition": "Long", "quantity": AMOUNTS[name]}


@dataclass
class Mixed(httpx.AsyncBaseTransport):
    """A service whose account Sim101 holds something else as well, has an order in it, and traded it."""

    inner: httpx.AsyncBaseTransport
    names: tuple[str, ...] = ()
    makers: dict[str, Callable[[str, str], dict[str, Any]]] = field(
        default_factory=lambda: {"positions": _position, "orders": _order, "executions": _execution}
    )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on, and add the rows to each list of all accounts or of this one."""
        response = await self.inner.handle_async_request(request)
        key = request.url.path.split("/")[-1]
        mine = "/accounts/Sim101/" in request.url.path or request.url.path.count("/") == 3
        if key not in self.makers or not mine or response.status_code != 200:
            return response
        said = json.loads(await response.aread())
        said[key] += [self.makers[key]("Sim101", name) for name in self.names]
        if "count" in said:
            said["count"] = len(said[key])
        return httpx.Response(response.status_code, json=said, request=request)


@pytest.fixture(params=[*KINDS])
def names(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What is held beside the futures."""
    return (str(request.param),)


@pytest.fixture
def wire(sim: Simulator, names: tuple[str, ...]) -> Wire:
    """What leaves our client, to such a service."""
    return Wire(Mixed(sim.transport(), names))


@pytest.fixture
def era() -> str:
    """One era is enough: nothing here depends on it."""
    return "auto"


async def test_it_is_shown_with_its_words_and_its_quantity(
    assistant: Assistant, world: World, names: tuple[str, ...]
) -> None:
    (name,) = names
    await assistant.buys(2)
    world.later()
    for arguments in ({}, {"account": "Sim101"}):
        told = await assistant.call("get_positions", **arguments)
        rows = {row["instrument"]: row for row in told.positions}
        assert rows["MES 09-26"]["quantity"] == 2
        assert (rows[name]["quantity"], rows[name]["instrument_kind"]) == (AMOUNTS[name], KINDS[name])
        assert f"{AMOUNTS[name]}  {name} ({KINDS[name]}, not tradable here)" in told.text
    orders = await assistant.call("get_orders", account="Sim101")
    assert f"SELL {AMOUNTS[name]} {name} ({KINDS[name]}, not tradable here) LIMIT" in orders.text
    fills = await assistant.call("get_executions", account="Sim101")
    assert f"{AMOUNTS[name]}  {name} ({KINDS[name]}, not tradable here)" in fills.text
    assert "total MES 09-26: bought 2" in fills.text


async def test_everything_about_futures_works_beside_it(assistant: Assistant, world: World) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later()
    assert await assistant.protects(world.price(-60), quantity=2)
    world.later()
    bracket = {"account": "Sim101", "instrument": "MES", "stop_loss": world.price(-80)}
    assert (await assistant.call("protect_position", **bracket)).status == "changed"
    world.later()
    partly = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert partly.sent is True, partly.text
    world.later()
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert (told.status, told.position_after, world.net()) == ("flat", 0, 0)


async def test_an_account_that_still_holds_it_is_not_called_flat(
    assistant: Assistant, world: World, names: tuple[str, ...]
) -> None:
    (name,) = names
    await assistant.buys(2)
    world.later()
    told = await assistant.call("flatten", account="Sim101")
    assert world.net() == 0
    assert told.status == "accepted"
    assert f"still held: LONG {AMOUNTS[name]} {name} ({KINDS[name]}, not tradable here)" in told.reasons_text


@pytest.mark.parametrize("names", [(name,) for name in KINDS if name != "BRK5"], ids=str, indirect=False)
async def test_it_cannot_be_traded_by_its_name(assistant: Assistant, world: World, names: tuple[str, ...]) -> None:
    told = await assistant.call("close_position", account="Sim101", instrument=names[0])
    assert told.is_error
    assert world.writes() == 0


@pytest.mark.parametrize("names", [("NQ",)])
async def test_a_future_without_its_month_makes_only_its_own_root_unknown(
    assistant: Assistant, world: World, names: tuple[str, ...]
) -> None:
    """Which month is held nobody knows: every month of NQ is unknown, and nothing else is."""
    told = await assistant.buys(1)
    assert told.status == "filled", told.text
    world.later()
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert (told.status, world.net()) == ("flat", 0), told.text
    before = world.writes()
    told = await assistant.buys(1, instrument="NQ 12-26")
    assert "POSITION_UNKNOWN" in told.reasons_text
    assert world.writes() == before
