"""What goes on without the assistant: stops that trail, entries that are cancelled, being flat by a time, alerts."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp_types import ElicitResult

from ct_mcp.config.values import flat_by
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import Allowance
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.exit_watch import LEASE
from ct_mcp.domain.order import Execution, Order
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.policy import Limits, Mode, Policy, Watching
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, Wire, World


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


def stop_price(world: World) -> float:
    """Where the one stop stands."""
    (stop,) = (
        order for order in world.sim.exchange.live_orders("Sim101") if str(order.terms.order_type) == "StopMarket"
    )
    return stop.terms.stop_price


async def told_by(store: SqliteStore) -> str:
    """All that watches have told."""
    return " | ".join(notice.words for notice in await store.notices(0, 100))


async def trailed(assistant: Assistant, world: World) -> tuple[str, float]:
    """Hold 2 MES with a stop 40 ticks away that trails at 20 ticks; its id, and where it stands."""
    assert (await assistant.buys(2)).status == "filled"
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    told = await assistant.call("set_watch", kind="trailing_stop", account="Sim101", order_id=stop, distance="5 points")
    assert told.status == "set", told.text
    return stop, stop_price(world)


def submits(world: World, action: Action, quantity: int) -> None:
    """Send an order at the market by the person's own hand."""
    terms = OrderTerms(world.sim.market.front("MES", world.clock()), action, quantity, SimOrderType.MARKET)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())


def fills(world: World, contracts: int) -> Callable[[], None]:
    """Fill so many contracts, one by one, of the order that rests."""
    exchange = world.sim.exchange
    (order,) = exchange.live_orders("Sim101")
    exchange._pace = replace(exchange._pace, contracts_per_fill=1)

    def fill() -> None:
        for _ in range(contracts):
            exchange._fill(order, round(order.terms.limit_price * 4), world.clock())

    return fill


async def looks(desk: Desk, world: World, times: int = 3, seconds: float = 6.0) -> None:
    """Let time pass, and look each time."""
    for _ in range(times):
        world.later(seconds)
        await desk.exit_watch.look()


async def test_a_stop_is_trailed_by_changing_it_and_only_nearer(
    assistant: Assistant, world: World, desk: Desk, wire: Wire, person: Person
) -> None:
    _, before = await trailed(assistant, world)
    assert "TRAIL stop" in person.asked[-1]
    assert "only while ct-mcp runs" in person.asked[-1]
    stops, sent = [before], len(wire.posts())
    for _ in range(30):
        world.later(7)
        await desk.exit_watch.look()
        if not world.net():
            break
        stops.append(stop_price(world))
    assert stops == sorted(stops), "it only ever moves nearer"
    assert stops[-1] > before
    paths = {path.rpartition("/")[2] for path, _ in wire.posts()[sent:]}
    assert paths == {"change"}, "it is changed, and never cancelled first"


async def test_it_stands_at_its_distance_from_the_price(assistant: Assistant, world: World, desk: Desk) -> None:
    await trailed(assistant, world)
    await desk.exit_watch.look()
    assert world.price(-20) - stop_price(world) == pytest.approx(0, abs=0.5)


async def test_it_moves_at_most_once_a_second(assistant: Assistant, world: World, desk: Desk, wire: Wire) -> None:
    await trailed(assistant, world)
    sent = len(wire.posts())
    for _ in range(20):
        await desk.exit_watch.look()
    assert len(wire.posts()) - sent <= 2


