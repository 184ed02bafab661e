"""What was sent and got no answer: it counts, it is looked for, it is never sent again, and a restart settles it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Ticket
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.addon import AddOnAssumptions
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Wire, World
from tests.factories import place_order


def _forget_our_ids(world: World) -> None:
    """NinjaTrader has replaced them, and nothing can be found by them any more."""
    for order in world.sim.exchange.orders:
        order.labels = replace(order.labels, own_id=None)


TIGHT = Policy(limits=Limits(max_position_contracts=2))


def goes_silent(world: World) -> None:
    """Orders are taken and no answer comes, and nothing that was placed can be found."""
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder")
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
    world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrderLifecycle")
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    world.sim.faults.arm(Fault.EMPTY_LISTS)


@pytest.mark.parametrize("policy", [TIGHT], ids=["two at most"])
async def test_twice_two_against_a_limit_of_two_with_a_silent_upstream_is_denied(
    assistant: Assistant, world: World
) -> None:
    goes_silent(world)
    first = await assistant.buys(2)
    assert (first.status, first.sent) == ("unknown", "unknown")
    world.later(30)
    second = await assistant.buys(1)
    assert (second.status, second.sent) == ("denied", False)
    assert "POSITION_EXCEEDS_MAXIMUM: position after=3, maximum=2, held=0, working=0, unknown=2" in second.reasons_text
    third = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-4))
    assert third.status == "denied"
    assert len(world.states()) == 1


async def test_one_wish_of_unknown_outcome_is_sent_once_whatever_words_it_comes_in(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    """The add-on keeps no id of ours: it had filled, and its fills are what tells so in the end."""
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
    world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrderLifecycle")
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    assert (await assistant.buys(2)).status == "unknown"
    world.sim.faults.disarm()
    _forget_our_ids(world)
    world.later(20)
    ask: dict[str, Any] = {"order_type": "LIMIT", "limit_price": world.price(1)}
    again: list[dict[str, Any]] = [{}, {"time_in_force": "GTC"}, {"oco_id": "a-new-one"}, ask, {"quantity": 1}]
    for words in again:
        told = await assistant.buys(**{"quantity": 2, **words})
        assert "OUTCOME_UNRESOLVED" in told.reasons_text, words
        await store.clear_halt("the person", world.clock())
    assert world.net() == 2
    world.later(60)
    assert (await assistant.buys(1)).status == "filled"
    settled = [entry for entry in await store.entries(50) if entry.kind is EntryKind.SETTLED]
    assert [entry.detail["filled"] for entry in settled] == [2]


async def test_a_fill_of_another_order_settles_nothing(assistant: Assistant, world: World, store: SqliteStore) -> None:
    """An order that stood before fills: it looks like ours, which never arrived."""
    limit = world.price(-1)
    await assistant.rests(limit, 2)
    world.later()
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.buys(2, order_type="LIMIT", limit_price=limit, time_in_force="GTC")
    world.later(600)
    assert world.net() == 2, "the market came to it"
    assert "OUTCOME_UNRESOLVED" in (await assistant.buys(1)).reasons_text
    assert [entry.ticket_id for entry in await store.unsettled()] == [lost.ticket_id]


@pytest.mark.parametrize("words", [{"time_in_force": "GTC"}, {"oco_id": "another"}], ids=["time", "group"])
async def test_the_same_again_within_the_window_in_other_words_is_a_repeated_call(
    assistant: Assistant, world: World, words: dict[str, str]
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    world.later(2)
    assert "DUPLICATE_WITHIN_WINDOW" in (await assistant.buys(2, **words)).reasons_text
    assert world.net() == 2


@pytest.mark.parametrize("policy", [TIGHT], ids=["two at most"])
async def test_what_is_unknown_counts_on_its_own_side_and_in_its_own_contract(
    assistant: Assistant, world: World
) -> None:
    goes_silent(world)
    await assistant.buys(2)
    world.sim.faults.disarm(Fault.ANSWER_LOST_AFTER_ACCEPT)
    world.later(30)
    assert (await assistant.buys(2, instrument="MNQ")).status != "denied"
    assert (await assistant.buys(2, action="SELL")).status != "denied"


@pytest.mark.parametrize(
    "settings",
    [SimulatorSettings(), SimulatorSettings(assumptions=AddOnAssumptions(own_id_lookup=False))],
    ids=["found by our id", "found through its lifecycle"],
)
async def test_an_order_whose_answer_was_lost_is_found_by_our_own_id(
    assistant: Assistant, world: World, settings: SimulatorSettings
) -> None:
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder")
    told = await assistant.buys(2)
    (order,) = world.sim.exchange.orders
    assert (told.status, told.sent, told.order_id) == ("filled", True, order.id)
    assert (told.position_after, world.net()) == (2, 2)


@pytest.mark.parametrize(
    "settings", [SimulatorSettings(assumptions=AddOnAssumptions(own_id_lookup=False))], ids=["our id is not kept"]
)
async def test_an_order_of_the_same_size_and_price_is_never_taken_for_ours(assistant: Assistant, world: World) -> None:
    """Somebody's order stands that looks like ours, which never arrived: found is only what carries our id."""
    limit = world.price(-40)
    await assistant.rests(limit)
    world.later()
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder")
    told = await assistant.buys(1, order_type="LIMIT", limit_price=limit, time_in_force="GTC")
    assert (told.status, told.order_id) == ("unknown", None)
    assert len(world.states()) == 1


