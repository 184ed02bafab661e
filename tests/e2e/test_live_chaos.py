"""Sixty disturbances of the stream while there is trading: every answer is right as of the time that it names."""

from datetime import datetime, timedelta
from random import Random

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.simulator.faults import StreamFault
from tests.e2e.conftest import Assistant, Told, Wire, World
from tests.e2e.test_live import Listening, events, listening, policy, settings, talks
from tests.factories import place_order

__all__ = ["events", "listening", "policy", "settings", "talks"]

MES = Instrument("MES", 2026, 9)
STORIES, DISTURBANCES_EACH = 6, 10
KINDS = [kind for kind in StreamFault if not kind.name.startswith("RPC") and kind is not StreamFault.SOCKET_SLOW]
FRESHEST = timedelta(seconds=10)
# An answer names the second in which its reading began; the reading itself takes a moment, in which more may fill.
READING = timedelta(seconds=0.3)


@pytest.fixture
def era() -> str:
    """One is enough: what is disturbed lies behind both."""
    return "auto"


def held_at(world: World, at: datetime) -> set[int]:
    """Every net position from ``at`` on while it may have been read, by the executions there were."""
    fills = [
        (fill.at, fill.quantity * fill.order.terms.action.sign)
        for fill in world.sim.exchange.executions
        if fill.order.account == "Sim101"
    ]
    latest = at + timedelta(seconds=1) + READING
    moments = [at, *(moment for moment, _ in fills if at < moment <= latest)]
    return {sum(signed for moment, signed in fills if moment <= until) for until in moments}


async def trade(rng: Random, talks: Assistant, crosstrade: CrossTrade, world: World, number: int) -> None:
    """Something changes: by us, by somebody else, or not at all."""
    match rng.choice(["ours", "theirs", "theirs", "rests", "flatten", "nothing"]):
        case "ours":
            await talks.buys(rng.randint(1, 2), action=rng.choice(["BUY", "SELL"]))
        case "rests":
            await talks.buys(1, order_type="LIMIT", limit_price=world.price(-40 - rng.randint(0, 20)))
        case "theirs":
            action = rng.choice(list(OrderAction))
            order = place_order(action, instrument=MES)
            await crosstrade.place_order(order, f"somebody-else-{number}")
        case "flatten":
            await talks.call("flatten", account="Sim101")
        case "nothing":
            pass


def net_in(positions: Told) -> int:
    return sum(row["quantity"] * (1 if row["direction"] == "LONG" else -1) for row in positions.positions)


def read_at(told: Told) -> datetime:
    return datetime.fromisoformat(str(told.read_at))


async def hold_against_the_truth(talks: Assistant, world: World) -> None:
    """Ask, and compare with what was so at the time that the answer names."""
    asked_at = world.clock()
    told = await talks.call("get_positions", account="Sim101")
    if told.is_error:
        return  # nothing was claimed
    assert asked_at - read_at(told) <= FRESHEST + timedelta(seconds=1), "older than what the settings allow"
    assert net_in(told) in held_at(world, read_at(told)), told.text


async def hold_against_the_present(talks: Assistant, world: World) -> None:
    """Two frames later, whatever was lost must have been noticed."""
    positions = await talks.call("get_positions", account="Sim101")
    orders = await talks.call("get_orders", account="Sim101")
    assert net_in(positions) == world.net()
    assert {row["order_id"] for row in orders.orders} == set(world.live())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(STORIES))
async def test_every_answer_is_right_or_says_what_it_does_not_know(
    talks: Assistant, listening: Listening, crosstrade: CrossTrade, world: World, wire: Wire, seed: int
) -> None:
    rng = Random(seed)
    await talks.buys(1)
    await listening.passes(2)
    for number in range(DISTURBANCES_EACH):
        kind = rng.choice([*KINDS, StreamFault.FRAME_LOST, StreamFault.FRAME_DROPPED])
        world.sim.faults.arm(kind, times=rng.choice([1, 2, 5, None]))
        await trade(rng, talks, crosstrade, world, number)
        for _ in range(rng.randint(1, 4)):
            await listening.passes(rng.choice([0.3, 1, 2]))
            await hold_against_the_truth(talks, world)
        if rng.random() < 0.6:
            world.sim.faults.disarm()
            await listening.passes(2)
            await hold_against_the_truth(talks, world)
            await hold_against_the_present(talks, world)
    placed = [said["orderId"] for path, said in wire.posts() if path.endswith(("/place", "/flatplace"))]
    known = [order.labels.own_id for order in world.sim.exchange.orders if order.labels.own_id]
    assert sorted(placed) == sorted(known), "no order was lost and none was doubled"
