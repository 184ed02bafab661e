"""Whose order it is: what an answer names or holds is ours only if it is what was sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import orders_over_before
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.recognition import Asked, Ours, Renamed, is_over_by_now
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, Command, ReplaceOrder, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests import factories
from tests.factories import NOW
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices, Way

SENT = factories.place_order("BUY", 2)


@pytest.mark.parametrize(
    ("changes", "is_it"),
    [
        ({}, True),
        ({"quantity": 1}, False),
        ({"action": OrderAction.SELL}, False),
        ({"order_type": OrderType.LIMIT}, False),
        ({"order_type": OrderType.OTHER}, True),
        ({"instrument": factories.MES}, False),
        ({"own_id": "mine"}, True),
        ({"own_id": "another"}, False),
        ({"order_id": "known"}, False),
        ({"order_id": "known", "own_id": "mine"}, True),
        ({"state": OrderState.FILLED, "placed_at": NOW - timedelta(minutes=5)}, False),
        ({"state": OrderState.FILLED, "placed_at": NOW - timedelta(seconds=5)}, True),
        ({"state": OrderState.FILLED, "placed_at": NOW - timedelta(minutes=5), "own_id": "mine"}, True),
    ],
    ids=str,
)
def test_an_order_is_ours_only_if_it_is_what_was_sent(changes: dict[str, Any], is_it: bool) -> None:
    ours = Ours.as_placed(SENT, "mine", NOW, {"known"})
    read = replace(factories.order("b2", quantity=2, order_type=OrderType.MARKET), **changes)
    assert ours(read) is is_it
    assert bool(ours.mistaken) is not is_it


@pytest.mark.parametrize(
    ("changes", "is_it"),
    [
        ({"order_id": "a1", "quantity": 4}, True),
        ({"order_id": "named", "quantity": 4}, True),
        ({"order_id": "other", "quantity": 2}, True),
        ({"order_id": "other", "quantity": 3}, True),
        ({"order_id": "other", "quantity": 4}, False),
        ({"order_id": "other", "quantity": 2, "order_type": OrderType.STOP_MARKET}, False),
        ({"order_id": "other", "state": OrderState.FILLED, "placed_at": NOW - timedelta(seconds=1)}, False),
        ({"order_id": "other", "state": OrderState.FILLED, "placed_at": None}, False),
        ({"order_id": "other", "state": OrderState.FILLED, "placed_at": NOW}, True),
        ({"order_id": "a1", "action": OrderAction.SELL}, False),
        ({"order_id": "a1", "instrument": factories.MES}, False),
    ],
    ids=str,
)
def test_an_order_under_another_id_is_the_one_that_was_asked_about_only_if_all_of_it_agrees(
    changes: dict[str, Any], is_it: bool
) -> None:
    known = factories.order("a1", quantity=2, placed_at=NOW)
    assert Asked("a1", known, ("named",), 3)(replace(known, **changes)) is is_it


@pytest.mark.parametrize("also", ["cancel", "cancel all", "change"])
async def test_an_order_that_is_cancelled_or_changed_later_is_still_the_one_that_was_sent(
    does: Does, desk: Desk, buy: Buys, price: Prices, sim: Simulator, store: SqliteStore, clock: ManualClock, also: str
) -> None:
    """Their answer to a cancel names what it cancels; the intent of that order must not wait for another one."""
    sim.faults.arm(Fault.FROZEN_ORDERS)
    sent = await does(buy(1, kind="LIMIT", limit_price=price(-40)))
    assert sent.status is Status.ACCEPTED
    sim.faults.disarm()
    sim.advance(5)
    order_id = str(sent.order_id)
    commands: dict[str, Command] = {
        "cancel": CancelOrder("Sim101", order_id),
        "cancel all": CancelOrders("Sim101", None),
        "change": ChangeOrder("Sim101", order_id, limit_price=price(-60)),
    }
    assert order_id in {told.detail.get("order_id") for told in await store.entries(50)}
    await does(commands[also])
    await settle_outstanding(desk.upstream, desk.pause, store, clock, "Sim101")
    assert await store.unsettled() == ()


def test_where_it_is_not_known_how_an_order_stood_its_id_alone_tells() -> None:
    read = factories.order("b2", own_id="mine")
    assert [Asked(asked, None)(read) for asked in ("b2", "mine", "a1")] == [True, True, False]


async def test_an_acknowledgement_that_names_an_older_order_is_not_believed(
    odd: Oddly,
    does: Does,
    buy: Buys,
    sim: Simulator,
    store: SqliteStore,
    crosstrade: CrossTrade,
    pause: Pause,
    clock: ManualClock,
) -> None:
    older = await does(buy(2))
    sim.advance(30)

    async def names_the_older(inner: Upstream, *_: Any, **__: Any) -> Acknowledged:
        return Acknowledged(order_ids=(str(older.order_id),))

    told = await odd("place_order", names_the_older)(buy(2))
    assert (told.status, told.order_id, told.filled_quantity) == (Status.UNKNOWN, None, None)
    assert "what they name is another order than was sent: BUY" in " ".join(told.reasons)
    await settle_outstanding(crosstrade, pause, store, clock, "Sim101")
    assert [entry.ticket_id for entry in await store.unsettled()] == [told.ticket_id], "nor is it later"


async def test_an_order_that_was_placed_is_found_by_our_id_where_another_is_named(
    odd: Oddly, does: Does, buy: Buys, sim: Simulator
) -> None:
    older = await does(buy(1))
    sim.advance(30)

    async def names_the_older(inner: Upstream, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        await inner.place_order(order, own_id)
        return Acknowledged(order_ids=(str(older.order_id),))

    told = await odd("place_order", names_the_older)(buy(2))
    assert (told.status, told.filled_quantity, told.position_after) == (Status.FILLED, 2, 3)
    assert told.order_id != older.order_id


async def standing_still(crosstrade: CrossTrade) -> Way:
    """A list of orders that goes on as it is now."""
    rows = await crosstrade.orders("Sim101", active_only=False)

    async def listed(*_: object, **__: object) -> tuple[Order, ...]:
        return rows

    return listed


async def test_a_read_that_answers_with_another_order_settles_nothing(
    odd: Oddly, does: Does, buy: Buys, sim: Simulator, store: SqliteStore, crosstrade: CrossTrade
) -> None:
    other = str((await does(buy(1))).order_id)
    sim.advance(30)
    orders = await standing_still(crosstrade)

    async def answers_with_the_other(inner: Upstream, account: str, order_id: str) -> Order:
        return await inner.order(account, other)

    told = await odd("order", answers_with_the_other, orders=orders)(buy(2))
    assert told.status is not Status.FILLED
    assert told.filled_quantity is None
    assert [entry.ticket_id for entry in await store.unsettled()] == [told.ticket_id]


@pytest.fixture
async def resting(does: Does, buy: Buys, price: Prices, sim: Simulator) -> str:
    """An order that rests, by its id."""
    told = await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    return str(told.order_id)


@pytest.mark.parametrize(
    "command",
    [lambda order_id: CancelOrder("Sim101", order_id), lambda order_id: ChangeOrder("Sim101", order_id, 2)],
    ids=["cancel", "change"],
)
async def test_another_order_says_nothing_of_the_one_that_was_named(
    *,
    odd: Oddly,
    does: Does,
    buy: Buys,
    sim: Simulator,
    crosstrade: CrossTrade,
    resting: str,
    command: Callable[[str], Any],
) -> None:
    other = str((await does(buy(1, action="SELL"))).order_id)
    sim.advance(20)
    orders = await standing_still(crosstrade)

    async def answers_with_the_other(inner: Upstream, account: str, order_id: str) -> Order:
        return await inner.order(account, other)

    told = await odd("order", answers_with_the_other, orders=orders)(command(resting))
    assert told.status is Status.ACCEPTED
    assert told.order_state is None


async def test_a_replacement_that_names_the_old_order_names_none(
    odd: Oddly, buy: Buys, price: Prices, sim: Simulator, resting: str
) -> None:
    async def names_the_old(inner: Upstream, account: str, order_id: str, order: Any) -> Acknowledged:
        await inner.replace_order(account, order_id, order)
        return Acknowledged(order_ids=(order_id,))

    swap = ReplaceOrder("Sim101", resting, buy(2, kind="LIMIT", limit_price=price(-44)))
    told = await odd("replace_order", names_the_old)(swap)
    (new,) = sim.exchange.live_orders("Sim101")
    assert (told.status, told.order_id) == (Status.UNKNOWN, None)
    assert f"perhaps the new one: BUY 2 MES 09-26 LIMIT {new.terms.limit_price:g}" in " ".join(told.reasons)


async def test_a_turn_that_names_another_order_tells_nothing_of_it(
    odd: Oddly, does: Does, long_two: Outcome, buy: Buys, sim: Simulator, mes: Instrument
) -> None:
    async def names_another(inner: Upstream, account: str, instrument: Instrument) -> Acknowledged:
        await inner.reverse(account, instrument)
        return Acknowledged(order_ids=(str(long_two.order_id),))

    told = await odd("reverse", names_another)(ReversePosition("Sim101", mes))
    assert (told.status, told.position_after) == (Status.FILLED, -2)
    assert told.order_id is None


async def test_a_turn_is_not_told_by_an_order_of_somebody_else_at_another_size(
    odd: Oddly, long_two: Outcome, sim: Simulator, clock: ManualClock, mes: Instrument
) -> None:
    """The old position is closed, and the order of the new one still works; another's is read in its place."""
    other = list[str]()

    async def closes_alone(_: Upstream, __: str, ___: Instrument) -> Acknowledged:
        sells_by_hand(sim, clock, 2)
        other.append(sells_by_hand(sim, clock, 1))
        return Acknowledged(order_ids=("the new one",))

    async def answers_with_the_other(inner: Upstream, account: str, _: str) -> Order:
        return await inner.order(account, other[0])

    told = await odd("reverse", closes_alone, order=answers_with_the_other)(ReversePosition("Sim101", mes))
    assert (told.status, told.position_after, told.order_id) == (Status.UNKNOWN, -1, None)
    assert "what they name is another order than was sent" in " ".join(told.reasons)


