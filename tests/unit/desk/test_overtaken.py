"""What somebody else sends between a review and its intent: the review is made again, and an exit does not wait."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.domain.approval import Approval, Halt, Ticket
from ct_mcp.domain.commands import CancelOrders, ClosePosition, Command, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys

Meanwhile = Callable[[], Awaitable[object]]
Sends = Callable[..., Meanwhile]


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE, limits=Limits(max_position_contracts=3))


class Interrupted:
    """A store in which something happens right before an intent is written, so many times."""

    def __init__(self, inner: SqliteStore, meanwhile: Meanwhile, times: int) -> None:
        self.inner, self.meanwhile, self.times, self.asked = inner, meanwhile, times, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def append_intent(self, *given: Any) -> Any:
        self.asked += 1
        if self.asked <= self.times:
            await self.meanwhile()
        return await self.inner.append_intent(*given)


Interrupts = Callable[..., Awaitable[tuple[Outcome, Interrupted]]]


@pytest.fixture
def interrupted(
    crosstrade: CrossTrade, store: SqliteStore, policy: Policy, clock: ManualClock, pause: Pause
) -> Interrupts:
    """Propose an action and commit it, with something happening in between."""

    async def done(action: Command, meanwhile: Meanwhile, times: int = 1) -> tuple[Outcome, Interrupted]:
        between = Interrupted(store, meanwhile, times)
        desk = Desk(crosstrade, between, policy, clock=clock, pause=pause)
        ticket = await desk.propose(action)
        assert isinstance(ticket, Ticket)
        return await desk.commit(ticket.ticket_id), between

    return done


@pytest.fixture
def sends(store: SqliteStore, clock: ManualClock, mes: Instrument) -> Sends:
    """What another process writes when it sends: so many contracts that may fill, nobody knows yet."""

    def made(quantity: int, account: str = "Sim101") -> Meanwhile:
        may_fill = [[mes.root, mes.year, mes.month, quantity]]

        async def send() -> None:
            entry = NewEntry(
                EntryKind.INTENT,
                "sent by another process",
                account=account,
                ticket_id="theirs",
                own_id="theirs",
                opens=True,
                detail={"may_fill": may_fill},
            )
            await store.append(entry, clock())

        return send

    return made


async def test_what_another_process_sent_meanwhile_counts(
    interrupted: Interrupts, sends: Sends, buy: Buys, sim: Simulator
) -> None:
    told, _ = await interrupted(buy(2), sends(2))
    assert told.status is Status.DENIED
    assert any("POSITION_EXCEEDS_MAXIMUM" in reason for reason in told.reasons)
    assert sim.requests_of("PlaceOrder") == []


async def test_what_leaves_room_is_reviewed_again_and_sent(
    interrupted: Interrupts, sends: Sends, buy: Buys, store: SqliteStore
) -> None:
    told, between = await interrupted(buy(2), sends(-1))
    assert (told.status, between.asked) == (Status.FILLED, 2)
    intents = [entry for entry in await store.entries(20) if entry.kind is EntryKind.INTENT]
    assert [entry.ticket_id for entry in intents] == [told.ticket_id, "theirs"]


async def test_what_another_process_sends_in_another_account_is_no_matter(
    interrupted: Interrupts, sends: Sends, buy: Buys
) -> None:
    told, between = await interrupted(buy(2), sends(2, "Sim102"))
    assert (told.status, between.asked) == (Status.FILLED, 1)


async def test_a_halt_in_the_last_moment_stops_what_opens(
    interrupted: Interrupts, store: SqliteStore, clock: ManualClock, buy: Buys, sim: Simulator
) -> None:
    told, _ = await interrupted(buy(1), lambda: store.set_halt(Halt("the person", clock(), "lunch")))
    assert told.status is Status.DENIED
    assert any("TRADING_HALTED" in reason for reason in told.reasons)
    assert sim.requests_of("PlaceOrder") == []


async def test_the_days_loss_in_the_last_moment_stops_what_opens(
    interrupted: Interrupts, store: SqliteStore, clock: ManualClock, buy: Buys
) -> None:
    day = clock().date()
    told, _ = await interrupted(buy(1), lambda: store.mark_day_loss("Sim101", day, Decimal(-501), clock()))
    assert any("DAY_LOSS_REACHED" in reason for reason in told.reasons)


async def test_whoever_is_overtaken_again_and_again_gives_up_in_words(
    interrupted: Interrupts, sends: Sends, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    told, between = await interrupted(buy(1), sends(0), times=99)
    assert (told.status, between.asked) == (Status.DENIED, 4)
    assert told.reasons == ("ACCOUNT_IS_BUSY: reviews=3, each overtaken by what was sent in account=Sim101",)
    assert sim.requests_of("PlaceOrder") == []
    assert (await store.entries(1))[0].kind is EntryKind.DENIED


@pytest.mark.parametrize("what", ["flatten", "close", "cancel"])
async def test_an_exit_is_sent_however_often_it_is_overtaken(
    interrupted: Interrupts, sends: Sends, long_two: Outcome, mes: Instrument, what: str
) -> None:
    exits = {
        "flatten": Flatten("Sim101", mes),
        "close": ClosePosition("Sim101", mes),
        "cancel": CancelOrders("Sim101", None),
    }
    told, between = await interrupted(exits[what], sends(0), times=99)
    # What the others have sent may still fill, so that flat is not said for certain.
    assert told.status is (Status.CANCELLED if what == "cancel" else Status.ACCEPTED)
    assert told.position_after == (None if what == "cancel" else 0)
    assert between.asked == (1 if what == "cancel" else 2), "what leaves looks once more, and then goes"


async def test_a_partial_close_that_is_overtaken_again_is_sent(
    interrupted: Interrupts, sends: Sends, long_two: Outcome, mes: Instrument
) -> None:
    told, between = await interrupted(ClosePosition("Sim101", mes, quantity=1), sends(0), times=99)
    assert (told.position_after, between.asked) == (1, 2)


async def test_two_exits_by_order_do_not_turn_the_position_together(
    interrupted: Interrupts, sends: Sends, long_two: Outcome, buy: Buys, clock: ManualClock
) -> None:
    """Each only reduces alone; the second of them would open the other way."""
    told, _ = await interrupted(buy(2, action="SELL", kind="MARKET"), sends(-4))
    assert told.status is Status.DENIED
    assert any("POSITION_EXCEEDS_MAXIMUM" in reason for reason in told.reasons)


async def test_a_review_that_is_held_is_not_trusted_after_the_clock_went_on(
    desk: Desk, sends: Sends, buy: Buys, clock: ManualClock, sim: Simulator
) -> None:
    ticket = await desk.propose(buy(2))
    assert isinstance(ticket, Ticket)
    await sends(2)()
    clock.advance(timedelta(seconds=5).total_seconds())
    assert (await desk.commit(ticket.ticket_id)).status is Status.DENIED
    assert sim.requests_of("PlaceOrder") == []
