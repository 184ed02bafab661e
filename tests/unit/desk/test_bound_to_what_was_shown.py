"""A yes is good for what was shown: the book moves while the person reads, and the command would do something else."""

import anyio
import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import CancelOrders, ClosePosition, Command, Flatten, ReplaceOrder, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.unit.desk.conftest import Buys, Does, Prices


async def _approved(desk: Desk, command: Command) -> Ticket:
    ticket = await desk.propose(command)
    assert isinstance(ticket, Ticket)
    assert await desk.decisions.approve(ticket, "terminal")
    return ticket


def _net(sim: Simulator) -> int:
    return sum(held.quantity for held in sim.exchange.accounts["Sim101"].positions.values())


async def test_a_reverse_is_not_sent_at_another_size_than_was_shown(
    desk: Desk, does: Does, long_two: Outcome, buy: Buys, mes: Instrument, sim: Simulator
) -> None:
    ticket = await _approved(desk, ReversePosition("Sim101", mes))
    await does(buy(3))
    sim.advance(20)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "CHANGED_SINCE_ASKED: orders shown=SELL 2" in told.reasons[0]
    assert (_net(sim), len(sim.requests_of("Reverse"))) == (5, 0)


async def test_a_cancel_takes_no_order_that_was_not_shown(
    desk: Desk, does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    ticket = await _approved(desk, CancelOrders("Sim101", None))
    later = await does(buy(1, kind="LIMIT", limit_price=price(-40)))
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "CHANGED_SINCE_ASKED: orders that would go and were not shown: BUY 1" in told.reasons[0]
    assert len(sim.exchange.live_orders("Sim101")) == 2
    assert later.status is Status.WORKING


@pytest.mark.parametrize(("fault", "times"), [(Fault.ERROR_500_BEFORE_ACCEPT, 4), (Fault.EMPTY_LISTS, 1)])
async def test_a_cancel_takes_the_orders_that_were_shown_and_no_other_though_none_can_be_read_by_then(
    desk: Desk, does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, fault: Fault, times: int
) -> None:
    entry = await does(buy(1, kind="LIMIT", limit_price=price(-60)))
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    ticket = await _approved(desk, CancelOrders("Sim101", None))
    assert "an order that is placed meanwhile stays" in ticket.question
    later = await does(buy(1, kind="LIMIT", limit_price=price(-40)))
    sim.faults.arm(fault, rpc="ListOrders", times=times)
    told = await desk.commit(ticket.ticket_id)
    assert sim.requests_of("CancelOrders") == []
    assert [request.path.split("/")[-2] for request in sim.requests_of("Cancel")] == [entry.order_id, stop.order_id]
    assert [order.id for order in sim.exchange.live_orders("Sim101")] == [later.order_id]
    assert told.status is Status.CANCELLED
    assert told.alarm.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26")


async def test_an_order_that_fills_in_part_while_somebody_reads_is_not_replaced_at_its_full_size(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    first = await does(buy(4, kind="LIMIT", limit_price=price(-2)))
    swap = ReplaceOrder("Sim101", str(first.order_id), buy(4, kind="LIMIT", limit_price=price(2)))
    ticket = await _approved(desk, swap)
    assert "Position flat now, +4 after" in ticket.question
    for _ in range(80):
        sim.advance(1)
    assert _net(sim) == 2
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "2 of 4 filled" in told.reasons[0]
    assert sim.requests_of("CancelReplace") == []


async def test_an_order_that_still_does_what_was_shown_is_sent_and_the_answer_says_what_moved(
    desk: Desk, does: Does, buy: Buys, sim: Simulator
) -> None:
    ticket = await _approved(desk, buy(1))
    await does(buy(2))
    sim.advance(20)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.FILLED
    assert "the position was flat when the person was asked, and +2 when it was sent" in told.warnings


@pytest.mark.parametrize("seconds", [0, 5])
async def test_of_two_exits_that_are_spent_side_by_side_one_is_sent(
    desk: Desk, long_two: Outcome, mes: Instrument, sim: Simulator, seconds: int
) -> None:
    tickets = [await desk.propose(exit_) for exit_ in (Flatten("Sim101", None), ClosePosition("Sim101", mes))]
    sim.advance(seconds)
    told: list[Outcome] = []

    async def commit(ticket: Ticket | Outcome) -> None:
        told.append(await desk.commit(str(ticket.ticket_id)))

    async with anyio.create_task_group() as both:
        for ticket in tickets:
            both.start_soon(commit, ticket)
    assert len(sim.requests_of("Flatten")) + len(sim.requests_of("ClosePosition")) == 1
    assert {outcome.status for outcome in told} == {Status.FLAT, Status.DENIED}
    assert _net(sim) == 0
