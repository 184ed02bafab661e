"""Whose contracts an entry's exits are kept for: its own, however it fills, and never what somebody else holds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.duty import DutyState
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
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


def hides_what_is_held(world: World) -> None:
    """Neither the list of positions nor one by its name can be read from now on."""
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")
    world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetPosition")


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
        hides_what_is_held(world)
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


def theirs(world: World, action: Action, size: int, kind: SimOrderType, ticks_away: int) -> SimOrder:
    """An order of somebody else's that rests, and a minute in which nothing is sent."""
    contract = world.sim.market.front("MES", world.clock())
    price = contract.product.price(round(world.price(ticks_away) / contract.product.tick_size))
    is_stop, account = kind is SimOrderType.STOP_MARKET, world.sim.exchange.accounts["Sim101"]
    limit, stop = (0.0, price) if is_stop else (price, 0.0)
    terms = OrderTerms(contract, action, size, kind, limit_price=limit, stop_price=stop)
    order = world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())
    world.later(70)
    return order


class TestACloseBesideOthers:
    """The stop of an entry is refused, and what is bare is closed."""

    async def test_takes_none_of_what_was_held_before_though_positions_cannot_be_listed(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk
    ) -> None:
        somebody(world, Action.BUY, 3)
        stop = theirs(world, Action.SELL, 3, SimOrderType.STOP_MARKET, -60)

        def goes_wrong() -> None:
            refuses_the_stop(world)
            world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")

        at_the_second_order(wire, goes_wrong)
        await assistant.buys(1, stop_loss="10 points")
        assert (world.net(), stop.is_live) == (3, True), "closed by what its name told"
        world.sim.faults.disarm()
        await looks(world, desk, 60)
        world.sim.exchange.cancel(stop, world.clock())
        await looks(world, desk, 60)
        assert world.net() == 3

    async def test_waits_where_nothing_tells_what_is_held(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk
    ) -> None:
        somebody(world, Action.BUY, 3)
        stop = theirs(world, Action.SELL, 3, SimOrderType.STOP_MARKET, -60)

        def goes_wrong() -> None:
            refuses_the_stop(world)
            hides_what_is_held(world)

        at_the_second_order(wire, goes_wrong)
        told = await assistant.buys(1, stop_loss="10 points")
        assert told.text.startswith("UNPROTECTED: 1 of the 1 MES 09-26 filled stand without a stop"), told.text
        assert (world.net(), stop.is_live) == (4, True)
        world.sim.faults.disarm()
        await looks(world, desk, 30)
        assert (world.net(), stop.is_live) == (3, True)

    async def test_goes_without_a_reading_where_nothing_stood_beside_it(
        self, assistant: Assistant, world: World, wire: Wire
    ) -> None:
        def goes_wrong() -> None:
            refuses_the_stop(world)
            hides_what_is_held(world)

        at_the_second_order(wire, goes_wrong)
        await assistant.buys(2, stop_loss="10 points")
        assert world.net() == 0

    @pytest.mark.parametrize("quotes", [True, False], ids=["with quotes", "without"])
    async def test_lets_a_resting_order_of_somebody_elses_stand(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk, person: Person, quotes: bool
    ) -> None:
        order = theirs(world, Action.BUY, 1, SimOrderType.LIMIT, -100)

        def goes_wrong() -> None:
            refuses_the_stop(world)
            if not quotes:
                world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetQuote")

        at_the_second_order(wire, goes_wrong)
        told = await assistant.buys(2, stop_loss="10 points")
        assert told.text.startswith("CLOSED, since the stop could not be placed: 2 of the 2 MES 09-26"), told.text
        assert "was to be" not in told.text, "it was closed by the same yes"
        assert (told.position_after, world.net(), order.is_live) == (0, 0, True)
        assert "what is unprotected is CLOSED" in person.asked[-1]
        await looks(world, desk, 30)
        assert (world.net(), order.is_live) == (0, True)
