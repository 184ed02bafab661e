"""A ticket that was approved as a reduction sends nothing that opens: the book moves between the yes and the send."""

import pytest

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.action import CancelOrder, ClosePosition, Flatten
from ct_mcp.domain.ticket import Approval
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.journal import EntryKind


async def test_a_sell_that_reduced_when_it_was_proposed_does_not_open_once_the_position_is_gone(
    desk, does, store, long_two: Outcome, buy, mes, sim: Simulator
) -> None:
    ticket = await desk.propose(buy(2, action="SELL"))
    assert ticket.approval is Approval.NONE
    await does(ClosePosition("Sim101", mes))
    sim.advance(20)
    sent = len(sim.requests_of("PlaceOrder"))
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert told.reasons == ("APPROVAL_OUTGROWN: proposed under approval=none, due now=form; propose it again",)
    assert len(sim.requests_of("PlaceOrder")) == sent
    assert (await store.entries(1))[0].kind is EntryKind.DENIED


async def test_a_cancel_that_was_harmless_does_not_take_the_stop_of_a_new_position(
    desk, does, buy, price, sim: Simulator
) -> None:
    stop = await does(buy(action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    sim.advance(20)
    ticket = await desk.propose(CancelOrder("Sim101", stop.order_id))
    assert ticket.approval is Approval.NONE
    await does(buy(1))
    sim.advance(20)
    assert (await desk.commit(ticket.ticket_id)).status is Status.DENIED
    assert [order.id for order in sim.exchange.live_orders("Sim101")] == [stop.order_id]


@pytest.mark.parametrize("what", ["close", "flatten"])
async def test_an_exit_goes_whatever_the_book_has_become(
    desk, buy, does, what: str, mes, sim: Simulator, clock
) -> None:
    await does(buy(2))
    action = ClosePosition("Sim101", mes, quantity=1) if what == "close" else Flatten("Sim101", None)
    ticket = await desk.propose(action)
    clock.advance(20)
    await does(buy(1))
    assert (await desk.commit(ticket.ticket_id)).status in (Status.FILLED, Status.FLAT, Status.ACCEPTED)


async def test_an_order_that_asks_for_less_by_now_goes_with_the_approval_that_it_has(
    desk, does, buy, sim: Simulator
) -> None:
    ticket = await desk.propose(buy(1, action="SELL"))
    await desk.decisions.approve(ticket, "form")
    await does(buy(2))
    sim.advance(5)
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
