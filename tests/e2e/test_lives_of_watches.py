"""What acts at a time lives until it has acted, acts in its life only, and says at its end what it has not done."""

from datetime import timedelta
from typing import Any

import pytest

from ct_mcp.config.values import flat_by
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account
from ct_mcp.guard.policy import Limits, Policy, Watching
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.hours import CENTRAL
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType, SimTimeInForce
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Wire, World
from tests.e2e.test_entries_with_exits import somebody
from tests.e2e.test_news_windows import by_hand
from tests.e2e.test_watches import looks, told_by, trailed


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


async def test_a_time_to_be_flat_by_that_was_slept_over_closes_nothing_of_the_next_day_and_says_so(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    """The laptop sleeps over it; in the morning the person has bought by hand, and opens it."""
    await assistant.buys(2)
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", time="15:10 America/Chicago")
    assert told.status == "set", told.text
    somebody(world, Action.SELL, 2)
    until(world, 9, 0, days=1)
    somebody(world, Action.BUY, 2)
    sent = world.writes()
    await looks(desk, world, times=2)
    assert (world.net(), world.writes()) == (2, sent)
    said = await told_by(store)
    assert "NOT FLAT: its life ended at 2026-09-09 22:00 UTC, and nothing more is closed; open now: LONG 2" in said
    assert await store.watches() == ()


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_cancel_that_was_slept_over_sends_nothing_and_says_what_stands(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, is_read: bool
) -> None:
    front, kind = world.sim.market.front("MES", world.clock()), SimOrderType.LIMIT
    terms = OrderTerms(front, Action.BUY, 1, kind, SimTimeInForce.GTC, limit_price=world.price(-400))
    account = world.sim.exchange.accounts["Sim101"]
    resting = world.sim.exchange.submit(account, terms, OrderLabels(), world.clock()).id
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": resting, "time": "20 minutes"}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    until(world, 9, 0, days=1)
    sent = world.writes()
    if not is_read:
        world.sim.faults.arm(Fault.ADDON_OFFLINE)
    await looks(desk, world)
    assert world.writes() == sent
    said = await told_by(store)
    assert ("NOT CANCELLED: its life ended at" in said) is is_read, said
    assert (f"order {resting} of MES 09-26 could NOT BE READ" in said) is not is_read, said
    assert await store.watches() == ()


async def test_a_stop_is_not_moved_once_more_after_the_life_of_its_watch(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire
) -> None:
    await trailed(assistant, world)
    until(world, 17, 1)
    sent = len(wire.posts())
    await looks(desk, world)
    assert len(wire.posts()) == sent
    assert "over: its life has ended, and its stop is moved no more" in await told_by(store)


class TestOfTheSettings:
    """With ``flat_by_acts = true``."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Flat by ten past three in Chicago."""
        limits = Limits(flat_by=flat_by("15:10 America/Chicago"))
        return Policy(limits=limits, watches=Watching(flat_by_acts=True, warn_minutes=10))

    async def test_one_that_slept_over_its_day_says_what_is_held(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2)
        await desk.exit_watch.look()
        until(world, 17, 1)
        await desk.exit_watch.look()
        said = await told_by(store)
        assert "NOT FLAT: its life ended at 2026-09-09 22:00 UTC" in said
        assert "open now: LONG 2" in said
        assert await store.watches() == ()

    @pytest.mark.parametrize("is_seen_before", [True, False])
    async def test_one_that_could_not_act_until_the_roll_says_so_and_what_was_seen_last(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, is_seen_before: bool
    ) -> None:
        await assistant.buys(2)
        if is_seen_before:
            until(world, 15, 5)
            await desk.exit_watch.look()
        until(world, 15, 9)
        world.sim.faults.arm(Fault.ADDON_OFFLINE)
        await looks(desk, world, times=57, seconds=120)
        said = await told_by(store)
        assert (
            said.count("NOT SEEN FLAT: its life ended at 2026-09-09 22:00 UTC, and what is open could NOT BE READ") == 1
        )
        assert ("seen last at 2026-09-09 20:05 UTC: LONG 2" in said) is is_seen_before, said
        assert await store.watches() == ()

    @pytest.mark.parametrize("comes_empty", [True, False])
    async def test_what_is_known_is_flat_by_its_time_although_the_accounts_cannot_be_listed(
        self,
        assistant: Assistant,
        world: World,
        desk: Desk,
        store: SqliteStore,
        monkeypatch: pytest.MonkeyPatch,
        comes_empty: bool,
    ) -> None:
        await assistant.buys(2)

        async def none(_: CrossTrade) -> tuple[Account, ...]:
            return ()

        if comes_empty:
            monkeypatch.setattr(CrossTrade, "accounts", none)
        else:
            world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListAccounts")
        until(world, 14, 0)
        await looks(desk, world)
        assert await told_by(store) == ""
        until(world, 15, 9)
        await looks(desk, world, times=6, seconds=15)
        said = await told_by(store)
        assert world.net() == 0, said
        words = "the accounts could NOT BE READ: the settings act in those that are known (Sim101), in no other: look"
        assert said.count(words) == 1, said

    async def test_where_no_account_is_known_and_none_can_be_listed_that_is_told(
        self, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        world.sim.faults.arm(Fault.ADDON_OFFLINE)
        until(world, 15, 9)
        await looks(desk, world, times=6, seconds=15)
        assert "the settings act in those that are known (none), in no other: look" in await told_by(store)
        assert await store.watches() == ()

    @pytest.mark.parametrize("arrives", [True, False])
    async def test_flat_is_not_said_while_an_order_may_still_arrive_and_it_is_closed_if_it_does(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire, arrives: bool
    ) -> None:
        until(world, 15, 9)
        world.later(40)
        world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
        assert (await assistant.buys(2)).status == "unknown"
        ((_, lost),) = [post for post in wire.posts() if post[0].endswith("/orders/place")]
        until(world, 15, 10)
        await looks(desk, world, times=2, seconds=1)
        said = await told_by(store)
        assert said.count("NOT FLAT FOR CERTAIN: it reads flat, and this may still fill: ") == 1, said
        assert "no order is left" not in said
        if arrives:
            account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
            terms = OrderTerms(contract, Action.BUY, 2, SimOrderType.MARKET)
            world.sim.exchange.submit(account, terms, OrderLabels("PlaceOrder", own_id=lost["orderId"]), world.clock())
            world.later(3)
            assert world.net() == 2
        await looks(desk, world, times=30)
        said = await told_by(store)
        assert world.net() == 0, said
        assert ("what it sent is seen done: nothing is held, and no order is left" in said) is arrives, said
        assert ("nothing is open: nothing is held, and no order is left" in said) is not arrives, said
        assert await store.watches() == ()
