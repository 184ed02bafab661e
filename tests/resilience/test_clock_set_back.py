"""A clock that is set back errs to the safe side: nothing lives longer by it, and nothing is forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.journal_writer import JournalWriter, Step
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import Flatten, PlaceOrder
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import NotConfirmed
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import place_order
from tests.resilience.conftest import AT_ONCE

A_TRADING_MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)

HOUR = timedelta(hours=1)
TOKEN = "a-token-that-must-never-be-seen"  # as the client of all tests has it


@pytest.fixture
def policy() -> Policy:
    """Simulated accounts ask on a page; few orders a minute."""
    return Policy(limits=Limits(max_orders_per_minute=2, duplicate_window_seconds=5.0), simulated=Approval.PAGE)


class WallClock(ManualClock):
    """A clock that somebody may also set back."""

    def set_back(self, span: timedelta) -> None:
        """Show an earlier time."""
        self._now -= span


@pytest.fixture
def clock() -> WallClock:
    """The clock of this machine."""
    return WallClock(A_TRADING_MORNING)


@pytest.fixture
def sim() -> Simulator:
    """A service with a clock of its own, which nobody sets back."""
    settings = SimulatorSettings(pace=AT_ONCE, rate_limit=None)
    return Simulator(seed=7, clock=ManualClock(A_TRADING_MORNING), token=TOKEN, settings=settings)


async def buy(desk: Desk, quantity: int = 1) -> PlaceOrder:
    """An order of so many."""
    instrument = await desk.resolver.instrument("MES")
    return place_order("BUY", quantity, instrument=instrument)


async def proposed(desk: Desk) -> Ticket:
    """Propose it; the ticket."""
    ticket = await desk.propose(await buy(desk))
    assert isinstance(ticket, Ticket)
    return ticket


async def sent(desk: Desk, quantity: int = 1) -> str:
    """Propose, approve and commit it; what came of it."""
    ticket = await desk.propose(await buy(desk, quantity))
    if not isinstance(ticket, Ticket):
        return str(ticket)
    assert await desk.store.approve_ticket(ticket.ticket_id, "the person", desk.clock())
    return str((await desk.commit(ticket.ticket_id)).status)


@pytest.mark.parametrize("approved", [True, False])
async def test_a_ticket_that_was_made_in_the_future_has_expired(
    desk: Desk, store: SqliteStore, clock: WallClock, sim: Simulator, approved: bool
) -> None:
    ticket = await proposed(desk)
    if approved:
        assert await store.approve_ticket(ticket.ticket_id, "the person", clock())
    clock.set_back(timedelta(seconds=6))
    assert not await store.approve_ticket(ticket.ticket_id, "the person", clock())
    assert not await store.decline_ticket(ticket.ticket_id, "the person", clock())
    assert await store.open_tickets(clock()) == ()
    found = await desk.ticket(ticket.ticket_id)
    assert found.state_at(clock()) is TicketState.EXPIRED
    with pytest.raises(NotConfirmed, match="expired"):
        await desk.commit(ticket.ticket_id)
    again = replace(ticket, ticket_id="another", own_id="another")
    assert (await store.open_ticket(again, clock())).ticket_id == "another", "it stands for nobody else"
    assert list(sim.exchange.orders) == []


async def test_a_clock_that_is_put_right_by_a_little_ends_no_ticket(
    desk: Desk, clock: WallClock, sim: Simulator
) -> None:
    await desk.resolver.account("Sim101")
    ticket = await desk.propose(Flatten("Sim101", None))
    assert isinstance(ticket, Ticket)
    clock.set_back(timedelta(seconds=0.2))
    assert (await desk.commit(ticket.ticket_id)).status is Status.FLAT
    assert sim.requests_of("Flatten")


async def test_a_ticket_lives_at_most_twice_its_time(desk: Desk, clock: WallClock) -> None:
    """Set back within its life, it cannot be told from a younger one; that is all that can be gained."""
    ticket = await proposed(desk)
    clock.advance(89)
    clock.set_back(timedelta(seconds=89))
    clock.advance(90)
    assert (await desk.ticket(ticket.ticket_id)).state_at(clock()) is TicketState.EXPIRED


async def test_orders_sent_in_the_future_still_count_for_the_minute_and_the_day(
    desk: Desk, store: SqliteStore, clock: WallClock
) -> None:
    assert await sent(desk) == "filled"
    clock.advance(6)
    assert await sent(desk) == "filled"
    clock.set_back(HOUR)
    assert await store.orders_sent("Sim101", clock() - timedelta(minutes=1)) == 2
    assert "ORDERS_PER_MINUTE_REACHED" in await sent(desk, 2)


async def test_the_same_order_again_is_a_duplicate_although_the_first_lies_in_the_future(
    desk: Desk, clock: WallClock
) -> None:
    assert await sent(desk) == "filled"
    clock.set_back(HOUR)
    assert "DUPLICATE_WITHIN_WINDOW" in await sent(desk)


async def test_a_day_of_losses_is_not_undone_by_the_calendar(store: SqliteStore, clock: WallClock) -> None:
    await store.mark_day_loss("Sim101", trading_day(clock()), Decimal(-600), clock())
    clock.set_back(timedelta(days=1))
    assert await store.day_loss("Sim101", trading_day(clock()))
    clock.advance(2 * 24 * 3600)
    assert not await store.day_loss("Sim101", trading_day(clock())), "the next day is a new one"


async def test_what_is_unknown_stays_unknown(desk: Desk, store: SqliteStore, clock: WallClock) -> None:
    ticket = await proposed(desk)
    step = Step(ticket)
    await JournalWriter(store, clock).intent(step, await desk.preview(step.command))
    clock.set_back(HOUR)
    assert "OUTCOME_UNRESOLVED" in await sent(desk)
    assert len(await store.unsettled()) == 1


async def test_an_arming_ends_with_the_first_entry_that_is_older_than_the_one_before(
    store: SqliteStore, clock: WallClock
) -> None:
    """Its end is a time of the clock, which nobody can believe any more; the person arms again, and that holds."""
    await store.arm("APEX-482910", clock() + 8 * HOUR, "the person", clock())
    clock.set_back(HOUR)
    entry = NewEntry(EntryKind.ASKED, "whatever is written next", account="APEX-482910")
    await store.append(entry, clock())
    assert await store.armings(clock()) == {}
    kinds = [each.kind for each in await store.entries(9)]
    assert kinds == ["asked", "disarmed", "armed"]
    await store.arm("APEX-482910", clock() + HOUR, "the person", clock())
    assert list(await store.armings(clock())) == ["APEX-482910"]
    assert (await store.verify()).ok


async def test_arming_after_the_clock_was_set_back_holds(store: SqliteStore, clock: WallClock) -> None:
    await store.append(NewEntry(EntryKind.ASKED, "before"), clock())
    clock.set_back(HOUR)
    await store.arm("APEX-482910", clock() + HOUR, "the person", clock())
    assert await store.armed_until("APEX-482910", clock()) == clock() + HOUR


async def test_a_clock_that_is_put_right_by_a_little_disarms_nobody(store: SqliteStore, clock: WallClock) -> None:
    await store.arm("APEX-482910", clock() + HOUR, "the person", clock())
    clock.set_back(timedelta(seconds=30))
    await store.append(NewEntry(EntryKind.ASKED, "next"), clock())
    assert await store.armed_until("APEX-482910", clock())
