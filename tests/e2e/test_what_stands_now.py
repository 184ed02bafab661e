"""After every write the answer says what stands, so that no read has to follow it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, Wire, World

ACCOUNT = "Sim101"


def somebody_sells(world: World, quantity: int) -> None:
    """At NinjaTrader itself, at the market."""
    exchange, contract = world.sim.exchange, world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.SELL, quantity, SimOrderType.MARKET)
    exchange.submit(exchange.accounts[ACCOUNT], terms, OrderLabels(), world.clock())
    world.later(1)


def cancel(world: World, order_id: str) -> None:
    """At NinjaTrader itself."""
    (order,) = (each for each in world.sim.exchange.live_orders(ACCOUNT) if each.id == order_id)
    world.sim.exchange.cancel(order, world.clock())
    world.later(1)


async def protected(assistant: Assistant, world: World) -> tuple[float, float]:
    await assistant.buys(2)
    world.later()
    below, above = world.price(-40), world.price(40)
    told = await assistant.call(
        "protect_position", account=ACCOUNT, instrument="MES", stop_loss=below, take_profit=above
    )
    assert told.status == "working", told.text
    return below, above


async def test_a_position_is_told_with_its_stop_and_its_target_in_money(assistant: Assistant, world: World) -> None:
    below, above = await protected(assistant, world)
    (held,) = (await assistant.call("get_positions")).positions
    (stop,), (target,) = held["stops"], held["targets"]
    assert (stop["price"], target["price"], held["contracts_without_stop"], held["point_value"]) == (below, above, 0, 5)
    assert stop["money"] == held["if_stopped"] == (below - held["average_price"]) * 10
    further = world.price(-44)
    told = await assistant.call("change_order", account=ACCOUNT, order_id=stop["order_id"], stop_price=further)
    (position, working) = told.stands_now
    assert f"stop 2 of 2 at {further:.10g} (-" in position
    assert f"target 2 of 2 at {above:.10g} (+" in position
    assert stop["order_id"] in working
    assert "GTC" in working
    assert told.asked.startswith("the person said yes")


async def test_what_an_order_makes_too_small_is_named_with_the_call_that_mends_it(
    assistant: Assistant, world: World
) -> None:
    await protected(assistant, world)
    world.later()
    told = await assistant.buys(1)
    assert "NO STOP for 1 of 3" in told.stands_now[0]
    assert told.warnings_text.count("TOO SMALL for the 3 held now") == 2
    assert told.next_step.count("quantity 3") == 2


async def test_a_cancel_names_what_went_with_it(assistant: Assistant, world: World) -> None:
    await protected(assistant, world)
    orders = (await assistant.call("get_orders")).orders
    stop, target = (next(o for o in orders if bool(o["stop_price"]) is is_stop) for is_stop in (True, False))
    told = await assistant.call("cancel_order", account=ACCOUNT, order_id=stop["order_id"])
    assert any(line.startswith("not listed any more") and target["order_id"] in line for line in told.stands_now)
    assert any("NO STOP" in line for line in told.stands_now)


async def test_a_flatten_says_that_nobody_was_asked_and_what_it_left(assistant: Assistant, world: World) -> None:
    await protected(assistant, world)
    world.later()
    told = await assistant.call("flatten", account=ACCOUNT)
    assert told.stands_now[-1] == "no position; working orders: none"
    assert told.stands_now[0].startswith("was: LONG 2 MES 09-26 at ")
    assert told.asked.startswith("no yes was needed")


async def test_what_leaves_a_position_says_at_which_price(assistant: Assistant, world: World) -> None:
    await assistant.buys(3)
    world.later()
    part = await assistant.call("close_position", account=ACCOUNT, instrument="MES", quantity=1)
    (fill,) = (line for line in part.stands_now if line.startswith("fill: "))
    world.later()
    rest = await assistant.call("flatten", account=ACCOUNT)
    (last,) = (line for line in rest.stands_now if line.startswith("fill: "))
    sold = [row for row in (await assistant.call("get_executions")).executions if row["action"] == "SELL"]
    for line, row in zip((last, fill), sold, strict=True):
        assert line == (f"fill: SELL {row['quantity']} MES 09-26 at {row['price']:.10g} (order {row['order_id']})")


async def test_a_price_that_cannot_be_read_is_not_told_and_spoils_no_exit(
    assistant: Assistant, world: World, sim: Simulator
) -> None:
    await assistant.buys(1)
    world.later()
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListExecutions")
    told = await assistant.call("flatten", account=ACCOUNT)
    assert told.status == "flat"
    assert "fill: " not in told.text


async def test_the_status_is_short_and_tells_what_is_open(assistant: Assistant, world: World) -> None:
    await protected(assistant, world)
    world.later()
    short, whole = await assistant.call("get_status"), await assistant.call("get_status", details=True)
    assert len(short.text) < len(whole.text) / 2
    assert short.text.startswith("may trade: Sim101; mode sim; not halted")
    assert "LONG 2 MES 09-26" in short.text
    assert "stop 2 of 2" in short.text
    assert "limits: " in whole.text


async def test_a_symbol_that_is_not_there_is_answered_with_those_that_are_alike(assistant: Assistant) -> None:
    told = await assistant.call("get_quotes", instruments=["MEX"])
    assert told.is_error
    assert "MES" in told.text.partition("alike: ")[2]


async def test_an_order_that_is_refused_says_what_stands(assistant: Assistant, world: World, wire: Wire) -> None:
    """Somebody leaves the position while our exit is on its way to them."""
    await assistant.buys(2)
    world.later()
    wire.meanwhile["/orders/place"] = lambda: somebody_sells(world, 2)
    told = await assistant.buys(2, action="SELL")
    assert (told.status, told.position_after, world.net()) == ("rejected", 0, 0)
    assert told.stands_now == ["no position; working orders: none"]


async def test_a_change_that_is_refused_says_what_the_order_came_to_and_what_stands(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    """The entry fills while its change is on its way to them."""
    limit = world.price(-4)
    order_id = await assistant.rests(limit)

    def it_fills() -> None:
        (order,) = world.sim.exchange.live_orders(ACCOUNT)
        world.sim.exchange.change(order, replace(order.terms, limit_price=world.price(20)), world.clock())
        world.later(2)

    wire.meanwhile["/change"] = it_fills
    told = await assistant.call("change_order", account=ACCOUNT, order_id=order_id, limit_price=limit - 1)
    assert (told.status, told.order_state, told.position_after, world.net()) == ("filled", "FILLED", 1, 1)
    assert "the order reads FILLED, 1 of 1 filled" in told.reasons_text
    assert told.stands_now[0].startswith("LONG 1 MES 09-26 at ")


async def test_what_somebody_else_did_while_an_order_went_out_is_told(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    """The position was left and its stop cancelled meanwhile: what was read before the send is over."""
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)

    def somebody_leaves() -> None:
        cancel(world, stop)
        somebody_sells(world, 2)

    wire.meanwhile["/orders/place"] = somebody_leaves
    limit = world.price(-20)
    told = await assistant.buys(1, order_type="LIMIT", limit_price=limit)
    (ended, now) = told.stands_now
    assert told.status == "working"
    assert ended.startswith("cancelled: SELL 2 MES 09-26 STOP MARKET")
    assert now.startswith("no position; working orders: BUY 1 MES 09-26 LIMIT")
    assert "the position in MES 09-26 was +2 and reads flat now" in told.warnings_text
    assert stop not in now


async def test_a_stop_that_went_while_another_order_was_changed_is_cried_out(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    await assistant.buys(2)
    world.later()
    stop, limit = await assistant.protects(world.price(-40), quantity=2), world.price(-24)
    entry = await assistant.rests(limit)
    wire.meanwhile["/change"] = lambda: cancel(world, stop)
    told = await assistant.call("change_order", account=ACCOUNT, order_id=entry, limit_price=limit - 1)
    assert told.status == "changed"
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26")
    assert "NO STOP" in told.stands_now[1]


async def test_what_cannot_be_read_any_more_is_told_as_what_stood_before(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    """A list that has left out a stop says nothing of what stands."""
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-40), quantity=2)
    wire.meanwhile["/orders/place"] = lambda: world.sim.faults.arm(Fault.EMPTY_LISTS)
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-20))
    assert told.status == "working"
    assert "stop 2 of 2" in told.stands_now[0]
    assert told.stands_now[-1] == "so it was before this was sent; what stands now could not be read"


SIDES = [("BUY", "SELL"), ("SELL", "BUY")]


async def entered(assistant: Assistant, world: World, action: str, quantity: int, **exits: str) -> None:
    """An entry with its stop and its targets, and a minute in which nothing is sent."""
    told = await assistant.buys(quantity, action=action, **exits)
    assert told.status == "filled", told.text
    world.later(70)


def calls(told: Told) -> list[tuple[str, int]]:
    """The orders that an answer wants changed, each once, and for how many contracts."""
    found = re.findall(r"order_id (\w+), quantity (\d+)", told.next_step)
    assert len(found) == told.text.count("change_order with"), "a call stands in the next step, and there alone"
    return [(order_id, int(quantity)) for order_id, quantity in found]


@pytest.mark.parametrize(("enters", "leaves"), SIDES)
async def test_what_an_order_makes_too_large_is_named_with_the_call_that_mends_it_once(
    assistant: Assistant, world: World, enters: str, leaves: str
) -> None:
    await entered(assistant, world, enters, 3, stop_loss="10 points", take_profit="20 points")
    told = await assistant.buys(1, action=leaves)
    assert abs(told.position_after) == 2, told.text
    assert told.warnings_text.count(f"TOO LARGE for the 2 held now: {leaves} 3 MES 09-26 ") == 2
    assert sorted(calls(told)) == sorted((order_id, 2) for order_id in world.live())
    for order_id, quantity in calls(told):
        changed = await assistant.call("change_order", account=ACCOUNT, order_id=order_id, quantity=quantity)
        assert changed.status == "changed", changed.text
    held = await assistant.call("get_positions")
    assert "TOO LARGE" not in held.text


@pytest.mark.parametrize(("enters", "leaves"), SIDES)
async def test_several_exits_that_are_together_too_large_are_brought_down_in_pairs(
    assistant: Assistant, world: World, enters: str, leaves: str
) -> None:
    """A target that is larger than the stop of its group would leave more than is held."""
    await entered(assistant, world, enters, 4, stop_loss="10 points", take_profit="2 at 10 points, 2 at 20 points")
    told = await assistant.buys(1, action=leaves)
    assert told.warnings_text.count("TOGETHER TOO LARGE for the 3 held now") == 2
    changed = {order_id for order_id, quantity in calls(told) if quantity == 1}
    groups = [each.labels.oco_id for each in world.sim.exchange.live_orders(ACCOUNT) if each.id in changed]
    assert (len(groups), len(set(groups))) == (2, 1)


async def test_a_part_that_is_closed_gives_each_call_once(assistant: Assistant, world: World) -> None:
    await entered(assistant, world, "BUY", 4, stop_loss="10 points", take_profit="2 at 10 points, 2 at 20 points")
    told = await assistant.call("close_position", account=ACCOUNT, instrument="MES", quantity=1)
    assert told.status == "filled", told.text
    assert [quantity for _, quantity in calls(told)] == [1, 1]


async def test_what_still_fits_is_told_without_a_call(assistant: Assistant, world: World) -> None:
    await assistant.buys(3)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    told = await assistant.buys(1, action="SELL")
    assert (told.position_after, told.next_step, calls(told)) == (2, "", []), told.text
    assert "TOO LARGE" not in told.text
    assert "could turn the position" not in told.text
    assert world.live() == [stop]


@pytest.mark.parametrize(("sold", "left"), [(2, "-4 and flat"), (3, "-5 and -1")])
async def test_exits_of_a_position_that_an_order_has_left_are_named_with_their_cancels(
    assistant: Assistant, world: World, sold: int, left: str
) -> None:
    await protected(assistant, world)
    world.later(70)
    told = await assistant.buys(sold, action="SELL")
    assert told.position_after == 2 - sold, told.text
    assert f"as these orders fill, the position comes to between {left}" in told.warnings_text
    assert [f"order_id {order_id}" in told.next_step for order_id in world.live()] == [True, True]


async def test_what_is_to_take_a_part_is_asked_about_beside_exits_that_are_larger(
    assistant: Assistant, world: World, person: Person
) -> None:
    await entered(assistant, world, "BUY", 3, stop_loss="10 points", take_profit="20 points")
    asked, turns = len(person.asked), "once this fills, the orders that stand could turn the position round"
    rests = await assistant.buys(1, action="SELL", order_type="LIMIT", limit_price=world.price(20))
    assert (rests.status, turns in person.asked[asked], turns in rests.text) == ("working", True, True)
    world.later(70)
    filled = await assistant.buys(1, action="SELL")
    assert turns in person.asked[asked + 1]
    assert turns not in filled.text, "it is named now"


@pytest.mark.parametrize("fault", [Fault.LATE_REJECT, Fault.REFUSED_WITH_400])
async def test_after_an_exit_that_came_to_nothing_nobody_is_told_to_cancel_the_stop(
    assistant: Assistant, world: World, person: Person, fault: Fault
) -> None:
    await assistant.buys(2)
    world.later(30)
    await assistant.protects(world.price(-40), quantity=2)
    world.later(5)
    world.sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    told = await assistant.buys(2, action="SELL")
    assert "cancel those as well" in person.asked[-1]
    assert told.status == "rejected"
    assert "cancel those as well" not in told.text


@pytest.mark.parametrize(
    ("order", "worst"),
    [({"quantity": 2}, -2), ({"quantity": 3}, -3), ({"quantity": 2, "order_type": "LIMIT", "limit_price": 40}, -2)],
    ids=["all of it", "beyond", "at a limit"],
)
@pytest.mark.parametrize("stands", ["STOP_MARKET", "LIMIT", "MARKET"])
async def test_the_question_about_an_order_that_leaves_shows_where_it_leads_beside_the_exits_that_stand(
    assistant: Assistant, world: World, person: Person, order: dict[str, Any], worst: int, stands: str
) -> None:
    await assistant.buys(2)
    world.later()
    world.sim.faults.arm(Fault.NO_FILL, times=1)
    prices: dict[str, Any] = {
        "STOP_MARKET": {"stop_price": world.price(-60)},
        "LIMIT": {"limit_price": world.price(60)},
        "MARKET": {},
    }
    await assistant.buys(2, action="SELL", order_type=stands, **prices[stands])
    world.later(70)
    asked = len(person.asked)
    at: dict[str, Any] = {"limit_price": world.price(order["limit_price"])} if "limit_price" in order else {}
    told = await assistant.buys(action="SELL", **{**order, **at})
    (question,) = person.asked[asked:]
    says = f"WARNING: once this fills, the orders that stand could turn the position round, to {worst} at worst"
    assert says in question
    if told.status == "filled":
        assert f"still standing: SELL 2 MES 09-26 {stands.replace('_', ' ')}" in told.warnings_text, "and is named"
        assert f"order_id {world.live()[0]}" in told.next_step


async def test_a_larger_exit_beside_another_is_shown_with_where_both_lead(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    target = await assistant.rests(world.price(60), action="SELL")
    world.later(70)
    asked = len(person.asked)
    await assistant.call("change_order", account="Sim101", order_id=target, quantity=2)
    (question,) = person.asked[asked:]
    assert "the orders that stand could turn the position round, to -2 at worst" in question


async def test_an_addition_with_a_stop_of_its_own_leaves_the_other_as_it_is_and_both_fit(
    assistant: Assistant, world: World
) -> None:
    await entered(assistant, world, "BUY", 2, stop_loss="10 points", take_profit="20 points")
    told = await assistant.buys(1, stop_loss="5 points")
    assert told.position_after == 3, told.text
    assert told.next_step == ""
    (position, _) = told.stands_now
    assert [position.count(each) for each in ("stop 2 of 3", "stop 1 of 3", "NO STOP", "TOO ")] == [1, 1, 0, 0]


async def test_an_addition_by_a_template_wants_nothing_of_the_stop_that_stood_before(
    assistant: Assistant, world: World
) -> None:
    await entered(assistant, world, "BUY", 2, stop_loss="10 points")
    told = await assistant.buys(1, atm_strategy="Scalp 8x8")
    assert (told.position_after, told.next_step) == (3, ""), told.text
    assert "TOO SMALL" not in told.text


async def test_what_is_added_beside_several_stops_is_asked_of_one_of_them(assistant: Assistant, world: World) -> None:
    await entered(assistant, world, "BUY", 3, stop_loss="10 points", take_profit="1 at 10 points, 2 at 20 points")
    told = await assistant.buys(1)
    assert "NO STOP for 1 of 4" in told.stands_now[0], told.text
    assert [quantity for _, quantity in calls(told)] == [2, 2], "with 2 in the other pair that makes 4"
