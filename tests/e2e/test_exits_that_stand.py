"""What is done about exits that stand, long after their entry has filled: until they are over, or their position is."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, World
from tests.e2e.test_entries_with_exits import EXITS, exits, looks, somebody


class TestWhereTheClockIsSetBack:
    """By an hour: what was noted before lies ahead from then on."""

    @pytest.fixture
    def behind(self) -> list[timedelta]:
        """How far it was set back."""
        return [timedelta(0)]

    @pytest.fixture
    def desk(
        self,
        behind: list[timedelta],
        world: World,
        crosstrade: CrossTrade,
        store: SqliteStore,
        policy: Policy,
        pause: Callable[[float], Awaitable[None]],
    ) -> Desk:
        return Desk(crosstrade, store, policy, clock=lambda: world.clock() - behind[0], pause=pause)

    async def test_exits_of_what_is_gone_are_cancelled_all_the_same(
        self, assistant: Assistant, world: World, desk: Desk, behind: list[timedelta]
    ) -> None:
        await assistant.buys(2, **EXITS)
        somebody(world, Action.SELL, 2)
        await looks(world, desk, 1, every=16.0)
        assert (world.net(), len(exits(world))) == (0, 2)
        behind[0] = timedelta(hours=1)
        await looks(world, desk, 4, every=16.0)
        assert exits(world) == []

    async def test_an_exit_that_was_lost_keeps_no_other_from_leaving(
        self, converse: Converse, person: Person, world: World, desk: Desk, behind: list[timedelta]
    ) -> None:
        async with converse(person, over=desk) as assistant:
            await assistant.buys(2)
            world.later()
            world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="ClosePosition", times=1)
            told = await assistant.call("close_position", account="Sim101", instrument="MES")
            assert (told.status, world.net()) == ("unknown", 2), told.text
            behind[0] = timedelta(hours=1)
            world.later(70)
            told = await assistant.call("close_position", account="Sim101", instrument="MES")
            assert (told.status, world.net()) == ("flat", 0), told.text