async def test_what_can_be_found_later_is_settled_in_the_journal_and_may_be_followed(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    goes_silent(world)
    lost = await assistant.buys(1)
    assert [entry.ticket_id for entry in await store.unsettled()] == [lost.ticket_id]
    world.sim.faults.disarm()
    world.later(30)
    again = await assistant.buys(1)
    assert again.status == "filled"
    assert await store.unsettled() == ()
    (settled,) = [entry for entry in await store.entries(50) if entry.kind is EntryKind.SETTLED]
    assert (settled.ticket_id, settled.detail["order_id"]) == (lost.ticket_id, world.sim.exchange.orders[0].id)
    assert world.net() == 2


async def test_what_never_arrived_stays_outstanding_since_absence_proves_nothing(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.buys(1)
    world.later(3600)
    again = await assistant.buys(1)
    assert again.status == "denied"
    assert "OUTCOME_UNRESOLVED" in again.reasons_text
    assert [entry.ticket_id for entry in await store.unsettled()] == [lost.ticket_id]
    assert world.states() == []


async def test_an_unknown_order_stops_no_exit_and_delays_none(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    goes_silent(world)
    await assistant.buys(1)
    world.sim.faults.disarm(Fault.FROZEN_ORDERS)
    world.sim.faults.disarm(Fault.EMPTY_LISTS)
    world.later(30)
    asked = len(world.sim.requests_of("GetOrderLifecycle"))
    told = await assistant.call("flatten", account="Sim101")
    assert told.sent is True
    assert world.net() == 0
    assert len(world.sim.requests_of("GetOrderLifecycle")) == asked, "an exit looks for nobody else's fate first"


async def test_an_unknown_change_of_price_blocks_nothing_but_itself(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    order_id = await assistant.rests(world.price(-40))
    world.later()
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    change = {"account": "Sim101", "order_id": order_id, "limit_price": world.price(-60)}
    assert (await assistant.call("change_order", **change)).status == "unknown"
    world.later(30)
    same = await assistant.call("change_order", **change)
    assert "OUTCOME_UNRESOLVED" in same.reasons_text
    assert (await assistant.buys(1)).status == "filled"
    cancelled = await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    assert cancelled.status == "cancelled"
    world.later(30)
    assert (await assistant.buys(1)).status == "filled"
    assert await store.unsettled() == (), "nothing more can come of a change to an order that is over"


async def test_an_unknown_enlargement_counts_until_the_order_stands_as_asked(
    assistant: Assistant, world: World, wire: Wire, store: SqliteStore
) -> None:
    order_id = await assistant.rests(world.price(-40), quantity=1)
    world.later()
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="Change", times=1)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
    wire.meanwhile["/change"] = lambda: world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListOrders")
    told = await assistant.call("change_order", account="Sim101", order_id=order_id, quantity=5)
    assert told.status == "unknown"
    world.sim.faults.disarm(Fault.BAD_GATEWAY)
    world.later(30)
    full = await assistant.call(
        "preview_order", account="Sim101", instrument="MES", action="BUY", quantity=5, order_type="MARKET"
    )
    assert full.structure["most_long_after"] == 14, "five that stand, four that may have come, five that are asked for"
    world.sim.faults.disarm()
    assert (await assistant.buys(5)).status == "filled"
    assert await store.unsettled() == ()


async def test_an_unknown_partial_close_is_not_repeated_until_what_is_left_was_read(
    assistant: Assistant, world: World, store: SqliteStore
) -> None:
    await assistant.buys(4)
    world.later()
    close = {"account": "Sim101", "instrument": "MES 09-26", "quantity": 1}
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="ClosePosition", times=1)
    assert (await assistant.call("close_position", **close)).status == "unknown"
    world.later(15)
    same = await assistant.call("close_position", **close)
    assert (same.status, same.sent) == ("denied", False)
    assert "OUTCOME_UNRESOLVED" in same.reasons_text
    assert (await assistant.call("close_position", **{**close, "quantity": 2})).status == "filled", (
        "another is no repeat"
    )
    world.later(60)
    later = await assistant.call("close_position", **close)
    assert (later.status, later.position_after, world.net()) == ("filled", 1, 1)
    assert await store.unsettled() == ()


async def test_a_part_that_somebody_else_sold_is_not_told_as_filled_by_a_close_without_an_answer(
    assistant: Assistant, world: World, wire: Wire, store: SqliteStore
) -> None:
    await assistant.buys(5)
    world.later(60)
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="ClosePosition", times=1)

    def sells() -> None:
        terms = OrderTerms(world.sim.market.front("MES", world.clock()), Action.SELL, 2, SimOrderType.MARKET)
        world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
        world.later(1)

    wire.meanwhile["/positions/close"] = sells
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=2)
    assert (told.status, told.position_after, world.net()) == ("unknown", 3, 3)
    assert "the position reads +3; by whom is not known" in told.reasons_text, told.text
    assert "result: " not in told.text
    assert len(await store.unsettled()) == 1, "a late arrival is counted"
    world.later(90)
    await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
    assert await store.unsettled() == ()


