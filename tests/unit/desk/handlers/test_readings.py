"""What may be said after turns, brackets and strategies, of readings that no simulator gives easily."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.desk.handlers.brackets import AskedBracket, from_bracket
from ct_mcp.desk.handlers.orders import (
    from_flat_place,
    from_lost_replace,
    from_refused_replace,
    from_replace,
    from_reverse,
    is_turned,
    strays,
)
from ct_mcp.desk.handlers.strategies import from_ended, from_started, from_switched
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.readback import LOOK_AGAIN
from ct_mcp.desk.stops import alarm_of, cover_of
from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import ProtectPosition, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED, Order, OrderAction, OrderState, OrderType
from ct_mcp.domain.strategy import Strategy, StrategyState
from tests.unit.desk.conftest import MES, Buys, Holds, Stands

SENT = Outcome(Status.ACCEPTED, "SIM  Sim101  ...", simulated=True, ticket_id="t1")
LOST = replace(SENT, status=Status.UNKNOWN, reasons=("no answer",), next_step=LOOK_AGAIN)
SELLS = {"action": OrderAction.SELL}


def book(position: Position | None, *orders: Order, is_stale: bool = False) -> AccountState:
    """What was read of one instrument."""
    return AccountState((position,) if position is not None and position.quantity else (), orders, is_stale)


@given(
    held=st.integers(-20, 20), net=st.integers(-20, 20), filled=st.integers(0, 20), state=st.sampled_from(OrderState)
)
def test_turned_is_said_of_the_other_side_only_and_at_a_size_that_is_accounted_for(
    standing: Stands, holding: Holds, held: int, net: int, filled: int, state: OrderState
) -> None:
    action = OrderAction.SELL if held > 0 else OrderAction.BUY
    leg = standing("b2", action=action, quantity=20, filled=filled, state=state)
    if is_turned(book(holding(net)), held, leg):
        assert net * held < 0
        assert net == -held or (leg.is_closed and abs(net) == filled)


def test_an_old_reading_is_never_called_turned(standing: Stands, holding: Holds) -> None:
    told = from_reverse(SENT, book(holding(-2), is_stale=True), 2, None)
    assert (told.status, told.position_after) == (Status.ACCEPTED, None)


def test_a_second_leg_that_was_refused_says_that_only_the_first_was_done(standing: Stands) -> None:
    leg = standing("b2", **SELLS, state=OrderState.REJECTED)
    told = from_reverse(SENT, book(None), 2, leg)
    assert told.status is Status.ACCEPTED
    assert told.warnings[0] == "the order of the new position is REJECTED: only the first leg was done"


def test_a_flatten_first_without_a_reading_says_that_nothing_is_known_of_the_old_position(standing: Stands) -> None:
    told = from_flat_place(SENT, None, standing("b2", state=OrderState.FILLED, filled=1), frozenset())
    assert told.status is Status.FILLED
    assert told.warnings[0].endswith("whether the old position is closed is NOT KNOWN")
    assert told.next_step == LOOK_AGAIN


def test_a_lost_flatten_first_that_reads_flat_says_so_and_stays_unknown() -> None:
    told = from_flat_place(LOST, book(None), None, frozenset())
    assert (told.status, told.position_after) == (Status.UNKNOWN, 0)
    assert told.reasons[-1] == "the position reads flat"


def test_the_bracket_that_comes_with_the_new_order_is_no_leftover(standing: Stands, holding: Holds) -> None:
    new = standing("b2", state=OrderState.FILLED, filled=1)
    leg, old = standing("c3", **SELLS, oco_id="atm"), standing("a1", **SELLS, oco_id="old")
    closing = standing("d4", **SELLS, order_type=OrderType.MARKET)
    read = book(holding(1), new, leg, old, closing)
    assert strays(read, new, frozenset({"a1"})) == (old, closing)


@pytest.fixture
def swap(buy: Buys) -> ReplaceOrder:
    """Put an order to buy two in place of ``a1``."""
    return ReplaceOrder("Sim101", "a1", buy(2))


def test_an_old_order_that_cannot_be_read_may_still_stand(standing: Stands, swap: ReplaceOrder) -> None:
    told = from_replace(SENT, swap, None, standing("b2"), 0)
    assert told.status is Status.WORKING
    assert told.warnings[0] == "whether the old order a1 is gone could not be read: both may stand"
    assert told.next_step == LOOK_AGAIN


def test_what_the_old_order_had_filled_before_the_review_is_no_surprise(standing: Stands, swap: ReplaceOrder) -> None:
    old = standing("a1", quantity=3, filled=1, state=OrderState.CANCELLED)
    assert from_replace(SENT, swap, old, standing("b2"), 1).warnings == ()
    assert "THE OLD ORDER FILLED 1 of 3" in from_replace(SENT, swap, old, standing("b2"), 0).warnings[0]
    assert from_replace(SENT, swap, old, None, 0).warnings == ("THE OLD ORDER FILLED 1 of 3 before its cancel",)


def test_both_filled_is_mended_by_closing_the_position(standing: Stands, swap: ReplaceOrder) -> None:
    old = standing("a1", filled=1, state=OrderState.FILLED)
    told = from_replace(SENT, swap, old, standing("b2", quantity=2, filled=2, state=OrderState.FILLED), 0)
    assert told.status is Status.FILLED
    assert told.next_step == (
        "tell the person now; if it is too much: close_position with account Sim101, instrument MES 09-26"
    )


@pytest.mark.parametrize(
    ("filled", "said", "step"),
    [
        (0, "the new one is REJECTED: NEITHER STANDS", "tell the person now"),
        (1, "the new one is for 1: together they make +2", "if it is too much: close_position"),
    ],
)
def test_what_the_new_order_cannot_fill_any_more_is_not_counted(
    standing: Stands, swap: ReplaceOrder, filled: int, said: str, step: str
) -> None:
    old = standing("a1", quantity=2, filled=1, state=OrderState.CANCELLED)
    told = from_replace(SENT, swap, old, standing("b2", quantity=2, filled=filled, state=OrderState.REJECTED), 0)
    assert told.warnings[0] == f"THE OLD ORDER FILLED 1 of 2 before its cancel, and {said}"
    assert step in told.next_step
    assert ("close_position" in told.next_step) is bool(filled)


def test_an_old_order_that_has_filled_in_part_and_stands_is_told_as_standing(
    standing: Stands, swap: ReplaceOrder
) -> None:
    old = standing("a1", quantity=3, filled=1, state=OrderState.CANCEL_PENDING)
    told = from_replace(SENT, swap, old, standing("b2", quantity=2), 0)
    assert told.warnings[0].startswith("THE OLD ORDER STILL STANDS: BUY 2 MES")
    assert told.warnings[0].endswith("both may fill")
    assert told.warnings[1] == "it has filled 1 of 3 by now"
    alone = from_replace(SENT, swap, old, standing("b2", quantity=2, state=OrderState.REJECTED), 0)
    assert "both may fill" not in alone.warnings[0]


def test_a_lost_replacement_says_what_could_not_be_read(standing: Stands) -> None:
    told = from_lost_replace(LOST, None, None)
    assert told.status is Status.UNKNOWN
    assert told.reasons[-2:] == ("the old order could not be read", "the orders of the account could not be read")
    filled = from_lost_replace(LOST, standing(state=OrderState.FILLED, filled=1), ())
    assert filled.warnings == ("THE OLD ORDER FILLED; a new one may stand as well",)
    refused = from_refused_replace(replace(SENT, status=Status.REJECTED), None)
    assert refused.reasons == ("how the old order stands could not be read",)


GUARDED = ProtectPosition("Sim101", MES, None, Decimal(5990))


@pytest.mark.parametrize("state", OrderState)
def test_a_stop_protects_only_in_a_state_that_stands(standing: Stands, holding: Holds, state: OrderState) -> None:
    stop = standing(**SELLS, order_type=OrderType.STOP_MARKET, stop_price=Decimal(5990), quantity=2, state=state)
    protects = state in (
        OrderState.ACCEPTED,
        OrderState.ACCEPTED_BY_RISK,
        OrderState.WORKING,
        OrderState.PART_FILLED,
    )
    assert cover_of(holding(2), (stop,)).bare == (0 if protects else 2)


def test_a_stop_on_the_wrong_side_protects_nothing(standing: Stands, holding: Holds) -> None:
    stop = standing(order_type=OrderType.STOP_MARKET, stop_price=Decimal(6010), quantity=2)
    assert alarm_of((holding(2),), (stop,)).startswith("UNPROTECTED: 2 of the 2")
    assert alarm_of((holding(-2),), (stop,)) == ""
    assert alarm_of((), (stop,)) == ""


def test_of_a_stop_whose_state_nobody_knows_it_is_not_known_whether_it_protects_and_none_is_put_beside_it(
    standing: Stands, holding: Holds, mes: Instrument
) -> None:
    stop = standing(
        **SELLS,
        order_type=OrderType.STOP_MARKET,
        stop_price=Decimal(5990),
        quantity=2,
        state=OrderState.UNKNOWN,
        unknown_word="HeldAtDesk",
    )
    told = from_bracket(SENT, book(holding(2), stop), AskedBracket(replace(GUARDED, instrument=mes), frozenset(), 2))
    assert told.alarm.startswith("it is NOT KNOWN whether 2 of the 2 contracts held in MES 09-26 stand protected")
    assert 'UNKNOWN ("HeldAtDesk")' in told.alarm
    assert "place_order" not in told.next_step
    assert "get_order with account Sim101, order_id a1" in told.next_step


@pytest.mark.parametrize("state", [state for state in OrderState if state not in CLOSED])
def test_no_stop_is_advised_beside_one_that_is_alive(
    standing: Stands, holding: Holds, mes: Instrument, state: OrderState
) -> None:
    stop = standing(**SELLS, order_type=OrderType.STOP_MARKET, stop_price=Decimal(5990), quantity=2, state=state)
    told = from_bracket(SENT, book(holding(2), stop), AskedBracket(replace(GUARDED, instrument=mes), frozenset(), 2))
    assert "place_order" not in told.next_step


@pytest.mark.parametrize(
    "is_other",
    [
        {"quantity": 1},
        {"stop_price": Decimal(5980)},
        {"order_type": OrderType.STOP_LIMIT},
        {"action": OrderAction.BUY},
        {"order_id": "before"},
        {"state": OrderState.SUBMITTED},
        {"state": OrderState.UNKNOWN},
    ],
    ids=str,
)
def test_working_is_never_said_of_another_stop(
    standing: Stands, holding: Holds, mes: Instrument, is_other: dict[str, Any]
) -> None:
    wanted = replace(GUARDED, instrument=mes)
    as_asked = {**SELLS, "order_type": OrderType.STOP_MARKET, "stop_price": Decimal(5990), "quantity": 2}
    bracket = AskedBracket(wanted, frozenset({"before"}), 2)
    assert from_bracket(SENT, book(holding(2), standing(**as_asked)), bracket).status is Status.WORKING
    told = from_bracket(SENT, book(holding(2), standing(**{**as_asked, **is_other})), bracket)
    assert told.status is Status.ACCEPTED
    assert "the stop loss is not seen standing for 2" in told.reasons


def test_a_leg_that_is_only_accepted_is_waited_for_and_then_counted(
    standing: Stands, holding: Holds, mes: Instrument
) -> None:
    bracket = AskedBracket(replace(GUARDED, instrument=mes), frozenset(), 2)
    stop = standing(
        **SELLS, order_type=OrderType.STOP_MARKET, stop_price=Decimal(5990), quantity=2, state=OrderState.ACCEPTED
    )
    read = book(holding(2), stop)
    assert not bracket.is_done(read)
    assert from_bracket(LOST, read, bracket).status is Status.WORKING


def test_legs_that_do_not_cancel_each_other_and_orders_beside_them_are_told(
    standing: Stands, holding: Holds, mes: Instrument
) -> None:
    bracket = AskedBracket(ProtectPosition("Sim101", mes, Decimal(6100), Decimal(5990)), frozenset(), 2)
    target = standing("t", **SELLS, limit_price=Decimal(6100), quantity=2, oco_id="one")
    stop = standing(
        "s", **SELLS, order_type=OrderType.STOP_MARKET, stop_price=Decimal(5990), quantity=2, oco_id="other"
    )
    told = from_bracket(SENT, book(holding(2), target, stop, standing("x")), bracket)
    assert told.status is Status.WORKING
    assert told.warnings[0].startswith("still standing beside it: BUY 1 MES 09-26 LIMIT 6000 WORKING (x)")
    assert "the two legs do not read as one OCO group" in told.warnings[1]


def test_an_old_reading_is_never_called_protected(standing: Stands, holding: Holds, mes: Instrument) -> None:
    stop = standing(**SELLS, order_type=OrderType.STOP_MARKET, stop_price=Decimal(5990), quantity=2)
    read = book(holding(2), stop, is_stale=True)
    told = from_bracket(SENT, read, AskedBracket(replace(GUARDED, instrument=mes), frozenset(), 2))
    assert (told.status, told.position_after) == (Status.ACCEPTED, None)
    assert told.next_step == LOOK_AGAIN


OVER = Strategy("Sim101", "7", StrategyState.FINALIZED, is_enabled=False, class_name="HoldLong")


def test_a_strategy_that_ended_by_itself_is_not_called_started() -> None:
    told = from_started(SENT, OVER, ())
    assert told.status is Status.ACCEPTED
    assert told.reasons == ("it reads: HoldLong FINALIZED, disabled (7)",)


def test_a_strategy_is_changed_only_as_it_was_read() -> None:
    unread = from_switched(LOST, None, is_so=False)
    assert (unread.status, unread.strategy_id) == (Status.UNKNOWN, None)
    assert unread.next_step.startswith("do NOT send it again; look with get_strategies")
    assert from_switched(LOST, OVER, is_so=False).status is Status.UNKNOWN
    assert from_switched(LOST, OVER, is_so=True).status is Status.CHANGED


def test_a_strategy_that_is_over_in_an_account_that_cannot_be_read_says_so() -> None:
    told = from_ended(replace(SENT, status=Status.CHANGED), None, None)
    assert told.warnings[0].startswith("what the account holds now could not be read")


def test_a_position_that_turned_in_the_gap_is_not_mended_with_prices_of_the_other_side(
    standing: Stands, holding: Holds, mes: Instrument
) -> None:
    target = standing("t", **SELLS, limit_price=Decimal(6100), quantity=2)
    bracket = AskedBracket(ProtectPosition("Sim101", mes, Decimal(6100), Decimal(5990)), frozenset(), 2)
    told = from_bracket(SENT, book(holding(-2), target), bracket)
    assert told.status is Status.ACCEPTED
    assert told.alarm == "UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop"
    assert told.warnings[:1] == ("the position was +2 and is -2 now: the bracket that was asked for does not fit it",)
    assert "place_order" not in told.next_step
    assert told.next_step.endswith("close_position with account Sim101, instrument MES 09-26")
