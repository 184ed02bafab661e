"""What was read after a send, and what may be said of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.readback import (
    LOOK_AGAIN,
    filled_by_standing,
    from_cancels,
    from_close,
    from_flatten,
    from_order,
    has_left,
    is_changed,
    largest_left,
    not_flat_yet,
    unseen,
    with_position,
)
from ct_mcp.domain.commands import ChangeOrder, ClosePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import RiskContext
from tests.factories import NOW
from tests.unit.desk.conftest import MES, Holds, Stands

SENT = Outcome(Status.ACCEPTED, "SIM  Sim101  ...", simulated=True, ticket_id="t1")
LOST = replace(SENT, status=Status.UNKNOWN, reasons=("PlaceOrder got no answer",), next_step=LOOK_AGAIN)
NOTHING_KNOWN = RiskContext(NOW)

SAID = {
    OrderState.FILLED: Status.FILLED,
    OrderState.CANCELLED: Status.CANCELLED,
    OrderState.REJECTED: Status.REJECTED,
    OrderState.WORKING: Status.WORKING,
    OrderState.PART_FILLED: Status.WORKING,
    OrderState.TRIGGER_PENDING: Status.WORKING,
}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("order_type", OrderType)
def test_a_state_that_is_neither_closed_nor_standing_is_only_accepted(
    standing: Stands, state: OrderState, order_type: OrderType
) -> None:
    told = from_order(SENT, standing(state=state, order_type=order_type))
    assert told.status is SAID.get(state, Status.ACCEPTED)
    assert told.order_state is state


@pytest.mark.parametrize("state", SAID)
def test_what_was_found_is_not_told_to_be_looked_for(standing: Stands, state: OrderState) -> None:
    told = from_order(LOST, standing(state=state))
    assert told.next_step != LOOK_AGAIN
    assert "PlaceOrder got no answer" in told.reasons, "that its answer was lost stays told"


def test_an_order_that_is_rejected_after_its_acknowledgement_says_so(standing: Stands) -> None:
    told = from_order(SENT, standing(state=OrderState.REJECTED))
    assert "rejected it after it was accepted" in " ".join(told.reasons)
    assert told.next_step == "do not send the same again unchanged"


def test_a_cancelled_order_tells_what_filled_before(standing: Stands) -> None:
    part = from_order(SENT, standing(state=OrderState.CANCELLED, quantity=4, filled=3))
    assert part.warnings == ("3 of 4 filled before the cancel",)
    assert from_order(SENT, standing(state=OrderState.CANCELLED)).warnings == ()


def test_what_could_not_be_seen_keeps_what_they_said(standing: Stands) -> None:
    assert unseen(SENT, "not seen").status is Status.ACCEPTED
    told = unseen(LOST, "not seen")
    assert (told.status, told.reasons) == (Status.UNKNOWN, ("PlaceOrder got no answer", "not seen"))
    assert told.next_step == LOOK_AGAIN


def test_a_position_that_does_not_agree_with_the_fill_is_doubted() -> None:
    assert with_position(SENT, 2, 2).warnings == ()
    assert with_position(SENT, 2, None).warnings == ()
    doubted = with_position(SENT, 0, 2)
    assert doubted.position_after == 0
    (doubt,) = doubted.warnings
    assert doubt.startswith("the position reads +0, and with this fill it was to be +2; read it again")
    unread = with_position(SENT, None, 2)
    assert (unread.position_after, unread.warnings) == (None, ("the position afterwards could not be read",))


CHANGE = ChangeOrder("Sim101", "a1", 3, Decimal(6010), None)


@pytest.mark.parametrize(
    "state",
    [
        OrderState.CHANGE_PENDING,
        OrderState.CHANGE_SUBMITTED,
        OrderState.CANCEL_PENDING,
        OrderState.CANCEL_SUBMITTED,
    ],
)
def test_while_a_change_or_a_cancel_is_on_its_way_none_is_done_however_the_order_reads(
    standing: Stands, state: OrderState
) -> None:
    asked = {"quantity": 3, "limit_price": Decimal("6010.00")}
    assert is_changed(standing(**asked), CHANGE)
    assert not is_changed(standing(**asked, state=state), CHANGE)


@pytest.mark.parametrize(
    ("stands", "change"),
    [
        ({"quantity": 2, "limit_price": Decimal(6010)}, CHANGE),
        ({"quantity": 3, "limit_price": Decimal(6009)}, CHANGE),
        ({"stop_price": Decimal(5990)}, ChangeOrder("Sim101", "a1", stop_price=Decimal(5991))),
    ],
    ids=["quantity", "limit", "stop"],
)
def test_a_change_is_done_only_when_all_of_it_stands(
    standing: Stands, stands: dict[str, Any], change: ChangeOrder
) -> None:
    assert not is_changed(standing(**stands), change)


@pytest.mark.parametrize(
    ("net", "how", "left"),
    [
        (5, {}, 0),
        (-5, {}, 0),
        (5, {"quantity": 2}, 3),
        (-5, {"quantity": 2}, -3),
        (2, {"quantity": 9}, 0),
        (3, {"percent": Decimal("33.4")}, 1),
        (3, {"percent": Decimal("33.3")}, 2),
        (30, {"percent": Decimal(10)}, 27),
        (0, {"quantity": 1}, 0),
        (None, {"quantity": 1}, 0),
    ],
)
def test_the_largest_position_that_a_close_may_leave(
    mes: Instrument, net: int | None, how: dict[str, Any], left: int
) -> None:
    assert largest_left(ClosePosition("Sim101", mes, **how), net) == left


@given(net=st.integers(-50, 50), quantity=st.integers(1, 60))
def test_a_close_is_done_by_its_own_size_and_by_nothing_on_the_other_side(net: int, quantity: int) -> None:
    goal = largest_left(ClosePosition("Sim101", MES, quantity=quantity), net)
    assert has_left(goal, goal)
    assert has_left(0, goal)
    assert not has_left(-goal, goal) or goal == 0
    assert not has_left(goal + (1 if goal >= 0 else -1), goal)


def test_flat_is_said_of_nothing_held_and_no_order_left(standing: Stands, holding: Holds) -> None:
    nothing = AccountState((), ())
    assert from_flatten(LOST, nothing).status is Status.FLAT
    assert from_flatten(LOST, nothing).next_step == ""
    assert from_close(LOST, nothing, 0).status is Status.FLAT
    for book in (
        AccountState((), (standing(),)),
        AccountState((holding(1),), ()),
        AccountState((holding(1),), (standing(),)),
    ):
        assert from_flatten(SENT, book).status is Status.ACCEPTED
        assert from_flatten(LOST, book).status is Status.UNKNOWN
        assert from_close(SENT, book, 0).status is not Status.FLAT


def test_what_a_flatten_left_is_listed_and_cried_out(standing: Stands, holding: Holds) -> None:
    told = from_flatten(SENT, AccountState((holding(-2),), (standing("b7"),)))
    assert told.reasons == (
        "still held: SHORT 2 MES 09-26 at 6000",
        "still standing: BUY 1 MES 09-26 LIMIT 6000 WORKING (b7)",
    )
    assert told.next_step.startswith("NOT FLAT: tell the person now")
    assert told.position_after is None


def test_a_close_that_is_not_done_says_how_far_it_came(holding: Holds) -> None:
    part = from_close(SENT, AccountState((holding(3),), ()), 1)
    assert part.reasons == ("the position reads +3 and was to be +1",)
    turned = from_close(SENT, AccountState((holding(-1),), ()), 1)
    assert turned.reasons == ("the position reads -1 and was to be +1",)
    assert turned.status is Status.ACCEPTED
    assert "tell the person now" in turned.next_step
    assert from_close(LOST, AccountState((holding(3),), ()), 0).next_step == LOOK_AGAIN


def test_what_was_seen_before_and_could_not_be_read_since_is_told_as_old(standing: Stands, holding: Holds) -> None:
    old = AccountState((holding(2),), (standing(),), is_stale=True)
    for told in (from_close(SENT, old, 0), from_flatten(SENT, old), from_cancels(SENT, old, NOTHING_KNOWN, None)):
        assert told.status is Status.ACCEPTED
        assert told.position_after is None
        assert told.reasons[-1] == "so it was some seconds ago; what was looked at since could not be read"
    fresh = AccountState((holding(2),), (standing(),))
    assert not any("seconds ago" in reason for reason in from_close(SENT, fresh, 0).reasons)


def test_what_they_refused_is_never_called_filled(standing: Stands, holding: Holds) -> None:
    refused = replace(SENT, status=Status.REJECTED, reasons=("refused",))
    assert from_close(refused, AccountState((holding(1),), ()), 1).status is Status.REJECTED
    assert from_close(refused, AccountState((), (standing(),)), 0).status is Status.REJECTED
    assert from_close(refused, AccountState((), ()), 0).status is Status.FLAT


@pytest.mark.parametrize("left", [1, 0])
def test_a_part_that_was_closed_is_not_told_as_filled_by_a_close_without_an_answer(holding: Holds, left: int) -> None:
    told = from_close(LOST, AccountState((holding(left),) if left else (), ()), 1)
    assert (told.status, told.position_after, told.next_step) == (Status.UNKNOWN, left, LOOK_AGAIN)
    assert "by whom is not known" in told.reasons[-1]


EXIT = {"action": OrderAction.SELL}
STOP = {**EXIT, "order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": Decimal(5990)}


@pytest.mark.parametrize(
    ("net", "orders", "is_too_large"),
    [
        (2, [{**EXIT, "quantity": 2}], False),
        (2, [{**EXIT, "quantity": 3}], True),
        (2, [{**EXIT, "quantity": 3, "filled": 1}], False),
        (2, [{**EXIT, "quantity": 2}, {**EXIT, "quantity": 2}], True),
        (2, [{**EXIT, "quantity": 2, "oco_id": "x"}, {**STOP, "quantity": 2, "oco_id": "x"}], False),
        (2, [{**EXIT, "quantity": 2, "oco_id": "x"}, {**EXIT, "quantity": 2, "oco_id": "x"}], True),
        (2, [{"quantity": 5}], False),
        (-2, [{"quantity": 2}], False),
        (-2, [{"quantity": 3}], True),
        (-2, [{**EXIT, "quantity": 5}], False),
        (0, [{"quantity": 1}], True),
        (0, [{**EXIT, "quantity": 1}], True),
    ],
)
def test_orders_that_can_turn_the_rest_round_are_warned_of(
    standing: Stands, holding: Holds, net: int, orders: list[dict[str, Any]], is_too_large: bool
) -> None:
    positions = (holding(net),) if net else ()
    book = AccountState(positions, tuple(standing(str(place), **order) for place, order in enumerate(orders)))
    told = from_close(SENT, book, net)
    assert bool(told.warnings) == is_too_large
    assert ("change_order with" in told.next_step or "cancel_order with" in told.next_step) == is_too_large
    assert "cancel_orders" not in told.next_step, "it would take the only stop as well"
    assert told.status is Status.FILLED


def test_cancelled_is_said_once_no_order_is_left(standing: Stands, holding: Holds) -> None:
    assert from_cancels(LOST, AccountState((holding(1),), ()), NOTHING_KNOWN, None).status is Status.CANCELLED
    left = from_cancels(LOST, AccountState((), (standing("b7"),)), NOTHING_KNOWN, None)
    assert left.status is Status.UNKNOWN
    assert left.reasons[-1] == "still standing: BUY 1 MES 09-26 LIMIT 6000 WORKING (b7)"


def test_closed_states_are_those_that_settle() -> None:
    assert {
        state for state in OrderState if SAID.get(state) in (Status.FILLED, Status.CANCELLED, Status.REJECTED)
    } == CLOSED


def test_a_close_that_is_on_its_way_is_not_filled_by_what_a_stop_filled(standing: Stands, holding: Holds) -> None:
    ours = standing("c1", **EXIT, order_type=OrderType.MARKET, limit_price=None, state=OrderState.SUBMITTED)
    for position, then in (((holding(1),), "flat"), ((), "-1")):
        told = from_close(SENT, AccountState(position, (ours,)), 1)
        assert told.status is Status.ACCEPTED
        assert f"filled as well, it takes the position to {then}" in told.next_step


@pytest.mark.parametrize(("net", "status"), [(1, Status.ACCEPTED), (-1, Status.ACCEPTED), (0, Status.FLAT)])
def test_a_partial_close_that_no_list_shows_is_told_by_what_standing_orders_filled(
    holding: Holds, net: int, status: Status
) -> None:
    """Four held, one to be closed, and a stop of three filled meanwhile: flat only if the close filled too."""
    read = AccountState((holding(net),) if net else (), ())
    assert from_close(SENT, read, 3, by_others=-3).status is status


def test_the_contracts_that_standing_orders_filled_are_counted_from_the_review_on(standing: Stands) -> None:
    before = RiskContext(NOW, orders=(standing("s", **STOP, quantity=3, filled=1),))
    over = standing("s", **STOP, quantity=3, filled=3, state=OrderState.FILLED)
    assert filled_by_standing(AccountState((), (), ended=(over,)), before) == -2


@pytest.mark.parametrize("answered", [Status.ACCEPTED, Status.REJECTED, Status.UNKNOWN])
def test_a_flat_that_cannot_be_said_leaves_what_they_answered(answered: Status) -> None:
    """A flatten that they refused, or that was lost, must not read as accepted because something else may fill."""
    told = not_flat_yet(Outcome(Status.FLAT, "FLATTEN", simulated=True), ["BUY 1 MES"], answered)
    assert told.status is answered
    assert told.reasons == ("may still fill: BUY 1 MES",)
