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
from tests.e2e.conftest import Assistant, Converse, Wire, World
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


async def _loses(assistant: Assistant, world: World, instrument: str) -> None:
    """Send an entry with a stop that never comes to the service, and whose answer is lost."""
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    price = world.price(-40, instrument)
    told = await assistant.buys(1, instrument, order_type="LIMIT", limit_price=price, stop_loss="10 ticks")
    assert told.status == "unknown", told.text
    world.later(120)


class TestEntriesThatNobodyFinds:
    async def test_leave_requests_for_everybody_else(
        self, assistant: Assistant, world: World, desk: Desk, crosstrade: CrossTrade
    ) -> None:
        for instrument in ("MES", "MNQ"):
            await _loses(assistant, world, instrument)
        await looks(world, desk, 60, every=1.0)
        assert (await crosstrade.allowance()).requests_left >= 8
        sent = len(world.sim.requests)
        await looks(world, desk, 300, every=1.0)
        assert len(world.sim.requests) - sent <= 5 * (4 + 2 * 2) + 8, (
            "a list every 15 s, and two look-ups a minute each"
        )

    async def test_keep_no_trailing_stop_from_following(
        self, assistant: Assistant, world: World, desk: Desk, wire: Wire
    ) -> None:
        assert (await assistant.buys(2)).status == "filled"
        world.later()
        stop = await assistant.protects(world.price(-60), quantity=2)
        trail = {"kind": "trailing_stop", "account": "Sim101", "order_id": stop, "distance": "5 points"}
        assert (await assistant.call("set_watch", **trail)).status == "set"
        for instrument in ("MNQ", "CL"):
            await _loses(assistant, world, instrument)
        sent = len(wire.posts())
        await looks(world, desk, 600, every=1.0)
        assert sum(path.endswith("/change") for path, _ in wire.posts()[sent:]) >= 3

    @pytest.mark.parametrize(("later", "within"), [(20, 5), (120, 61)])
    async def test_get_their_stop_once_they_are_found(
        self, assistant: Assistant, world: World, desk: Desk, later: int, within: int
    ) -> None:
        """It came all the same, and the service shows it after a while."""
        world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)
        world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
        world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrderLifecycle")
        world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
        told = await assistant.buys(2, **EXITS)
        assert (told.status, world.net()) == ("unknown", 2), told.text
        await looks(world, desk, later, every=1.0)
        assert exits(world) == []
        world.sim.faults.disarm()
        await looks(world, desk, within, every=1.0)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


async def test_a_trailing_stop_that_cannot_be_looked_at_says_so_once(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, crosstrade: CrossTrade
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later()
    stop = await assistant.protects(world.price(-60), quantity=2)
    trail = {"kind": "trailing_stop", "account": "Sim101", "order_id": stop, "distance": "5 points"}
    assert (await assistant.call("set_watch", **trail)).status == "set"
    for _ in range(130):
        while (await crosstrade.allowance()).requests_left:
            await crosstrade.accounts()
        await looks(world, desk, 1, every=1.0)
    (told,) = await store.notices(0, 9)
    assert told.words.endswith("for 60 s the stop was not looked at: too few requests are left, and exits go first")


async def test_an_account_that_is_gone_costs_no_request_a_second(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.buys(1, **EXITS)
    world.later(60)
    world.sim.exchange.accounts.pop("Sim101")
    before = len(world.sim.requests)
    await looks(world, desk, 60, every=1.0)
    assert len(world.sim.requests) - before <= 8
