"""An assistant in conversation with our server, a recorder on the wire, and what holds for every conversation."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import Budget, OwnBudget
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.rest.endpoints import ENDPOINTS
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person

Converse = Callable[..., AbstractAsyncContextManager["Assistant"]]

WRITES = tuple(endpoint.rpc for endpoint in ENDPOINTS if endpoint.writes)
MES, ES = "MES 09-26", "ES 09-26"


class Alone:
    """A lease that nobody else wants, and that no thread is asked for."""

    async def take_lease(self, *_: object) -> bool:
        return True

    renew_lease = release_lease = take_lease


@dataclass(frozen=True)
class Told:
    """One answer, as the assistant reads it: the text, and the structure, which must say the same."""

    text: str
    is_error: bool
    structure: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        """A field of the structure; None where an error has none."""
        return self.structure.get(name)

    @property
    def reasons_text(self) -> str:
        """All reasons in one text."""
        return " | ".join(self.structure.get("reasons", []))

    @property
    def warnings_text(self) -> str:
        """All warnings in one text."""
        return " | ".join(self.structure.get("warnings", []))


@dataclass
class Assistant:
    """Somebody who calls tools and reads what they answer."""

    client: Client
    heard: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> Told:
        """Call a tool; keeps everything that was ever said to the assistant."""
        told = told_in(await self.client.call_tool(tool, {k: v for k, v in arguments.items() if v is not None}))
        self.heard.append(told.text + json.dumps(told.structure))
        return told

    async def buys(self, quantity: int | None = 1, instrument: str = "MES", **more: Any) -> Told:
        """Place an order to buy at the market, or whatever ``more`` makes of it."""
        order = {"account": "Sim101", "action": "BUY", "order_type": "MARKET"}
        return await self.call("place_order", **{**order, "instrument": instrument, "quantity": quantity, **more})

    async def rests(self, limit_price: float, quantity: int = 1, instrument: str = "MES", **more: Any) -> str:
        """Place a limit order that stands in the market, and name its id."""
        told = await self.buys(quantity, instrument, **{"order_type": "LIMIT", "limit_price": limit_price, **more})
        assert told.status == "working", told.text
        return str(told.order_id)

    async def protects(self, stop_price: float, quantity: int = 1, instrument: str = "MES", **more: Any) -> str:
        """Place a sell stop, and name its id."""
        order = {"action": "SELL", "order_type": "STOP_MARKET", "stop_price": stop_price}
        told = await self.buys(quantity, instrument, **{**order, **more})
        assert told.status == "working", told.text
        return str(told.order_id)


def told_in(result: CallToolResult) -> Told:
    """Read an answer."""
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    return Told(text, bool(result.is_error), dict(result.structured_content or {}))


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """Between our client and the simulator: keeps what left, and how often it tried to."""

    inner: httpx.AsyncBaseTransport
    left: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    meanwhile: dict[str, Callable[[], None]] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on; one whose connection failed never left. What happens ``meanwhile`` happens just before."""
        for ending in [ending for ending in self.meanwhile if request.url.path.endswith(ending)]:
            self.meanwhile.pop(ending)()
        said = json.loads(request.content or b"{}")
        self.left.append((request.method, request.url.path, said))
        try:
            return await self.inner.handle_async_request(request)
        except httpx.ConnectError:
            self.left.pop()
            raise

    def posts(self) -> list[tuple[str, dict[str, Any]]]:
        """What left and could change something: its path and its body."""
        return [(path, said) for method, path, said in self.left if method != "GET"]


class World:
    """The simulator with the questions that a journey asks of it."""

    def __init__(self, sim: Simulator, clock: ManualClock) -> None:
        self.sim = sim
        self.clock = clock

    def price(self, ticks_away: int = 0, instrument: str = "MES") -> float:
        """A price so many ticks above the last trade, or below it."""
        contract = self.sim.market.front(instrument, self.clock())
        return float((self.sim.market.top(contract, self.clock()).last + ticks_away) * contract.product.tick_size)

    def net(self, instrument: str = "MES", account: str = "Sim101") -> int:
        """What the account really holds of the front month."""
        return self.sim.exchange.accounts[account].net(self.sim.market.front(instrument, self.clock()))

    def live(self, account: str = "Sim101") -> list[str]:
        """Ids of the orders that can really still fill."""
        return [order.id for order in self.sim.exchange.live_orders(account)]

    def states(self) -> list[str]:
        """The state of every order there ever was."""
        return [str(order.state) for order in self.sim.exchange.orders]

    def writes(self) -> int:
        """How many requests that could change something have arrived, those of failed connections included."""
        return len(self.sim.requests_of(*WRITES))

    def later(self, seconds: float = 20.0) -> None:
        """Let time pass."""
        self.sim.advance(seconds)


