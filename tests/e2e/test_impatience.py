"""Clients that give up, ask twice or come late, and two yeses for one ticket."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import OwnBudget, TokenBucket
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Told, Wire, World

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


async def until_settled(store: SqliteStore) -> None:
    """Wait until nothing is outstanding; the send goes on in the server's own task."""
    with anyio.fail_after(60):
        while await store.unsettled():
            await anyio.lowlevel.checkpoint()


async def test_a_call_that_is_cancelled_in_the_middle_of_a_send_is_sent_and_journalled_all_the_same(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(2))
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        assert len(await store.unsettled()) == 1
        group.cancel_scope.cancel()
        world.sim.faults.disarm()  # in one process the client cannot let go before the server has
    await until_settled(store)
    (order,) = world.sim.exchange.orders
    answered = (await store.entries(1))[0]
    assert (answered.kind, answered.detail["status"]) == (EntryKind.ANSWERED, "filled")
    assert answered.detail["order_id"] == order.id
    assert world.net() == 2


@pytest.mark.parametrize("fault", [Fault.ADDON_OFFLINE, Fault.CONNECT_REFUSED, Fault.RATE_LIMITED])
async def test_what_certainly_never_left_may_be_asked_for_again_at_once(
    assistant: Assistant, world: World, person: Person, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="PlaceOrder")
    failed = await assistant.buys(2)
    assert failed.is_error
    world.sim.faults.disarm()
    again = await assistant.buys(2)
    assert (again.status, world.net()) == ("filled", 2), again.text
    assert len(person.asked) == 2, "the first yes was spent"
    twice = await assistant.buys(2)
    assert "DUPLICATE_WITHIN_WINDOW" in twice.reasons_text


async def test_a_call_that_is_repeated_while_the_first_is_still_sending_sends_nothing(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    answers = []

    async def first() -> None:
        answers.append(await assistant.buys(2))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        again = await assistant.buys(2)
        world.sim.faults.disarm()
    assert (again.status, again.sent) == ("filled", True), "it was looked up"
    assert "the same call was made before and this is what became of it" in again.reasons_text
    assert [told.status for told in answers] == ["filled"]
    assert len(world.states()) == 1


async def test_a_call_that_is_repeated_before_anything_could_be_read_is_never_called_not_sent(
    assistant: Assistant, world: World, store: SqliteStore, person: Person
) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(2))
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        for rpc in ("GetOrder", "GetOrderStatus", "GetOrderLifecycle", "ListOrders"):
            world.sim.faults.arm(Fault.ADDON_OFFLINE, rpc=rpc)
        again = await assistant.buys(2)
        world.sim.faults.disarm()
    assert (again.status, again.sent) == ("accepted", True), again.text
    assert f"confirm_ticket with ticket_id {again.ticket_id}" in again.next_step
    assert len(person.asked) == 1
    await until_settled(store)
    told = await assistant.call("confirm_ticket", ticket_id=again.ticket_id)
    assert (told.status, told.filled_quantity) == ("filled", 2), told.text
    assert len(world.states()) == 1


async def test_a_client_that_gave_up_and_calls_again_gets_the_answer_of_the_first(
    assistant: Assistant, world: World, store: SqliteStore, person: Person, clock: ManualClock
) -> None:
    """The service takes its time, the client gives up at thirty seconds, and the same call comes a little later."""
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(2))
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        group.cancel_scope.cancel()
        world.sim.faults.disarm()
    await until_settled(store)
    world.later(25)
    again = await assistant.buys(2)
    assert (again.status, again.filled_quantity, world.net()) == ("filled", 2, 2), again.text
    assert "Call again only if the person wants the same once more" in again.reasons_text
    assert len(person.asked) == 1
    world.later(25)
    once_more = await assistant.buys(2)
    assert (once_more.status, world.net()) == ("filled", 4), once_more.text
    assert "WARNING: filled" in person.asked[-1]


