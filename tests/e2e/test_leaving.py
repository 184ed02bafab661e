"""Closing and flattening: flat is said when it was read, and what is left standing is told."""

from functools import partial
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Wire, World


def bodies(wire: Wire, ending: str) -> list[dict[str, Any]]:
    """The bodies of the writes to one route."""
    return [said for path, said in wire.posts() if path.endswith(ending)]


async def test_closing_all_of_a_position_is_flat(assistant: Assistant, world: World, wire: Wire) -> None:
    await assistant.buys(2)
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert (told.status, told.sent, told.position_after) == ("flat", True, 0)
    assert world.net() == 0
    assert bodies(wire, "/positions/close") == [{"instrument": "MES 09-26"}]


async def test_closing_a_part_leaves_the_rest(assistant: Assistant, world: World, wire: Wire) -> None:
    await assistant.buys(5)
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=2)
    assert (told.status, told.position_after, world.net()) == ("filled", 3, 3)
    assert bodies(wire, "/positions/close") == [{"instrument": "MES 09-26", "quantity": 2}]


async def test_a_part_beside_a_stop_can_be_closed_after_a_restart(
    assistant: Assistant, converse: Converse, person: Person, world: World, another_desk: Desk
) -> None:
    """It may turn the position, so it needs the day's figures, which nobody has read since."""
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-40), 2)
    world.later()
    async with converse(person, another_desk) as again:
        told = await again.call("close_position", account="Sim101", instrument="MES 09-26", quantity=1)
    assert (told.status, told.position_after) == ("filled", 1), told.text


@pytest.mark.parametrize(("held", "percent", "left"), [(5, 50, 2), (5, 10, 4), (3, 33.4, 1), (1, 1, 0), (4, 25, 3)])
async def test_a_percentage_rounds_up(
    assistant: Assistant, world: World, wire: Wire, held: int, percent: float | int, left: int
) -> None:
    await assistant.buys(held)
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES", percent=percent)
    assert told.status == ("filled" if left else "flat")
    assert (told.position_after, world.net()) == (left, left)
    part = {"instrument": "MES 09-26", "quantity": held - left} if left else {"instrument": "MES 09-26"}
    assert bodies(wire, "/positions/close") == [part], "a percentage would be one of whatever is held when it arrives"


async def test_all_of_it_by_percent_names_no_contracts(assistant: Assistant, world: World, wire: Wire) -> None:
    await assistant.buys(5)
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES", percent=100)
    assert (told.status, told.position_after, world.net()) == ("flat", 0, 0)
    (said,) = bodies(wire, "/positions/close")
    assert said["percent"] == pytest.approx(1)


async def test_closing_more_than_is_held_turns_nothing_round(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=5)
    assert (told.status, told.position_after, world.net()) == ("flat", 0, 0)


async def test_a_short_position_is_left_by_buying(assistant: Assistant, world: World) -> None:
    await assistant.buys(3, action="SELL")
    world.later()
    assert world.net() == -3
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert (told.status, told.position_after, world.net()) == ("filled", -2, -2)


async def test_a_stop_that_is_larger_than_the_rest_is_warned_of(assistant: Assistant, world: World) -> None:
    await assistant.buys(3)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=3)
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=2)
    assert (told.status, told.position_after) == ("filled", 1)
    assert told.warnings_text.count("TOO LARGE for what remains: SELL 3 MES 09-26 STOP MARKET") == 1
    assert "larger than the position" not in told.warnings_text, "it is said once"
    assert told.next_step == f"change_order with account Sim101, order_id {stop}, quantity 1"
    assert world.live() == [stop]


async def test_a_part_is_closed_beside_a_full_stop_only_after_a_yes_that_names_the_danger(
    assistant: Assistant, world: World, person: Person
) -> None:
    """Filled after the close, the stop would turn the position round."""
    await assistant.buys(3)
    world.later()
    below = world.price(-40)
    stop = await assistant.protects(below, quantity=3)
    asked = len(person.asked)
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=2)
    (question,) = person.asked[asked:]
    assert told.status == "filled"
    assert "WARNING: the orders that stand could turn the position round" in question
    assert "Position +3 now, +1 after" in question
    assert f"SELL 3 MES 09-26 STOP MARKET {below:g} WORKING ({stop})" in question
    smaller = await assistant.call("change_order", account="Sim101", order_id=stop, quantity=1)
    assert smaller.status == "changed"


async def test_several_stops_that_are_together_too_large_are_warned_of(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-40))
    await assistant.protects(world.price(-44))
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert "larger than the position of 1" in told.warnings_text


async def test_stop_and_target_of_one_group_are_not_too_large(assistant: Assistant, world: World) -> None:
    await assistant.buys(3)
    world.later()
    await assistant.protects(world.price(-40), oco_id="out")
    await assistant.buys(1, action="SELL", order_type="LIMIT", limit_price=world.price(60), oco_id="out")
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert (told.status, told.position_after) == ("filled", 2)
    assert told.stands_now[-1].count(" MES 09-26 ") == 2
    assert "larger than" not in told.warnings_text
    assert told.next_step == ""


