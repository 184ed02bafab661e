"""What was sent with an outcome nobody knows counts against every later order, whichever way it goes."""

from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.action import Action, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.ticket import Approval, Ticket
from ct_mcp.guard.direction import only_reduces
from ct_mcp.guard.policy import PendingOrder, Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator

MES = Instrument("MES", 2026, 9)


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE)


def order(action: OrderAction, quantity: int, limit: str | None = None) -> PlaceOrder:
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    price = None if limit is None else Decimal(limit)
    return PlaceOrder("Sim101", MES, action, quantity, kind, price, None, TimeInForce.DAY)


async def sent(desk: Desk, action: Action) -> Status:
    """Propose and commit, as the policy lets through without a question."""
    ticket = await desk.propose(action)
    assert isinstance(ticket, Ticket), ticket
    return (await desk.commit(ticket.ticket_id)).status


@pytest.fixture
async def long_two(desk: Desk, sim: Simulator) -> None:
    """Two contracts are held; from now on no look-up of an order answers."""
    assert await sent(desk, order(OrderAction.BUY, 2)) is Status.FILLED
    for rpc in ("GetOrder", "GetOrderLifecycle"):
        sim.faults.arm(Fault.BAD_GATEWAY, rpc=rpc)


LOST = {
    "an order that only reduces": order(OrderAction.SELL, 2),
    "a partial close": ClosePosition("Sim101", MES, quantity=2),
    "a flatten": Flatten("Sim101", None),
}


@pytest.mark.usefixtures("long_two")
@pytest.mark.parametrize("exit_", LOST.values(), ids=LOST.keys())
async def test_an_exit_of_unknown_outcome_counts_so_that_a_second_one_cannot_pass_for_reducing(
    desk: Desk, sim: Simulator, exit_: Action
) -> None:
    rpc = {PlaceOrder: "PlaceOrder", ClosePosition: "ClosePosition", Flatten: "Flatten"}[type(exit_)]
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    assert await sent(desk, exit_) is Status.UNKNOWN
    second = order(OrderAction.SELL, 2, limit="6060")
    case = await desk.preview(second)
    assert case.view.pending == (PendingOrder(MES, -2),)
    assert not only_reduces(second, case.view)


async def test_orders_are_read_before_positions_so_that_a_fill_in_between_is_in_one_of_them(
    desk: Desk, sim: Simulator
) -> None:
    await desk.preview(order(OrderAction.BUY, 1))
    read = [seen.rpc for seen in sim.requests if seen.rpc in ("ListOrders", "ListPositions")]
    assert read == ["ListOrders", "ListPositions"]
