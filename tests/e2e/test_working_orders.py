"""Orders that stand in the market: placed, changed, cancelled, triggered, filled in part, one cancelling the other."""

from dataclasses import replace
from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderState, SimOrderType
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Wire, World


def order_in(world: World, order_id: str) -> SimOrder:
    """One order as it really is."""
    return next(order for order in world.sim.exchange.orders if order.id == order_id)


async def test_a_limit_order_rests_is_changed_and_cancelled(assistant: Assistant, world: World, person: Person) -> None:
    limit = world.price(-40)
    order_id = await assistant.rests(limit, quantity=2)
    (listed,) = (await assistant.call("get_orders", account="Sim101")).structure["orders"]
    assert (listed["order_id"], listed["state"], listed["limit_price"]) == (order_id, "WORKING", limit)

    changed = await assistant.call("change_order", account="Sim101", order_id=order_id, limit_price=limit - 1)
    assert (changed.status, changed.sent, changed.order_id) == ("changed", True, order_id)
    assert order_in(world, order_id).terms.limit_price == limit - 1
    assert order_in(world, order_id).terms.quantity == 2, "what is left out stays"

    cancelled = await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    assert (cancelled.status, cancelled.sent, cancelled.order_state) == ("cancelled", True, "CANCELLED")
    assert cancelled.filled_quantity == 0
    assert order_in(world, order_id).state is SimOrderState.CANCELLED
    assert len(person.asked) == 2, "placing and changing were asked about, cancelling an entry was not"
    assert world.net() == 0


async def test_a_smaller_order_needs_no_yes(assistant: Assistant, world: World, person: Person) -> None:
    order_id = await assistant.rests(world.price(-40), quantity=3)
    changed = await assistant.call("change_order", account="Sim101", order_id=order_id, quantity=1)
    assert changed.status == "changed"
    assert order_in(world, order_id).terms.quantity == 1
    assert len(person.asked) == 1


async def test_a_larger_order_is_asked_about_and_counts(assistant: Assistant, world: World, person: Person) -> None:
    order_id = await assistant.rests(world.price(-40))
    changed = await assistant.call("change_order", account="Sim101", order_id=order_id, quantity=3)
    assert changed.status == "changed"
    assert len(person.asked) == 2
    assert f"CHANGE {order_id} to quantity 3" in person.asked[1]
    too_large = await assistant.call("change_order", account="Sim101", order_id=order_id, quantity=6)
    assert (too_large.status, too_large.sent) == ("denied", False)
    assert "QUANTITY_EXCEEDS_MAXIMUM: quantity=6, maximum=5" in too_large.reasons_text


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"order_type": "STOP_MARKET", "stop": 40}, "WORKING"),
        ({"order_type": "STOP_LIMIT", "stop": 40, "limit": 44}, "TRIGGER_PENDING"),
    ],
    ids=["stop market", "stop limit"],
)
async def test_a_stop_waits_above_the_market(
    assistant: Assistant, world: World, more: dict[str, Any], state: str
) -> None:
    prices: dict[str, Any] = {f"{name}_price": world.price(more[name]) for name in ("stop", "limit") if name in more}
    told = await assistant.buys(1, order_type=more["order_type"], **prices)
    assert (told.status, told.order_state, told.filled_quantity) == ("working", state, 0)
    assert (world.net(), len(world.live())) == (0, 1)