async def test_what_it_sends_counts_as_no_order_of_the_day(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await trailed(assistant, world)
    await desk.exit_watch.look()
    intents = [entry for entry in await store.entries(50) if entry.kind is EntryKind.INTENT]
    assert [entry.opens for entry in intents if "CHANGE" in entry.summary] == [False]


@pytest.mark.parametrize("is_it", [False, True], ids=["another order", "the same under a new id"])
async def test_a_trailing_stop_follows_its_own_order_whatever_they_answer_with(
    assistant: Assistant, world: World, desk: Desk, wire: Wire, monkeypatch: pytest.MonkeyPatch, is_it: bool
) -> None:
    """A service that mixes up two requests answers with another's order; a broker may give one a new id."""
    stop, _ = await trailed(assistant, world)
    await desk.exit_watch.look()
    before, sent, read, listed = stop_price(world), len(wire.posts()), CrossTrade.order, CrossTrade.orders

    def renamed(order: Order) -> Order:
        return replace(order, order_id="another", quantity=2 if is_it else 1) if order.order_id == stop else order

    async def order(self: CrossTrade, account: str, _: str) -> Order:
        return renamed(await read(self, account, stop))

    async def orders(self: CrossTrade, account: str, *, active_only: bool) -> tuple[Order, ...]:
        return tuple(map(renamed, await listed(self, account, active_only=active_only)))

    monkeypatch.setattr(CrossTrade, "order", order)
    monkeypatch.setattr(CrossTrade, "orders", orders)
    for _ in range(10):
        world.later(7)
        await desk.exit_watch.look()
    assert {path.partition("/orders/")[2] for path, _ in wire.posts()[sent:]} == (
        {"another/change"} if is_it else set()
    )
    assert stop_price(world) == before, "in the simulator nothing is called so"


@pytest.mark.parametrize("wanted", [{"kind": "trailing_stop", "distance": "5 points"}])
async def test_it_is_refused_without_a_standing_stop(
    assistant: Assistant, world: World, wanted: dict[str, Any]
) -> None:
    resting = await assistant.rests(world.price(-40))
    told = await assistant.call("set_watch", account="Sim101", order_id=resting, **wanted)
    assert told.status == "denied", told.text
    assert "WATCH_NEEDS_STOP" in told.reasons_text
    told = await assistant.call("set_watch", account="Sim101", order_id="none", **wanted)
    assert "ORDER_UNKNOWN" in told.reasons_text


async def test_another_stop_that_went_as_this_one_moved_is_told(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire
) -> None:
    await trailed(assistant, world)
    submits(world, Action.BUY, 2)
    world.later(5)
    other = await assistant.protects(world.price(-60), quantity=2)
    world.later(5)
    exchange = world.sim.exchange
    (order,) = (each for each in exchange.orders if each.id == other)
    wire.meanwhile["/change"] = lambda: exchange.cancel(order, world.clock())
    await desk.exit_watch.look()
    told = await told_by(store)
    assert "the stop was moved: UNPROTECTED: 2 of the 4 contracts" in told, told


async def test_it_ends_with_its_stop(assistant: Assistant, world: World, desk: Desk, store: SqliteStore) -> None:
    stop, _ = await trailed(assistant, world)
    world.later()
    await assistant.call("cancel_order", account="Sim101", order_id=stop)
    await looks(desk, world)
    assert await store.watches() == ()
    assert "over: its stop is CANCELLED" in await told_by(store)


async def test_it_ends_where_the_position_is_gone_and_names_the_order_that_stands(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire
) -> None:
    await trailed(assistant, world)
    submits(world, Action.SELL, 2)
    world.later(3)
    sent = len(wire.posts())
    await looks(desk, world, times=5)
    assert await store.watches() == ()
    assert "the position is gone, and its order stands" in await told_by(store)
    assert len(wire.posts()) == sent, "nothing may move that would open by now"


async def test_a_no_of_the_person_sets_nothing(converse: Any, world: World, store: SqliteStore, person: Person) -> None:
    async with converse(person) as assistant:
        await assistant.buys(2)
        world.later()
        stop = await assistant.protects(world.price(-40), quantity=2)
        person.answer = lambda _: ElicitResult(action="decline")
        wanted = {"kind": "trailing_stop", "account": "Sim101", "order_id": stop, "distance": "5 points"}
        told = await assistant.call("set_watch", **wanted)
    assert told.status in ("declined", "needs_approval"), told.text
    assert await store.watches() == ()


async def test_a_lost_answer_to_a_move_is_not_sent_again(
    assistant: Assistant, world: World, desk: Desk, wire: Wire
) -> None:
    await trailed(assistant, world)
    sent = len(wire.posts())
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="Change", times=1)
    await desk.exit_watch.look()
    assert len(wire.posts()) == sent + 1


