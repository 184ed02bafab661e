"""A conversation beside a living stream: fewer requests, the same truth, and no claim that nothing backs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from mcp import Client

from ct_mcp.crosstrade.stream import Stream
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.live.feed import Feed
from ct_mcp.live.view import LiveView
from ct_mcp.server.app import build_server
from ct_mcp.server.wiring import Wiring
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Disturbance
from ct_mcp.simulator.stream.habits import Events, StreamHabits
from ct_mcp.simulator.world import Settings
from tests.journeys.conftest import Assistant

MES = Instrument("MES", 2026, 9)
MARKET = PlaceOrder("Sim101", MES, OrderAction.BUY, 1, OrderType.MARKET, None, None, TimeInForce.DAY)


@pytest.fixture
def policy() -> Policy:
    """Limits that these conversations do not meet."""
    return Policy(limits=Limits(max_orders_per_minute=1000, max_orders_per_day=10_000, duplicate_window_seconds=0.0))


@pytest.fixture
def events() -> Events:
    """Whether the service pushes events of accounts."""
    return Events.SUBSCRIBED


@pytest.fixture
def settings(events: Events) -> Settings:
    """A world with that habit."""
    return Settings(stream=StreamHabits(events=events), rate_limit=None)


@dataclass
class Listening:
    """The stream of one conversation, and time that passes beside it."""

    world: object
    view: LiveView
    stream: Stream

    async def hears(self) -> None:
        """Let everything that was sent arrive."""
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()

    async def passes(self, seconds: float) -> None:
        """Let so many seconds pass, one by one."""
        while seconds > 0:
            self.world.sim.advance(min(1.0, seconds))
            seconds -= 1.0
            await self.hears()

    async def trusted(self) -> None:
        """Let the first account event prove that there are any."""
        await self.passes(1)
        assert self.view.is_trusted

    def asked(self, *rpcs: str) -> int:
        return len(self.world.sim.requests_of(*rpcs))


@pytest.fixture
async def listening(world, store, clock: ManualClock, desk: Desk) -> AsyncIterator[Listening]:
    """A stream that feeds a view, as ``ct-mcp serve`` has it."""

    async def until(seconds: float) -> None:
        """Wait until the conversation has let so much time pass."""
        end, reached = clock() + timedelta(seconds=seconds), anyio.Event()

        def look() -> None:
            if clock() >= end:
                reached.set()

        clock.watch(look)
        await reached.wait()
        clock.unwatch(look)

    view = LiveView(clock)
    stream = Stream(world.sim.connect, clock=clock, pause=until, look_every_seconds=0.002)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Feed(stream, view, store, clock).run)
        listening = Listening(world, view, stream)
        await listening.hears()
        yield listening
        tasks.cancel_scope.cancel()


@pytest.fixture
async def talks(listening: Listening, desk: Desk, policy: Policy, era: str, person) -> AsyncIterator[Assistant]:
    """An assistant of a server that listens."""
    server = build_server(Wiring(lambda: desk, policy).fed_by(lambda: listening.view))
    async with Client(server, mode=era, elicitation_callback=person) as client:
        yield Assistant(client)


async def test_quotes_come_live_and_cost_no_request(talks: Assistant, listening: Listening, world) -> None:
    await talks.call("get_quotes", instruments=["MES"])
    asked = listening.asked("GetQuote")
    for _ in range(10):
        await listening.passes(1)
        told = await talks.call("get_quotes", instruments=["MES"])
        (quote,) = told.quotes
        assert quote["last"] == pytest.approx(world.price(), abs=0.26), "at most a second old"
        assert quote["age_seconds"] <= 2
    assert listening.asked("GetQuote") - asked <= 3, "only a quiet market is asked for"


async def test_positions_and_orders_are_served_once_events_have_proved_themselves(
    talks: Assistant, listening: Listening, clock: ManualClock
) -> None:
    await talks.buys(2)
    await listening.trusted()
    first = await talks.call("get_positions", account="Sim101")
    asked = listening.asked("ListPositions")
    await listening.passes(4)
    second = await talks.call("get_positions", account="Sim101")
    assert listening.asked("ListPositions") == asked
    assert second.positions == first.positions
    assert second.read_at == first.read_at
    assert "known for 4 s, and nothing was heard to change since" in second.text


async def test_a_change_by_somebody_else_is_heard_and_read(
    talks: Assistant, listening: Listening, crosstrade, world
) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3


async def test_what_we_change_ourselves_is_read_at_once(talks: Assistant, listening: Listening) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    asked = listening.asked("ListPositions")
    await talks.call("flatten", account="Sim101")
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions == []
    assert listening.asked("ListPositions") > asked + 1


@pytest.mark.parametrize(
    "disturbance",
    [Disturbance.STATUS_STALLED, Disturbance.STATUS_DISCONNECTED, Disturbance.FRAME_LOST, Disturbance.SOCKET_CUT],
)
async def test_after_a_disturbance_everything_is_read_anew(
    talks: Assistant, listening: Listening, crosstrade, world, disturbance: Disturbance
) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    world.sim.faults.arm(disturbance, times=1)
    await listening.passes(1)
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3


@pytest.mark.parametrize("events", [Events.NEVER])
async def test_where_account_events_never_come_accounts_are_always_read(
    talks: Assistant, listening: Listening, crosstrade, world, events: Events
) -> None:
    await talks.buys(2)
    await listening.passes(2)
    assert events is Events.NEVER
    assert not listening.view.is_trusted
    await talks.call("get_positions", account="Sim101")
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3
