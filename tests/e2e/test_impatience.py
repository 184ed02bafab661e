"""Clients that give up, ask twice or come late, and two yeses for one ticket."""

import anyio
import anyio.lowlevel
import pytest
from mcp_types import ElicitRequestFormParams, ElicitResult

from ct_mcp.crosstrade.budget import Bucket
from ct_mcp.desk.desk import Desk
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.journal import EntryKind

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


async def until_settled(store) -> None:
    """Wait until nothing is outstanding; the send goes on in the server's own task."""
    with anyio.fail_after(5):
        while await store.unsettled():
            await anyio.lowlevel.checkpoint()


async def test_a_call_that_is_cancelled_in_the_middle_of_a_send_is_sent_and_journalled_all_the_same(
    assistant, world, store
) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(2))
        with anyio.fail_after(5):
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
async def test_what_certainly_never_left_may_be_asked_for_again_at_once(assistant, world, person, fault) -> None:
    world.sim.faults.arm(fault, rpc="PlaceOrder")
    failed = await assistant.buys(2)
    assert failed.is_error
    world.sim.faults.disarm()
    again = await assistant.buys(2)
    assert (again.status, world.net()) == ("filled", 2), again.text
    assert len(person.asked) == 2, "the first yes was spent"
    twice = await assistant.buys(2)
    assert "DUPLICATE_WITHIN_WINDOW" in twice.reasons_text


async def test_a_call_that_is_repeated_while_the_first_is_still_sending_sends_nothing(assistant, world, store) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    answers = []

    async def first() -> None:
        answers.append(await assistant.buys(2))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        with anyio.fail_after(5):
            await world.sim.faults.slow_answer_waits()
        again = await assistant.buys(2)
        world.sim.faults.disarm()
    assert (again.status, again.sent) == ("denied", False)
    assert "DUPLICATE_WITHIN_WINDOW" in again.reasons_text
    assert [told.status for told in answers] == ["filled"]
    assert len(world.states()) == 1


async def test_another_order_beside_one_that_is_still_on_its_way_counts_it(assistant, world) -> None:
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: assistant.buys(5))
        with anyio.fail_after(5):
            await world.sim.faults.slow_answer_waits()
        told = await assistant.call("preview_order", **{**ORDER, "quantity": 5, "order_type": "MARKET"})
        world.sim.faults.disarm()
    assert told.structure["most_long_after"] >= 10


async def test_a_client_that_calls_again_after_giving_up_finds_the_same_ticket(converse, world, store, clock) -> None:
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        world.later(30)
        second = await assistant.call("place_order", **ORDER)
    assert first.status == second.status == "needs_approval"
    assert first.ticket_id == second.ticket_id
    assert (first.expires_in_seconds, second.expires_in_seconds) == (90, 60)
    assert len(await store.open_tickets(clock())) == 1


async def test_a_lapsed_ticket_is_not_found_again(converse, world) -> None:
    async with converse() as assistant:
        first = await assistant.call("place_order", **ORDER)
        world.later(90)
        second = await assistant.call("place_order", **ORDER)
        late = await assistant.call("confirm_ticket", ticket_id=first.ticket_id)
    assert second.ticket_id != first.ticket_id
    assert (late.status, late.sent) == ("expired", False)
    assert "only if the person still wants it" in late.next_step


async def test_two_confirms_racing_on_one_ticket_send_once(converse, desk, world) -> None:
    answers = []

    async def confirm(assistant, ticket_id) -> None:
        answers.append(await assistant.call("confirm_ticket", ticket_id=ticket_id))

    async with converse() as one, converse() as other:
        proposed = await one.call("place_order", **ORDER)
        await desk.decisions.approve(await desk.ticket(proposed.ticket_id), "terminal")
        async with anyio.create_task_group() as group:
            for assistant in (one, other, one, other):
                group.start_soon(confirm, assistant, proposed.ticket_id)
    assert sorted(str(told.status) for told in answers) == ["None", "None", "None", "filled"]
    assert all("spent before" in told.text for told in answers if told.status is None)
    assert len(world.states()) == 1


