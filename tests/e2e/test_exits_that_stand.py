"""What is done about exits that stand, long after their entry has filled: until they are over, or their position is."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import IfUnprotected, Policy, Protection
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderState, SimOrderType
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


def somebody_stops(world: World, quantity: int) -> None:
    """A stop that is none of ours."""
    contract = world.sim.market.front("MES", world.clock())
    price = contract.product.price(round(world.price(-60) / contract.product.tick_size))
    terms = OrderTerms(contract, Action.SELL, quantity, SimOrderType.STOP_MARKET, stop_price=price)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())


async def told(store: SqliteStore) -> list[str]:
    """What was told without being asked."""
    return [notice.words for notice in await store.notices(0, 50)]


def _rejects_a_stop(world: World) -> None:
    orders = world.sim.exchange.live_orders("Sim101")
    stop = next(each for each in orders if each.terms.order_type is SimOrderType.STOP_MARKET)
    world.sim.exchange._set_state(stop, SimOrderState.REJECTED, world.clock())


class TestAStopThatGoesBeforeItsTime:
    async def test_the_broker_drops_it_and_what_is_bare_is_closed_and_told(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points")
        _rejects_a_stop(world)
        await looks(world, desk, 4, every=15.0)
        assert world.net() == 0
        cried, closed = await told(store)
        bare = "2 of the 2 MES 09-26 held stand without a stop: its stop reads REJECTED by now"
        assert cried == f"Sim101  UNPROTECTED: {bare}"
        assert closed.startswith(f"Sim101  CLOSED: {bare}; closing it at the market: flat")
        await looks(world, desk, 2, every=15.0)
        assert await store.duties() == ()

    async def test_no_order_of_anybody_else_goes_with_it(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        entry = await assistant.rests(world.price(-75))
        await assistant.buys(2, stop_loss="10 points", take_profit="50 points")
        _rejects_a_stop(world)
        await looks(world, desk, 4, every=15.0)
        assert (world.net(), world.live()) == (0, [entry])
        _, closed = await told(store)
        assert "CLOSED: 2 of the 2 MES 09-26 held stand without a stop" in closed
        await looks(world, desk, 2, every=15.0)
        assert await store.duties() == ()

    async def test_one_reading_is_not_enough(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points")
        _rejects_a_stop(world)
        await looks(world, desk, 1, every=15.0)
        assert (world.net(), await told(store)) == (2, [])

    async def test_a_target_that_fills_in_part_takes_it_along_and_the_rest_is_closed(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(4, stop_loss="10 points", take_profit="2 points")
        world.sim.exchange._pace = replace(world.sim.exchange._pace, contracts_per_fill=1, fill_seconds=3600.0)
        while world.net() == 4:
            world.later(1)
        assert (world.net(), len(exits(world))) == (3, 1), "the stop is gone"
        await looks(world, desk, 5, every=15.0)
        assert exits(world) == [("Market", 3)], await told(store)
        assert "its target has filled in part, and the stop is CANCELLED with that" in (await told(store))[0]

    async def test_beside_others_only_its_own_contracts_are_closed(
        self, assistant: Assistant, world: World, desk: Desk, another_desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, **EXITS)
        somebody(world, Action.BUY, 3)
        _rejects_a_stop(world)
        await looks(world, desk, 5, every=15.0)
        assert (world.net(), exits(world)) == (3, [])
        await looks(world, another_desk, 5, every=15.0)
        assert (world.net(), await store.duties()) == (3, ())

    async def test_of_two_pairs_the_other_one_stands_on(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(3, stop_loss="10 points", take_profit="1 at 10 points, 2 at 20 points")
        _rejects_a_stop(world)
        await looks(world, desk, 8, every=15.0)
        assert (world.net(), sorted(exits(world))) == (2, [("Limit", 2), ("StopMarket", 2)])
        assert len(await told(store)) == 2

    async def test_that_somebody_cancelled_is_told_once_and_nothing_is_closed(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points")
        (stop,) = world.live()
        world.later()
        gone = await assistant.call("cancel_order", account="Sim101", order_id=stop)
        assert gone.status == "cancelled", gone.text
        await looks(world, desk, 8, every=15.0)
        assert world.net() == 2
        (words,) = await told(store)
        assert "its stop was cancelled, and no other stands in its place" in words
        assert await store.duties() == ()

    async def test_in_whose_place_another_stands_is_no_news(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, **EXITS)
        world.later()
        asked = {"account": "Sim101", "instrument": "MES", "stop_loss": world.price(-20)}
        placed = await assistant.call("protect_position", **asked)
        assert not placed.is_error, placed.text
        await looks(world, desk, 8, every=15.0)
        assert (world.net(), await told(store)) == (2, [])

    async def test_in_whose_place_another_stood_closes_nothing_once_that_goes_too(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points", take_profit="1 at 10 points, 1 at 20 points")
        _rejects_a_stop(world)
        somebody_stops(world, 1)
        await looks(world, desk, 2, every=15.0)
        theirs = next(each for each in world.sim.exchange.live_orders("Sim101") if each.labels.oco_id is None)
        world.sim.exchange._set_state(theirs, SimOrderState.CANCELLED, world.clock())
        await looks(world, desk, 6, every=15.0)
        assert (world.net(), len(await told(store))) == (2, 1)


class TestWhereThePersonIsToldAlone:
    @pytest.fixture
    def policy(self, policy: Policy) -> Policy:
        return replace(policy, protection=Protection(if_unprotected=IfUnprotected.TELL))

    async def test_a_stop_that_the_broker_drops_is_told_once_over_all_processes(
        self, assistant: Assistant, world: World, desk: Desk, another_desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, **EXITS)
        _rejects_a_stop(world)
        await looks(world, desk, 4, every=15.0)
        world.later(20)
        await looks(world, another_desk, 4, every=15.0)
        assert world.net() == 2
        assert len(await told(store)) == 1


class TestExitsThatAreLargerThanWhatIsLeft:
    """The person takes a part by hand."""

    async def test_are_made_smaller_and_turn_nothing_round(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, **EXITS)
        somebody(world, Action.SELL, 1)
        assert (world.net(), exits(world)) == (1, [("StopMarket", 2), ("Limit", 2)])
        await looks(world, desk, 2, every=15.0)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)], "what has filled may not be listed yet"
        world.later(30)
        await looks(world, desk, 2, every=15.0)
        assert (world.net(), exits(world)) == (1, [("StopMarket", 1), ("Limit", 1)]), await told(store)
        (words,) = await told(store)
        assert words.startswith("Sim101  its exits were TOO LARGE for the 1 held now: SELL 2 MES 09-26 STOP MARKET")
        await looks(world, desk, 4, every=15.0)
        assert len(await told(store)) == 1

    async def test_of_two_entries_the_further_ones_go(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points")
        world.later(70)
        await assistant.buys(1, stop_loss="8 points")
        assert world.net() == 3, exits(world)
        world.later(60)
        somebody(world, Action.SELL, 2)
        await looks(world, desk, 4, every=15.0)
        assert sum(size for _, size in exits(world)) == 1, await told(store)

    async def test_stand_as_they_are_beside_a_stop_that_somebody_has_placed(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="10 points")
        world.later(60)
        somebody_stops(world, 2)
        await looks(world, desk, 4, every=15.0)
        assert (exits(world), await told(store)) == ([("StopMarket", 2), ("StopMarket", 2)], [])

    async def test_that_fill_before_anybody_looks_are_told_with_what_is_held_now(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="3 points")
        await looks(world, desk, 1, every=15.0)
        somebody(world, Action.SELL, 1)
        while world.net() == 1:
            world.later(1)
        assert world.net() == -1
        await looks(world, desk, 2, every=15.0)
        (words,) = await told(store)
        assert words.endswith("its exits have filled 2, and -1 MES 09-26 is held now, 1 of it without a stop")

    async def test_that_fill_before_the_person_turns_round_are_no_news(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2, stop_loss="3 points")
        await looks(world, desk, 1, every=15.0)
        while world.net() == 2:
            world.later(1)
        somebody(world, Action.SELL, 1)
        assert world.net() == -1
        await looks(world, desk, 2, every=15.0)
        assert (await told(store), await store.duties()) == ([], ())


async def test_an_entry_that_fills_while_its_account_cannot_be_read_gets_its_stop_soon_after(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-2), stop_loss="30 points")
    await looks(world, desk, 2, every=1.0)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListOrders")
    while not world.net():
        await looks(world, desk, 30, every=1.0)
    world.sim.faults.disarm()
    await looks(world, desk, 6, every=1.0)
    assert exits(world) == [("StopMarket", 2)]
