"""A clock that is set back errs to the safe side: nothing lives longer by it, and nothing is forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.ticket import Approval, TicketState
from ct_mcp.errors import NotConfirmed
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Settings, Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.hardship.conftest import AT_ONCE

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
    settings = Settings(pace=AT_ONCE, rate_limit=None)
    return Simulator(seed=7, clock=ManualClock(A_TRADING_MORNING), token=TOKEN, settings=settings)


async def buy(desk: Desk, quantity: int = 1) -> PlaceOrder:
    """An order of so many."""
    instrument = await desk.names.instrument("MES")
    day, market = TimeInForce.DAY, OrderType.MARKET
    return PlaceOrder("Sim101", instrument, OrderAction.BUY, quantity, market, None, None, day)


async def sent(desk: Desk, quantity: int = 1) -> str:
    """Propose, approve and commit it; what came of it."""
    ticket = await desk.propose(await buy(desk, quantity))
    if not hasattr(ticket, "ticket_id") or ticket.ticket_id is None:
        return str(ticket)
    assert await desk.store.approve_ticket(ticket.ticket_id, "the person", desk.clock())
    return str((await desk.commit(ticket.ticket_id)).status)


@pytest.mark.parametrize("approved", [True, False])
async def test_a_ticket_that_was_made_in_the_future_has_lapsed(desk, store, clock, sim, approved) -> None:
    ticket = await desk.propose(await buy(desk))
    if approved:
        assert await store.approve_ticket(ticket.ticket_id, "the person", clock())
    clock.set_back(timedelta(seconds=1))
    assert not await store.approve_ticket(ticket.ticket_id, "the person", clock())
    assert not await store.decline_ticket(ticket.ticket_id, "the person", clock())
    assert await store.open_tickets(clock()) == ()
    found = await desk.ticket(ticket.ticket_id)
    assert found.state_at(clock()) is TicketState.LAPSED
    with pytest.raises(NotConfirmed, match="lapsed"):
        await desk.commit(ticket.ticket_id)
    assert (await desk.propose(await buy(desk))).ticket_id != ticket.ticket_id, "it stands for nobody else"
    assert list(sim.exchange.orders) == []


async def test_a_ticket_lives_at_most_twice_its_time(desk, clock) -> None:
    """Set back within its life, it cannot be told from a younger one; that is all that can be gained."""
    ticket = await desk.propose(await buy(desk))
    clock.advance(89)
    clock.set_back(timedelta(seconds=89))
    clock.advance(90)
    assert (await desk.ticket(ticket.ticket_id)).state_at(clock()) is TicketState.LAPSED


async def test_orders_sent_in_the_future_still_count_for_the_minute_and_the_day(desk, store, clock) -> None:
    assert await sent(desk) == "filled"
    clock.advance(10)
    assert await sent(desk) == "filled"
    clock.set_back(HOUR)
    assert await store.orders_sent("Sim101", clock() - timedelta(minutes=1)) == 2
    assert "ORDERS_PER_MINUTE_REACHED" in await sent(desk, 2)


async def test_the_same_order_again_is_a_duplicate_although_the_first_lies_in_the_future(desk, clock) -> None:
    assert await sent(desk) == "filled"
    clock.set_back(HOUR)
    assert "DUPLICATE_WITHIN_WINDOW" in await sent(desk)


async def test_a_day_of_losses_is_not_undone_by_the_calendar(store: SqliteStore, clock) -> None:
    await store.mark_day_loss("Sim101", trading_day(clock()), Decimal(-600), clock())
    clock.set_back(timedelta(days=1))
    assert await store.day_loss("Sim101", trading_day(clock()))
    clock.advance(2 * 24 * 3600)
    assert not await store.day_loss("Sim101", trading_day(clock())), "the next day is a new one"


async def test_what_is_unknown_stays_unknown(desk, store, clock) -> None:
    ticket = await desk.propose(await buy(desk))
    case = await desk.preview(ticket.action)
    await desk._record.intent(replace(ticket, approval=Approval.NONE), case)
    clock.set_back(HOUR)
    assert "OUTCOME_UNRESOLVED" in await sent(desk)
    assert len(await store.unsettled()) == 1


async def test_an_arming_ends_with_the_first_entry_that_is_older_than_the_one_before(store: SqliteStore, clock) -> None:
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


async def test_arming_after_the_clock_was_set_back_holds(store: SqliteStore, clock) -> None:
    await store.append(NewEntry(EntryKind.ASKED, "before"), clock())
    clock.set_back(HOUR)
    await store.arm("APEX-482910", clock() + HOUR, "the person", clock())
    assert await store.armed_until("APEX-482910", clock()) == clock() + HOUR


async def test_a_clock_that_is_put_right_by_a_little_disarms_nobody(store: SqliteStore, clock) -> None:
    await store.arm("APEX-482910", clock() + HOUR, "the person", clock())
    clock.set_back(timedelta(seconds=30))
    await store.append(NewEntry(EntryKind.ASKED, "next"), clock())
    assert await store.armed_until("APEX-482910", clock())