async def test_whoever_is_asked_again_sees_what_was_filled_and_whoever_hears_no_as_well(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(1)
    world.later(60)
    person.answer = lambda _question: ElicitResult(action="decline")
    told = await assistant.buys(1)
    assert (told.status, world.net()) == ("declined", 1)
    assert "MES 09-26 MARKET" in told.reasons_text
    assert "filled" in told.reasons_text
    assert "WARNING: filled" in person.asked[-1]
    world.later(300)
    other = await assistant.buys(2)
    assert "filled" not in other.reasons_text, "long ago"
    assert "WARNING: filled" not in person.asked[-1]


async def test_a_ticket_that_the_rules_denied_after_the_yes_says_so_again(
    converse: Converse, desk: Desk, world: World
) -> None:
    async with converse() as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        await desk.decisions.approve(await desk.ticket(proposed.ticket_id), "terminal")
        world.sim.faults.arm(Fault.SESSION_CLOSED)
        world.later(65)
        told = [await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id) for _ in range(2)]
    assert [(one.status, one.sent) for one in told] == [("denied", False)] * 2
    assert "SESSION_CLOSED" in told[1].reasons_text
    assert world.writes() == 0


async def test_an_exit_that_nobody_heard_of_goes_again_by_itself(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    await assistant.buys(2)
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="Flatten", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.call("flatten", account="Sim101"))
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        group.cancel_scope.cancel()
        world.sim.faults.disarm()
    await until_settled(store)
    world.later(20)
    await assistant.buys(1)
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, world.net()) == ("flat", 0), told.text


async def test_another_order_beside_one_that_is_still_on_its_way_counts_it(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(5))
        with anyio.fail_after(60):
            await world.sim.faults.slow_answer_waits()
        told = await assistant.call("preview_order", **{**ORDER, "quantity": 5, "order_type": "MARKET"})
        world.sim.faults.disarm()
    assert told.structure["most_long_after"] >= 10


async def test_a_client_that_calls_again_after_giving_up_finds_the_same_ticket(
    converse: Converse, world: World, store: SqliteStore, clock: ManualClock
) -> None:
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        world.later(30)
        second = await assistant.call("place_order", **ORDER)
    assert first.status == second.status == "needs_approval"
    assert first.ticket_id == second.ticket_id
    assert (first.expires_in_seconds, second.expires_in_seconds) == (90, 60)
    assert len(await store.open_tickets(clock())) == 1


async def test_the_same_asked_again_after_something_filled_is_a_question_of_its_own(
    converse: Converse, desk: Desk, world: World, store: SqliteStore, clock: ManualClock
) -> None:
    """The first question shows a position of before, and names nothing of what filled since."""
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        other = await assistant.buys(1)
        await desk.decisions.approve(await desk.ticket(other.ticket_id), "terminal")
        filled = await assistant.call("confirm_ticket", ticket_id=other.ticket_id)
        world.later(30)
        second = await assistant.call("place_order", **ORDER)
        old = await assistant.call("confirm_ticket", ticket_id=first.ticket_id)
    assert (filled.status, second.status) == ("filled", "needs_approval")
    (asked,) = await store.open_tickets(clock())
    assert asked.ticket_id == second.ticket_id != first.ticket_id
    assert "WARNING: filled 30 s ago: 1 of" in asked.question
    assert "1 now" in asked.question.replace("+", "")
    assert (old.status, old.sent, world.net()) == ("expired", False, 1)


async def test_what_was_approved_before_something_filled_is_sent_and_says_what_moved(
    converse: Converse, desk: Desk, world: World
) -> None:
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        other = await assistant.buys(1)
        for told in (first, other):
            await desk.decisions.approve(await desk.ticket(told.ticket_id), "terminal")
        await assistant.call("confirm_ticket", ticket_id=other.ticket_id)
        again = await assistant.call("place_order", **ORDER)
    assert (again.status, again.ticket_id, world.net()) == ("filled", first.ticket_id, 3), again.text
    assert "the position was flat when the person was asked" in again.warnings_text