async def test_closing_what_is_not_held_is_flat_and_says_what_they_said(assistant: Assistant, world: World) -> None:
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert (told.status, told.position_after) == ("flat", 0)
    assert 'CrossTrade said "No positions found for instrument' in told.reasons_text
    assert world.states() == []


async def test_closing_what_is_not_held_beside_a_resting_order_is_not_called_filled(
    assistant: Assistant, world: World
) -> None:
    order_id = await assistant.rests(world.price(-40))
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert (told.status, told.is_error) == ("rejected", True)
    assert "No positions found" in told.reasons_text
    assert order_id in told.warnings_text
    assert f"cancel_order with account Sim101, order_id {order_id}" in told.next_step


async def test_an_exit_by_its_root_means_the_month_that_is_held(assistant: Assistant, world: World) -> None:
    held = await assistant.buys(1, instrument="MES 12-26")
    assert held.status == "filled"
    world.later()
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert (told.status, told.summary) == ("flat", "SIM  Sim101  CLOSE all of MES 12-26")
    assert not world.sim.exchange.accounts["Sim101"].open_positions()


async def test_an_exit_by_a_root_that_is_held_in_two_months_asks_for_the_month(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(1, instrument="MES 09-26")
    await assistant.buys(1, instrument="MES 12-26")
    world.later()
    for tool in ("close_position", "flatten", "cancel_orders"):
        told = await assistant.call(tool, account="Sim101", instrument="MES")
        assert told.is_error
        assert "MES 09-26, MES 12-26" in told.text
        assert "Nothing was sent" in told.text
    assert world.net() == 1


async def test_flatten_leaves_positions_and_cancels_every_order(assistant: Assistant, world: World, wire: Wire) -> None:
    await assistant.buys(2)
    await assistant.buys(1, instrument="MNQ", action="SELL")
    world.later()
    await assistant.protects(world.price(-40), quantity=2)
    await assistant.rests(world.price(-80, "MNQ"), instrument="MNQ")
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, told.sent, told.position_after, told.reasons) == ("flat", True, 0, [])
    assert not world.sim.exchange.accounts["Sim101"].open_positions()
    assert world.live() == []
    assert [path for path, said in wire.posts() if not said] == ["/v1/api/accounts/Sim101/positions/flatten"], (
        "without an instrument the account still stands in the path"
    )


async def test_flatten_of_one_instrument_leaves_the_others(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    await assistant.buys(1, instrument="MNQ")
    world.later()
    other = await assistant.protects(world.price(-60, "MNQ"), instrument="MNQ")
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert (told.status, told.position_after) == ("flat", 0)
    assert (world.net("MES"), world.net("MNQ")) == (0, 1)
    assert world.live() == [other]


async def test_flatten_of_a_resting_entry_cancels_it_by_a_second_step(assistant: Assistant, world: World) -> None:
    """Flattening one instrument leaves an entry without a position alone, and it would fill later."""
    await assistant.rests(world.price(-40))
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert (told.status, told.position_after) == ("flat", 0)
    assert world.live() == []
    assert [seen.rpc for seen in world.sim.requests_of("Flatten", "CancelOrders")] == ["Flatten", "CancelOrders"]


async def test_flatten_of_a_flat_account_is_flat_and_passes_their_warning_on(
    assistant: Assistant, world: World
) -> None:
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, told.sent) == ("flat", True)
    assert 'CrossTrade warns: "No open positions to flatten"' in told.warnings_text


async def test_a_stop_stays_as_long_as_the_position_that_it_protects(assistant: Assistant, world: World) -> None:
    """The closing order hangs, so the second step must not strip the position of its stop."""
    await assistant.buys(2)
    world.later()
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Flatten")
    stop = await assistant.protects(world.price(-40), quantity=2)
    told = await assistant.call("flatten", account="Sim101")
    assert told.status == "rejected"
    assert "NOT FLAT" in told.next_step
    assert "still held: LONG 2 MES 09-26" in told.reasons_text
    assert world.live() == [stop]
    assert not world.sim.requests_of("CancelOrders")