async def test_a_stop_on_the_wrong_side_is_denied_before_anything_leaves(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(1, order_type="STOP_MARKET", stop_price=world.price(-40))
    assert (told.status, told.sent) == ("denied", False)
    assert "STOP_ON_WRONG_SIDE" in told.reasons_text
    assert world.writes() == 0


async def test_a_limit_order_that_meets_the_market_fills(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(8))
    assert told.status in ("working", "filled")
    order = await assistant.call("get_order", account="Sim101", order_id=told.order_id, wait_seconds=2)
    assert order.structure["state"] == "FILLED"
    assert world.net() == 1


async def test_a_partial_fill_is_working_with_what_it_has_filled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder")
    told = await assistant.buys(4)
    assert (told.status, told.order_state) == ("working", "PART_FILLED")
    assert (told.filled_quantity, told.position_after) == (2, 2)
    assert world.net() == 2


async def test_cancelling_what_has_filled_in_part_tells_how_much_filled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder")
    placed = await assistant.buys(4, order_type="LIMIT", limit_price=world.price(4))
    world.later()
    cancelled = await assistant.call("cancel_order", account="Sim101", order_id=placed.order_id)
    assert (cancelled.status, cancelled.filled_quantity) == ("cancelled", 2)
    assert "2 of 4 filled before the cancel" in cancelled.warnings_text
    assert (cancelled.position_after, world.net()) == (2, 2)


async def test_cancelling_what_has_filled_says_that_it_filled(assistant: Assistant, world: World) -> None:
    order_id = await assistant.rests(world.price(8))
    world.later(5)
    told = await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    assert (told.status, told.filled_quantity, told.position_after) == ("filled", 1, 1)
    assert told.reasons == []
    assert world.net() == 1


async def test_cancelling_twice_says_that_it_is_cancelled(assistant: Assistant, world: World) -> None:
    order_id = await assistant.rests(world.price(-40))
    await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    again = await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    assert (again.status, again.next_step) == ("cancelled", "")


async def test_cancelling_what_does_not_exist_is_their_no(assistant: Assistant, world: World, person: Person) -> None:
    told = await assistant.call("cancel_order", account="Sim101", order_id="0123456789abcdef")
    assert (told.status, told.sent, told.is_error) == ("rejected", True, True)
    assert 'CrossTrade said "Order linked to' in told.reasons_text
    assert len(person.asked) == 1, "what it takes away is not known, so the person decides"


async def test_changing_an_order_that_filled_meanwhile_is_denied(assistant: Assistant, world: World) -> None:
    order_id = await assistant.rests(world.price(8))
    world.later(5)
    told = await assistant.call("change_order", account="Sim101", order_id=order_id, limit_price=world.price(-20))
    assert (told.status, told.sent) == ("denied", False)
    assert "order=" in told.reasons_text


async def test_a_change_that_comes_too_late_is_told_as_the_fill_that_it_met(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    """Somebody at NinjaTrader moves the order into the market while our change is on its way."""
    limit = world.price(-40)
    order_id = await assistant.rests(limit)

    def somebody_buys_at_once() -> None:
        order = order_in(world, order_id)
        world.sim.exchange.change(order, replace(order.terms, limit_price=world.price(20)), world.clock())
        world.later(2)

    wire.meanwhile["/change"] = somebody_buys_at_once
    told = await assistant.call("change_order", account="Sim101", order_id=order_id, limit_price=limit - 1)
    assert (told.status, told.sent, told.filled_quantity) == ("filled", True, 1)
    assert "not found or already terminal" in told.reasons_text
    assert told.position_after == world.net() == 1


async def test_a_stop_that_is_being_cancelled_is_not_told_as_changed(
    assistant: Assistant, world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    read, listed = CrossTrade.order, CrossTrade.orders

    def goes(order: Order) -> Order:
        return replace(order, state=OrderState.CANCEL_PENDING) if order.order_id == stop else order

    async def order(self: CrossTrade, account: str, order_id: str) -> Order:
        return goes(await read(self, account, order_id))

    async def orders(self: CrossTrade, account: str, *, active_only: bool) -> tuple[Order, ...]:
        return tuple(map(goes, await listed(self, account, active_only=active_only)))

    def begins() -> None:
        monkeypatch.setattr(CrossTrade, "order", order)
        monkeypatch.setattr(CrossTrade, "orders", orders)

    wire.meanwhile["/change"] = begins
    told = await assistant.call("change_order", account="Sim101", order_id=stop, stop_price=world.price(-36))
    assert told.status == "accepted", told.text
    assert "CANCEL_PENDING" in told.reasons_text


async def test_one_of_two_linked_orders_cancels_the_other(assistant: Assistant, world: World) -> None:
    await assistant.buys(1)
    world.later()
    stop = await assistant.protects(world.price(-40), oco_id="exit-1")
    target = await assistant.buys(1, action="SELL", order_type="LIMIT", limit_price=world.price(-4), oco_id="exit-1")
    world.later(3)
    assert order_in(world, str(target.order_id)).state is SimOrderState.FILLED
    assert order_in(world, stop).state is SimOrderState.CANCELLED
    assert (world.net(), world.live()) == (0, [])
    told = await assistant.call("get_order", account="Sim101", order_id=stop)
    assert told.structure["state"] == "CANCELLED"


async def test_a_used_oco_id_is_rejected_after_it_was_accepted(assistant: Assistant, world: World) -> None:
    order_id = await assistant.rests(world.price(-40), oco_id="once")
    await assistant.call("cancel_order", account="Sim101", order_id=order_id)
    world.later()
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-44), oco_id="once")
    assert (told.status, told.sent, told.order_state) == ("rejected", True, "REJECTED")
    assert "rejected it after it was accepted" in told.reasons_text


async def test_cancelling_the_only_stop_asks_and_says_what_stands_bare(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    asked_before = len(person.asked)
    told = await assistant.call("cancel_order", account="Sim101", order_id=stop)
    assert told.status == "cancelled"
    assert len(person.asked) == asked_before + 1
    assert "WARNING: without a stop afterwards: 2 of 2 MES 09-26" in person.asked[-1]


async def test_a_stop_that_the_person_keeps_stays(assistant: Assistant, world: World, person: Person) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    person.answer = lambda _: ElicitResult(action="decline")
    for tool, arguments in (("cancel_order", {"order_id": stop}), ("cancel_orders", {})):
        told = await assistant.call(tool, account="Sim101", **arguments)
        assert (told.status, told.sent) == ("declined", False)
    assert world.live() == [stop]


async def test_moving_a_stop_away_asks_and_moving_it_closer_does_not(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(1)
    world.later()
    stop = await assistant.protects(world.price(-40))
    before = len(person.asked)
    closer = await assistant.call("change_order", account="Sim101", order_id=stop, stop_price=world.price(-30))
    assert (closer.status, len(person.asked)) == ("changed", before)
    away = await assistant.call("change_order", account="Sim101", order_id=stop, stop_price=world.price(-50))
    assert (away.status, len(person.asked)) == ("changed", before + 1)
    assert "the stop moves away by" in person.asked[-1]


async def test_cancel_orders_of_one_instrument_leaves_the_others(assistant: Assistant, world: World) -> None:
    mes = await assistant.rests(world.price(-40))
    nq = await assistant.rests(world.price(-40, "MNQ"), instrument="MNQ")
    told = await assistant.call("cancel_orders", account="Sim101", instrument="MES")
    assert (told.status, told.sent) == ("cancelled", True)
    assert order_in(world, mes).state is SimOrderState.CANCELLED
    assert world.live() == [nq]
    told = await assistant.call("cancel_orders", account="Sim101")
    assert told.status == "cancelled"
    assert world.live() == []


# Somebody else places an order between our last look and a cancel of all


def leaves_a_stop(world: World, quantity: int = 1) -> None:
    """Let somebody else leave a stop in the account, at NinjaTrader or by a copier."""
    contract = world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.SELL, quantity, SimOrderType.STOP_MARKET, stop_price=world.price(-90))
    exchange = world.sim.exchange
    exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), world.clock())
    world.later(1)


