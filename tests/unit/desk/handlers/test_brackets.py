"""Protecting a position over a call that is not atomic: what stands is said, and what stands bare is cried out."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import CancelOrder, ClosePosition, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderState, TimeInForce
from ct_mcp.errors import AddonOffline, BadRequest, OutcomeUnknown, Unavailable
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices

BARE = "UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop"
WRITES = ("CancelAndBracket", "PlaceOrder")


@pytest.fixture
def guarded(price: Prices, mes: Instrument) -> ProtectPosition:
    """A target above and a stop below."""
    return ProtectPosition("Sim101", mes, price(60), price(-60))


async def test_both_legs_are_seen_standing_at_the_size_of_the_position(
    does: Does, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore
) -> None:
    told = await does(guarded)
    assert (told.status, told.position_after, told.warnings, told.next_step) == (Status.WORKING, 2, (), "")
    target, stop = sim.exchange.live_orders("Sim101")
    assert (told.order_id, told.order_state) == (stop.id, OrderState.WORKING)
    assert {target.terms.quantity, stop.terms.quantity} == {2}
    assert await store.unsettled() == ()


async def test_the_person_is_shown_what_goes_and_what_comes(
    desk: Desk, does: Does, long_two: Outcome, buy: Buys, price: Prices, guarded: ProtectPosition
) -> None:
    await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-80)))
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    question = ticket.question
    assert "Held: +2 MES 09-26" in question
    assert "First: cancel SELL 2 MES 09-26 STOP MARKET" in question
    assert "Then: SELL 2 LIMIT " in question
    assert "one cancels the other" in question
    assert "In between nothing protects the position." in question


async def test_old_orders_of_the_instrument_go_and_new_ones_stand(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, guarded: ProtectPosition, sim: Simulator
) -> None:
    old = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    told = await does(guarded)
    assert told.status is Status.WORKING
    assert old.order_id not in {order.id for order in sim.exchange.live_orders("Sim101")}
    assert told.order_id != old.order_id


async def test_in_place_of_an_order_that_could_turn_the_position_it_is_asked_how_far_it_may_lead(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    guarded: ProtectPosition,
    sim: Simulator,
) -> None:
    await does(buy(3, action="SELL", kind="LIMIT", limit_price=price(80)))
    sim.advance(20)
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    assert "with the bracket to -3 at worst" in ticket.question
    told = await does(guarded)
    assert told.status is Status.WORKING
    assert not [finding for finding in told.findings if "at worst" in finding.text]


async def test_a_stop_alone_is_enough(
    does: Does, long_two: Outcome, price: Prices, mes: Instrument, sim: Simulator
) -> None:
    told = await does(ProtectPosition("Sim101", mes, None, price(-60)))
    assert (told.status, told.warnings) == (Status.WORKING, ())


async def test_a_target_alone_works_and_says_that_nothing_stops_the_loss(
    does: Does, long_two: Outcome, price: Prices, mes: Instrument
) -> None:
    told = await does(ProtectPosition("Sim101", mes, price(60), None))
    assert (told.status, told.alarm, told.warnings) == (Status.WORKING, BARE, ())
    assert "protect it with protect_position and a stop_loss" in told.next_step


async def test_nothing_is_sent_for_a_flat_account(does: Does, guarded: ProtectPosition, sim: Simulator) -> None:
    told = await does(guarded)
    assert told.status is Status.DENIED
    assert sim.requests_of(*WRITES) == []


@pytest.mark.parametrize("how_much", [None, 4], ids=["flat", "turned"])
async def test_what_went_right_before_the_wire_is_not_protected(
    desk: Desk,
    long_two: Outcome,
    guarded: ProtectPosition,
    crosstrade: CrossTrade,
    buy: Buys,
    sim: Simulator,
    mes: Instrument,
    store: SqliteStore,
    how_much: int | None,
) -> None:
    """The review holds for two seconds; what is held is read once more all the same."""
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    if how_much is None:
        await crosstrade.close_position(ClosePosition("Sim101", mes))
    else:
        await crosstrade.place_order(buy(how_much, action="SELL"), "somebody-else")
    sim.advance(1)
    with pytest.raises(BadRequest, match=r"flat by now|was \+2 when this was reviewed and is -2 by now"):
        await desk.commit(ticket.ticket_id)
    assert sim.requests_of("CancelAndBracket") == []
    assert sim.exchange.live_orders("Sim101") == []
    assert await store.unsettled() == ()


async def test_a_position_that_cannot_be_read_right_before_the_wire_is_not_protected(
    desk: Desk, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore
) -> None:
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    sim.advance(1)
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListPositions")
    with pytest.raises(Unavailable, match="right before it was to be sent"):
        await desk.commit(ticket.ticket_id)
    assert sim.requests_of("CancelAndBracket") == []
    assert await store.unsettled() == ()


@pytest.mark.parametrize(("seconds", "readings"), [(0, 0), (0.75, 0), (0.8, 1)])
async def test_a_position_that_was_asked_for_a_moment_ago_is_not_asked_for_again(
    *,
    desk: Desk,
    long_two: Outcome,
    guarded: ProtectPosition,
    sim: Simulator,
    clock: ManualClock,
    seconds: float,
    readings: int,
) -> None:
    """Another reading right after the one of the review would tell nothing newer, and cost what it takes."""
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    clock.advance(seconds)
    before = len(sim.requests)
    assert (await desk.commit(ticket.ticket_id)).status is Status.WORKING
    asked = [seen.rpc for seen in sim.requests][before:]
    assert asked[: asked.index("CancelAndBracket")].count("ListPositions") == readings


async def test_the_bracket_is_as_large_as_the_position_is_by_then(
    desk: Desk, long_two: Outcome, guarded: ProtectPosition, crosstrade: CrossTrade, buy: Buys, sim: Simulator
) -> None:
    ticket = await desk.propose(guarded)
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    await crosstrade.place_order(buy(1), "somebody-else")
    sim.advance(1)
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.position_after, told.warnings) == (Status.WORKING, 3, ())
    assert [order.terms.quantity for order in sim.exchange.live_orders("Sim101")] == [3, 3]


@pytest.mark.parametrize("fault", [Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.HTML_PAGE, Fault.ERROR_500_AFTER_ACCEPT])
async def test_a_lost_answer_to_a_bracket_that_stands_is_settled_by_what_stands(
    does: Does, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore, fault: Fault
) -> None:
    sim.faults.arm(fault, rpc="CancelAndBracket")
    told = await does(guarded)
    assert (told.status, told.position_after) == (Status.WORKING, 2)
    assert "CancelAndBracket" in told.reasons[0]
    assert await store.unsettled() == ()
    assert len(sim.requests_of("CancelAndBracket")) == 1


async def test_a_bracket_that_never_arrived_is_unknown_and_the_position_is_said_to_be_bare(
    does: Does, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="CancelAndBracket")
    told = await does(guarded)
    assert (told.status, told.alarm) == (Status.UNKNOWN, BARE)
    stop = f"{guarded.stop_loss_price:f}".rstrip("0").rstrip(".")
    assert (
        "place_order with account Sim101, instrument MES 09-26, action SELL, quantity 2, "
        f"order_type STOP_MARKET, stop_price {stop}, time_in_force GTC"
    ) in told.next_step
    assert "close_position with account Sim101, instrument MES 09-26" in told.next_step
    assert len(await store.unsettled()) == 1


@pytest.mark.parametrize("numbered", [False, True])
async def test_a_stop_that_the_broker_refuses_after_the_old_one_is_gone_is_cried_out(
    odd: Oddly,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    guarded: ProtectPosition,
    sim: Simulator,
    store: SqliteStore,
    numbered: bool,
) -> None:
    """What happened to a user: price had passed the new stop, and only the target stood."""
    await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-80)))
    sim.advance(20)

    async def with_the_stop_passed(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        passed = ProtectPosition(protect.account, protect.instrument, protect.take_profit_price, price(40))
        taken = await inner.cancel_and_bracket(passed, position, fields)
        for order in sim.exchange.orders[-2:] if numbered else ():
            sim.exchange.renumber(order)
        return taken

    told = await odd("cancel_and_bracket", with_the_stop_passed)(guarded)
    assert (told.status, told.alarm) == (Status.ACCEPTED, BARE)
    assert await store.unsettled() == (), "what was refused must not count against the stop that mends it"
    assert "the stop loss is not seen standing for 2" in told.reasons
    assert told.next_step.startswith("tell the person now; cancel_order with account Sim101")


async def test_a_call_that_stops_after_the_cancel_leaves_a_bare_position_and_says_so(
    odd: Oddly,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    guarded: ProtectPosition,
    sim: Simulator,
    mes: Instrument,
) -> None:
    await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-80)))
    sim.advance(20)

    async def cancels_only(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        await inner.cancel_orders(protect.account, protect.instrument)
        raise OutcomeUnknown("CancelAndBracket got no answer")

    told = await odd("cancel_and_bracket", cancels_only)(guarded)
    assert (told.status, told.alarm) == (Status.UNKNOWN, BARE)


async def test_a_position_that_goes_flat_in_the_gap_is_flat(
    odd: Oddly, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, mes: Instrument
) -> None:
    async def closed_in_the_gap(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        await inner.close_position(ClosePosition(protect.account, protect.instrument))
        sim.advance(1)
        return Acknowledged(warning="Bracket not placed")

    told = await odd("cancel_and_bracket", closed_in_the_gap)(guarded)
    assert (told.status, told.position_after) == (Status.FLAT, 0)
    assert "the position is flat now: there is nothing left to protect" in told.reasons


async def test_legs_around_a_position_that_is_gone_are_listed_to_be_cancelled(
    odd: Oddly, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, mes: Instrument
) -> None:
    async def closed_too_late(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        sim.exchange.accounts["Sim101"].positions.clear()
        return await inner.cancel_and_bracket(protect, position, fields)

    told = await odd("cancel_and_bracket", closed_too_late)(guarded)
    assert told.status is Status.ACCEPTED
    assert len([line for line in told.warnings if line.startswith("still standing, and would open a position")]) == 2
    assert told.next_step.count("cancel_order with account Sim101") == 2


async def test_an_account_that_cannot_be_read_afterwards_is_not_called_protected(
    odd: Oddly, long_two: Outcome, guarded: ProtectPosition, sim: Simulator
) -> None:
    async def goes_blind(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        taken = await inner.cancel_and_bracket(protect, position, fields)
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListOrders")
        return taken

    told = await odd("cancel_and_bracket", goes_blind)(guarded)
    assert told.status is Status.ACCEPTED
    assert told.alarm.startswith("it is NOT KNOWN whether the position stands protected")
    assert told.next_step.startswith("tell the person now")


async def test_empty_lists_after_a_bracket_are_not_believed_to_be_flat(
    odd: Oddly, long_two: Outcome, guarded: ProtectPosition, sim: Simulator
) -> None:
    async def lists_go_empty(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        taken = await inner.cancel_and_bracket(protect, position, fields)
        sim.faults.arm(Fault.EMPTY_LISTS)
        return taken

    told = await odd("cancel_and_bracket", lists_go_empty)(guarded)
    assert told.status is Status.ACCEPTED
    assert told.alarm.startswith("it is NOT KNOWN")


async def test_their_no_says_whether_the_position_is_bare_as_it_stands(
    does: Does, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="CancelAndBracket")
    told = await does(guarded)
    assert (told.status, told.alarm, told.warnings) == (Status.REJECTED, BARE, ())
    assert await store.unsettled() == ()


async def test_an_offline_addon_protects_nothing(
    does: Does, long_two: Outcome, guarded: ProtectPosition, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE, rpc="CancelAndBracket")
    with pytest.raises(AddonOffline):
        await does(guarded)
    assert await store.unsettled() == ()


async def test_legs_of_another_size_are_not_called_working(
    odd: Oddly, long_two: Outcome, guarded: ProtectPosition, sim: Simulator
) -> None:
    async def smaller(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        one = type(position)(position.account, position.instrument, position.direction, 1, Decimal(6000))
        return await inner.cancel_and_bracket(protect, one, fields)

    told = await odd("cancel_and_bracket", smaller)(guarded)
    assert told.status is Status.ACCEPTED
    assert told.alarm == "UNPROTECTED: 1 of the 2 contracts held in MES 09-26 stand without a stop"
    assert "quantity 1, order_type STOP_MARKET" in told.next_step


async def test_the_stop_that_is_named_as_the_mend_passes_the_limits_and_mends_it(
    odd: Oddly, does: Does, buy: Buys, price: Prices, mes: Instrument, sim: Simulator
) -> None:
    """At the largest position that is allowed, with a target that stands by itself."""
    for _ in range(2):
        await does(buy(5))
        sim.advance(20)
    guarded = ProtectPosition("Sim101", mes, price(60), price(-60))

    async def with_the_stop_passed(inner: Upstream, protect: Any, position: Any, fields: Any) -> Acknowledged:
        passed = ProtectPosition(protect.account, protect.instrument, protect.take_profit_price, price(40))
        return await inner.cancel_and_bracket(passed, position, fields)

    told = await odd("cancel_and_bracket", with_the_stop_passed)(guarded)
    (target,) = sim.exchange.live_orders("Sim101")
    assert f"cancel_order with account Sim101, order_id {target.id}; then place_order" in told.next_step
    assert "quantity 10, order_type STOP_MARKET" in told.next_step
    sim.advance(20)
    assert (await does(CancelOrder("Sim101", target.id))).status is Status.CANCELLED
    stop = buy(10, action="SELL", kind="STOP_MARKET", stop_price=guarded.stop_loss_price)
    assert (await does(replace(stop, time_in_force=TimeInForce.GTC))).status is Status.WORKING