async def test_a_restart_between_the_intent_and_the_answer_settles_first(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    desk: Desk,
) -> None:
    """The process dies after the order left: a new desk over the same file finds it before it lets anything follow."""
    goes_silent(world)
    lost = await assistant.buys(1)
    world.sim.faults.disarm()
    world.later(30)
    reopened = SqliteStore(store._path.parent)
    restarted = Desk(crosstrade, reopened, policy, clock=clock, pause=pause)
    ticket = await desk.ticket(str(lost.ticket_id))
    proposed = await restarted.propose(ticket.commands)
    assert isinstance(proposed, Ticket), "found and settled, so the same may be wished for again"
    kinds = [entry.kind for entry in await reopened.entries(3)]
    assert kinds[:2] == [EntryKind.PROPOSED, EntryKind.SETTLED]
    await reopened.close()


class Crash(BaseException):
    """The process ends here."""


async def test_a_crash_between_the_journal_and_the_wire_leaves_an_order_that_may_exist(
    assistant: Assistant, world: World, wire: Wire, desk: Desk
) -> None:
    """Only the intent is on disk: nobody knows whether it left, so it counts and is not repeated."""

    def power_fails() -> None:
        raise Crash

    mes = await desk.resolver.instrument("MES")
    order = place_order("BUY", 2, instrument=mes)
    ticket = await desk.propose(order)
    assert isinstance(ticket, Ticket)
    assert await desk.decisions.approve(ticket, "terminal")
    wire.meanwhile["/place"] = power_fails
    with pytest.raises(Crash):
        await desk.commit(ticket.ticket_id)
    world.later(30)
    assert "OUTCOME_UNRESOLVED" in (await assistant.buys(2)).reasons_text
    told = await assistant.call(
        "preview_order", account="Sim101", instrument="MES", action="BUY", quantity=1, order_type="MARKET"
    )
    assert told.structure["most_long_after"] == 3
    assert world.states() == []


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_AFTER_ACCEPT, Fault.ADDON_OFFLINE])
async def test_only_a_408_that_proves_it_was_offline_before_is_certain(
    assistant: Assistant, world: World, store: SqliteStore, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="PlaceOrder")
    told = await assistant.buys(1)
    if fault is Fault.ADDON_OFFLINE:
        assert told.text.startswith("ADDON_OFFLINE")
        assert (world.states(), await store.unsettled()) == ([], ())
    else:
        assert told.status == "filled"
        assert world.net() == 1


@pytest.mark.parametrize(("tool", "rpc"), [("cancel_order", "Cancel"), ("cancel_orders", "CancelOrders")])
async def test_a_cancel_of_unknown_outcome_may_go_again_at_once(
    assistant: Assistant, world: World, wire: Wire, tool: str, rpc: str
) -> None:
    """A second one opens nothing, and what still works is to be taken back."""
    cancel = {"account": "Sim101", "order_id": await assistant.rests(world.price(-60))}
    cancel = cancel if tool == "cancel_order" else {"account": "Sim101"}
    world.later()
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    wire.meanwhile["/cancel"] = lambda: world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListOrders")
    lost = await assistant.call(tool, **cancel)
    world.sim.faults.disarm()
    assert lost.status == "unknown", lost.text
    assert "do NOT send it again" not in lost.next_step
    assert "may be cancelled again" in lost.next_step
    assert "never send again, but for a cancel" in (await assistant.call("get_status")).text
    assert (await assistant.call(tool, **cancel)).status == "cancelled"