async def test_an_expired_ticket_is_not_found_again(converse: Converse, world: World) -> None:
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        world.later(90)
        second = await assistant.call("place_order", **ORDER)
        late = await assistant.call("confirm_ticket", ticket_id=first.ticket_id)
    assert second.ticket_id != first.ticket_id
    assert (late.status, late.sent) == ("expired", False)
    assert "only if the person still wants it" in late.next_step


async def test_two_confirms_racing_on_one_ticket_send_once(converse: Converse, desk: Desk, world: World) -> None:
    answers = []

    async def confirm(assistant: Assistant, ticket_id: str) -> None:
        answers.append(await assistant.call("confirm_ticket", ticket_id=ticket_id))

    async with converse() as one, converse() as other:
        proposed = await one.call("place_order", **ORDER)
        await desk.decisions.approve(await desk.ticket(proposed.ticket_id), "terminal")
        async with anyio.create_task_group() as group:
            for assistant in (one, other, one, other):
                group.start_soon(confirm, assistant, proposed.ticket_id)
    assert [told.status for told in answers] == ["filled"] * 4
    assert sum("this ticket was spent before" in told.text for told in answers) == 3
    assert not any("Nothing was sent" in told.text for told in answers)
    assert len(world.states()) == 1


@dataclass
class Slow(Person):
    """Somebody who answers no form before both clients have proposed."""

    both: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        """Read it, wait, answer."""
        await self.both.wait()
        return await super().__call__(context, params)