class Spent:
    """A request budget of which little is left."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def allowance(self) -> Allowance:
        """Tell what is left."""
        left: Allowance = await self._inner.allowance()
        return replace(left, requests_left=7)


async def test_it_leaves_the_requests_that_are_left_to_exits_and_orders(
    assistant: Assistant, world: World, desk: Desk, wire: Wire
) -> None:
    await trailed(assistant, world)
    sent, sender = len(wire.left), desk.exit_watch.watches.sender
    sender.upstream = Spent(sender.upstream)
    await looks(desk, world)
    assert len(wire.left) == sent


# An entry that has not filled


async def cancels_later(assistant: Assistant, world: World, **more: Any) -> Told:
    """Let a resting entry be cancelled in 20 minutes."""
    resting = await assistant.rests(world.price(-40))
    return await assistant.call(
        "set_watch", kind="cancel_after", account="Sim101", order_id=resting, **{"time": "20 minutes", **more}
    )


async def test_an_entry_that_has_not_filled_is_cancelled_at_its_time(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    told = await cancels_later(assistant, world)
    assert told.status == "set", told.text
    await looks(desk, world, times=2, seconds=60)
    assert len(world.live()) == 1
    world.later(18.5 * 60)
    await desk.exit_watch.look()
    assert world.live() == []
    assert "cancelled, since its time has come" in await told_by(store)
    assert await store.watches() == ()


async def test_one_that_fills_before_ends_the_watch(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    resting = await assistant.rests(world.price(-4))
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": resting, "time": "110 minutes"}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    for _ in range(200):
        world.later(30)
        if world.net():
            break
    await looks(desk, world)
    assert "over: its order is FILLED, 1 of 1 filled" in await told_by(store)


async def test_what_protects_cannot_be_cancelled_later(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": stop, "time": "20 minutes"}
    told = await assistant.call("set_watch", **wanted)
    assert "WATCH_WOULD_NOT_REDUCE" in told.reasons_text, told.text


async def test_what_has_come_to_protect_is_not_cancelled_at_the_send(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    resting = await assistant.protects(world.price(-40), quantity=2)
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": resting, "time": "20 minutes"}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    world.later()
    assert (await assistant.buys(2)).status == "filled"
    world.later(20 * 60)
    if world.live():
        await desk.exit_watch.look()
        assert len(world.live()) == 1
        assert "not cancelled, since it protects by now" in await told_by(store)


async def test_a_lost_cancel_is_not_sent_again_and_is_found_done(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await cancels_later(assistant, world)
    world.later(20 * 60 + 1)
    sent = world.writes()
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="Cancel", times=1)
    await desk.exit_watch.look()
    await looks(desk, world, times=3, seconds=15)
    assert world.writes() == sent + 1
    assert world.live() == []
    assert await store.watches() == ()


@pytest.mark.parametrize(
    ("contracts", "words"),
    [
        (3, "cancelled, since its time has come: BUY 4 MES 09-26 LIMIT {price} CANCELLED, 3 filled"),
        (4, "over before its cancel: BUY 4 MES 09-26 LIMIT {price} FILLED"),
    ],
)
async def test_what_filled_before_the_cancel_is_told_with_the_position_and_its_stop(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire, contracts: int, words: str
) -> None:
    price = world.price(-40)
    resting = await assistant.rests(price, quantity=4)
    await assistant.call("set_watch", kind="cancel_after", account="Sim101", order_id=resting, time="1 minute")
    wire.meanwhile["/cancel"] = fills(world, contracts)
    await looks(desk, world, times=8, seconds=10)
    told = await told_by(store)
    assert words.format(price=f"{price:g}") in told, told
    assert f"LONG {contracts} MES 09-26 at {price:g}; NO STOP" in told, told
    assert await store.watches() == ()


async def test_what_filled_before_a_lost_cancel_is_told_with_the_position_and_its_stop(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wire: Wire
) -> None:
    resting = await assistant.rests(world.price(-40), quantity=4)
    await assistant.call("set_watch", kind="cancel_after", account="Sim101", order_id=resting, time="1 minute")
    fill = fills(world, 3)

    def lost() -> None:
        fill()
        world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="Cancel", times=1)
        world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")

    wire.meanwhile["/cancel"] = lost
    await looks(desk, world, times=1, seconds=61)
    assert "not cancelled yet: unknown" in await told_by(store)
    world.sim.faults.disarm()
    await looks(desk, world, seconds=10)
    told = await told_by(store)
    assert "over: its order is CANCELLED, 3 of 4 filled; LONG 3 MES 09-26" in told, told
    assert "NO STOP" in told, told


# Flat by a time


async def test_what_sent_nothing_itself_does_not_say_that_what_it_sent_is_done(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.buys(2)
    await assistant.call("set_watch", kind="flat_by", account="Sim101", time="10 minutes")
    world.later(590)
    world.sim.faults.arm(Lag.CLOSE_STUCK, times=1)
    await assistant.call("flatten", account="Sim101")
    sent = world.writes()
    world.later(9)
    await looks(desk, world, times=6, seconds=4)
    world.sim.faults.disarm()
    await looks(desk, world, times=14)
    assert world.writes() == sent, "its own tries were denied"
    assert "its time has come, and nothing is open" in await told_by(store)


async def test_a_time_to_be_flat_by_warns_then_cancels_and_flattens(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.rests(world.price(-40))
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", time="15:10 America/Chicago")
    assert told.status == "set", told.text
    assert "FLATTEN everything at 2026-09-09 20:10 UTC" in person.asked[-1]
    minutes = (20 * 60 + 10) - (world.clock().hour * 60 + world.clock().minute)
    world.later((minutes - 9) * 60)
    await desk.exit_watch.look()
    held = world.net()
    assert "minutes this is cancelled and closed: LONG" in await told_by(store)
    assert world.net() == held
    world.later(10 * 60)
    await desk.exit_watch.look()
    assert (world.net(), world.live()) == (0, [])
    assert "its time has come, and it is flat" in await told_by(store)
    await looks(desk, world)
    assert await store.watches() == ()


class TestWhereTheSettingActs:
    """With ``flat_by_acts = true``."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Flat by ten past three in Chicago."""
        limits = Limits(flat_by=flat_by("15:10 America/Chicago"))
        return Policy(limits=limits, watches=Watching(flat_by_acts=True, warn_minutes=10))

    async def test_it_warns_and_flattens_every_account_that_may_trade(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2)
        at = world.clock()
        due = at.replace(hour=20, minute=10, second=0, microsecond=0)
        world.later((due - at).total_seconds() - 300)
        await desk.exit_watch.look()
        told = await told_by(store)
        assert "in 5 minutes this is cancelled and closed: LONG 2" in told, told
        world.later(301)
        await desk.exit_watch.look()
        assert world.net() == 0
        by = [entry.detail.get("by") for entry in await store.entries(100) if entry.kind is EntryKind.APPROVED]
        assert "under flat_by of the settings" in str(by[0])
        sent = world.writes()
        await looks(desk, world, times=3, seconds=40)
        assert world.writes() == sent, "once a day, and no more where it is flat"

    async def test_one_that_comes_late_acts_at_once(
        self, assistant: Assistant, world: World, another_desk: Desk, store: SqliteStore
    ) -> None:
        await assistant.buys(2)
        at = world.clock()
        world.later((at.replace(hour=20, minute=30) - at).total_seconds())
        await another_desk.exit_watch.look()
        assert world.net() == 0

    async def test_the_assistant_cannot_end_it(self, assistant: Assistant, world: World, desk: Desk) -> None:
        at = world.clock()
        world.later((at.replace(hour=20, minute=5) - at).total_seconds())
        await desk.exit_watch.look()
        told = await assistant.call("get_watches")
        watch_id = told.structure["watches"][0]["watch_id"]
        told = await assistant.call("end_watch", watch_id=watch_id)
        assert told.is_error
        assert "only the person ends a time to be flat by" in told.text