async def test_a_yes_to_a_cancel_of_all_cancels_the_orders_that_it_named_and_no_other(
    assistant: Assistant, world: World, wire: Wire, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-60), quantity=2)
    entry = await assistant.rests(world.price(-40))
    world.later()
    asked = len(person.asked)
    wire.meanwhile[f"/orders/{entry}/cancel"] = lambda: leaves_a_stop(world)
    told = await assistant.call("cancel_orders", account="Sim101")
    (question,) = person.asked[asked:]
    assert "These are cancelled one by one, stops last; an order that is placed meanwhile stays" in question
    cancels = [path for path, _ in wire.posts() if path.endswith("/cancel")]
    assert [path.split("/")[-2] for path in cancels] == [entry, stop], "what protects goes last"
    (left,) = world.sim.exchange.live_orders("Sim101")
    assert (left.terms.quantity, left.labels.rpc) == (1, "ByHand")
    assert told.status == "cancelled"
    assert "placed meanwhile, so it stays: SELL 1 MES 09-26 STOP MARKET" in told.warnings_text
    assert told.text.startswith("UNPROTECTED: 1 of the 2 contracts held in MES 09-26")


async def test_whoever_asks_for_all_without_a_question_has_all_that_work_at_that_moment_cancelled(
    assistant: Assistant, world: World, wire: Wire, person: Person
) -> None:
    await assistant.rests(world.price(-40))
    await assistant.rests(world.price(-60))
    world.later()
    asked = len(person.asked)
    wire.meanwhile["/orders/cancel"] = lambda: leaves_a_stop(world)
    told = await assistant.call("cancel_orders", account="Sim101")
    assert len(person.asked) == asked, "nothing that it knows of protects anything"
    assert [path for path, _ in wire.posts() if path.endswith("/cancel")] == ["/v1/api/accounts/Sim101/orders/cancel"]
    assert (told.status, world.live()) == ("cancelled", [])
    went = "went with the others, though no list had shown it before: cancelled: SELL 1 MES 09-26 STOP MARKET"
    assert went in told.warnings_text


