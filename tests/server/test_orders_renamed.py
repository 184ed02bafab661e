"""An add-on that gives orders ids of its own: by ours they are found through their history."""

import pytest

from ct_mcp.simulator.addon import Habits
from ct_mcp.simulator.world import Simulator


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    """A simulator that forgets our ids, but for its record of what it was asked."""
    sim.addon.habits = Habits(own_id_lookup=False)
    return sim


async def test_an_order_is_found_by_our_id_all_the_same(ask, place) -> None:
    order_id = await place()
    told = await ask("get_order", account="Sim101", order_id="own-1")
    assert (told.data["order"]["order_id"], told.data["state"]) == (order_id, "FILLED")
