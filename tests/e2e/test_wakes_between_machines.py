"""What is decided on another machine is seen at once; where no notification ever comes, at the next look."""

from collections.abc import AsyncIterator

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval, Halt, Ticket, TicketState
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Policy
from ct_mcp.server.context import ServerContext
from ct_mcp.server.resource_updates import JOURNAL, ResourceUpdates
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.postgres import PostgresStore
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.postgres_wakes import WakeListener
from ct_mcp.store.trading_state import StoredPin
from tests.factories import place_order
from tests.postgres import Server

LONGEST_SECONDS = 60
TRIGGERS = {"halt_wakes": "halt", "arming_wakes": "armings", "decision_wakes": "tickets"}


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.PAGE)


@pytest.fixture(params=[True, False], ids=["told", "never told"])
async def is_told(request: pytest.FixtureRequest) -> bool:
    """Whether the database notifies."""
    told: bool = request.param
    return told


@pytest.fixture
async def own_trader(postgres: Server, *, is_told: bool) -> AsyncIterator[PostgresUrl]:
    """A trader, with or without what notifies."""
    with postgres.own_trader() as trader:
        if not is_told:
            with postgres.connected(trader.user) as connection:
                for trigger, table in TRIGGERS.items():
                    connection.execute(f"DROP TRIGGER {trigger} ON {table}".encode())
        yield trader


@pytest.fixture
async def here(own_trader: PostgresUrl) -> AsyncIterator[PostgresStore]:
    """The store of this machine, which listens."""
    store, listens = PostgresStore(own_trader), anyio.Event()
    store.wakes.hear.append(listens.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WakeListener(own_trader, store.wakes).run)
        with anyio.fail_after(LONGEST_SECONDS):
            await listens.wait()
        store.wakes.hear.clear()
        yield store
        tasks.cancel_scope.cancel()
    await store.close()


@pytest.fixture
async def there(own_trader: PostgresUrl) -> AsyncIterator[PostgresStore]:
    """The store of another machine."""
    store = PostgresStore(own_trader)
    yield store
    await store.close()


class Looking:
    """Lets the time until the next look pass only when it is told to."""

    def __init__(self) -> None:
        self.is_waited_for, self.passes = anyio.Event(), anyio.Event()

    async def __call__(self, _: float) -> None:
        self.is_waited_for.set()
        await self.passes.wait()


async def test_who_waits_for_the_person_sees_their_yes_on_another_machine(
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    here: PostgresStore,
    there: PostgresStore,
    *,
    is_told: bool,
) -> None:
    pause, seen = Looking(), anyio.Event()
    desk = Desk(crosstrade, here, policy, clock=clock, pause=pause)
    ticket = await desk.propose(place_order(instrument=Instrument("MES", 2026, 9)))
    assert isinstance(ticket, Ticket)

    async def waits() -> None:
        states = [now.state async for _, now in desk.watch_ticket(ticket, 25)]
        assert states[-1] is TicketState.APPROVED
        seen.set()

    with anyio.fail_after(LONGEST_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits)
            await pause.is_waited_for.wait()
            assert await there.approve_ticket(ticket.ticket_id, "page", clock())
            if is_told:
                await seen.wait()
            assert seen.is_set() == is_told
            pause.passes.set()
            await seen.wait()


async def test_who_subscribes_to_the_journal_hears_of_a_halt_on_another_machine(
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    here: PostgresStore,
    there: PostgresStore,
    *,
    is_told: bool,
) -> None:
    desk = Desk(crosstrade, here, policy, clock=clock, pause=anyio.sleep)
    context, heard = ServerContext(lambda: desk, policy), anyio.Event()
    unsubscribe = ResourceUpdates(context).subscribe(JOURNAL, heard.set)
    await context.hear_journal()
    assert not heard.is_set(), "nothing was written yet"
    await there.set_halt(Halt("the person", clock(), "lunch"))
    with anyio.fail_after(LONGEST_SECONDS):
        if is_told:
            await heard.wait()
        assert heard.is_set() == is_told
        await context.hear_journal()
        await heard.wait()
    unsubscribe()


async def test_what_was_written_is_told_once_by_looking(
    crosstrade: CrossTrade, policy: Policy, clock: ManualClock, here: PostgresStore, there: PostgresStore
) -> None:
    desk = Desk(crosstrade, here, policy, clock=clock, pause=anyio.sleep)
    context, heard = ServerContext(lambda: desk, policy), list[str]()
    unsubscribe = ResourceUpdates(context).subscribe(JOURNAL, lambda: heard.append("journal"))
    await context.hear_journal()
    await there.keep_pin(StoredPin(b"salt", 16384, 8, 1, b"digest"), clock())
    for _ in range(3):
        await context.hear_journal()
    assert heard == ["journal"]
    unsubscribe()
    await there.forgive_pin_tries()
    await context.hear_journal()
    assert heard == ["journal"]
