"""How far a book can reach."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import CancelOrder, ChangeOrder, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import NEW_GROUP, Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.exposure import WorstCase, worst_case

ES, NQ = Instrument("ES", 2026, 12), Instrument("NQ", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Holds = Callable[[int], tuple[Position, ...]]


def test_of_the_pair_around_a_position_only_the_larger_counts(resting: Rests, stop: Rests) -> None:
    pair = (resting("1", action=SELL, quantity=2, oco_id="x"), stop("2", quantity=3, oco_id="x"))
    assert worst_case(3, pair, ()) == WorstCase(3, 0)


@pytest.mark.parametrize(
    ("net", "sizes", "expected"),
    [
        (3, [(2, False), (3, False)], WorstCase(3, -2)),  # two targets: both may fill before the cancel is heard
        (2, [(2, True), (2, False), (2, False)], WorstCase(2, -4)),
        (2, [(2, True), (2, True)], WorstCase(2, -2)),
        (1, [(2, True), (2, False)], WorstCase(1, -3)),  # larger than what is held
        (0, [(2, True), (2, False)], WorstCase(0, -4)),  # around nothing it is an entry
        (-1, [(1, True), (1, False)], WorstCase(-1, -3)),  # on the side that adds
    ],
)
def test_any_other_group_counts_in_full(
    resting: Rests, stop: Rests, net: int, sizes: list[tuple[int, bool]], expected: WorstCase
) -> None:
    group = [
        (stop if is_stop else resting)(str(place), action=SELL, quantity=size, oco_id="x")
        for place, (size, is_stop) in enumerate(sizes)
    ]
    assert worst_case(net, group, ()) == expected


@pytest.mark.parametrize("going", [OrderState.CANCEL_PENDING, OrderState.CANCEL_SUBMITTED])
def test_what_joins_a_group_whose_stop_is_being_cancelled_stands_alone(
    place: Place, view: Sees, held: Holds, stop: Rests, going: OrderState
) -> None:
    target = place(action=SELL, quantity=1, oco_id="x")
    beside = effect_of(target, view(positions=held(1), orders=(stop(oco_id="x"),)))
    assert (beside.after, beside.only_reduces) == (WorstCase(1, 0), True)
    alone = effect_of(target, view(positions=held(1), orders=(stop(oco_id="x", state=going),)))
    assert (alone.after, alone.only_reduces) == (WorstCase(1, -1), False)


def test_what_opens_a_group_joins_none_that_somebody_has_called_so(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    """The stand-in is no name: what says it is sent under another."""
    target = place(action=SELL, quantity=1, oco_id=NEW_GROUP)
    alone = effect_of(target, view(positions=held(1), orders=(stop(oco_id=NEW_GROUP),)))
    assert (alone.after, alone.only_reduces) == (WorstCase(1, -1), False)


def test_exits_that_are_not_linked_add_up(resting: Rests) -> None:
    pair = (resting("1", action=SELL, quantity=2), resting("2", action=SELL, quantity=2, oco_id=""))
    assert worst_case(2, pair, ()) == WorstCase(2, -2)


def test_a_straddle_in_one_group_reaches_both_ways(resting: Rests) -> None:
    pair = (resting("1", quantity=2, oco_id="x"), resting("2", action=SELL, quantity=1, oco_id="x"))
    assert worst_case(0, pair, ()) == WorstCase(2, -1)


def test_a_part_filled_order_counts_what_remains(resting: Rests) -> None:
    order = resting(quantity=5, filled=3, state=OrderState.PART_FILLED)
    assert worst_case(3, (order,), ()) == WorstCase(5, 3)


@pytest.mark.parametrize("state", OrderState)
def test_every_state_but_a_closed_one_counts(resting: Rests, state: OrderState) -> None:
    closed = {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}
    assert worst_case(0, (resting(state=state),), ()).most_long == (0 if state in closed else 1)


def test_orders_of_unknown_outcome_count_fully() -> None:
    assert worst_case(1, (), (PendingOrder(ES, 2), PendingOrder(ES, -4))) == WorstCase(3, -3)


def test_a_worst_case_is_beyond_another_on_either_side() -> None:
    assert WorstCase(3, 1).is_beyond(WorstCase(2, 1))
    assert WorstCase(2, -1).is_beyond(WorstCase(2, 1))
    assert not WorstCase(2, 0).is_beyond(WorstCase(2, 1))
    assert (WorstCase(3, -4).long, WorstCase(3, -4).short, WorstCase(3, -4).largest) == (3, 4, 4)


def test_only_the_same_contract_counts(place: Place, view: Sees, held: Holds, resting: Rests) -> None:
    other = Instrument("ES", 2027, 3)
    book = view(positions=held(1), orders=(resting(instrument=other),), pending=(PendingOrder(NQ, 5),))
    assert effect_of(place(), book).before == WorstCase(1, 1)
    assert effect_of(place(), book).after == WorstCase(2, 1)


def test_an_order_behind_a_flatten_may_fill_while_the_position_still_stands(
    place: Place, view: Sees, held: Holds
) -> None:
    book = view(positions=held(3))
    assert effect_of(place(quantity=2, flatten_first=True), book).after == WorstCase(5, 0)
    assert effect_of(place(action=SELL, quantity=2, flatten_first=True), book).after == WorstCase(3, -2)


def test_an_order_being_changed_may_fill_as_it_was_or_as_it_will_be(view: Sees, resting: Rests) -> None:
    book = view(orders=(resting("1", quantity=4, filled=1, state=OrderState.PART_FILLED), resting("2")))
    assert effect_of(ChangeOrder("Sim101", "1", quantity=2), book).after == WorstCase(4, 0)
    assert effect_of(ChangeOrder("Sim101", "1", quantity=6), book).after == WorstCase(6, 0)


def test_a_changed_order_stays_in_its_group(view: Sees, held: Holds, resting: Rests, stop: Rests) -> None:
    pair = (resting("1", action=SELL, oco_id="x"), stop("2", quantity=2, oco_id="x"))
    book = view(positions=held(3), orders=pair)
    assert effect_of(ChangeOrder("Sim101", "1", quantity=3), book).after == WorstCase(3, 0)


def test_openers_count_each_whatever_group_they_stand_in(view: Sees, resting: Rests) -> None:
    book = view(orders=(resting("1", oco_id="x"), resting("2", quantity=2, oco_id="x")))
    assert effect_of(ChangeOrder("Sim101", "1", quantity=3), book).after == WorstCase(5, 0)


@pytest.mark.parametrize("reach", ["before", "after"])
def test_what_was_not_read_is_not_known(place: Place, view: Sees, reach: str) -> None:
    unread = (effect_of(place(), view(positions=None)), effect_of(place(), view(orders=None)))
    for effect in (*unread, effect_of(ChangeOrder("Sim101", "nobody", quantity=2), view())):
        assert getattr(effect, reach) is None


def test_two_rows_of_one_contract_are_not_known(place: Place, view: Sees, held: Holds) -> None:
    torn = view(positions=(*held(2), *held(2)))
    assert torn.net_position(ES) is None
    for effect in (effect_of(place(action=SELL, quantity=4), torn), effect_of(place(action=SELL), torn)):
        assert (effect.only_reduces, effect.after) == (None, None)


def test_a_changed_order_stands_with_what_was_not_changed(view: Sees, resting: Rests) -> None:
    order = resting(order_type=OrderType.STOP_LIMIT, stop_price=Decimal(6410), quantity=3, oco_id="x")
    book = view(orders=(order,))
    assert effect_of(ChangeOrder("Sim101", "1", 2, Decimal(6412), Decimal(6411)), book).order == PlaceOrder(
        "Sim101", ES, BUY, 2, OrderType.STOP_LIMIT, Decimal(6412), Decimal(6411), TimeInForce.DAY, "x"
    )
    unchanged = effect_of(ChangeOrder("Sim101", "1"), book).order
    assert unchanged is not None
    assert (unchanged.quantity, unchanged.limit_price, unchanged.stop_price) == (3, Decimal(6390), Decimal(6410))


def test_an_order_that_is_closed_or_unknown_results_in_none(view: Sees, resting: Rests) -> None:
    book = view(orders=(resting(state=OrderState.FILLED),))
    assert effect_of(ChangeOrder("Sim101", "1", quantity=2), book).order is None
    assert effect_of(ChangeOrder("Sim101", "2", quantity=2), book).order is None
    assert effect_of(CancelOrder("Sim101", "1"), book).order is None


def test_a_new_order_results_in_itself(place: Place, view: Sees) -> None:
    assert effect_of(place(), view()).order == place()
