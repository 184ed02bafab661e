"""A ticket of several commands: each is sent once under an id of its own, and one lost answer is one unknown."""

from dataclasses import replace

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderType
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import place_order


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked in a simulated account."""
    return replace(Policy(), simulated=Approval.NONE, exits_simulated=Approval.NONE)


@pytest.fixture
async def mes(desk: Desk) -> Instrument:
    """The front month of the Micro E-mini."""
    return await desk.resolver.instrument("MES")


async def resting(desk: Desk, mes: Instrument, quantity: int, ticks: int) -> PlaceOrder:
    """A BUY LIMIT so far below the market."""
    quote = (await desk.upstream.quotes([str(mes)]))[0]
    assert quote.bid is not None
    return place_order("BUY", quantity, quote.bid - ticks * quote.contract.tick_size, instrument=mes)


async def sent(desk: Desk, *commands: Command) -> tuple[Ticket, Outcome]:
    """Propose them under one ticket, and commit it."""
    ticket = await desk.propose(commands)
    assert isinstance(ticket, Ticket)
    return ticket, await desk.commit(ticket.ticket_id)


async def test_orders_that_work_are_not_told_as_flat(desk: Desk, mes: Instrument) -> None:
    entry = place_order("BUY", 1, instrument=mes)
    quote = (await desk.upstream.quotes([str(mes)]))[0]
    assert quote.bid is not None
    stop = place_order("SELL", 1, instrument=mes, order_type=OrderType.STOP_MARKET, stop_price=quote.bid - 10)

    _, told = await sent(desk, entry, stop)

    assert told.status is Status.WORKING
    assert told.position_after is None
    assert "FLAT" not in told.next_step


async def test_orders_that_all_filled_are_told_as_filled(desk: Desk, mes: Instrument, sim: Simulator) -> None:
    _, told = await sent(desk, place_order("BUY", 1, instrument=mes), place_order("BUY", 2, instrument=mes))

    assert told.status is Status.FILLED
    assert [order.labels.own_id for order in sim.exchange.orders] == [f"ctmcp-{told.ticket_id}-{n}" for n in (1, 2)]


async def test_their_no_to_one_order_is_not_told_of_the_other_that_filled(
    desk: Desk, mes: Instrument, sim: Simulator
) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1)

    _, told = await sent(desk, place_order("BUY", 1, instrument=mes), place_order("BUY", 2, instrument=mes))

    assert told.status is Status.ACCEPTED
    assert [reason.split(": ")[1] for reason in told.reasons] == ["REJECTED", "FILLED"]
    assert "do not send the same again" in told.next_step


async def test_a_lost_order_is_not_settled_by_what_became_of_another_of_its_ticket(
    desk: Desk, mes: Instrument, sim: Simulator, store: SqliteStore
) -> None:
    """The second was acknowledged; what they named for it says nothing of the first."""
    mnq = await desk.resolver.instrument("MNQ")
    first, second = await resting(desk, mes, 1, 40), await resting(desk, mnq, 2, 60)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)

    ticket, told = await sent(desk, first, second)

    assert told.status is Status.UNKNOWN
    assert [order.terms.quantity for order in sim.exchange.orders] == [2]
    assert [entry.own_id for entry in await store.unsettled()] == [ticket.own_id_of(0)]

    await desk.propose(await resting(desk, mnq, 3, 80))

    assert [entry.own_id for entry in await store.unsettled()] == [ticket.own_id_of(0)]
