"""Subscribed beside a living stream: what changes in the market is told to the client, which then reads it."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceUpdatedNotification, TextResourceContents

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.socket import LiveStream
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import Feed
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.resource_updates import Throttle
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import StreamFault
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.simulator.stream.assumptions import EventPushes, StreamAssumptions
from tests.conftest import Person
from tests.e2e.conftest import Alone, Assistant, World
from tests.factories import place_order

pytestmark = pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")  # older era
SNAPSHOT, QUOTE, JOURNAL = "crosstrade://accounts/Sim101/snapshot", "crosstrade://quotes/MES", "crosstrade://journal"
MES = Instrument("MES", 2026, 9)
MARKET = place_order(instrument=MES)


@pytest.fixture
def settings() -> SimulatorSettings:
    """A world in which account events come."""
    return SimulatorSettings(stream=StreamAssumptions(events=EventPushes.SUBSCRIBED), rate_limit=None)


@dataclass
class Subscribed:
    """A client that keeps what it was told, beside a market in which time passes."""

    client: Client
    era: str
    world: World
    view: LiveCache
    stack: AsyncExitStack
    heard: list[str] = field(default_factory=list)

    async def subscribes(self, *uris: str) -> None:
        if self.era == "legacy":
            for uri in uris:
                await self.client.subscribe_resource(uri)
            return
        told = await self.stack.enter_async_context(self.client.listen(resource_subscriptions=uris))
        tasks = await self.stack.enter_async_context(anyio.create_task_group())
        self.stack.callback(tasks.cancel_scope.cancel)

        async def follow() -> None:
            async for event in told:
                assert isinstance(event, ResourceUpdated)
                self.heard.append(event.uri)

        tasks.start_soon(follow)

    async def passes(self, seconds: float) -> list[str]:
        """Let so much time pass; gives what was told in it."""
        self.heard.clear()
        while seconds > 0:
            self.world.sim.advance(min(1.0, seconds))
            seconds -= 1.0
            for _ in range(3):
                await anyio.wait_all_tasks_blocked()
        return list(self.heard)

    async def reads(self, uri: str) -> dict[str, Any]:
        (content,) = (await self.client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        said: dict[str, Any] = json.loads(content.text)
        return said


@pytest.fixture
async def subscribed(
    world: World, clock: ManualClock, desk: Desk, policy: Policy, era: str, person: Person
) -> AsyncIterator[Subscribed]:
    """A client of a server that listens to the stream; a second is one of the simulated market."""

    async def until(seconds: float) -> None:
        over, at = anyio.Event(), clock().timestamp() + seconds

        def look() -> None:
            if clock().timestamp() >= at:
                over.set()

        clock.watch(look)
        try:
            await over.wait()
        finally:
            clock.unwatch(look)

    heard = list[str]()

    async def take(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    view = LiveCache(clock)
    stream = LiveStream(world.sim.connect, clock=clock, pause=until, look_every_seconds=0.002)
    pace = Throttle(1.0, lambda: clock().timestamp(), until)
    server = build_server(ServerContext(lambda: desk, policy).fed_by(lambda: view), pace)
    handler = take if era == "legacy" else None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Feed(stream, view, Alone(), clock).run)
        async with (
            Client(server, mode=era, elicitation_callback=person, message_handler=handler) as client,
            AsyncExitStack() as stack,
        ):
            subscribed = Subscribed(client, era, world, view, stack, heard)
            await subscribed.passes(1)
            yield subscribed
        assert not view._listeners
        tasks.cancel_scope.cancel()


async def test_a_fill_that_somebody_else_caused_is_told_and_then_read(
    subscribed: Subscribed, crosstrade: CrossTrade
) -> None:
    await subscribed.subscribes(SNAPSHOT)
    await crosstrade.place_order(MARKET, "somebody-else")
    assert SNAPSHOT in await subscribed.passes(2)
    assert (await subscribed.reads(SNAPSHOT))["positions"]["positions"][0]["quantity"] == 1


async def test_a_quote_is_told_as_it_moves_once_a_second_and_is_read_from_the_stream(
    subscribed: Subscribed, world: World
) -> None:
    await subscribed.subscribes(QUOTE)
    told = await subscribed.passes(10)
    assert 5 <= len(told) <= 11
    asked = len(world.sim.requests_of("GetQuote"))
    last = (await subscribed.reads(QUOTE))["quotes"][0]["last"]
    assert last == pytest.approx(world.price(), abs=0.26)
    assert len(world.sim.requests_of("GetQuote")) == asked


async def test_an_account_at_rest_is_not_told_for_ever(subscribed: Subscribed) -> None:
    await subscribed.subscribes(SNAPSHOT)
    await subscribed.passes(10)
    assert await subscribed.passes(20) == []


async def test_our_own_order_is_told_of_the_account_and_of_the_journal(subscribed: Subscribed) -> None:
    await subscribed.subscribes(SNAPSHOT, JOURNAL)
    await subscribed.passes(10)
    await Assistant(subscribed.client).buys(1)
    assert {SNAPSHOT, JOURNAL} <= set(subscribed.heard) | set(await subscribed.passes(1))
    kinds = [entry["kind"] for entry in (await subscribed.reads(JOURNAL))["entries"]]
    assert (kinds[0], kinds[-1]) == ("answered", "proposed")


@pytest.mark.parametrize("disturbance", [StreamFault.SOCKET_CUT, StreamFault.FRAME_LOST])
async def test_what_may_have_been_missed_is_told_as_changed(
    subscribed: Subscribed, crosstrade: CrossTrade, world: World, disturbance: StreamFault
) -> None:
    await subscribed.subscribes(SNAPSHOT)
    await subscribed.passes(10)
    world.sim.faults.arm(disturbance, times=1)
    await crosstrade.place_order(MARKET, "somebody-else")
    assert SNAPSHOT in await subscribed.passes(5)
    assert (await subscribed.reads(SNAPSHOT))["positions"]["positions"][0]["quantity"] == world.net() == 1
