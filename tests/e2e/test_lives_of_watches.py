"""What acts at a time lives until it has acted, acts in its life only, and says at its end what it has not done."""

from datetime import timedelta
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.simulator.hours import CENTRAL
from ct_mcp.simulator.orders import Action
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, World
from tests.e2e.test_news_windows import by_hand
from tests.e2e.test_watches import looks, told_by


def until(world: World, hour: int, minute: int, days: int = 0) -> None:
    """Let it become so late in Chicago, so many days later."""
    there = world.clock().astimezone(CENTRAL) + timedelta(days=days)
    there = there.replace(hour=hour, minute=minute, second=0, microsecond=0)
    world.later((there - world.clock()).total_seconds())


@pytest.mark.parametrize("when", [{"time": "180 minutes", "hours": 2}, {"time": "15:10 America/Chicago", "hours": 1}])
async def test_a_time_to_be_flat_by_is_kept_however_few_hours_are_named(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, when: dict[str, Any]
) -> None:
    """Its hours are the assistant's to say, and the person alone ends it."""
    await assistant.buys(2)
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", **when)
    assert told.status == "set", told.text
    (watch,) = await store.watches()
    assert watch.due is not None
    world.later((watch.due - world.clock()).total_seconds() - 60)
    await desk.exit_watch.look()
    assert world.net() == 2
    assert len(await store.watches()) == 1
    await looks(desk, world, times=1, seconds=61)
    assert world.net() == 0, await told_by(store)


async def test_an_entry_is_cancelled_at_its_time_however_few_hours_are_named(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    resting = by_hand(world, Action.BUY, -400)
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": resting, "time": "90 minutes", "hours": 1}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    await looks(desk, world, times=2, seconds=44 * 60)
    assert world.live() == [resting]
    await looks(desk, world, times=1, seconds=2 * 60 + 1)
    assert world.live() == []
