"""Several accounts under one ticket: each by itself, and flat only where all of them were read flat."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import BookReads
from ct_mcp.desk.together import Part, together
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import ChangeOrder, Command, Flatten
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import BadRequest, NotConfirmed
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.guard.review import Review
from ct_mcp.simulator.accounts import LIVE, SIM, AccountSpec
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests import factories
from tests.unit.desk.conftest import Buys, Does

OTHER = AccountSpec(3, "Sim102", "Sim102", "Simulator", "Sim102", cash=50_000.0)
BOTH = (Flatten("Sim101", None), Flatten("Sim102", None))

Lets = Callable[..., None]


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """Two simulated accounts and a live one."""
    return Simulator(
        seed=7,
        clock=clock,
        token="a-token-that-must-never-be-seen",
        settings=SimulatorSettings(accounts=(SIM, OTHER, LIVE)),
    )


@pytest.fixture
def held(sim: Simulator, clock: ManualClock) -> Lets:
    """Let an account hold so many contracts, as if somebody else had traded."""

    def hold(account: str, quantity: int = 2) -> None:
        terms = OrderTerms(sim.market.front("MES", clock()), Action.BUY, quantity, SimOrderType.MARKET)
        sim.exchange.submit(sim.exchange.accounts[account], terms, OrderLabels("PlaceOrder"), clock())
        sim.advance(5)

    return hold


def nets(sim: Simulator) -> list[int]:
    """What each account really holds."""
    sim.advance(2)
    return [sum(held.quantity for held in account.open_positions()) for account in sim.exchange.accounts.values()]


async def test_every_account_is_left_under_one_ticket_each_with_an_intent_of_its_own(
    does: Does, held: Lets, sim: Simulator, store: SqliteStore
) -> None:
    held("Sim101")
    held("Sim102", 3)
    told = await does(BOTH)
    assert (told.status, told.position_after, told.next_step) == (Status.FLAT, 0, "")
    assert told.reasons == ("Sim101: FLAT", "Sim102: FLAT")
    assert nets(sim) == [0, 0, 0]
    intents = [entry for entry in await store.entries(50) if entry.kind is EntryKind.INTENT]
    assert {entry.account for entry in intents} == {"Sim101", "Sim102"}
    assert len({entry.own_id for entry in intents}) == 2
    assert {entry.ticket_id for entry in intents} == {told.ticket_id}
    assert await store.unsettled() == ()


async def test_the_call_that_leaves_the_account_out_is_never_used(does: Does, held: Lets, sim: Simulator) -> None:
    held("Sim101")
    await does(BOTH)
    assert sim.requests_of("FlattenEverything", "CancelAllOrders") == []
    assert len(sim.requests_of("Flatten")) == 2


async def test_accounts_that_nobody_named_are_left_alone(does: Does, held: Lets, sim: Simulator) -> None:
    held("Sim101")
    held("Sim102")
    told = await does((Flatten("Sim101", None),))
    assert told.status is Status.FLAT
    assert nets(sim) == [0, 2, 0]


async def test_where_all_is_flat_already_it_is_read_and_said(does: Does, sim: Simulator) -> None:
    told = await does(BOTH)
    assert told.status is Status.FLAT
    assert sim.requests_of("GetAllPositions")[-1].accepted
    assert sim.requests_of("GetAllOrders")[-1].accepted
    assert sim.requests_of("GetAccountSummary")[-1].accepted


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["exits by form"])
async def test_the_question_lists_every_account_with_what_it_holds(desk: Desk, held: Lets) -> None:
    held("Sim101")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    lines = ticket.question.splitlines()
    first = lines.index("SIM  Sim101  FLATTEN everything")
    second = lines.index("SIM  Sim102  FLATTEN everything")
    assert lines[first + 1].startswith("LONG 2 MES 09-26 at ")
    assert lines[second + 1] == "nothing held, no open orders"
    assert lines[1] == "SIMULATED ACCOUNT - no real money can move"


LIVE_POLICY = Policy(
    mode=Mode.LIVE, accounts={name: AccountPolicy() for name in ("Sim101", LIVE.name)}, exits_live=Approval.PAGE
)


@pytest.mark.parametrize("policy", [LIVE_POLICY], ids=["live"])
async def test_one_live_account_makes_the_whole_live_and_as_strict_as_that(desk: Desk) -> None:
    ticket = await desk.propose((Flatten("Sim101", None), Flatten(LIVE.name, None)))
    assert isinstance(ticket, Ticket), ticket
    assert (ticket.approval, ticket.simulated) == (Approval.PAGE, False)
    assert ticket.summary.startswith("LIVE  Sim101, ")
    assert ticket.question.splitlines()[1] == "LIVE ACCOUNT - REAL MONEY"
    assert "SIM  Sim101  FLATTEN everything" in ticket.question
    assert f"LIVE  {LIVE.name}  FLATTEN everything" in ticket.question


async def test_a_denial_of_one_account_denies_the_whole_in_words_and_counts_once(
    desk: Desk, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    denied = await desk.propose((Flatten("Sim101", None), Flatten(LIVE.name, None)))
    assert isinstance(denied, Outcome)
    assert denied.status is Status.DENIED
    assert f"in account {LIVE.name}" in " ".join(denied.reasons)
    assert await store.open_tickets(clock()) == ()
    assert len([entry for entry in await store.entries(9) if entry.kind is EntryKind.DENIED]) == 1
    assert sim.requests_of("Flatten") == []


async def test_the_same_accounts_asked_for_twice_are_one_ticket_that_is_spent_once(
    desk: Desk, held: Lets, sim: Simulator
) -> None:
    held("Sim101")
    first, second = await desk.propose(BOTH), await desk.propose(BOTH)
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert first.ticket_id == second.ticket_id
    await desk.commit(first.ticket_id)
    with pytest.raises(NotConfirmed):
        await desk.commit(first.ticket_id)
    assert len(sim.requests_of("Flatten")) == 2


async def test_an_account_that_cannot_be_reached_does_not_keep_the_next_from_being_left(
    desk: Desk, held: Lets, sim: Simulator
) -> None:
    held("Sim101")
    held("Sim102")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.ADDON_OFFLINE, rpc="Flatten", times=1)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.ACCEPTED
    assert told.reasons[0].startswith("Sim101: NOT SENT: Flatten was answered with HTTP 408")
    assert told.reasons[1] == "Sim102: FLAT"
    assert told.next_step.startswith("NOT FLAT everywhere: tell the person now")
    assert told.position_after is None
    assert nets(sim) == [2, 0, 0]


async def test_their_no_to_one_account_is_told_and_the_next_is_left(desk: Desk, held: Lets, sim: Simulator) -> None:
    held("Sim101")
    held("Sim102")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Flatten", times=1)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.REJECTED
    assert told.reasons[0].startswith("Sim101: REJECTED: ")
    assert told.reasons[1] == "Sim102: FLAT"
    assert nets(sim) == [2, 0, 0]


async def test_one_unknown_account_makes_the_whole_unknown(
    desk: Desk, held: Lets, sim: Simulator, store: SqliteStore
) -> None:
    held("Sim101")
    held("Sim102")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten", times=1)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.UNKNOWN
    assert told.reasons[0].startswith("Sim101: UNKNOWN: Flatten got no answer")
    assert "still held: LONG 2 MES 09-26" in told.reasons[0]
    assert told.reasons[1] == "Sim102: FLAT"
    assert "do NOT send it again" in told.next_step
    (entry,) = await store.unsettled()
    assert entry.account == "Sim101"


async def test_nothing_sent_at_all_is_denied_and_not_called_sent(
    desk: Desk, held: Lets, sim: Simulator, store: SqliteStore
) -> None:
    held("Sim101")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.ADDON_OFFLINE)
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.status.sent) == (Status.DENIED, False)
    assert all("NOT SENT" in reason for reason in told.reasons)
    assert await store.unsettled() == ()


class ContextsThatBreakOnce:
    """A builder of contexts with a fault of ours in the first account that it is asked about."""

    def __init__(self, inner: ContextBuilder) -> None:
        self.inner, self.is_broken = inner, True

    async def review(
        self, command: Command, book: BookReads | None = None, *, asked_at: datetime | None = None
    ) -> Review:
        was_broken, self.is_broken = self.is_broken, False
        if was_broken:
            raise ZeroDivisionError
        return await self.inner.review(command, book, asked_at=asked_at)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_fault_of_our_own_in_one_account_does_not_keep_the_next_from_being_left(
    desk: Desk, held: Lets, sim: Simulator
) -> None:
    held("Sim101")
    held("Sim102")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.advance(5)  # the reviews of the proposal are too old by now
    breaking: Any = ContextsThatBreakOnce(desk.contexts)
    desk.contexts = breaking
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.UNKNOWN
    assert "an internal fault (ZeroDivisionError)" in told.reasons[0]
    assert nets(sim) == [2, 0, 0]


@pytest.mark.parametrize("commands", [(), (*BOTH, BOTH[0])], ids=["nothing", "one of them twice"])
async def test_a_ticket_holds_each_command_once(
    desk: Desk, sim: Simulator, store: SqliteStore, clock: ManualClock, commands: tuple[Command, ...]
) -> None:
    with pytest.raises(BadRequest, match="each thing once"):
        await desk.propose(commands)
    assert not sim.requests
    assert await store.open_tickets(clock()) == ()


async def test_an_unsettled_account_is_settled_by_what_stands_once_nothing_can_be_under_way(
    desk: Desk, held: Lets, sim: Simulator, store: SqliteStore, clock: ManualClock, buy: Buys
) -> None:
    held("Sim101")
    ticket = await desk.propose(BOTH)
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten", times=1)
    await desk.commit(ticket.ticket_id)
    clock.advance(61)
    await desk.propose(buy())
    assert await store.unsettled() == ()


def test_of_several_commands_in_one_account_what_was_read_last_is_told_and_once() -> None:
    stop, target = ChangeOrder("Sim101", "s", stop_price=Decimal(1)), ChangeOrder("Sim101", "t", limit_price=Decimal(9))
    both = replace(factories.ticket(command=stop), commands=(stop, target))
    moved = Outcome(Status.CHANGED, "stop", simulated=True, stands_now=("LONG 1, stop at 1",))
    refused = Outcome(Status.DENIED, "target", simulated=True, reasons=("TRADING_HALTED",))
    told = together(both, [Part("Sim101", moved), Part("Sim101", refused)])
    assert told.stands_now == ("LONG 1, stop at 1",), "what was denied at its send read nothing"
    assert told.status is Status.ACCEPTED
    later = replace(moved, stands_now=("LONG 1, stop at 1, target at 9",))
    assert together(both, [Part("Sim101", moved), Part("Sim101", later)]).stands_now == later.stands_now


@pytest.mark.parametrize("policy", [Policy(limits=Limits(max_day_loss=Decimal(100)))], ids=["100 a day"])
@pytest.mark.parametrize("leaves", [BOTH, BOTH[:1]], ids=["both", "one"])
async def test_a_days_loss_in_the_report_that_is_read_back_after_an_exit_is_noted(
    *, desk: Desk, does: Does, held: Lets, sim: Simulator, store: SqliteStore, leaves: Sequence[Command]
) -> None:
    """Exits leave before anything is read, and by the next reading the loss may have come back."""
    for exit_ in BOTH:
        await desk.preview(exit_)
        held(exit_.account)
    for name in ("Sim101", "Sim102"):
        sim.exchange.accounts[name].gross_realized = -500.0
    told = await does(leaves)
    assert told.status is Status.FLAT
    assert await store.day_loss("Sim101", trading_day(desk.clock()))