async def test_a_flatten_that_is_refused_is_told_and_tried_again(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.buys(2)
    await assistant.call("set_watch", kind="flat_by", account="Sim101", time="20 minutes")
    world.later(20 * 60 + 1)
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Flatten", times=1)
    await desk.exit_watch.look()
    assert world.net() == 2
    assert "not seen flat yet" in await told_by(store)
    await looks(desk, world, times=4, seconds=31)
    assert world.net() == 0


# Alerts


async def test_an_alert_is_read_back_asks_nobody_and_tells_once(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, person: Person
) -> None:
    level = world.price(-1)
    told = await assistant.call("set_watch", kind="price", instrument="MES", at_or_above=level)
    assert told.status == "set", told.text
    assert f"MES 09-26 >= {level:g}, now" in told.text
    assert person.asked == []
    await desk.exit_watch.look()
    told = await assistant.call("get_status")
    assert told.text.count("told by a watch:") == 1
    assert "it trades at" in told.text
    told = await assistant.call("get_status")
    assert "told by a watch:" not in told.text
    assert await store.watches() == ()
    assert world.writes() == 0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"kind": "pnl", "account": "Sim101", "at_or_below": 100000}, "the day's P&L <= 100,000.00"),
        ({"kind": "time", "time": "1 minutes"}, "it is 2026-09-09"),
        ({"kind": "fill", "account": "Sim101"}, "BUY 1 MES 09-26 at"),
    ],
)
async def test_every_kind_of_alert_tells(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, wanted: dict[str, Any], said: str
) -> None:
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    world.later()
    await assistant.buys(1)
    await looks(desk, world, times=3, seconds=30)
    assert said in await told_by(store)


