"""One process has the stream, the others read by request, and whoever is left takes over."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest

from ct_mcp.crosstrade.stream.socket import LiveStream, Socket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import StoreFailed
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import LEASE, Feed, Leases
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import StreamFault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore

ES = Instrument("ES", 2026, 9)


class Broken:
    """A store that cannot be used."""

    async def take_lease(self, name: str, holder: str, now: object, ttl: timedelta) -> int:
        raise StoreFailed("the disk is full")

    renew_lease = take_lease

    async def release_lease(self, name: str, holder: str) -> bool:
        raise StoreFailed("the disk is full")


@pytest.fixture
def cache(clock: ManualClock) -> LiveCache:
    return LiveCache(clock)


@pytest.fixture
def stream(sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]) -> LiveStream:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Socket]:
        async with sim.connect() as socket:
            yield socket

    async def step(seconds: float) -> None:
        await pause(seconds)
        await anyio.lowlevel.checkpoint()

    return LiveStream(opened, clock=clock, pause=step, look_every_seconds=0.005)


def feeding(stream: LiveStream, cache: LiveCache, leases: Leases, clock: ManualClock) -> Feed:
    return Feed(stream, cache, leases, clock)


async def test_one_of_two_has_the_stream_and_the_other_takes_over_when_it_goes(
    stream: LiveStream, cache: LiveCache, store: SqliteStore, clock: ManualClock
) -> None:
    one, other = feeding(stream, cache, store, clock), feeding(stream, LiveCache(clock), store, clock)
    assert await one.holds()
    assert not await other.holds()
    clock.advance(6)
    assert await one.holds()
    clock.advance(LEASE.total_seconds() - 1)
    assert not await other.holds(), "it was renewed meanwhile"
    clock.advance(2)
    assert await other.holds()
    assert not await one.holds(), "one who comes too late does not fight for it"


async def test_the_store_is_asked_only_every_few_seconds(
    stream: LiveStream, cache: LiveCache, store: SqliteStore, clock: ManualClock
) -> None:
    feed = feeding(stream, cache, store, clock)
    assert await feed.holds()
    await store.release_lease("stream", feed._holder)
    clock.advance(4)
    assert await feed.holds()
    clock.advance(2)
    assert not await feed.holds()


async def test_without_a_store_nobody_has_the_stream(stream: LiveStream, cache: LiveCache, clock: ManualClock) -> None:
    feed = feeding(stream, cache, Broken(), clock)
    assert not await feed.holds()
    assert feed.condition[0] == "off"


@asynccontextmanager
async def running(feed: Feed, until: Callable[[], bool]) -> AsyncIterator[None]:
    """Run the feed until something holds, and leave it running for the block."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(feed.run)
            while not until():
                await anyio.lowlevel.checkpoint()
            yield
            group.cancel_scope.cancel()


async def test_what_the_stream_tells_reaches_the_cache_and_the_lease_is_given_back(
    stream: LiveStream, cache: LiveCache, store: SqliteStore, sim: Simulator, clock: ManualClock
) -> None:
    feed = feeding(stream, cache, store, clock)
    async with running(feed, lambda: stream.protocol.is_sound):
        assert feed.condition == ("ok", "quotes are live; accounts are read anew until it told of one")
        assert await store.lease_holder("stream", clock())
    assert await store.lease_holder("stream", clock()) is None


async def test_its_condition_is_told_in_words(
    stream: LiveStream, cache: LiveCache, store: SqliteStore, sim: Simulator, clock: ManualClock
) -> None:
    feed = feeding(stream, cache, store, clock)
    sim.faults.arm(StreamFault.STATUS_STALLED)
    async with running(feed, lambda: stream.protocol.state == "stalled"):
        assert feed.condition == ("broken", "stalled: everything is read anew until it is back")


async def test_another_program_that_takes_the_stream_is_not_fought(
    stream: LiveStream, cache: LiveCache, store: SqliteStore, sim: Simulator, clock: ManualClock
) -> None:
    feed = feeding(stream, cache, store, clock)
    sim.faults.arm(StreamFault.SESSION_ELSEWHERE, times=1)
    with anyio.fail_after(60):
        await feed.run()
    assert feed.condition[0] == "off"
    assert "another program" in feed.condition[1]
    assert await store.lease_holder("stream", clock()) is None


async def test_a_token_that_is_refused_is_told(
    cache: LiveCache, store: SqliteStore, sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> None:
    stream = LiveStream(lambda: sim.connect("wrong"), clock=clock, pause=pause, look_every_seconds=0.005)
    feed = feeding(stream, cache, store, clock)
    with anyio.fail_after(60):
        await feed.run()
    assert feed.condition == ("broken", "the service answered 401: everything is read anew")


async def test_a_lease_that_cannot_be_given_back_runs_out_by_itself(
    stream: LiveStream, cache: LiveCache, clock: ManualClock, sim: Simulator
) -> None:
    class Failing(Broken):
        async def take_lease(self, name: str, holder: str, now: object, ttl: timedelta) -> int:
            return True

        renew_lease = take_lease

    feed = feeding(stream, cache, Failing(), clock)
    async with running(feed, lambda: stream.protocol.is_sound):
        pass
    assert feed.condition[0] == "off"
