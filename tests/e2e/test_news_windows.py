"""Around a release: a warning, then what rests and opens is cancelled, and nothing that protects."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.alert_setting import end_by_request
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.firm_policy import Automation, FirmRules, NewsCalendar, NewsEvent, NewsRule
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import A_TRADING_MORNING
from tests.e2e.conftest import Assistant, World
from tests.e2e.test_entries_with_exits import somebody

AT = A_TRADING_MORNING + timedelta(hours=1)
TWO = timedelta(minutes=2)


@pytest.fixture
def roots() -> frozenset[str]:
    """What the release concerns; tests override it."""
    return frozenset({"ES"})


@pytest.fixture
def no_resting() -> bool:
    """Whether orders may rest in the window; tests override it."""
    return True


@pytest.fixture
def automation() -> Automation:
    """What may be sent; tests override it."""
    return Automation.PROPOSE


@pytest.fixture
def policy(clock: ManualClock, roots: frozenset[str], no_resting: bool, automation: Automation) -> Policy:
    """A release in an hour, two minutes before and after."""
    calendar = NewsCalendar(trading_day(clock()), (NewsEvent(AT, "FOMC", roots),))
    firm = FirmRules(news=NewsRule(TWO, TWO, calendar, no_resting=no_resting))
    limits = replace(Limits(), price_band_ticks=1_000, max_order_risk=Decimal(10_000), max_day_loss=Decimal(10_000))
    return Policy(limits=limits, accounts={"Sim101": AccountPolicy(firm=firm, automation=automation)})


@pytest.fixture
def another_desk(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """Another process, over the same state."""
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


async def told_by(store: SqliteStore) -> list[str]:
    """All that watches have told."""
    return [notice.words for notice in await store.notices(0, 100)]


async def looks(desk: Desk, world: World, minutes: float) -> None:
    """Look so many minutes before the release, or after it, a second later, and some seconds later again."""
    world.later((AT + timedelta(minutes=minutes) - world.clock()).total_seconds())
    for _ in range(3):
        await desk.exit_watch.look()
        world.later(6)


def by_hand(world: World, action: Action, ticks: int, kind: SimOrderType = SimOrderType.LIMIT, of: str = "MES") -> str:
    """Let somebody place an order in NinjaTrader itself, so many ticks from the last price."""
    account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front(of, world.clock())
    price = world.price(ticks, of)
    limit, stop = (price, 0.0) if kind is SimOrderType.LIMIT else (0.0, price)
    terms = OrderTerms(contract, action, 1, kind, limit_price=limit, stop_price=stop)
    order = world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())
    return order.id


async def test_it_warns_then_cancels_what_rests_and_opens_and_denies_what_is_new(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    resting = await assistant.rests(world.price(-400))
    await looks(desk, world, -20)
    assert await told_by(store) == []
    await looks(desk, world, -10)
    (warned,) = await told_by(store)
    assert "FOMC at 2026-09-09 15:30 UTC: nothing opens from 2026-09-09 15:27 UTC to 2026-09-09 15:32 UTC" in warned
    assert "these rest and would open, so they are cancelled then; exits stand: " in warned
    assert resting in warned
    assert world.live() == [resting]
    listed = await assistant.call("get_watches")
    assert {each["ends_by"] for each in listed.structure["watches"]} == {"the person"}
    await looks(desk, world, -2.5)
    assert world.live() == []
    assert any("cancelled, since its time has come" in line for line in await told_by(store))
    by = [str(entry.detail.get("by")) for entry in await store.entries(100) if entry.kind is EntryKind.APPROVED]
    assert "under news_no_resting of the settings" in by[0]
    told = await assistant.call("get_status")
    assert "cancelled, since its time has come" in told.text
    denied = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40))
    assert "NEWS_WINDOW: FOMC at 2026-09-09 15:30 UTC" in denied.reasons_text
    assert "resting orders=none, from 30 s earlier on" in denied.reasons_text
    await looks(desk, world, 5)
    assert await store.watches() == ()


async def test_stops_and_targets_stand_and_the_position_is_told_of(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    bought = await assistant.buys(2, stop_loss="100 points", take_profit="100 points")
    assert bought.status == "filled", bought.text
    by_hand(world, Action.SELL, 390)
    stood = sorted(world.live())
    assert len(stood) == 3
    await looks(desk, world, -9)
    (warned,) = await told_by(store)
    assert "held through it, unless you close it: LONG 2" in warned
    assert "cancelled" not in warned
    await looks(desk, world, -2)
    await looks(desk, world, 0)
    assert sorted(world.live()) == stood
    assert world.net() == 2


async def test_what_adds_to_a_position_goes_and_its_stop_stands(assistant: Assistant, desk: Desk, world: World) -> None:
    await assistant.buys(1)
    stop = await assistant.protects(world.price(-400))
    world.later()
    await assistant.rests(world.price(-300))
    await looks(desk, world, -9)
    await looks(desk, world, -2.4)
    assert world.live() == [stop]


async def test_what_is_placed_by_hand_in_the_window_goes_as_well(
    assistant: Assistant, desk: Desk, world: World
) -> None:
    await looks(desk, world, -1)
    by_hand(world, Action.BUY, -400)
    by_hand(world, Action.SELL, -400, SimOrderType.STOP_MARKET)
    await looks(desk, world, 0)
    await looks(desk, world, 1)
    assert world.live() == []


async def test_what_it_does_not_concern_is_left_alone(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    by_hand(world, Action.BUY, -400, of="MNQ")
    await looks(desk, world, -9)
    await looks(desk, world, -1)
    assert len(world.live()) == 1
    assert await told_by(store) == []


async def test_the_assistant_cannot_end_it_and_the_person_can(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await assistant.rests(world.price(-400))
    await looks(desk, world, -9)
    for watch in await store.watches():
        told = await assistant.call("end_watch", watch_id=watch.watch_id[:64])
        assert told.is_error, told.text
    assert len(await store.watches()) == 2
    for watch in await store.watches():
        await end_by_request(store, watch.watch_id, "the person", world.clock(), is_person=True)
    await looks(desk, world, -1)
    assert len(world.live()) == 1, "what the person has ended is not made again"


async def test_another_process_goes_on_and_nothing_is_sent_twice(
    assistant: Assistant, desk: Desk, another_desk: Desk, world: World
) -> None:
    await assistant.rests(world.price(-400))
    await looks(desk, world, -9)
    sent = world.writes()
    await looks(another_desk, world, -2.4)
    await looks(desk, world, -2)
    assert world.live() == []
    assert world.writes() == sent + 1


async def test_lists_that_come_back_empty_cancel_no_stop_and_that_is_told(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await assistant.buys(1)
    stop = await assistant.protects(world.price(-400))
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    await looks(desk, world, -9)
    await looks(desk, world, -2)
    await looks(desk, world, -1)
    assert world.live() == [stop]
    told = " | ".join(await told_by(store))
    assert told.count("NOT cancelled, since what is held cannot be told: ") == 1


async def test_where_orders_cannot_be_read_that_is_told(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await assistant.rests(world.price(-400))
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListOrders")
    await looks(desk, world, -9)
    await looks(desk, world, -8)
    (said,) = await told_by(store)
    assert "what rests could NOT BE READ: look, and cancel by hand" in said


@pytest.mark.parametrize(("ticks", "kind"), [(-400, SimOrderType.LIMIT), (400, SimOrderType.STOP_MARKET)])
async def test_what_was_to_open_when_it_was_warned_of_and_is_an_exit_by_then_stands(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore, ticks: int, kind: SimOrderType
) -> None:
    """The target of a short, or its stop."""
    resting = by_hand(world, Action.BUY, ticks, kind)
    await looks(desk, world, -9)
    somebody(world, Action.SELL, 1)
    for minutes in (-2.4, 0, 1):
        await looks(desk, world, minutes)
    assert world.live() == [resting], await told_by(store)
    assert world.writes() == 0
    told = [line for line in await told_by(store) if "not cancelled, since it closes or protects by now: BUY 1" in line]
    assert len(told) == 1
    await looks(desk, world, 3)
    assert any("and the order stands, since it closes or protects: BUY 1" in line for line in await told_by(store))
    assert await store.watches() == ()


async def test_an_exit_that_opens_again_in_the_window_goes(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    resting = by_hand(world, Action.BUY, 400, SimOrderType.STOP_MARKET)
    late = by_hand(world, Action.BUY, 420, SimOrderType.STOP_MARKET)
    await looks(desk, world, -9)
    somebody(world, Action.SELL, 2)
    await looks(desk, world, -2.45)
    assert sorted(world.live()) == sorted([resting, late])
    somebody(world, Action.BUY, 2)
    await looks(desk, world, -1.9)
    assert world.live() == [], await told_by(store)


async def test_what_opens_again_after_the_window_stands(assistant: Assistant, desk: Desk, world: World) -> None:
    resting = by_hand(world, Action.BUY, 400, SimOrderType.STOP_MARKET)
    await looks(desk, world, -9)
    somebody(world, Action.SELL, 1)
    await looks(desk, world, -2.45)
    world.later((AT + TWO - world.clock()).total_seconds() + 1)
    somebody(world, Action.BUY, 1)
    await looks(desk, world, 2.5)
    assert world.live() == [resting]


async def test_the_room_says_what_happens(assistant: Assistant) -> None:
    told = await assistant.call("get_account", account="Sim101")
    assert "what rests and opens is cancelled, if a ct-mcp runs" in told.text


class TestWhereOrdersMayRest:
    """The rule says nothing of resting orders."""

    @pytest.fixture
    def no_resting(self) -> bool:
        """They may."""
        return False

    async def test_they_are_told_and_stand(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        resting = await assistant.rests(world.price(-400))
        await looks(desk, world, -9)
        assert "these rest, and may fill in it: " in (await told_by(store))[0]
        await looks(desk, world, -1)
        assert world.live() == [resting]


class TestWhereNothingIsEverSent:
    """The account is only advised on."""

    @pytest.fixture
    def automation(self) -> Automation:
        """Advise."""
        return Automation.ADVISE

    async def test_the_person_is_told_to_cancel_by_hand(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        resting = by_hand(world, Action.BUY, -400)
        await looks(desk, world, -9)
        (said,) = await told_by(store)
        assert "cancel them by hand, since nothing is ever sent to this account: " in said
        await looks(desk, world, -1)
        assert world.live() == [resting]
        assert world.writes() == 0
        told: dict[str, Any] = (await assistant.call("get_account", account="Sim101")).structure
        assert any("what rests and opens is yours to cancel" in line for line in told["rules_of_funded_account"])


class TestWhereItConcernsAll:
    """A release without roots."""

    @pytest.fixture
    def roots(self) -> frozenset[str]:
        """None."""
        return frozenset()

    async def test_every_opening_order_goes(self, assistant: Assistant, desk: Desk, world: World) -> None:
        by_hand(world, Action.BUY, -400, of="MNQ")
        await assistant.rests(world.price(-400))
        await looks(desk, world, -9)
        await looks(desk, world, -2.4)
        assert world.live() == []