@pytest.mark.parametrize("behind", [4, -4, None], ids=["behind", "ahead", "none"])
@pytest.mark.parametrize("is_another", [False, True], ids=["the same process", "another one"])
async def test_a_fill_is_new_whatever_clock_it_was_stamped_by(
    assistant: Assistant,
    world: World,
    desk: Desk,
    another_desk: Desk,
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    behind: int | None,
    is_another: bool,
) -> None:
    """What filled before it was set is stamped by the same clock, and is no news."""
    read = CrossTrade.executions

    async def stamped(self: CrossTrade, account: str, seconds: int) -> tuple[Execution, ...]:
        found = await read(self, account, seconds)
        off = None if behind is None else timedelta(seconds=behind)
        return tuple(replace(each, at=each.at - off if each.at and off else None) for each in found)

    monkeypatch.setattr(CrossTrade, "executions", stamped)
    submits(world, Action.BUY, 2)
    world.later(2)
    await assistant.call("set_watch", kind="fill", account="Sim101")
    looking = another_desk if is_another else desk
    await looks(looking, world, times=2)
    assert await told_by(store) == ""
    submits(world, Action.SELL, 1)
    await looks(looking, world)
    told = await told_by(store)
    assert "SELL 1 MES 09-26 at" in told
    assert "BUY" not in told


async def test_a_fill_alert_that_could_not_read_what_filled_before_says_so_and_goes_by_the_time(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    submits(world, Action.BUY, 2)
    world.later(2)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListExecutions")
    told = await assistant.call("set_watch", kind="fill", account="Sim101")
    assert "how it stands now could not be read" in told.text
    world.sim.faults.disarm()
    await looks(desk, world, times=2)
    assert await told_by(store) == ""
    submits(world, Action.SELL, 1)
    await looks(desk, world)
    assert "SELL 1 MES 09-26 at" in await told_by(store)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"kind": "price", "instrument": "MES"}, "exactly one of at_or_above and at_or_below"),
        ({"kind": "price", "at_or_above": 1}, "needs instrument"),
        ({"kind": "time", "time": "soon"}, "a time is said as"),
        ({"kind": "time", "time": "20 minutes", "hours": 121}, "120 hours at most"),
        ({"kind": "time", "time": "15:10 Nowhere/Land"}, "there is no time zone"),
        ({"kind": "flat_by", "account": "Sim101", "time": "20 minutes", "distance": "1 point"}, "takes no distance"),
        ({"kind": "trailing_stop", "account": "Sim101", "order_id": "7", "distance": "6400"}, "at a distance"),
    ],
)
async def test_what_cannot_be_read_sets_nothing(
    assistant: Assistant, store: SqliteStore, wanted: dict[str, Any], said: str
) -> None:
    told = await assistant.call("set_watch", **wanted)
    assert told.is_error
    assert said in told.text
    assert await store.watches() == ()


async def test_there_are_at_most_twenty(assistant: Assistant, store: SqliteStore) -> None:
    for _ in range(20):
        assert (await assistant.call("set_watch", kind="time", time="20 minutes")).status == "set"
    told = await assistant.call("set_watch", kind="time", time="20 minutes")
    assert told.is_error
    assert "watches=20, maximum=20" in told.text
    (first, *_) = await store.watches()
    assert "was ended by the assistant" in (await assistant.call("end_watch", watch_id=first.watch_id)).text
    assert (await assistant.call("set_watch", kind="time", time="20 minutes")).status == "set"


