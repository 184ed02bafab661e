"""A no that does not prove that nothing happened: what stands is looked at, and nothing is called refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Wire, World


@dataclass
class Contrary(httpx.AsyncBaseTransport):
    """Does what it is asked, or not, and answers something else where a path ends so."""

    inner: httpx.AsyncBaseTransport
    says: dict[str, Callable[[Any], httpx.Response]] = field(default_factory=dict)
    does_nothing: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on, and change what comes back."""
        said = next((say for ending, say in self.says.items() if request.url.path.endswith(ending)), None)
        if said is None:
            return await self.inner.handle_async_request(request)
        if self.does_nothing:
            return said({})
        answer = await self.inner.handle_async_request(request)
        return said(json.loads(await answer.aread()))


class Body(httpx.AsyncByteStream):
    """A body as it comes over the wire."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> Any:
        yield self.content


def answer(status: int, body: bytes | dict[str, Any]) -> httpx.Response:
    return httpx.Response(status, stream=Body(body if isinstance(body, bytes) else json.dumps(body).encode()))


@pytest.fixture
def contrary(sim: Simulator) -> Contrary:
    """The service."""
    return Contrary(sim.transport())


@pytest.fixture
def wire(contrary: Contrary) -> Wire:
    """What leaves our client."""
    return Wire(contrary)


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked, and what is asked twice is what it is about."""
    return Policy(simulated=Approval.NONE, limits=Limits(duplicate_window_seconds=0.0))


@pytest.mark.parametrize("status", [429, 400, 409])
async def test_a_no_whose_body_breaks_off_is_no_proof_that_nothing_was_placed(
    assistant: Assistant, world: World, contrary: Contrary, status: int
) -> None:
    contrary.says["/orders/place"] = lambda _: answer(status, b'{"success":false,"error":"broker_rate_lim')
    told = await assistant.buys(2)
    assert "Nothing was changed in the account" not in told.text
    assert (told.status, told.position_after) == ("filled", 2), told.text
    assert world.net() == 2


async def test_a_limit_that_breaks_off_is_unknown_where_nothing_is_seen(
    assistant: Assistant, world: World, contrary: Contrary
) -> None:
    contrary.says["/orders/place"] = lambda _: answer(429, b'{"success":false,"error":"broker_rate_lim')
    contrary.does_nothing = True
    told = await assistant.buys(2)
    assert (told.status, told.sent, world.net()) == ("unknown", "unknown", 0), told.text


def _not_confirmed(named: bool) -> Callable[[Any], httpx.Response]:
    def say(body: Any) -> httpx.Response:
        told = {"success": False, "error": "Order accepted but no confirmation yet"}
        return answer(200, {**told, "orderId": body["orderId"]} if named else told)

    return say


@pytest.mark.parametrize("named", [True, False], ids=["the order is named", "the order is listed"])
async def test_a_no_to_an_order_that_stands_is_told_as_the_order_reads(
    assistant: Assistant, world: World, contrary: Contrary, named: bool
) -> None:
    contrary.says["/orders/place"] = _not_confirmed(named)
    told = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-40))
    assert told.status == "working", told.text
    assert "Order accepted but no confirmation yet" in told.text
    told = await assistant.buys(2)
    assert (told.status, told.position_after) == ("filled", 2), told.text


@pytest.mark.parametrize("named", [True, False], ids=["the order is named", "the order is listed"])
async def test_an_entry_that_stands_beside_their_no_gets_its_exits(
    *, assistant: Assistant, world: World, contrary: Contrary, store: SqliteStore, named: bool
) -> None:
    contrary.says["/orders/place"] = _not_confirmed(named)
    order: dict[str, Any] = {"order_type": "LIMIT", "limit_price": world.price(-40), "stop_loss": "10 points"}
    told = await assistant.buys(2, **order)
    assert told.status == "working", told.text
    (duty,) = await store.duties()
    assert duty.order.quantity == 2


async def test_a_no_beside_an_order_of_the_same_shape_that_nobody_can_tell_from_it_is_unknown(
    assistant: Assistant, world: World, contrary: Contrary
) -> None:
    def by_hand(_: Any) -> httpx.Response:
        contract = world.sim.market.front("MES", world.clock())
        terms = OrderTerms(contract, Action.BUY, 2, SimOrderType.MARKET)
        world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
        return answer(200, {"success": False, "error": "Order refused"})

    contrary.says["/orders/place"], contrary.does_nothing = by_hand, True
    told = await assistant.buys(2)
    assert (told.status, told.sent) == ("unknown", "unknown"), told.text
    assert "but not there before was" in told.text


async def test_a_no_that_what_stands_bears_out_is_told_as_their_no(
    assistant: Assistant, world: World, contrary: Contrary, wire: Wire
) -> None:
    assert (await assistant.buys(1)).status == "filled"
    contrary.says["/orders/place"] = lambda _: answer(200, {"success": False, "error": "Order refused"})
    contrary.does_nothing = True
    wire.left.clear()
    told = await assistant.buys(1)
    assert (told.status, told.position_after) == ("rejected", 1), told.text
    after = [path for _, path, _ in wire.left]
    after = after[1 + next(at for at, path in enumerate(after) if path.endswith("/place")) :]
    assert sorted(path.rpartition("/")[2] for path in after) == ["orders", "positions"], "each is read once"
    assert world.net() == 1


@pytest.mark.parametrize("status", [400, 409, 200])
@pytest.mark.parametrize("tool", ["close_position", "flatten"])
async def test_a_close_that_runs_already_is_an_exit_on_its_way(
    assistant: Assistant, world: World, contrary: Contrary, tool: str, status: int
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later()
    said = {"success": False, "error": "close_in_progress", "detail": "A close of this position is running"}
    contrary.says.update({ending: lambda _: answer(status, said) for ending in ("/close", "/flatten")})
    contrary.does_nothing = True
    told = await assistant.call(tool, account="Sim101", instrument="MES 09-26")
    assert (told.status, told.sent) == ("unknown", "unknown"), told.text
    assert "so an exit is on its way" in told.text
    assert "tell the person what was refused" not in told.text