@pytest.fixture
def settings() -> SimulatorSettings:
    """How the simulated world is; a test overrides it where it needs another."""
    return SimulatorSettings()


@pytest.fixture
def sim(clock: ManualClock, settings: SimulatorSettings) -> Simulator:
    """A fake CrossTrade in front of a fake NinjaTrader 8, with settings of its own."""
    return Simulator(seed=7, clock=clock, token="a-token-that-must-never-be-seen", settings=settings)


@pytest.fixture
def wire(sim: Simulator) -> Wire:
    """What leaves our client."""
    return Wire(sim.transport())


@pytest.fixture
def budget() -> Budget:
    """How many requests may leave; a test overrides it where others spend from it as well."""
    return OwnBudget()


@pytest.fixture
async def crosstrade(
    wire: Wire, clock: ManualClock, pause: Callable[[float], Awaitable[None]], token: str, budget: Budget
) -> AsyncIterator[CrossTrade]:
    """Our client of the simulator, with a recorder on the wire."""
    url = "https://simulator.invalid"
    async with CrossTrade(url, token, transport=wire, clock=clock, sleep=pause, budget=budget) as client:
        yield client


@pytest.fixture
def another_desk(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """Another process, over the same state."""
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


@pytest.fixture
def token(sim: Simulator) -> str:
    """What must never be seen."""
    return sim.token


@pytest.fixture
def world(sim: Simulator, clock: ManualClock) -> World:
    """What is really so."""
    return World(sim, clock)


@dataclass
class Servers:
    """A server for each policy, kept from journey to journey: making its schemas takes longer than most of them."""

    desk: Desk | None = None
    kept: list[tuple[Policy, ServerContext, MCPServer]] = field(default_factory=list)

    def over(self, desk: Desk, policy: Policy) -> MCPServer:
        """The server over this journey's desk, remembering nothing of the journey before."""
        self.desk = desk
        for known, wiring, server in self.kept:
            if known == policy:
                vars(wiring).pop("_built", None)
                wiring.forms_never_shown.clear()
                return server
        wiring = ServerContext(self._now, policy)
        self.kept.append((policy, wiring, build_server(wiring)))
        return self.kept[-1][2]

    def _now(self) -> Desk:
        assert self.desk is not None
        return self.desk


@pytest.fixture(scope="session")
def servers() -> Servers:
    """What is built once for all journeys."""
    return Servers()


@pytest.fixture
def converse(servers: Servers, desk: Desk, policy: Policy, era: str) -> Converse:
    """Begin a conversation: ``converse(person)``, ``converse()`` without forms, or over another desk."""

    @asynccontextmanager
    async def begun(person: ElicitationFnT | None = None, over: Desk | None = None) -> AsyncIterator[Assistant]:
        async with Client(servers.over(over or desk, policy), mode=era, elicitation_callback=person) as client:
            yield Assistant(client)

    return begun


@pytest.fixture
async def assistant(
    converse: Converse, person: Person, wire: Wire, store: SqliteStore, token: str
) -> AsyncIterator[Assistant]:
    """An assistant whose person says yes to everything, and what holds for all that was said and sent."""
    async with converse(person) as assistant:
        yield assistant
    _no_route_that_reaches_every_account_was_used(wire)
    _no_order_left_twice(wire)
    await _nobody_heard_a_secret(assistant, store, token)


def _no_route_that_reaches_every_account_was_used(wire: Wire) -> None:
    paths = {path for path, _ in wire.posts()}
    assert not {"/v1/api/positions/flatten", "/v1/api/orders/cancelall"} & paths
    assert all(path.startswith("/v1/api/accounts/") for path in paths)


def _no_order_left_twice(wire: Wire) -> None:
    own_ids = [said["orderId"] for path, said in wire.posts() if path.endswith(("/place", "/flatplace"))]
    assert len(own_ids) == len(set(own_ids))


async def _nobody_heard_a_secret(assistant: Assistant, store: SqliteStore, token: str) -> None:
    journal = await store.entries(500)
    tickets = [await store.ticket(entry.ticket_id) for entry in journal if entry.ticket_id]
    # On a live account the phrase is the order in words, which the summary says as well.
    phrases = {ticket.phrase for ticket in tickets if ticket is not None and " " not in ticket.phrase}
    for said in (*assistant.heard, *map(repr, journal)):
        assert token not in said
        assert not phrases & set(re.findall(r"\b\w{4}\b", said)), "the phrase is for the person alone"