async def test_two_clients_ask_for_one_ticket_and_every_form_is_answered_and_it_is_sent_once(
    converse: Converse, desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the newer era each client shows a form of its own, in the older one the server shows one for both."""
    answers, person, propose = list[Told](), Slow(clock=world.clock), desk.propose
    proposed = list[object]()

    async def counted(*what: Any, **more: Any) -> Any:
        proposed.append(await propose(*what, **more))
        if len(proposed) == 2:
            person.both.set()
        return proposed[-1]

    async def place(assistant: Assistant) -> None:
        answers.append(await assistant.call("place_order", **ORDER))

    monkeypatch.setattr(desk, "propose", counted)
    with anyio.fail_after(60):
        async with converse(person) as one, converse(person) as other, anyio.create_task_group() as group:
            group.start_soon(place, one)
            group.start_soon(place, other)
    assert [told.status for told in answers] == ["filled"] * 2
    assert len({(told.order_id, told.filled_quantity, told.position_after) for told in answers}) == 1
    assert len(world.states()) == 1


@pytest.mark.parametrize("jump", [90, 3600, 86_400])
async def test_a_yes_after_a_jump_of_the_clock_is_too_late(
    assistant: Assistant, person: Person, world: World, jump: int
) -> None:
    person.takes_seconds = jump
    told = await assistant.buys(1)
    assert told.sent is not True
    assert world.writes() == 0


async def test_an_approved_ticket_expires_over_a_jump_of_the_clock(
    converse: Converse, desk: Desk, world: World
) -> None:
    async with converse() as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        assert await desk.decisions.approve(await desk.ticket(proposed.ticket_id), "terminal")
        world.later(3600)
        told = await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id)
    assert (told.status, told.sent) == ("expired", False)
    assert world.writes() == 0


async def test_confirming_waits_for_the_terminal_and_sends_when_the_yes_comes(
    converse: Converse, crosstrade: CrossTrade, store: SqliteStore, policy: Policy, world: World, clock: ManualClock
) -> None:
    """The pause of the desk is where time passes; the person says yes in the third second of the waiting."""
    began = clock()

    async def person_comes_back(seconds: float) -> None:
        clock.advance(seconds)
        if (clock() - began).total_seconds() >= 3:
            for ticket in await store.open_tickets(clock()):
                await store.approve_ticket(ticket.ticket_id, "terminal", clock())

    desk = Desk(crosstrade, store, policy, clock=clock, pause=person_comes_back)
    async with converse(over=desk) as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        told = await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id)
    assert told.status == "filled"
    assert 3 <= (clock() - began).total_seconds() < 5


async def test_confirming_gives_up_before_the_client_would(
    converse: Converse, world: World, clock: ManualClock
) -> None:
    async with converse() as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        began = clock()
        told = await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id)
    assert (told.status, told.ticket_id) == ("needs_approval", proposed.ticket_id)
    assert 25 <= (clock() - began).total_seconds() < 26
    assert world.writes() == 0


class SharedBudget(OwnBudget):
    """A budget that others may spend as well."""

    def is_used_up(self, now: datetime) -> None:
        """Leave nothing, and ten requests less than that."""
        self._bucket = TokenBucket(tokens=-10.0, at=now)


@pytest.fixture
def budget() -> SharedBudget:
    """What we share with others here."""
    return SharedBudget()


async def test_an_order_that_waits_too_long_for_the_budget_is_not_sent_late(
    assistant: Assistant, person: Person, world: World, wire: Wire, budget: SharedBudget, store: SqliteStore
) -> None:
    """The last look is after the wait for a place among our requests, and right before the wire."""

    def others_use_up_the_budget() -> None:
        budget.is_used_up(world.clock())

    def yes_then(question: str) -> ElicitResult:
        wire.meanwhile["/quote"] = others_use_up_the_budget  # the last read before the send
        return ElicitResult(action="accept", content={"answer": question.split("type:")[1].split(maxsplit=1)[0]})

    person.answer = yes_then
    told = await assistant.buys(2, instrument="MES 09-26")
    assert told.text.startswith("BUDGET_EXHAUSTED: the order waited 6 s for the request budget")
    assert "Nothing was sent to the market." in told.text
    assert world.writes() == 0
    assert await store.unsettled() == ()


async def test_a_no_at_the_terminal_outweighs_a_yes_in_a_form_that_is_still_open(
    converse: Converse, desk: Desk, store: SqliteStore, world: World
) -> None:
    async def declines_there_and_accepts_here(_: object, params: ElicitRequestFormParams) -> ElicitResult:
        (ticket,) = await store.open_tickets(world.clock())
        assert await desk.decisions.decline(ticket, "terminal")
        world.later(5)
        return ElicitResult(action="accept", content={"answer": ticket.phrase})

    async with converse(declines_there_and_accepts_here) as assistant:
        told = await assistant.call("place_order", **ORDER)
    assert (told.status, told.sent) == ("declined", False)
    assert world.writes() == 0


async def test_a_yes_at_the_terminal_and_a_yes_in_the_form_send_once(
    converse: Converse, desk: Desk, store: SqliteStore, world: World
) -> None:
    async def approves_both(_: object, params: ElicitRequestFormParams) -> ElicitResult:
        (ticket,) = await store.open_tickets(world.clock())
        assert await desk.decisions.approve(ticket, "terminal")
        world.later(5)
        return ElicitResult(action="accept", content={"answer": ticket.phrase})

    async with converse(approves_both) as assistant:
        told = await assistant.call("place_order", **ORDER)
        again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == again.status == "filled"
    assert "this ticket was spent before" in again.reasons_text
    assert (again.order_id, again.average_fill_price) == (told.order_id, told.average_fill_price)
    assert len(world.states()) == 1


async def test_the_next_question_names_what_filled_before_a_cancel_once_and_with_its_own_age(
    assistant: Assistant, world: World, person: Person
) -> None:
    for since_fill, named in ((20, 1), (1200, 0)):
        world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
        part = await assistant.buys(2)
        world.later(since_fill)
        await assistant.call("cancel_order", account="Sim101", order_id=part.order_id)
        world.later(20)
        await assistant.buys(1)
        assert person.asked[-1].count("WARNING: filled ") == named, person.asked[-1]
        assert "filled 20 s ago" not in person.asked[-1]
        world.later(600)
