"""Propose, wait, commit: what the desk keeps, what it applies again, and whom it lets pass first."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.recent_reviews import REVIEW_HOLDS_SECONDS
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ClosePosition, Command, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.watch import SetWatch, WatchKind
from ct_mcp.errors import NotConfirmed, StoreFailed, TicketSpent
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Odd, Prices

REVIEWS = ("GetAccount", "ListPositions", "ListOrders", "GetQuote")


async def test_a_preview_changes_nothing_and_leaves_no_trace(
    desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    review = await desk.preview(buy(2))
    assert review.passes
    assert await store.entries(9) == ()
    assert await store.open_tickets(clock()) == ()
    assert {seen.method for seen in sim.requests} == {"GET"}


async def test_a_proposal_is_journalled_once_with_the_reason_that_came_first(
    desk: Desk, buy: Buys, store: SqliteStore
) -> None:
    first = await desk.propose(buy(), "first words")
    second = await desk.propose(buy(), "other words")
    assert isinstance(first, Ticket)
    assert first == second
    (entry,) = await store.entries(9)
    assert (entry.kind, entry.reason, entry.detail["approval"]) == (EntryKind.PROPOSED, "first words", "form")
    rules = entry.detail["rules"]
    assert isinstance(rules, list)
    assert "trading is not halted: not halted" in rules, "what the person is asked to rely on"


async def test_who_waits_longer_for_the_disk_joins_what_was_proposed_meanwhile(
    desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the other lies in the future of its moment, which is how a clock that was set back looks."""
    opens, opening, at_the_disk, told = SqliteStore.open_ticket, [0], anyio.Event(), list[Ticket | Outcome]()

    async def waits_for_the_other(self: SqliteStore, ticket: Ticket, now: datetime, *rest: object) -> Ticket:
        opening[0] += 1
        if opening == [1]:
            clock.advance(1)
            at_the_disk.set()
            while not (len(told) or desk._kept_in_turn.statistics().tasks_waiting):
                await anyio.lowlevel.checkpoint()
        return await opens(self, ticket, now, *rest)  # type: ignore[arg-type]

    async def propose() -> None:
        told.append(await desk.propose(buy()))

    monkeypatch.setattr(SqliteStore, "open_ticket", waits_for_the_other)
    async with anyio.create_task_group() as group:
        group.start_soon(propose)
        await at_the_disk.wait()
        group.start_soon(propose)
    first, second = told
    assert isinstance(first, Ticket)
    assert first == second
    assert await store.open_tickets(clock()) == (first,)