def sells_by_hand(sim: Simulator, clock: ManualClock, quantity: int) -> str:
    """Somebody sells at the market; gives the id of the order."""
    terms = OrderTerms(sim.market.front("MES", clock()), Action.SELL, quantity, SimOrderType.MARKET)
    return sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), clock()).id


@pytest.mark.parametrize(
    ("changes", "is_it"),
    [
        ({"order_id": "named", "quantity": 5}, True),
        ({"order_id": "other", "quantity": 2}, True),
        ({"order_id": "other", "quantity": 1}, False),
    ],
    ids=str,
)
def test_a_turn_is_of_any_size_only_under_the_id_that_they_named(changes: dict[str, Any], is_it: bool) -> None:
    ours = Ours(SENT.instrument, SENT.action, 2, "mine", NOW, named="named")
    assert ours(replace(factories.order("b2", order_type=OrderType.MARKET), **changes)) is is_it


def test_an_order_that_may_still_fill_or_is_our_own_was_not_over_before() -> None:
    def told(own_id: str, **detail: object) -> Entry:
        kind = EntryKind.ANSWERED
        return Entry(1, NOW, kind, "BUY 1 MES", "Sim101", "t1", own_id, None, False, "", detail, "", "")

    newest_first = [
        told("mine", order_id="mine-1", status="filled", fills=["mine-2"]),
        told("other", order_id="filled", status="filled"),
        told("other", order_id="filled", status="working"),
        told("another", order_id="stands", status="working"),
        told("exit", order_id=None, status="filled", fills=["by-an-exit"]),
        told("late", order_id="settled", state="CANCELLED"),
        told("late", order_id="taken"),
    ]
    assert orders_over_before(newest_first, "mine") == {"filled", "by-an-exit", "settled"}


