"""Wake-ups: what another machine does is seen at once where that is told, and at the next look where it is not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5

import anyio
import pytest

from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.postgres import PostgresStore
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.postgres_wakes import WakeListener
from ct_mcp.store.wakes import Wakes
from tests.postgres import Server, free_port
from tests.tcp_proxy import Cable, cable_to

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
HALT = Halt("the person", NOW, "lunch")
MakeTicket = Callable[..., Ticket]
LONGEST_SECONDS = 60
_NOTIFIES = "SELECT pg_notify('ct_mcp.' || md5(%s), %s)"


class Heard:
    """Who is woken, and waits until that was so often."""

    def __init__(self) -> None:
        self.wakes, self.times = Wakes(), 0
        self.wakes.hear.append(self._count)
        self._counted = anyio.Event()

    def _count(self) -> None:
        self.times += 1
        self._counted.set()
        self._counted = anyio.Event()

    async def is_woken(self, times: int) -> None:
        """Wait for it."""
        with anyio.fail_after(LONGEST_SECONDS):
            while self.times < times:
                await self._counted.wait()


async def at_once(_: float) -> None:
    """Rest for no time, but let others go on."""
    await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def listening(url: PostgresUrl, *schemas: str) -> AsyncIterator[Heard]:
    """Listen as a server does, from the first wake-up on, which says that it listens."""
    heard = Heard()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WakeListener(url, heard.wakes, *schemas, pause=at_once).run)
        await heard.is_woken(1)
        yield heard
        tasks.cancel_scope.cancel()


@pytest.fixture
async def elsewhere(trader: PostgresUrl) -> AsyncIterator[PostgresStore]:
    """The store as another machine has it open."""
    store = PostgresStore(trader)
    yield store
    await store.close()


async def test_whoever_waits_goes_on_at_a_wake_up_and_without_one_when_the_time_is_up() -> None:
    wakes, never = Wakes(), anyio.Event()

    async def for_ever(_: float) -> None:
        await never.wait()

    with anyio.fail_after(LONGEST_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wakes.pause, 1.0, for_ever)
            tasks.start_soon(wakes.pause, 1.0, for_ever)
            await anyio.wait_all_tasks_blocked()
            wakes.wake()
        await wakes.pause(1.0, at_once)


Change = Callable[[PostgresStore, Ticket], Awaitable[object]]
LATER = NOW + timedelta(hours=1)
TELLING: dict[str, Change] = {
    "halt": lambda store, _: store.set_halt(HALT),
    "resume": lambda store, _: store.clear_halt("the person", NOW),
    "arm": lambda store, _: store.arm("Live1", LATER, "the person", NOW),
    "disarm": lambda store, _: store.disarm("Live1", "the person", NOW),
    "approve": lambda store, ticket: store.approve_ticket(ticket.ticket_id, "page", NOW),
    "decline": lambda store, ticket: store.decline_ticket(ticket.ticket_id, "page", NOW),
}


async def before(what: str, store: PostgresStore, ticket: Ticket) -> None:
    """What there has to be."""
    await store.open_ticket(ticket, NOW)
    if what == "resume":
        await store.set_halt(HALT)
    if what == "disarm":
        await store.arm("Live1", LATER, "the person", NOW)


@pytest.mark.parametrize("what", [*TELLING])
async def test_what_is_rare_wakes_other_machines(
    trader: PostgresUrl, elsewhere: PostgresStore, make_ticket: MakeTicket, what: str
) -> None:
    ticket = make_ticket()
    await before(what, elsewhere, ticket)
    async with listening(trader) as heard:
        assert await TELLING[what](elsewhere, ticket) is not False
        await heard.is_woken(2)


async def test_what_is_frequent_and_what_was_not_done_wakes_nobody(
    postgres: Server, trader: PostgresUrl, elsewhere: PostgresStore, make_ticket: MakeTicket
) -> None:
    ticket = make_ticket()
    channel = f"ct_mcp.{md5(trader.user.encode(), usedforsecurity=False).hexdigest()}"
    with postgres.connected() as connection:
        connection.execute(f'LISTEN "{channel}"'.encode())
        await elsewhere.open_ticket(ticket, NOW)
        await elsewhere.append(NewEntry(EntryKind.ASKED, "x"), NOW)
        await elsewhere.take_lease("exits", "a", NOW, timedelta(seconds=15))
        assert not await elsewhere.clear_halt("the person", NOW)
        assert not await elsewhere.disarm("Live1", "the person", NOW)
        assert await elsewhere.approve_ticket(ticket.ticket_id, "page", NOW)
        assert not await elsewhere.approve_ticket(ticket.ticket_id, "page", NOW)
        assert await elsewhere.spend_ticket(ticket.ticket_id, NOW)
        connection.execute("SELECT pg_notify(%s, 'the end')", (channel,))
        told = list(connection.notifies(timeout=LONGEST_SECONDS, stop_after=2))
    assert [each.payload for each in told] == ["", "the end"], "of the approval alone"


async def test_what_another_trader_does_wakes_nobody_but_another_schema_that_is_named_does(
    postgres: Server, trader: PostgresUrl
) -> None:
    """As the tables of a team, whose halt is for all its traders."""
    with postgres.own_trader() as team, postgres.own_trader() as other:
        async with listening(trader, team.user) as heard:
            for at in (other, team):
                store = PostgresStore(at)
                await store.set_halt(HALT)
                await store.close()
            await heard.is_woken(2)
            store = PostgresStore(team)
            await store.clear_halt("the person", NOW)
            await store.close()
            await heard.is_woken(3)
        assert heard.times == 3


async def test_however_many_come_they_wake_as_often_as_everybody_looks_anyway(
    postgres: Server, trader: PostgresUrl
) -> None:
    """Every role of the database can send them."""
    heard, rests, go_on = Heard(), list[float](), anyio.Event()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await go_on.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WakeListener(trader, heard.wakes, pause=rest).run)
        await heard.is_woken(1)
        with postgres.connected() as connection:
            connection.execute(_NOTIFIES, (trader.user, "the first"))
            await heard.is_woken(2)
            for number in range(100):
                connection.execute(_NOTIFIES, (trader.user, str(number)))
        await anyio.wait_all_tasks_blocked()
        assert (heard.times, rests) == (2, [0.25])
        go_on.set()
        await heard.is_woken(3)
        tasks.cancel_scope.cancel()


@pytest.fixture
async def cable(trader: PostgresUrl) -> AsyncIterator[Cable]:
    assert trader.port is not None
    with cable_to(trader.host, trader.port) as cable:
        yield cable


async def test_who_lost_the_connection_listens_again_and_looks_at_once(
    trader: PostgresUrl, cable: Cable, elsewhere: PostgresStore
) -> None:
    async with listening(replace(trader, port=cable.port)) as heard:
        await anyio.to_thread.run_sync(cable.cut)
        await heard.is_woken(2)
        await elsewhere.set_halt(HALT)
        await heard.is_woken(3)


async def test_a_server_that_cannot_be_reached_is_asked_again_and_again_and_ends_nothing(trader: PostgresUrl) -> None:
    tries = list[float]()

    async def pause(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 3:
            tasks.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WakeListener(replace(trader, port=free_port()), Wakes(), pause=pause).run)
    assert tries == [10.0, 10.0, 10.0]
