"""Reverse, flatten first, replace: both legs are read back, and what is not seen is not said."""

from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import ClosePosition, ReplaceOrder, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderState
from ct_mcp.errors import AddonOffline, OutcomeUnknown
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices

BOTH = "THE FIRST LEG IS NOT SEEN CLOSED"


@pytest.fixture
def turn(mes: Instrument) -> ReversePosition:
    """Turn the position of most tests round."""
    return ReversePosition("Sim101", mes)


def net(sim: Simulator) -> int:
    """What the simulator's account really holds."""
    sim.advance(2)
    return sum(held.quantity for held in sim.exchange.accounts["Sim101"].open_positions())


async def test_a_position_is_turned_and_told_as_read(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator, store: SqliteStore
) -> None:
    told = await does(turn)
    assert (told.status, told.position_after, told.warnings) == (Status.FILLED, -2, ())
    assert told.order_state is OrderState.FILLED
    assert net(sim) == -2
    assert await store.unsettled() == ()


async def test_the_person_is_shown_both_legs(
    desk: Desk, long_two: Outcome, does: Does, buy: Buys, price: Prices, turn: ReversePosition
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    ticket = await desk.propose(turn)
    assert not isinstance(ticket, Outcome), ticket
    assert "First: close LONG 2 MES 09-26 at 6050.5, at the market" in ticket.question
    assert "Then: SELL 2 MES 09-26 MARKET" in ticket.question
    assert "both may stand together" in ticket.question
    assert "These may be cancelled, or stay and work on: BUY 1 MES 09-26 LIMIT" in ticket.question


async def test_nothing_is_turned_where_nothing_is_held(does: Does, turn: ReversePosition, sim: Simulator) -> None:
    told = await does(turn)
    assert told.status is Status.DENIED
    assert sim.requests_of("Reverse") == []


async def test_a_position_that_went_while_the_person_read_is_not_turned(
    desk: Desk, long_two: Outcome, turn: ReversePosition, crosstrade: CrossTrade, sim: Simulator, mes: Instrument
) -> None:
    ticket = await desk.propose(turn)
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    await crosstrade.close_position(ClosePosition("Sim101", mes))
    sim.advance(1)
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.reasons) == (Status.DENIED, ("POSITION_FLAT: held=+0 MES 09-26",))
    assert sim.requests_of("Reverse") == []
    assert net(sim) == 0


async def test_a_position_that_went_in_between_is_rejected_in_their_words(
    odd: Oddly, long_two: Outcome, turn: ReversePosition, sim: Simulator, mes: Instrument
) -> None:
    async def too_late(inner: Upstream, account: str, instrument: Any) -> Acknowledged:
        await inner.close_position(ClosePosition("Sim101", mes))
        sim.advance(0.6)  # sooner than it is looked at once more
        return await inner.reverse(account, instrument)

    told = await odd("reverse", too_late)(turn)
    assert told.status is Status.REJECTED
    assert "No position found for instrument 'MES 09-26'" in told.reasons[0]
    assert net(sim) == 0


@pytest.mark.parametrize("fault", [Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.HTML_PAGE, Fault.TIMEOUT_AFTER_ACCEPT])
async def test_a_lost_answer_to_a_turn_that_worked_is_settled_by_what_stands(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator, store: SqliteStore, fault: Fault
) -> None:
    sim.faults.arm(fault, rpc="Reverse")
    told = await does(turn)
    assert (told.status, told.position_after) == (Status.FILLED, -2)
    assert "Reverse" in told.reasons[0], "that its answer was lost stays told"
    assert await store.unsettled() == ()
    assert len(sim.requests_of("Reverse")) == 1


