"""Whatever goes wrong at once: what is said to be so is so, what is said not to have happened has not."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from ct_mcp.simulator.faults import Fault
from tests.e2e.conftest import Assistant, Told, Wire, World

READS = (None, "GetAccount", "ListPositions", "ListOrders", "GetPosition", "GetOrder", "GetOrderLifecycle")
OPERATIONS = {
    "place_order": ("PlaceOrder", "FlatPlace"),
    "change_order": ("Change",),
    "cancel_order": ("Cancel",),
    "cancel_orders": ("CancelOrders", "Cancel"),  # asked about, each that was shown goes by itself
    "close_position": ("ClosePosition",),
    "flatten": ("Flatten", "CancelOrders"),
}
HAPPENED = {"filled", "working", "cancelled", "flat", "changed"}


@pytest.fixture
def era() -> str:
    """The one in which a question is an answer, which is the longer way."""
    return "auto"


def truth(world: World) -> tuple[object, ...]:
    """All that a write could have changed."""
    orders = tuple((order.id, order.terms, str(order.state), order.filled) for order in world.sim.exchange.orders)
    return world.net(), orders


async def prepared(assistant: Assistant, world: World, rng: Random) -> dict[str, dict[str, Any]]:
    """A book that is not empty, and the arguments of every operation in it."""
    await assistant.buys(rng.randint(1, 4))
    world.later()
    resting = await assistant.rests(world.price(-40 - rng.randint(0, 20)))
    if rng.random() < 0.5:
        await assistant.protects(world.price(-70))
    world.later(60)
    instrument = {"instrument": rng.choice(["MES 09-26", None])}
    order = {"instrument": "MES 09-26", "action": rng.choice(["BUY", "SELL"]), "order_type": "MARKET"}
    return {
        "place_order": {**order, "quantity": rng.randint(1, 3), "flatten_first": rng.random() < 0.3},
        "change_order": {"order_id": resting, "quantity": rng.randint(2, 4)},
        "cancel_order": {"order_id": resting},
        "cancel_orders": instrument,
        "close_position": {"instrument": "MES 09-26", "quantity": rng.choice([None, 1])},
        "flatten": instrument,
    }


def misbehave(world: World, rng: Random, operation: str) -> None:
    """Several faults at once, each for some calls or all, for a while or for good."""
    for fault in rng.sample([fault for fault in Fault if fault is not Fault.SLOW_ANSWER], rng.randint(1, 4)):
        rpc = rng.choice((*READS, *3 * OPERATIONS[operation]))
        world.sim.faults.arm(fault, rpc=rpc, times=rng.choice([1, 2, None]))


@pytest.mark.parametrize("seed", range(30))
async def test_nothing_is_said_that_is_not_so(assistant: Assistant, world: World, wire: Wire, seed: int) -> None:
    rng = Random(seed)
    arguments = await prepared(assistant, world, rng)
    operation = rng.choice(list(OPERATIONS))
    misbehave(world, rng, operation)
    before, posts = truth(world), len(wire.posts())

    told = await assistant.call(operation, account="Sim101", **arguments[operation])

    world.sim.faults.disarm()
    assert len(wire.posts()) - posts <= len(OPERATIONS[operation]), "each write leaves once"
    assert not list(lies(told, world, before, arguments[operation])), f"{operation} {arguments[operation]}: {told.text}"


def lies(told: Told, world: World, before: tuple[object, ...], arguments: dict[str, Any]) -> Iterator[str]:
    """Everything that the assistant was told and that is not so."""
    live = [order for order in world.sim.exchange.orders if order.is_live]
    not_sent = told.sent is False or (told.status is None and "Nothing was" in told.text)
    if not_sent and truth(world) != before:
        yield "said not to have been sent, and something changed"
    is_so = {
        "flat": not live and world.net() == 0,
        "filled": any(str(order.state) == "Filled" for order in world.sim.exchange.orders[-2:]),
        "cancelled": not live or ("order_id" in arguments and arguments["order_id"] not in world.live()),
        "rejected": world.net() == before[0],
    }
    if not is_so.get(str(told.status), True):
        yield f"{told.status}, and it is not"
    if told.status in HAPPENED and told.sent is not True:
        yield "happened, and not sent"
    if told.position_after not in (None, world.net()):
        yield "the position is another"
