"""Whoever is paused right before it sends the exits of an entry finds, when it goes on, that another has sent them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Converse, World


class Pausing(SqliteStore):
    """A store whose process is paused before one of its intents is written, until it may go on."""

    def __init__(self, folder: Path, before: int) -> None:
        super().__init__(folder)
        self._left = before
        self.is_paused, self.goes_on = anyio.Event(), anyio.Event()

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write it, after the pause."""
        await self._pause(entry)
        return await super().append(entry, now)

    async def append_intent(
        self, entry: NewEntry, now: datetime, seen: int | None, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Write it, after the pause."""
        await self._pause(entry)
        return await super().append_intent(entry, now, seen, holder=holder)

    async def _pause(self, entry: NewEntry) -> None:
        self._left -= entry.kind is EntryKind.INTENT
        if entry.kind is EntryKind.INTENT and not self._left:
            self.is_paused.set()
            await self.goes_on.wait()


Opened = Callable[[SqliteStore], Desk]


@pytest.fixture
async def desk_over(
    crosstrade: CrossTrade, policy: Policy, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[Opened]:
    """Make desks, as several processes do, and close their stores in the end."""
    stores: list[SqliteStore] = []

    def made(store: SqliteStore) -> Desk:
        stores.append(store)
        return Desk(crosstrade, store, policy, clock=clock, pause=pause)

    yield made
    for store in stores:
        await store.close()


PAIR = [("Limit", 2), ("StopMarket", 2)]


def exits(world: World) -> list[tuple[str, int]]:
    """What can still fill: type and size."""
    live = world.sim.exchange.live_orders("Sim101")
    return sorted((str(each.terms.order_type), each.terms.quantity) for each in live)


@pytest.mark.parametrize("seconds", [20, 1], ids=["looked at late", "looked at at once"])
@pytest.mark.parametrize("before", [2, 3], ids=["before its stop", "before its target"])
async def test_exits_stand_once_whoever_was_paused(
    converse: Converse, person: Person, world: World, desk_over: Opened, tmp_path: Path, before: int, seconds: int
) -> None:
    store = Pausing(tmp_path / "state", before)
    paused, other = desk_over(store), desk_over(SqliteStore(tmp_path / "state"))
    told: list[Any] = []
    async with converse(person, over=paused) as assistant:

        async def buys() -> None:
            told.append(await assistant.buys(2, stop_loss="10 points", take_profit="20 points"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(buys)
            with anyio.fail_after(60):
                await store.is_paused.wait()
            for wait in (seconds, 20, 20):
                world.later(wait)
                await other.exit_watch.look()
            meanwhile = exits(world)
            store.goes_on.set()
    assert meanwhile == exits(world) == PAIR, "whoever is paused may never come back"
    assert world.writes() == 3, "the entry, its stop and its target"
    assert "UNPROTECTED" not in told[0].text
    assert (await store.verify()).ok
