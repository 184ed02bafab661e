"""Whose contracts an entry's exits are kept for: its own, however it fills, and never what somebody else holds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.duty import DutyState
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Wire, World
from tests.e2e.test_entries_with_exits import EXITS, at_the_second_order, exits, looks, somebody


class TestAnEntryThatFillsOneByOne:
    """Of more pieces than an exit that is denied is tried."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Let 24 be bought."""
        loss = Decimal(5000)
        limits = Limits(max_order_contracts=30, max_position_contracts=30, max_day_loss=loss, max_order_risk=loss)
        return Policy(limits=limits)

    async def test_keeps_a_stop_behind_each_piece(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        pace = world.sim.exchange._pace
        world.sim.exchange._pace = replace(pace, contracts_per_fill=1, fill_seconds=3.0)
        await assistant.buys(24, order_type="LIMIT", limit_price=world.price(60), stop_loss="15 points")
        await looks(world, desk, 30, every=3.0)
        assert EntryKind.UNPROTECTED not in {entry.kind for entry in await store.entries(500)}
        assert (world.net(), sum(size for _, size in exits(world))) == (24, 24)


class TestAfterAClose:
    """The request of the stop was lost, and what had filled was closed."""

    @pytest.fixture
    async def closed(self, assistant: Assistant, world: World, wire: Wire) -> None:
        """Buy two, and lose the stop."""
        lost = Fault.REQUEST_LOST_BEFORE_ACCEPT
        at_the_second_order(wire, lambda: world.sim.faults.arm(lost, rpc="PlaceOrder", times=1))
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("CLOSED, and what was sent may still come"), told.text
        assert (world.net(), exits(world)) == (0, [])

    async def test_only_late_exits_are_watched_for(self, store: SqliteStore, closed: None) -> None:
        assert [duty.state for duty in await store.duties()] == [DutyState.STANDING]

    async def test_what_somebody_opens_is_theirs(
        self, world: World, desk: Desk, store: SqliteStore, closed: None
    ) -> None:
        somebody(world, Action.BUY, 2)
        await looks(world, desk, 40)
        assert world.net() == 2

    async def test_an_entry_with_a_yes_of_its_own_is_not_closed_for_the_first(
        self, assistant: Assistant, world: World, desk: Desk, closed: None
    ) -> None:
        told = await assistant.buys(1)
        assert told.status == "filled", told.text
        await looks(world, desk, 40)
        assert world.net() == 1

    async def test_nothing_is_closed_twice_though_the_entry_could_not_be_read_as_over(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk, store: SqliteStore
    ) -> None:
        def goes_wrong() -> None:
            world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
            wire.meanwhile["/positions/flatten"] = lambda: world.sim.faults.arm(
                Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder"
            )

        at_the_second_order(wire, goes_wrong)
        await assistant.buys(2, **EXITS)
        assert [duty.state for duty in await store.duties()] == [DutyState.OPEN]
        somebody(world, Action.BUY, 2)
        world.sim.faults.disarm()
        await looks(world, desk, 40)
        assert world.net() == 2
        assert [duty.state for duty in await store.duties()] == [DutyState.STANDING]