async def test_a_turn_that_never_arrived_stays_unknown_and_invents_no_leg(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Reverse")
    told = await does(turn)
    assert (told.status, told.position_after) == (Status.UNKNOWN, 2)
    assert "neither leg is seen, and both may still come" in told.warnings[0]
    assert "do NOT send it again" in told.next_step
    assert len(await store.unsettled()) == 1
    denied = await does(turn)
    assert denied.status is Status.DENIED
    assert len(sim.requests_of("Reverse")) == 1


async def test_an_unknown_after_the_first_leg_is_reported_as_such(
    odd: Oddly, long_two: Outcome, turn: ReversePosition, sim: Simulator, mes: Instrument
) -> None:
    async def closes_and_goes_silent(inner: Upstream, account: str, instrument: Any) -> Acknowledged:
        await inner.close_position(ClosePosition(account, instrument))
        raise OutcomeUnknown("Reverse got no answer")

    told = await odd("reverse", closes_and_goes_silent)(turn)
    assert (told.status, told.position_after) == (Status.UNKNOWN, 0)
    assert told.warnings[0].startswith("only the first leg is seen: the old position is closed")


async def test_orders_of_a_turn_that_neither_fill_nor_fail_are_listed(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS, rpc="Reverse")
    told = await does(turn)
    assert (told.status, told.position_after) == (Status.ACCEPTED, 2)
    assert len([line for line in told.warnings if line.startswith("still standing: SELL 2")]) == 2


async def test_a_position_that_grew_meanwhile_is_turned_at_its_new_size_and_that_is_said(
    odd: Oddly, long_two: Outcome, turn: ReversePosition, buy: Buys, sim: Simulator
) -> None:
    async def somebody_buys_one_more(inner: Upstream, account: str, instrument: Any) -> Acknowledged:
        await inner.place_order(buy(1), "somebody-else")
        sim.advance(0.6)  # sooner than it is looked at once more
        return await inner.reverse(account, instrument)

    told = await odd("reverse", somebody_buys_one_more)(turn)
    assert (told.status, told.position_after) == (Status.FILLED, -3)
    assert told.warnings == ("the position was not +2 any more when it was turned: it is -3 now",)


async def test_a_first_leg_that_does_not_close_is_cried_out(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK, rpc="Reverse")
    told = await does(turn)
    assert told.status is Status.ACCEPTED
    assert "THE FIRST LEG IS NOT SEEN CLOSED: it reads flat" in told.warnings[0]
    assert told.next_step.startswith("NOT turned as asked: tell the person now")
    assert "cancel_order with account Sim101, order_id " in told.next_step


async def test_orders_that_outlive_the_turn_are_listed_with_the_call_that_cancels_them(
    does: Does, long_two: Outcome, turn: ReversePosition, buy: Buys, price: Prices, sim: Simulator
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS, rpc="PlaceOrder", times=1)
    left = await does(buy(action="SELL", kind="LIMIT", limit_price=price(40)))
    sim.advance(20)
    told = await does(turn)
    assert (told.status, told.position_after) == (Status.FILLED, -2)
    assert "still standing: SELL 1 MES 09-26 LIMIT" in " ".join(told.warnings)
    assert f"cancel_order with account Sim101, order_id {left.order_id}" in told.next_step


async def test_an_account_that_cannot_be_read_after_a_turn_is_only_accepted(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator, odd: Oddly
) -> None:
    async def turns_and_goes_blind(inner: Upstream, account: str, instrument: Any) -> Acknowledged:
        taken = await inner.reverse(account, instrument)
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListPositions")
        return taken

    told = await odd("reverse", turns_and_goes_blind)(turn)
    assert (told.status, told.position_after) == (Status.ACCEPTED, None)
    assert told.reasons == ("the account could not be read",)


async def test_an_offline_addon_turns_nothing(
    does: Does, long_two: Outcome, turn: ReversePosition, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE, rpc="Reverse")
    with pytest.raises(AddonOffline):
        await does(turn)
    assert await store.unsettled() == ()


async def test_an_order_that_flattens_first_tells_the_new_position(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    told = await does(buy(1, action="SELL", flatten_first=True))
    assert (told.status, told.position_after, told.warnings) == (Status.FILLED, -1, ())
    assert net(sim) == -1


async def test_an_order_that_flattens_first_and_rests_says_that_it_is_flat(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    told = await does(buy(1, kind="LIMIT", limit_price=price(-40), flatten_first=True))
    assert (told.status, told.position_after, told.warnings) == (Status.WORKING, 0, ())


async def test_a_flatten_first_that_leaves_the_old_position_is_cried_out(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK, rpc="FlatPlace")
    told = await does(buy(1, kind="LIMIT", limit_price=price(-40), flatten_first=True))
    assert told.position_after == 2
    assert f"{BOTH}: the old position and the new order may stand together" in told.warnings[0]
    assert "the position reads +2 and was to be flat" in told.warnings[0]
    assert told.next_step.startswith("tell the person now")


async def test_a_flatten_first_whose_leaving_did_not_work_is_settled_by_where_the_position_stood(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    sim: Simulator,
    clock: ManualClock,
    store: SqliteStore,
) -> None:
    """They place the new order all the same: both stand together, and that is all that there is to know."""
    sim.faults.arm(Lag.CLOSE_STUCK, rpc="FlatPlace")
    told = await does(buy(1, flatten_first=True))
    assert "THE FIRST LEG IS NOT SEEN CLOSED" in told.warnings[0]
    clock.advance(30)
    await settle_outstanding(desk.upstream, desk.pause, store, clock, "Sim101")
    assert len(await store.unsettled()) == 1, "the leaving may still come"
    clock.advance(31)
    await settle_outstanding(desk.upstream, desk.pause, store, clock, "Sim101")
    assert await store.unsettled() == ()


async def test_a_flatten_first_of_lost_answer_is_found_by_our_id_with_its_position(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="FlatPlace")
    told = await does(buy(1, action="SELL", flatten_first=True))
    assert (told.status, told.position_after) == (Status.FILLED, -1)


async def test_a_flatten_first_that_never_arrived_is_unknown(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="FlatPlace")
    told = await does(buy(1, action="SELL", flatten_first=True))
    assert (told.status, told.position_after) == (Status.UNKNOWN, 2)
    assert "the new order could not be seen in the account yet" in told.reasons


async def test_the_person_is_shown_what_is_flattened_first(desk: Desk, long_two: Outcome, buy: Buys) -> None:
    ticket = await desk.propose(buy(1, action="SELL", flatten_first=True))
    assert isinstance(ticket, Ticket)
    assert "First: close LONG 2 MES 09-26 at " in ticket.question
    assert "Then: SELL 1 MES 09-26 MARKET" in ticket.question


@pytest.fixture
async def resting(does: Does, buy: Buys, price: Prices, sim: Simulator) -> str:
    """An order to buy one that rests below the market; its id."""
    told = await does(buy(kind="LIMIT", limit_price=price(-40)))
    assert told.status is Status.WORKING
    sim.advance(20)
    return str(told.order_id)


@pytest.fixture
def swap(resting: str, buy: Buys, price: Prices) -> ReplaceOrder:
    """Put another order in place of the one that rests."""
    return ReplaceOrder("Sim101", resting, buy(2, kind="LIMIT", limit_price=price(-60)))


async def test_a_replacement_stands_and_the_old_order_is_gone(
    does: Does, swap: ReplaceOrder, sim: Simulator, store: SqliteStore
) -> None:
    told = await does(swap)
    assert (told.status, told.warnings) == (Status.WORKING, ())
    (live,) = sim.exchange.live_orders("Sim101")
    assert (live.id, live.terms.quantity) == (told.order_id, 2)
    assert await store.unsettled() == ()


async def test_the_person_is_shown_what_goes_and_what_comes(desk: Desk, swap: ReplaceOrder) -> None:
    ticket = await desk.propose(swap)
    assert isinstance(ticket, Ticket)
    (command,) = ticket.commands
    assert isinstance(command, ReplaceOrder)
    assert command.order.limit_price is not None
    assert f"First: cancel BUY 1 MES 09-26 LIMIT {command.order.limit_price + 5:f} WORKING" in ticket.question
    assert f"Then: BUY 2 MES 09-26 LIMIT {command.order.limit_price:f}" in ticket.question


@pytest.mark.parametrize("fault", [Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.UNREADABLE_JSON])
async def test_a_lost_answer_to_a_replacement_invents_neither_order(
    does: Does, swap: ReplaceOrder, sim: Simulator, store: SqliteStore, fault: Fault
) -> None:
    sim.faults.arm(fault, rpc="CancelReplace")
    told = await does(swap)
    assert (told.status, told.order_id) == (Status.UNKNOWN, None)
    assert "the old order reads CANCELLED, 0 of 1 filled" in told.reasons
    assert "not there before, perhaps the new one: BUY 2 MES 09-26 LIMIT" in " ".join(told.reasons)
    assert len(await store.unsettled()) == 1


async def test_a_replacement_that_never_arrived_says_that_the_old_order_works(
    does: Does, swap: ReplaceOrder, sim: Simulator
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="CancelReplace")
    told = await does(swap)
    assert told.status is Status.UNKNOWN
    assert "the old order reads WORKING, 0 of 1 filled" in told.reasons
    assert "no order is listed that was not there before" in told.reasons


async def test_a_replacement_of_what_is_gone_by_then_is_refused_and_nothing_new_is_placed(
    odd: Oddly, swap: ReplaceOrder, sim: Simulator
) -> None:
    async def too_late(inner: Upstream, account: str, order_id: str, order: Any) -> Acknowledged:
        await inner.cancel_order(account, order_id)
        sim.advance(1)
        return await inner.replace_order(account, order_id, order)

    told = await odd("replace_order", too_late)(swap)
    assert told.status is Status.REJECTED
    assert "the old order reads CANCELLED, 0 of 1 filled; the new one was not placed" in told.reasons
    assert sim.exchange.live_orders("Sim101") == []


async def test_both_filled_is_said_with_figures_and_the_call_that_mends_it(
    odd: Oddly, crosstrade: CrossTrade, swap: ReplaceOrder, sim: Simulator, clock: ManualClock
) -> None:
    """The old order filled in part before it was cancelled; nothing of that is taken off the new one."""
    old = sim.exchange.live_orders("Sim101")[0]

    async def replaces(inner: Upstream, account: str, order_id: str, order: Any) -> Acknowledged:
        taken = await inner.replace_order(account, order_id, order)
        old.filled, old.filled_ticks = 1, 20000
        return taken

    told = await odd("replace_order", replaces)(swap)
    assert told.warnings[0] == (
        "THE OLD ORDER FILLED 1 of 1 before its cancel, and the new one is for 2: together they make +3"
    )
    assert f"cancel_order with account Sim101, order_id {told.order_id}" in told.next_step


async def test_an_old_order_that_still_stands_is_cried_out(
    odd: Oddly, swap: ReplaceOrder, buy: Buys, crosstrade: CrossTrade, sim: Simulator
) -> None:
    async def places_without_cancelling(inner: Upstream, account: str, order_id: str, order: Any) -> Acknowledged:
        return await inner.place_order(order, "by-itself")

    told = await odd("replace_order", places_without_cancelling)(swap)
    assert told.status is Status.WORKING
    assert told.warnings[0].startswith("THE OLD ORDER STILL STANDS: BUY 1 MES 09-26 LIMIT")
    assert f"cancel_order with account Sim101, order_id {swap.order_id}" in told.next_step


async def test_an_order_that_only_reduces_requires_the_position_that_it_reduces(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, odd: Oddly, sim: Simulator
) -> None:
    """CrossTrade checks it once more, at the moment of the order."""
    asked = []

    async def listens(inner: Upstream, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        asked.append(require)
        return await inner.place_order(order, own_id, require=require)

    act = odd("place_order", listens)
    await act(buy(action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    sim.advance(20)
    await act(buy(kind="LIMIT", limit_price=price(-40)))
    assert [require and {way.value for way in require} for require in asked] == [{"LONG"}, None]


async def test_their_refusal_of_a_position_that_is_not_there_is_rejected_in_their_words(
    odd: Oddly, long_two: Outcome, crosstrade: CrossTrade, buy: Buys, sim: Simulator, mes: Instrument
) -> None:
    async def closes_just_before(inner: Upstream, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        await inner.close_position(ClosePosition("Sim101", mes))
        sim.advance(1)
        return await inner.place_order(order, own_id, require=require)

    told = await odd("place_order", closes_just_before)(buy(2, action="SELL"))
    assert told.status is Status.REJECTED
    assert "CrossTrade said" in told.reasons[0]
    assert net(sim) == 0, "without the second net it would be short"