async def test_a_watch_ends_when_the_session_rolls(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.call("set_watch", kind="price", instrument="MES", at_or_above=world.price(4000))
    world.later(8 * 3600)
    await desk.exit_watch.look()
    assert await store.watches() == ()
    assert "over: its life has ended" in await told_by(store)


# Who runs them


async def test_two_that_look_at_once_send_once(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cancels_later(assistant, world)
    world.later(20 * 60 + 1)
    sent = world.writes()
    async with anyio.create_task_group() as both:
        both.start_soon(desk.exit_watch.look)
        both.start_soon(another_desk.exit_watch.look)
    assert world.writes() == sent + 1


async def test_whoever_believes_to_hold_a_lease_that_ran_out_sends_nothing(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    await cancels_later(assistant, world)
    await desk.exit_watch.look()
    world.later(20 * 60 + 1)
    (watch,) = await store.watches()
    await another_desk.exit_watch.watches.has_work()
    assert await store.take_lease("exits", another_desk.exit_watch.holder, clock(), LEASE)
    sent = world.writes()
    await desk.exit_watch.watches.timed.cancel_after(watch)
    assert world.writes() == sent, "it slept beyond its lease, and somebody else holds it"
    await another_desk.exit_watch.look()
    assert world.writes() == sent + 1


async def test_nobody_sends_under_a_lease_that_ran_out_and_nobody_took(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await cancels_later(assistant, world)
    await desk.exit_watch.look()
    (watch,) = await store.watches()
    world.later(20 * 60 + 1)
    sent = world.writes()
    await desk.exit_watch.watches.timed.cancel_after(watch)
    assert world.writes() == sent


async def test_a_clock_that_is_set_back_sends_nothing_before_its_time(
    assistant: Assistant,
    world: World,
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    pause: Callable[[float], Awaitable[None]],
) -> None:
    behind = timedelta(0)
    desk = Desk(crosstrade, store, policy, clock=lambda: world.clock() - behind, pause=pause)
    await cancels_later(assistant, world)
    await desk.exit_watch.look()
    behind = timedelta(hours=1)
    sent = world.writes()
    world.later(20 * 60 + 1)
    await desk.exit_watch.look()
    assert world.writes() == sent, "by its own clock the time has not come"
    world.later(3600)
    await desk.exit_watch.look()
    assert world.writes() == sent + 1


async def test_it_goes_on_in_another_process(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk
) -> None:
    _, before = await trailed(assistant, world)
    await another_desk.exit_watch.look()
    assert stop_price(world) > before


class Killed(BaseException):
    """The process ends at once: nothing that it would have done afterwards happens."""


async def dies(*_: object, **__: object) -> Any:
    """End here."""
    raise Killed


async def test_killed_before_the_intent_the_next_one_sends_it_once(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk
) -> None:
    await cancels_later(assistant, world)
    world.later(20 * 60 + 1)
    watches = desk.exit_watch.watches
    watches.sender.road = replace(watches.sender.road, send=dies)
    with pytest.raises(Killed):
        await desk.exit_watch.look()
    sent = world.writes()
    world.later(20)
    await another_desk.exit_watch.look()
    await looks(another_desk, world)
    assert (world.writes(), world.live()) == (sent + 1, [])


async def test_killed_after_the_intent_nothing_is_sent_again_and_that_is_told(
    assistant: Assistant,
    world: World,
    desk: Desk,
    another_desk: Desk,
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await cancels_later(assistant, world)
    world.later(20 * 60 + 1)
    with monkeypatch.context() as broken:
        broken.setattr(CrossTrade, "cancel_order", dies)
        with pytest.raises(Killed):
            await desk.exit_watch.look()
    sent = world.writes()
    await looks(another_desk, world, times=5, seconds=20)
    assert world.writes() == sent
    assert "the cancel was sent, and the order still stands" in await told_by(store)
    assert await store.watches() == ()


async def test_killed_while_it_is_set_there_is_none_and_that_is_found_out(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object, **__: object) -> Any:
        raise StoreFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteStore, "open_watch", breaks)
        told = await cancels_later(assistant, world)
    assert told.status != "set", told.text
    assert await store.watches() == ()
    assert [entry.kind for entry in await store.unsettled()] == [EntryKind.INTENT]
    world.later(61)
    await assistant.buys(1)
    settled = [entry for entry in await store.entries(100) if entry.kind is EntryKind.SETTLED]
    assert [entry.detail for entry in settled] == [{"watch": "none was set"}]


# Waiting


async def test_waiting_comes_back_at_a_change(assistant: Assistant, world: World) -> None:
    told = await assistant.call("wait_for", seconds=3)
    assert told.structure["happened"] == []
    assert "nothing happened" in told.text
    await assistant.rests(world.price(-3))
    for _ in range(60):
        told = await assistant.call("wait_for", seconds=25, account="Sim101")
        if told.structure["happened"]:
            break
    assert any(line.startswith(("gone:", "now:")) for line in told.structure["happened"]), told.text


async def test_waiting_comes_back_at_an_alert(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assistant.call("set_watch", kind="price", instrument="MES", at_or_above=world.price(-8))
    pause = desk.pause

    async def look() -> None:
        await desk.exit_watch.look()

    async def while_others_go_on(seconds: float) -> bool | None:
        """A second is longer than a look: on a clock moved by hand all of them would be over before it."""
        await anyio.wait_all_tasks_blocked()
        return await pause(seconds)

    monkeypatch.setattr(desk, "pause", while_others_go_on)
    async with anyio.create_task_group() as both:
        both.start_soon(look)
        told = await assistant.call("wait_for", seconds=25)
    assert told.text.count("it trades at") == 1
    assert told.structure["waited_seconds"] < 25


async def test_what_was_told_between_two_calls_is_not_waited_for(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.call("set_watch", kind="price", instrument="MES", at_or_above=world.price(-8))
    await desk.exit_watch.look()
    told = await assistant.call("wait_for", seconds=25)
    assert (told.structure["waited_seconds"], len(told.structure["happened"])) == (0, 1)
    assert told.text.count("it trades at") == 1
    again = await assistant.call("wait_for", seconds=2)
    assert again.structure["happened"] == []


class TestWhereNothingMayTrade:
    """In mode read_only."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Look only."""
        return Policy(mode=Mode.READ_ONLY)

    async def test_an_alert_tells_and_takes_no_lease_from_those_who_may_act(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, clock: ManualClock
    ) -> None:
        told = await assistant.call("set_alert", kind="price", instrument="MES", at_or_above=world.price(-8))
        assert told.status == "set", told.text
        assert await store.take_lease("exits", "somebody who may act", clock(), LEASE)
        await desk.exit_watch.look()
        assert "it trades at" in await told_by(store)

    async def test_what_acts_cannot_be_set(self, assistant: Assistant, store: SqliteStore) -> None:
        told = await assistant.call("set_alert", kind="flat_by", account="Sim101", time="20 minutes")
        assert told.is_error
        assert await store.watches() == ()


async def test_flat_is_not_said_where_an_order_that_was_seen_is_in_no_list_any_more(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.buys(2)
    world.later()
    resting = await assistant.rests(world.price(-70))
    await assistant.call("set_watch", kind="flat_by", account="Sim101", time="11 minutes")
    world.later(2 * 60)
    await desk.exit_watch.look()
    submits(world, Action.SELL, 2)
    world.later(9 * 60 + 1)
    assert (world.net(), world.live()) == (0, [resting])
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    await desk.exit_watch.look()
    assert "no order is left" not in await told_by(store)
    world.sim.faults.disarm()
    await looks(desk, world, times=4, seconds=31)
    assert world.live() == []


async def test_killed_after_the_intent_a_flatten_goes_again_once_it_was_found_out_that_nothing_came_of_it(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assistant.buys(2)
    await assistant.call("set_watch", kind="flat_by", account="Sim101", time="20 minutes")
    world.later(20 * 60 + 1)
    sent = world.writes()
    with monkeypatch.context() as broken:
        broken.setattr(CrossTrade, "flatten", dies)
        with pytest.raises(Killed):
            await desk.exit_watch.look()
    await looks(another_desk, world, times=3, seconds=16)
    assert world.writes() == sent, "it may be on its way"
    await looks(another_desk, world, times=6, seconds=16)
    assert world.net() == 0
    assert world.writes() == sent + 1


async def test_what_cannot_be_flattened_is_told_once_and_tried_until_it_can(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.buys(2)
    await assistant.call("set_watch", kind="flat_by", account="Sim101", time="20 minutes")
    world.later(20 * 60 + 1)
    world.sim.faults.arm(Fault.ADDON_OFFLINE, rpc="Flatten")
    await looks(desk, world, times=20, seconds=31)
    assert world.net() == 2
    told = await told_by(store)
    assert told.count("not seen flat yet") == 1
    assert "NOT FLAT" not in told, "none of it was sent"
    world.sim.faults.disarm()
    await looks(desk, world, times=3, seconds=31)
    assert world.net() == 0
