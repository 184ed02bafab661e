"""The few fixtures everybody uses: a clock that a test moves, the simulator, our client, the desk, a connection."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mcp import Client
from mcp_types import ElicitRequestFormParams, ElicitResult

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.wiring import Wiring
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.sqlite import SqliteStore

TOKEN = "a-token-that-must-never-be-seen"
# A Wednesday morning in Chicago: every market of the simulator is open.
A_TRADING_MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass
class Person:
    """Somebody at a client that shows forms: answers with the right text, or with what a test makes of it."""

    answer: Callable[[str], ElicitResult] | None = None
    clock: ManualClock | None = None
    takes_seconds: float = 5.0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, _: object, params: ElicitRequestFormParams) -> ElicitResult:
        """Read the question, take some time, answer."""
        self.asked.append(params.message)
        if self.clock is not None:
            self.clock.advance(self.takes_seconds)
        return self.answer(params.message) if self.answer else yes(params.message)


def yes(question: str) -> ElicitResult:
    """Type what the question says is to be typed."""
    (phrase,) = (line.split("type:")[1].strip() for line in question.splitlines() if "type:" in line)
    return ElicitResult(action="accept", content={"answer": phrase})


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on the event loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    """The one clock of a test: of the simulator, of our client, of the desk."""
    return ManualClock(A_TRADING_MORNING)


@pytest.fixture
def pause(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    """Let time pass without waiting."""

    async def move(seconds: float) -> None:
        clock.advance(seconds)

    return move


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """A fake CrossTrade in front of a fake NinjaTrader 8."""
    return Simulator(seed=7, clock=clock, token=TOKEN)


@pytest.fixture
async def crosstrade(
    sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[CrossTrade]:
    """Our client of the simulator, over HTTP as the service speaks it."""
    world = {"transport": sim.transport(), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", TOKEN, **world) as client:
        yield client


@pytest.fixture
def policy() -> Policy:
    """What the operator allows; a test file overrides it where it needs another."""
    return Policy()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store of its own for each test."""
    store = SqliteStore(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
def desk(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """The desk over the simulator."""
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


@pytest.fixture
def person(clock: ManualClock) -> Person:
    """Somebody who says yes to everything, five seconds after being asked."""
    return Person(clock=clock)


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras."""
    return str(request.param)


@pytest.fixture
def connect(desk: Desk, policy: Policy, era: str) -> Connect:
    """Connect an MCP client to our server, in process: ``connect(person)``, or ``connect()`` for one without forms."""

    @asynccontextmanager
    async def connected(person: Person | None = None) -> AsyncIterator[Client]:
        server = build_server(Wiring(lambda: desk, policy))
        async with Client(server, mode=era, elicitation_callback=person) as client:
            yield client

    return connected