@pytest.mark.parametrize(
    ("asked", "changes", "listed", "is_over"),
    [
        ("a1", {"order_id": "a1"}, (), True),
        ("a1", {"order_id": "a1", "state": OrderState.WORKING}, (), False),
        ("a1", {}, (), True),
        ("a1", {"state": OrderState.WORKING}, ("676",), False),
        ("a1", {"action": OrderAction.SELL}, ("676",), False),
        ("a1", {"quantity": 3}, ("676",), False),
        ("a1", {"placed_at": NOW - timedelta(minutes=5)}, ("676",), False),
        ("a1", {"order_id": "a2"}, ("a2",), False),
        ("named", {}, (), False),
        ("named", {}, ("676",), True),
        ("named", {"state": OrderState.WORKING}, ("676",), False),
    ],
    ids=str,
)
def test_what_is_over_under_another_id_is_known_by_its_shape_or_by_a_list(
    asked: str, changes: dict[str, Any], listed: tuple[str, ...], is_over: bool
) -> None:
    stood = factories.order("a1", quantity=2, placed_at=NOW)
    other = factories.order("a2", quantity=2, placed_at=NOW)
    read = replace(stood, **{"order_id": "676", "state": OrderState.CANCELLED, **changes})
    over = tuple(factories.order(each, state=OrderState.CANCELLED) for each in listed)
    assert is_over_by_now(asked, read, {"a1": stood, "a2": other}, over) is is_over


def test_an_order_is_asked_for_by_its_last_id_and_then_by_that_of_its_placement() -> None:
    renamed, read = Renamed(), factories.order("679")
    renamed.note(("placed",))
    assert renamed.to_ask("placed") == ("placed",)
    renamed.note(("678", "677", "placed"))
    assert renamed.to_ask("678") == ("678", "placed")
    assert not renamed.is_named(read, "678")
    assert renamed.is_named(renamed.learn("678", read), "678")
