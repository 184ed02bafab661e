"""A server that is killed between a fill and its stop: whoever comes next gives it the exits that were approved."""

import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.resilience.conftest import Start, Succeeded
from tests.resilience.test_restarts import BUY, killed_at, writes

ENTRY = {**BUY, "quantity": 2, "stop_loss": "10 points", "take_profit": "20 points"}


def exits(sim: Simulator) -> list[tuple[str, int]]:
    """What can still fill: type and size."""
    return sorted((str(o.terms.order_type), o.terms.quantity) for o in sim.exchange.live_orders("Sim101"))


PAIR = [("Limit", 2), ("StopMarket", 2)]
# In the life of an entry with a stop and a target: its own intent is the first, that of its stop the second.
PLACES = [
    "after accepted",  # the entry was taken, and nobody has read it back
    "after approved",  # nothing of the kind is written by the journal alone: see below
    "before intent 2",  # the ticket of its exits is there
    "after intent 2",  # the stop may be on its way
    "after accepted 2",  # the stop was taken
    "before intent 3",  # the stop stands, the target does not
]


@pytest.mark.parametrize("place", [place for place in PLACES if place not in ("after approved", "after intent 2")])
async def test_whoever_comes_next_places_what_is_missing_and_nothing_twice(
    start: Start, succeeded: Succeeded, sim: Simulator, clock: ManualClock, store: SqliteStore, place: str
) -> None:
    await killed_at(place, start, **ENTRY)
    assert exits(sim) != PAIR
    sim.advance(20)
    async with succeeded() as successor:
        await successor.furniture.desk.exit_watch.look()
        sim.advance(20)
        await successor.furniture.desk.exit_watch.look()
        told = await successor.call("get_positions", account="Sim101")
    assert exits(sim) == PAIR, told["text"]
    assert "NO STOP" not in told["text"]
    assert writes(sim).count("PlaceOrder") == 3
    assert (await store.verify()).ok


async def test_a_stop_that_may_be_on_its_way_is_not_sent_again_and_the_position_is_closed(
    start: Start, succeeded: Succeeded, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    await killed_at("after intent 2", start, **ENTRY)
    sim.advance(20)
    async with succeeded() as successor:
        await successor.furniture.desk.exit_watch.look()
    assert writes(sim) == ["PlaceOrder", "Flatten"]
    assert exits(sim) == []
    kinds = [entry.kind for entry in await store.entries(50)]
    assert "unprotected" in kinds


async def test_killed_while_the_stop_is_sent_it_is_found(
    start: Start, succeeded: Succeeded, sim: Simulator, store: SqliteStore
) -> None:
    server = await start("after intent 2")
    server.begins("place_order", **ENTRY)
    await server.stops()
    server.is_killed()
    del server
    assert Fault.SLOW_ANSWER
    assert (await store.verify()).ok