@pytest.mark.parametrize(
    ("others", "cancels", "words"),
    [
        (9, 10, "These are cancelled one by one"),
        (10, 1, "All working orders at that moment go, one that is placed meanwhile too"),
    ],
)
async def test_more_orders_than_somebody_waits_for_are_cancelled_at_once_and_the_question_says_so(
    assistant: Assistant, world: World, wire: Wire, person: Person, others: int, cancels: int, words: str
) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    for _ in range(others):
        leaves_a_stop(world)
    told = await assistant.call("cancel_orders", account="Sim101")
    assert (told.status, world.live()) == ("cancelled", [])
    assert len([path for path, _ in wire.posts() if path.endswith("/cancel")]) == cancels
    assert words in person.asked[-1]


@pytest.mark.parametrize("fault", [Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT])
async def test_of_several_cancels_a_lost_answer_is_looked_up_and_none_is_sent_twice(
    assistant: Assistant, world: World, wire: Wire, person: Person, fault: Fault
) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    await assistant.rests(world.price(-40))
    world.later()
    world.sim.faults.arm(fault, rpc="Cancel", times=1)
    told = await assistant.call("cancel_orders", account="Sim101")
    cancels = [path for path, _ in wire.posts() if path.endswith("/cancel")]
    assert len(cancels) == len(set(cancels)) == 2
    assert told.status == ("cancelled" if fault is Fault.READ_TIMEOUT_AFTER_ACCEPT else "unknown")
    assert len(world.live()) == (0 if fault is Fault.READ_TIMEOUT_AFTER_ACCEPT else 1)


async def test_what_goes_with_its_group_is_no_failure_of_the_cancel_of_all(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2, oco_id="out")
    await assistant.rests(world.price(40), quantity=2, action="SELL", oco_id="out")
    world.later()
    told = await assistant.call("cancel_orders", account="Sim101")
    assert (told.status, world.live()) == ("cancelled", [])
    assert "refused" not in told.text