async def test_two_forms_for_one_ticket_both_answered_send_once(converse, person, world) -> None:
    """Both clients ask for the same order, and the person answers both forms."""
    answers = []

    async def place(assistant) -> None:
        answers.append(await assistant.call("place_order", **ORDER))

    async with converse(person) as one, converse(person) as other, anyio.create_task_group() as group:
        group.start_soon(place, one)
        group.start_soon(place, other)
    assert sorted(str(told.status) for told in answers).count("filled") == 1
    (other_told,) = [told for told in answers if told.status != "filled"]
    assert "spent before" in other_told.text
    assert len(world.states()) == 1


@pytest.mark.parametrize("jump", [90, 3600, 86_400])
async def test_a_yes_after_a_jump_of_the_clock_is_too_late(assistant, person, world, jump) -> None:
    person.takes_seconds = jump
    told = await assistant.buys(1)
    assert told.sent is not True
    assert world.writes() == 0


async def test_an_approved_ticket_lapses_over_a_jump_of_the_clock(converse, desk, world) -> None:
    async with converse() as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        assert await desk.decisions.approve(await desk.ticket(proposed.ticket_id), "terminal")
        world.later(3600)
        told = await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id)
    assert (told.status, told.sent) == ("expired", False)
    assert world.writes() == 0


async def test_confirming_waits_for_the_terminal_and_sends_when_the_yes_comes(
    converse, crosstrade, store, policy, world, clock
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


async def test_confirming_gives_up_before_the_client_would(converse, world, clock) -> None:
    async with converse() as assistant:
        proposed = await assistant.call("place_order", **ORDER)
        began = clock()
        told = await assistant.call("confirm_ticket", ticket_id=proposed.ticket_id)
    assert (told.status, told.ticket_id) == ("needs_approval", proposed.ticket_id)
    assert 25 <= (clock() - began).total_seconds() < 26
    assert world.writes() == 0


async def test_an_order_that_waits_too_long_for_the_budget_is_not_sent_late(
    assistant, person, world, wire, desk, store
) -> None:
    """The last look is after the wait for a place among our requests, and right before the wire."""

    def others_use_up_the_budget() -> None:
        desk.upstream._line.budget._bucket = Bucket(tokens=-10.0, at=world.clock())

    def yes_then(question: str) -> ElicitResult:
        wire.meanwhile["/market/quote"] = others_use_up_the_budget
        return ElicitResult(action="accept", content={"answer": question.split("type:")[1].split(maxsplit=1)[0]})

    person.answer = yes_then
    told = await assistant.buys(2, instrument="MES 09-26")
    assert told.text.startswith("BUDGET_EXHAUSTED: the order waited 6 s for the request budget")
    assert "Nothing was sent to the market." in told.text
    assert world.writes() == 0
    assert await store.unsettled() == ()


async def test_a_no_at_the_terminal_outweighs_a_yes_in_a_form_that_is_still_open(converse, desk, store, world) -> None:
    async def declines_there_and_accepts_here(_: object, params: ElicitRequestFormParams) -> ElicitResult:
        (ticket,) = await store.open_tickets(world.clock())
        assert await desk.decisions.decline(ticket, "terminal")
        world.later(5)
        return ElicitResult(action="accept", content={"answer": ticket.phrase})

    async with converse(declines_there_and_accepts_here) as assistant:
        told = await assistant.call("place_order", **ORDER)
    assert (told.status, told.sent) == ("declined", False)
    assert world.writes() == 0


async def test_a_yes_at_the_terminal_and_a_yes_in_the_form_send_once(converse, desk, store, world) -> None:
    async def approves_both(_: object, params: ElicitRequestFormParams) -> ElicitResult:
        (ticket,) = await store.open_tickets(world.clock())
        assert await desk.decisions.approve(ticket, "terminal")
        world.later(5)
        return ElicitResult(action="accept", content={"answer": ticket.phrase})

    async with converse(approves_both) as assistant:
        told = await assistant.call("place_order", **ORDER)
        again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "filled"
    assert "spent before" in again.text
    assert len(world.states()) == 1
