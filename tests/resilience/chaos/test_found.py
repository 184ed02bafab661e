"""What the campaign led to. What is not mended yet fails for the reason that it names, until it is."""

from dataclasses import replace

import anyio
import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command, Flatten
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.factories import place_order


@pytest.fixture
def policy() -> Policy:
    """As an operator may have it for a simulated account: nobody is asked."""
    return replace(Policy(), simulated=Approval.NONE, exits_simulated=Approval.NONE)


async def test_what_a_slow_answer_filled_is_not_sent_again_for_a_client_that_gave_up(
    desk: Desk, sim: Simulator, clock: ManualClock
) -> None:
    mes = await desk.resolver.instrument("MES")
    order = place_order("BUY", 2, instrument=mes)
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    ticket = await desk.propose(order)
    assert isinstance(ticket, Ticket)
    first: list[Outcome] = []

    async def sent() -> None:
        first.append(await desk.commit(ticket.ticket_id))

    async with anyio.create_task_group() as group:
        group.start_soon(sent)
        with anyio.fail_after(60):
            await sim.faults.slow_answer_waits()
        clock.advance(12)  # the client has had enough of it meanwhile: it will never hear what came of it
        sim.faults.disarm()
    assert first[0].status is Status.FILLED

    again = await desk.propose(order)

    assert isinstance(again, Outcome), "a ticket that needs nobody's yes is sent at once"
    assert again.status is Status.DENIED


@pytest.mark.parametrize("lost", [True, False], ids=["its answer is lost", "it is acknowledged"])
async def test_flat_is_not_said_while_an_order_of_ours_stands_that_no_list_shows(
    desk: Desk, sim: Simulator, *, lost: bool
) -> None:
    """Found by --seed 1 --episode 0, mutation 216: all lists are empty, before the flatten and after it."""
    mes = await desk.resolver.instrument("MES")
    quote = (await desk.upstream.quotes([str(mes)]))[0]
    assert quote.bid is not None
    resting = place_order("BUY", limit=quote.bid - 10, instrument=mes)
    assert (await _done(desk, resting)).status is Status.WORKING
    sim.faults.arm(Fault.EMPTY_LISTS)
    if lost:
        sim.faults.arm(Fault.UNREADABLE_JSON, rpc="Flatten", times=1)

    told = await _done(desk, Flatten("Sim101", mes))

    assert sim.exchange.orders[0].is_live, "CrossTrade flattens what is held, and nothing is held"
    assert told.status is not Status.FLAT


async def test_a_position_that_no_list_shows_is_not_said_to_be_flat_after_a_flat_place(
    desk: Desk, sim: Simulator
) -> None:
    """Found by --seed 1 --episode 20, mutation 43: the answer is lost, and all lists are empty."""
    mes = await desk.resolver.instrument("MES")
    order = place_order("SELL", 2, instrument=mes, flatten_first=True)
    sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="FlatPlace", times=1)
    sim.faults.arm(Fault.EMPTY_LISTS)

    told = await _done(desk, order)

    assert sim.exchange.orders[0].filled == 2
    assert told.position_after in (None, -2)


async def _done(desk: Desk, action: Command) -> Outcome:
    ticket = await desk.propose(action)
    assert isinstance(ticket, Ticket)
    return await desk.commit(ticket.ticket_id)