@pytest.mark.parametrize("fault", [Fault.FROZEN_ORDERS, Fault.NO_FILL, Fault.LATE_REJECT, Fault.PARTIAL_FILL_STUCK])
@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_an_exit_that_does_not_fill_is_never_called_flat(
    assistant: Assistant, world: World, fault: Fault, tool: str
) -> None:
    await assistant.buys(4)
    world.later()
    world.sim.faults.arm(fault, rpc="Flatten" if tool == "flatten" else "ClosePosition")
    told = await assistant.call(tool, account="Sim101", instrument="MES")
    held = 2 if fault is Fault.PARTIAL_FILL_STUCK else 4
    assert world.net() == held
    assert (told.status, told.sent) == ("rejected" if fault is Fault.LATE_REJECT else "accepted", True)
    assert "still held" in told.reasons_text
    assert "tell the person now" in told.next_step
    assert "flat" not in told.status
    assert told.position_after in (None, held)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("flatten", {}),
        ("flatten", {"instrument": "MES"}),
        ("close_position", {"instrument": "MES"}),
        ("close_position", {"instrument": "MES", "quantity": 2}),
    ],
)
async def test_an_exit_that_they_rejected_says_so_in_their_words(
    assistant: Assistant, world: World, tool: str, arguments: dict[str, Any]
) -> None:
    """They took it, and the broker rejects its order a moment later. It carries no id, and no other can be meant."""
    await assistant.buys(4)
    world.later()
    world.sim.faults.arm(Fault.LATE_REJECT, times=1)
    told = await assistant.call(tool, account="Sim101", **arguments)
    assert (told.status, told.order_id, world.net()) == ("rejected", None, 4), told.text
    assert 'reads REJECTED: they said "Order rejected by the exchange"; it is the one of this exit' in told.reasons_text
    world.later(1)
    again = await assistant.call("flatten", account="Sim101")
    assert (again.status, world.net()) == ("flat", 0), again.text


async def test_the_rejection_of_somebody_elses_order_is_not_told_beside_an_exit_that_works(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(4)
    world.later()
    world.sim.faults.arm(Fault.NO_FILL)
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, "REJECTED" in told.reasons_text) == ("accepted", False)


async def test_a_position_that_was_turned_round_meanwhile_is_not_called_done(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    """Somebody at NinjaTrader sells as well: less is held than was to be left, but on the other side."""
    await assistant.buys(3)
    world.later()

    def somebody_sells_two() -> None:
        account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
        terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.MARKET)
        world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())

    wire.meanwhile["/positions/close"] = somebody_sells_two
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=2)
    assert (told.status, told.position_after, world.net()) == ("accepted", -1, -1)
    assert "the position reads -1 and was to be +1" in told.reasons_text
    assert "tell the person now" in told.next_step


async def test_exits_need_no_quote_no_session_and_no_approval(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    before = len(person.asked)
    world.sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetQuote")
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="MarketInfo")
    told = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert told.status == "filled"
    told = await assistant.call("flatten", account="Sim101")
    assert told.status == "flat"
    assert (world.net(), len(person.asked)) == (0, before)


async def test_what_fills_between_the_readings_of_a_review_is_in_one_of_them(
    assistant: Assistant, world: World, wire: Wire, person: Person
) -> None:
    """Positions were read before the fill, and the orders once more after it."""
    await assistant.buys(4)
    await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-60))
    world.later()

    def somebody_sells_two() -> None:
        account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
        terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.MARKET)
        world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())
        world.later(1)

    def at_the_third(reads: int = 1) -> None:
        """Each review lists orders first, and the second one once more after the positions."""
        wire.meanwhile["/orders"] = somebody_sells_two if reads == 2 else partial(at_the_third, reads + 1)

    wire.meanwhile["/orders"] = at_the_third
    asked = len(person.asked)
    await assistant.protects(world.price(-40), quantity=4)
    assert world.net() == 2
    assert "Position +2 now" in "".join(person.asked[asked:])


@pytest.mark.parametrize(
    ("exits", "closed"),
    [(("close_position", {"quantity": 2}), 2), (("close_position", {}), 4), (("flatten", {}), 4)],
    ids=["a part", "all of it", "flatten"],
)
async def test_the_fills_and_the_result_of_an_exit_are_those_of_this_exit(
    assistant: Assistant, world: World, exits: tuple[str, dict[str, int]], closed: int
) -> None:
    await assistant.buys(5)
    world.later(60)
    first = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert first.status == "filled"
    tool, size = exits
    told = await assistant.call(tool, account="Sim101", instrument="MES", **size)
    (fill,) = (line for line in told.stands_now if line.startswith("fill: "))
    (result,) = (line for line in told.stands_now if line.startswith("result: "))
    assert fill.startswith(f"fill: SELL {closed} MES 09-26"), told.text
    assert f" for {closed} MES 09-26" in result, told.text


async def test_what_filled_before_a_cancel_of_all_is_no_fill_beside_it(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    told = await assistant.call("cancel_orders", account="Sim101")
    assert told.status == "cancelled"
    assert "fill: " not in told.text, told.text
    assert told.next_step == ""


async def test_what_a_hand_filled_before_a_cancel_of_all_is_told_by_one_answer(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    def buys() -> None:
        terms = OrderTerms(world.sim.market.front("MES", world.clock()), Action.BUY, 1, SimOrderType.MARKET)
        world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
        world.later(1)

    wire.meanwhile["/orders/cancel"] = buys
    first = await assistant.call("cancel_orders", account="Sim101")
    assert "fill: BUY 1 MES" in first.warnings_text, first.text
    second = await assistant.call("cancel_orders", account="Sim101")
    assert "fill: " not in second.text, second.text
