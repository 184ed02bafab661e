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
from tests.e2e.test_entries_with_exits import (
    EXITS,
    at_the_second_order,
    exits,
    fills,
    looks,
    refuses_the_stop,
    somebody,
)


async def cries(store: SqliteStore) -> list[str]:
    """What was cried of entries that stand without a stop."""
    entries = await store.entries(500)
    return [str(entry.detail["said"]) for entry in entries if entry.kind is EntryKind.UNPROTECTED]


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


class TestAFillThatNobodySaw:
    """A resting entry fills while no ct-mcp runs, and one starts later."""

    @pytest.fixture
    async def resting(self, assistant: Assistant, world: World) -> None:
        """Two rest below the market, with a stop at a price."""
        told = await assistant.buys(
            2, order_type="LIMIT", limit_price=world.price(-8), stop_loss=world.price(-40), take_profit="15 points"
        )
        assert told.status == "working", told.text

    async def test_is_protected_where_nobody_else_has_traded_since(
        self, world: World, another_desk: Desk, store: SqliteStore, resting: None
    ) -> None:
        fills(world)
        await looks(world, another_desk, 3)
        assert (world.net(), exits(world)) == (2, [("StopMarket", 2), ("Limit", 2)])
        assert await cries(store) == []

    async def test_is_protected_an_hour_later_where_its_price_is_that_of_the_position(
        self, world: World, another_desk: Desk, resting: None
    ) -> None:
        somebody(world, Action.BUY, 1)
        somebody(world, Action.SELL, 1)
        fills(world)
        world.later(3600)
        await looks(world, another_desk, 3)
        assert (world.net(), exits(world)) == (2, [("StopMarket", 2), ("Limit", 2)])

    async def test_is_left_alone_where_the_person_has_left_it_and_holds_another_trade(
        self, world: World, another_desk: Desk, store: SqliteStore, resting: None
    ) -> None:
        fills(world)
        somebody(world, Action.SELL, 2)
        world.later(3600)
        somebody(world, Action.BUY, 2)
        await looks(world, another_desk, 20)
        assert (world.net(), exits(world)) == (2, [])
        (cry,) = await cries(store)
        assert "is not taken for the 2 that this entry filled" in cry
        assert await store.duties() == ()

    async def test_is_left_alone_a_minute_later_as_well(
        self, world: World, another_desk: Desk, store: SqliteStore, resting: None
    ) -> None:
        fills(world)
        somebody(world, Action.SELL, 2)
        somebody(world, Action.BUY, 2)
        await looks(world, another_desk, 20)
        assert (world.net(), exits(world)) == (2, [])
        assert len(await cries(store)) == 1

    async def test_gets_a_stop_for_what_is_left_of_it(
        self, world: World, another_desk: Desk, store: SqliteStore, resting: None
    ) -> None:
        fills(world)
        somebody(world, Action.SELL, 1)
        somebody(world, Action.BUY, 3)
        await looks(world, another_desk, 20)
        assert (world.net(), exits(world)) == (4, [("StopMarket", 1), ("Limit", 1)])
        assert len(await cries(store)) == 1, "of what is not its own"

    async def test_is_not_closed_though_the_market_has_passed_its_stop(
        self, assistant: Assistant, world: World, another_desk: Desk
    ) -> None:
        stop = world.price(-20)
        await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-8), stop_loss=stop)
        fills(world)
        somebody(world, Action.SELL, 2)
        for _ in range(1000):
            if world.price() < stop - 1:
                break
            world.later(10)
        somebody(world, Action.BUY, 2)
        await looks(world, another_desk, 20)
        assert world.net() == 2

    async def test_is_said_not_to_be_known_where_the_account_cannot_be_read(
        self, world: World, another_desk: Desk, store: SqliteStore, resting: None
    ) -> None:
        fills(world)
        world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")
        await looks(world, another_desk, 5)
        (cry,) = await cries(store)
        assert cry.startswith("it is NOT KNOWN whether 2 of the 2 MES 09-26 filled are held still"), cry
        world.sim.faults.disarm()
        await looks(world, another_desk, 10)
        assert (world.net(), exits(world)) == (2, [("StopMarket", 2), ("Limit", 2)])


async def test_what_the_person_leaves_by_hand_and_opens_again_is_not_closed_for_it(
    assistant: Assistant, world: World, wire: Wire, desk: Desk, store: SqliteStore
) -> None:
    """The stop was refused, and the close was lost: the person was told to look to it."""

    def goes_wrong() -> None:
        refuses_the_stop(world)
        world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten", times=1)

    at_the_second_order(wire, goes_wrong)
    told = await assistant.buys(2, **EXITS)
    assert told.text.startswith("UNPROTECTED"), told.text
    somebody(world, Action.SELL, 2)
    somebody(world, Action.BUY, 2)
    await looks(world, desk, 90)
    assert world.net() == 2