async def test_an_exit_is_kept_while_an_order_waits_for_the_disk(
    desk: Desk, long_two: Outcome, buy: Buys, mes: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens, at_the_disk = SqliteStore.open_ticket, anyio.Event()

    async def hangs_for_orders(self: SqliteStore, ticket: Ticket, *rest: Any) -> Ticket:
        if not isinstance(ticket.commands[0], Flatten):
            at_the_disk.set()
            await anyio.sleep_forever()
        return await opens(self, ticket, *rest)

    monkeypatch.setattr(SqliteStore, "open_ticket", hangs_for_orders)
    leaving: Ticket | Outcome | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(desk.propose, buy())
        await at_the_disk.wait()
        with anyio.move_on_after(60):
            leaving = await desk.propose(Flatten("Sim101", mes))
        group.cancel_scope.cancel()
    assert isinstance(leaving, Ticket)


async def test_another_order_is_another_ticket(desk: Desk, buy: Buys) -> None:
    first, second = await desk.propose(buy(1)), await desk.propose(buy(2))
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert first.ticket_id != second.ticket_id
    assert first.own_id != second.own_id


async def test_a_denial_draws_no_ticket_and_is_journalled_with_every_figure(
    desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    denied = await desk.propose(buy(6), "why not")
    assert isinstance(denied, Outcome)
    assert (denied.status, denied.ticket_id) == (Status.DENIED, None)
    assert await store.open_tickets(clock()) == ()
    (entry,) = await store.entries(9)
    assert (entry.kind, entry.reason) == (EntryKind.DENIED, "why not")
    assert entry.detail["denials"] == ["QUANTITY_EXCEEDS_MAXIMUM: quantity=6, maximum=5"]


async def test_a_ticket_without_its_yes_is_not_spent(desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    with pytest.raises(NotConfirmed, match="the person has not said yes"):
        await desk.commit(ticket.ticket_id)
    found = await store.ticket(ticket.ticket_id)
    assert found is not None
    assert found.state is TicketState.OPEN
    assert not sim.exchange.orders


@pytest.mark.parametrize(
    ("end", "why"), [("decline", "the person declined it"), ("expiry", "it expired before the person said yes")]
)
async def test_a_ticket_that_is_over_says_how_it_ended(
    desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock, end: str, why: str
) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    if end == "decline":
        await desk.decisions.decline(ticket, "terminal")
    else:
        clock.advance(90)
    with pytest.raises(NotConfirmed, match=why):
        await desk.commit(ticket.ticket_id)
    assert not sim.exchange.orders


async def test_an_id_that_nobody_drew_is_shown_short_and_harmless(desk: Desk) -> None:
    with pytest.raises(NotConfirmed) as refused:
        await desk.ticket("x\u202e" * 100)
    assert len(str(refused.value)) < 400
    assert "\u202e" not in str(refused.value)


async def test_a_spent_ticket_is_called_spent_on_a_full_disk_as_well(
    desk: Desk, buy: Buys, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To spend it again would be to write, and that it cannot be written would read as if nothing had been sent."""
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED

    async def full(*_: object) -> bool:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(store, "spend_ticket", full)
    with pytest.raises(TicketSpent):
        await desk.commit(ticket.ticket_id)


@pytest.mark.parametrize("policy", [Policy(simulated=Approval.NONE)], ids=["nobody is asked"])
async def test_a_fresh_review_holds_for_its_commit_and_an_old_one_is_made_again(
    desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    for seconds, again in ((REVIEW_HOLDS_SECONDS, 0), (REVIEW_HOLDS_SECONDS + 0.1, 1)):
        ticket = await desk.propose(buy(instrument=(await desk.resolver.instrument("MES")), quantity=1 + again))
        assert isinstance(ticket, Ticket)
        clock.advance(seconds)
        before = len(sim.requests_of("GetAccountSummary"))
        assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
        assert len(sim.requests_of("GetAccountSummary")) - before == again
        sim.advance(20)


async def test_no_review_that_is_older_than_the_question_sends_where_somebody_was_asked(
    desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    clock.advance(0.1)
    before = len(sim.requests_of("GetAccount"))
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
    assert len(sim.requests_of("GetAccount")) - before == 1


async def test_a_review_does_not_hold_once_something_else_was_sent(
    desk: Desk, buy: Buys, sim: Simulator, policy: Policy
) -> None:
    first, second = await desk.propose(buy(5)), await desk.propose(buy(4))
    third = await desk.propose(buy(3))
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert isinstance(third, Ticket)
    for ticket in (first, second, third):
        await desk.decisions.approve(ticket, "terminal")
    assert (await desk.commit(first.ticket_id)).status is Status.FILLED
    assert (await desk.commit(second.ticket_id)).status is Status.FILLED
    denied = await desk.commit(third.ticket_id)
    assert (denied.status, denied.ticket_id) == (Status.DENIED, third.ticket_id)
    assert "position after=12, maximum=10" in " ".join(denied.reasons)


async def test_two_orders_that_pass_alone_and_not_together_are_not_both_sent(
    desk: Desk, buy: Buys, sim: Simulator, price: Prices
) -> None:
    """Both are committed at the same moment; the second is reviewed with the first in the journal."""
    tickets = [await desk.propose(buy(5)), await desk.propose(buy(5, kind="LIMIT", limit_price=price(8)))]
    tickets.append(await desk.propose(buy(4)))
    for ticket in tickets:
        assert isinstance(ticket, Ticket)
        await desk.decisions.approve(ticket, "terminal")
    told: list[Outcome] = []

    async def commit(ticket_id: str | None) -> None:
        told.append(await desk.commit(str(ticket_id)))

    async with anyio.create_task_group() as group:
        for ticket in tickets:
            group.start_soon(commit, ticket.ticket_id)
    assert sum(outcome.status is Status.DENIED for outcome in told) == 1
    assert sum(order.terms.quantity for order in sim.exchange.orders) <= 10


async def test_an_exit_waits_for_no_order_that_is_being_reviewed(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, clock: ManualClock, mes: Instrument
) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    clock.advance(5)
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="GetQuote", times=1)
    leaving = await desk.propose(Flatten("Sim101", mes))
    assert isinstance(leaving, Ticket)
    told: list[Outcome] = []
    is_flat = anyio.Event()

    async def leaves() -> None:
        told.append(await desk.commit(leaving.ticket_id))
        is_flat.set()

    async with anyio.create_task_group() as group:
        group.start_soon(desk.commit, ticket.ticket_id)
        with anyio.fail_after(60):
            await sim.faults.slow_answer_waits()
        group.start_soon(leaves)
        with anyio.move_on_after(60):
            await is_flat.wait()
        flat_in_time = is_flat.is_set()
        sim.faults.disarm()
    assert flat_in_time
    assert told[0].status is Status.FLAT


async def test_what_only_reduces_waits_for_no_order_that_is_being_reviewed(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Pause,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
) -> None:
    """The stop of a bare position, while the reading for an entry elsewhere hangs."""
    hangs, hung, may_answer, is_told = set[str](), anyio.Event(), anyio.Event(), anyio.Event()

    async def orders(inner: Any, *given: Any, **named: Any) -> Any:
        if hangs:
            hangs.clear()
            hung.set()
            await may_answer.wait()
        return await inner.orders(*given, **named)

    desk = Desk(Odd(crosstrade, {"orders": orders}), store, policy, clock=clock, pause=pause)
    entry = await desk.propose(buy(1, instrument=Instrument("MNQ", 2026, 9)))
    stop = await desk.propose(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    assert isinstance(entry, Ticket)
    assert isinstance(stop, Ticket)
    await desk.decisions.approve(entry, "terminal")
    told: list[Outcome] = []

    async def protect() -> None:
        told.append(await desk.commit(stop.ticket_id))
        is_told.set()

    hangs.add("the next")
    async with anyio.create_task_group() as group:
        group.start_soon(desk.commit, entry.ticket_id)
        with anyio.fail_after(60):
            await hung.wait()
        group.start_soon(protect)
        with anyio.move_on_after(10):
            await is_told.wait()
        stood_in_time = is_told.is_set()
        may_answer.set()
    assert stood_in_time
    assert told[0].status is Status.WORKING


async def test_of_two_exits_at_the_same_moment_that_would_turn_the_position_one_is_sent(
    desk: Desk, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    """The second is judged with the first in the journal."""
    stop = await desk.propose(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    target = await desk.propose(buy(2, action="SELL", kind="LIMIT", limit_price=price(40)))
    told: list[Outcome] = []

    async def commit(ticket_id: str) -> None:
        told.append(await desk.commit(ticket_id))

    async with anyio.create_task_group() as group:
        for ticket in (stop, target):
            assert isinstance(ticket, Ticket)
            assert ticket.approval is Approval.NONE
            group.start_soon(commit, ticket.ticket_id)
    assert {outcome.status for outcome in told} == {Status.WORKING, Status.DENIED}
    assert len(sim.exchange.live_orders("Sim101")) == 1


async def test_the_yes_is_taken_back_by_a_rule_that_fails_by_then(
    desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    clock.advance(5)
    sim.faults.arm(Fault.SESSION_CLOSED)
    sim.advance(60)
    denied = await desk.commit(ticket.ticket_id)
    assert denied.status is Status.DENIED
    assert (await store.entries(1))[0].kind is EntryKind.DENIED
    with pytest.raises(NotConfirmed, match="spent before"):
        await desk.commit(ticket.ticket_id)
    assert not sim.exchange.orders


async def test_reviews_of_tickets_that_nobody_commits_are_let_go(desk: Desk, buy: Buys, clock: ManualClock) -> None:
    for quantity in range(1, 6):
        await desk.propose(buy(quantity))
        clock.advance(3)
    assert len(desk._reviews) == 1


@pytest.mark.parametrize(
    ("action", "looks"),
    [
        (lambda mes: Flatten("Sim101", None), False),
        (lambda mes: ClosePosition("Sim101", mes), False),
        (lambda mes: CancelOrders("Sim101", None), False),
        (lambda mes: CancelOrder("Sim101", "x"), False),
        (lambda mes: ClosePosition("Sim101", mes, 1), True),
    ],
    ids=["flatten", "close", "cancel orders", "cancel", "partial close"],
)
async def test_what_cannot_be_doubled_waits_for_no_settling(
    desk: Desk,
    does: Does,
    buy: Buys,
    sim: Simulator,
    mes: Instrument,
    action: Callable[[Instrument], Command],
    looks: bool,
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    assert (await does(buy())).status is Status.UNKNOWN
    sim.advance(20)
    before = len(sim.requests_of("GetOrderLifecycle"))
    await desk.propose(action(mes))
    assert (len(sim.requests_of("GetOrderLifecycle")) > before) == looks


async def test_settling_before_a_partial_close_may_use_the_budgets_reserve(
    desk: Desk,
    long_two: Outcome,
    does: Does,
    buy: Buys,
    crosstrade: CrossTrade,
    sim: Simulator,
    clock: ManualClock,
    mes: Instrument,
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    await does(buy())
    sim.advance(20)
    await crosstrade.connection.budget.penalise(clock(), 8.7)
    before = len(sim.requests_of("GetOrderLifecycle"))
    assert isinstance(await desk.propose(ClosePosition("Sim101", mes, 1)), Ticket)
    assert len(sim.requests_of("GetOrderLifecycle")) > before


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.PAGE)], ids=["exits by page"])
async def test_a_channel_beyond_the_form_names_both_ways_and_no_address(
    desk: Desk, long_two: Outcome, mes: Instrument
) -> None:
    ticket = await desk.propose(Flatten("Sim101", mes))
    assert isinstance(ticket, Ticket)
    told = await desk.awaiting(ticket)
    assert told.status is Status.NEEDS_APPROVAL
    assert "run `ct-mcp approve` in a terminal of their own, or to look at `ct-mcp console`" in told.next_step
    assert "http" not in told.next_step
    assert f"confirm_ticket with ticket_id {ticket.ticket_id}" in told.next_step


async def test_a_ticket_that_needs_nobody_says_to_confirm_it(desk: Desk, long_two: Outcome, mes: Instrument) -> None:
    ticket = await desk.propose(Flatten("Sim101", mes))
    assert isinstance(ticket, Ticket)
    assert (await desk.awaiting(ticket)).next_step == f"call confirm_ticket with ticket_id {ticket.ticket_id}"


async def test_what_waits_says_for_how_long_and_never_less_than_nothing(
    desk: Desk, buy: Buys, clock: ManualClock
) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    clock.advance(30.6)
    assert (await desk.awaiting(ticket)).expires_in_seconds == 59
    clock.advance(60)
    told = await desk.awaiting(ticket)
    assert (told.status, told.expires_in_seconds) == (Status.EXPIRED, None)


async def test_the_phrase_stands_in_the_question_and_nowhere_else(
    desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    ticket = await desk.propose(buy(), "a reason")
    assert isinstance(ticket, Ticket)
    await desk.decisions.take(ticket, "wrong", "form")
    told = [await desk.awaiting(await desk.ticket(ticket.ticket_id)), *await store.entries(9)]
    clock.advance(20)
    second = await desk.propose(buy())
    assert isinstance(second, Ticket)
    await desk.decisions.approve(second, "terminal")
    told += [await desk.commit(second.ticket_id), *await store.entries(20)]
    for phrase in (ticket.phrase, second.phrase):
        assert not any(f"{phrase}" in repr(said) for said in told)
    assert ticket.question.count(ticket.phrase) == 2, "in the first line, which every client shows, and at the end"


async def test_following_a_ticket_ends_with_its_decision(desk: Desk, buy: Buys, clock: ManualClock) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    steps = []
    async for waited, now in desk.watch_ticket(ticket, 25):
        steps.append((waited, now.state))
        if waited >= 1:
            await desk.decisions.decline(ticket, "terminal")
    assert steps[0] == (0, TicketState.OPEN)
    assert steps[-1] == (1.25, TicketState.DECLINED)


async def test_following_a_ticket_ends_with_the_time_that_was_given(desk: Desk, buy: Buys, clock: ManualClock) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    began = clock()
    states = [now.state async for _, now in desk.watch_ticket(ticket, 2)]
    assert clock() - began == timedelta(seconds=2)
    assert set(states) == {TicketState.OPEN}


async def test_a_ticket_that_was_spent_waits_for_nothing_and_was_not_declined(
    desk: Desk, does: Does, buy: Buys
) -> None:
    told = await does(buy())
    with pytest.raises(NotConfirmed, match="What it held may have been sent then; it is not sent again"):
        await desk.awaiting(await desk.ticket(str(told.ticket_id)))


@pytest.mark.parametrize("policy", [Policy(limits=Limits(max_order_contracts=1))], ids=["one at a time"])
async def test_a_denial_at_the_commit_names_its_ticket(
    desk: Desk, buy: Buys, store: SqliteStore, sim: Simulator
) -> None:
    denied = await desk.propose(buy(2))
    assert isinstance(denied, Outcome)
    step = "tell the person the reasons; only they can change the limits, in the settings of ct-mcp"
    assert denied.next_step == f"{step}; at most 1 would pass now"
    assert denied.findings, "what was not looked at is told with the rest"


async def test_a_listener_that_fails_hides_nothing_of_what_was_sent(
    desk: Desk, does: Does, buy: Buys, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("nobody is there")

    heard: list[object] = []
    desk.on_sent += [fail, heard.append]
    outcome = await does(buy())
    assert outcome.status is Status.FILLED
    assert heard == [buy()], "nor from whoever listens after it"
    assert "A listener failed after a send" in caplog.text


async def test_three_questions_of_an_account_wait_at_once_and_no_fourth(
    desk: Desk, does: Does, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    tickets = [await desk.propose(buy(quantity)) for quantity in (1, 2, 3)]
    assert all(isinstance(ticket, Ticket) for ticket in tickets)
    full = await desk.propose(buy(4))
    assert isinstance(full, Outcome)
    assert full.status is Status.DENIED
    assert full.reasons[0].startswith("NEEDS_ROOM: waiting=3, maximum=3, account=Sim101; ask the person")
    assert len(await store.open_tickets(clock())) == 3
    again = await desk.propose(buy(2))
    assert isinstance(again, Ticket), "the same proposal is no other question"
    assert isinstance(tickets[0], Ticket)
    await desk.decisions.approve(tickets[0], "terminal")
    assert isinstance(await desk.propose(buy(4)), Ticket)


async def test_questions_about_watches_and_openings_wait_for_the_same_room(
    desk: Desk, buy: Buys, mes: Instrument, clock: ManualClock
) -> None:
    """A watch sends nothing when it is set, so nobody is kept in by a question about it that has to wait."""
    for minutes in (30, 31):
        assert isinstance(
            await desk.propose(SetWatch("Sim101", WatchKind.FLAT_BY, instrument=mes, minutes=minutes)), Ticket
        )
    assert isinstance(await desk.propose(buy(1)), Ticket)
    for one_more in (SetWatch("Sim101", WatchKind.FLAT_BY, instrument=mes, minutes=32), buy(2)):
        full = await desk.propose(one_more)
        assert isinstance(full, Outcome)
        assert full.reasons[0].startswith("NEEDS_ROOM: waiting=3, maximum=3, account=Sim101")


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["exits by form"])
async def test_an_exit_is_asked_however_many_questions_wait(
    desk: Desk, long_two: Outcome, buy: Buys, mes: Instrument
) -> None:
    for quantity in (1, 3, 4):
        assert isinstance(await desk.propose(buy(quantity)), Ticket)
    assert isinstance(await desk.propose(Flatten("Sim101", mes)), Ticket)
    assert isinstance(await desk.propose(ClosePosition("Sim101", mes, 1)), Ticket)
