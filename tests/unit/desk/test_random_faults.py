"""Actions that are made in steps under faults drawn by lot: what is claimed is true of the simulator, always."""

from random import Random

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.commands import (
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import CtMcpError
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import AnyFault, Fault, Lag
from ct_mcp.simulator.orders import SimOrderType
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Prices

WRITES = ("PlaceOrder", "FlatPlace", "CancelReplace", "Reverse", "CancelAndBracket", "Flatten")
READS = ("GetOrder", "ListOrders", "ListPositions", "GetPosition", "GetOrderLifecycle", "GetAccountSummary")
OF_WRITES = (
    Fault.READ_TIMEOUT_AFTER_ACCEPT,
    Fault.REQUEST_LOST_BEFORE_ACCEPT,
    Fault.TIMEOUT_AFTER_ACCEPT,
    Fault.ERROR_500_AFTER_ACCEPT,
    Fault.EMPTY_BODY,
    Fault.REFUSED_WITH_400,
    Fault.BAD_GATEWAY,
    Fault.FROZEN_ORDERS,
    Fault.LATE_REJECT,
    Fault.PARTIAL_FILL_STUCK,
    Fault.NO_FILL,
    Lag.CLOSE_STUCK,
)
OF_READS = (Fault.HTML_PAGE, Fault.EMPTY_LISTS, Fault.POSITIONS_WITHOUT_SUCCESS, Fault.ERROR_500_BEFORE_ACCEPT)

Asked = Command | tuple[Command, ...]

RPCS = {
    ReversePosition: "Reverse",
    ProtectPosition: "CancelAndBracket",
    ReplaceOrder: "CancelReplace",
    PlaceOrder: "FlatPlace",
    Flatten: "Flatten",
    tuple: "Flatten",
}


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """Without their rate limit, which is not what is tried here."""
    return Simulator(
        seed=7, clock=clock, token="a-token-that-must-never-be-seen", settings=SimulatorSettings(rate_limit=None)
    )


def faults(lot: Random, rpc: str) -> list[tuple[AnyFault, str | None]]:
    """One fault of the write at most, and one of the reads behind it at most."""
    drawn: list[tuple[AnyFault, str | None]] = []
    if lot.random() < 0.8:
        drawn.append((lot.choice(OF_WRITES), rpc))
    if lot.random() < 0.4:
        drawn.append((lot.choice(OF_READS), lot.choice(READS)))
    return drawn


async def outcome_of(
    desk: Desk, action: Asked, drawn: list[tuple[AnyFault, str | None]], sim: Simulator
) -> Outcome | None:
    """Propose and approve while all is well; commit under the faults. None where it was certainly not sent."""
    proposed = await desk.propose(action)
    if isinstance(proposed, Outcome):
        return proposed
    await desk.decisions.approve(proposed, "terminal")
    for fault, rpc in drawn:
        sim.faults.arm(fault, rpc=rpc)
    try:
        return await desk.commit(proposed.ticket_id)
    except CtMcpError:
        return None
    finally:
        sim.faults.disarm()


@pytest.mark.parametrize("seed", [576, 616, *range(16)])
async def test_what_is_claimed_is_true(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument, store: SqliteStore, seed: int
) -> None:
    lot = Random(seed)
    net = lot.choice((0, 1, 3, -2))
    if net:
        assert (await does(buy(abs(net), action="BUY" if net > 0 else "SELL"))).status is Status.FILLED
        sim.advance(20)
    resting = str((await does(buy(kind="LIMIT", limit_price=price(-60)))).order_id)
    sim.advance(20)
    sign = 1 if net >= 0 else -1
    action: Asked = lot.choice(
        (
            ReversePosition("Sim101", mes),
            ProtectPosition("Sim101", mes, price(60 * sign), price(-60 * sign)),
            ReplaceOrder("Sim101", resting, buy(2, kind="LIMIT", limit_price=price(-70))),
            buy(1, action="SELL", flatten_first=True),
            Flatten("Sim101", None),
            (Flatten("Sim101", None),),
        )
    )
    sent = len(sim.requests_of(*WRITES))
    told = await outcome_of(desk, action, faults(lot, RPCS[type(action)]), sim)
    assert len(sim.requests_of(*WRITES)) - sent <= (0 if told and told.status is Status.DENIED else 1), "sent once"
    outstanding = len(await store.unsettled())
    if told is None:
        assert outstanding == 0
    else:
        assert told.status is not Status.UNKNOWN or outstanding
        check(sim, action, told, net)


def check(sim: Simulator, action: Asked, told: Outcome, net: int) -> None:
    """Compare what was told with what the simulator holds."""
    held = sum(position.quantity for position in sim.exchange.accounts["Sim101"].open_positions())
    live = sim.exchange.live_orders("Sim101")
    exits = [order for order in live if order.terms.action.sign * held < 0]
    stops = sum(order.remaining for order in exits if order.terms.order_type is SimOrderType.STOP_MARKET)
    if told.status is Status.FLAT:
        assert (held, live) == (0, [])
    if isinstance(action, ReversePosition) and told.status is Status.FILLED:
        assert held == told.position_after
        assert held * net < 0
    if isinstance(action, ProtectPosition) and told.status is Status.WORKING:
        assert sorted(order.remaining for order in exits) == [abs(held)] * 2
        assert stops == abs(held)
    elif isinstance(action, ProtectPosition) and told.status is not Status.DENIED and stops < abs(held):
        assert "UNPROTECTED" in told.alarm or "NOT KNOWN" in told.alarm
