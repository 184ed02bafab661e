"""The orders that come of an action, and what they stand for in money."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import CancelOrder, PlaceOrder, ProtectPosition, ReplaceOrder, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.exposure import WorstCase
from ct_mcp.guard.figures import order_figures
from ct_mcp.guard.policy import Policy
from tests import factories

ES = Instrument("ES", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
REVERSE = ReversePosition("Sim101", ES)
BRACKET = ProtectPosition("Sim101", ES, Decimal(6420), Decimal(6390))
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


@pytest.mark.parametrize(("net", "action"), [(3, SELL), (-3, BUY)])
def test_a_reverse_is_an_exit_and_as_much_the_other_way(
    place: Place, view: Sees, held: Holds, *, net: int, action: OrderAction
) -> None:
    book, leg = view(positions=held(net)), place(action=action, quantity=3)
    assert effect_of(REVERSE, book).legs == (leg, leg)
    assert effect_of(REVERSE, book).order == replace(leg, flatten_first=True)


def test_a_bracket_is_two_exits_in_one_group(view: Sees, held: Holds) -> None:
    target, stop = effect_of(BRACKET, view(positions=held(-2))).legs or ()
    assert (target.action, target.quantity, target.order_type, target.limit_price) == (
        BUY,
        2,
        OrderType.LIMIT,
        Decimal(6420),
    )
    assert (stop.action, stop.quantity, stop.order_type, stop.stop_price) == (
        BUY,
        2,
        OrderType.STOP_MARKET,
        Decimal(6390),
    )
    assert target.oco_id == stop.oco_id
    assert target.time_in_force is TimeInForce.GTC
    assert effect_of(BRACKET, view(positions=held(-2))).legs == (target, stop)


def test_a_bracket_has_the_legs_that_are_given(view: Sees, held: Holds) -> None:
    (only,) = effect_of(replace(BRACKET, take_profit_price=None), view(positions=held(2))).legs or ()
    assert only.order_type is OrderType.STOP_MARKET
    assert effect_of(ProtectPosition("Sim101", ES, None, None), view(positions=held(2))).legs == ()


def test_without_a_position_there_is_nothing_to_turn_or_protect(view: Sees) -> None:
    for book in (view(), view(positions=None)):
        assert effect_of(REVERSE, book).legs is None
        assert effect_of(BRACKET, book).legs is None
        assert effect_of(REVERSE, book).after is None
        assert effect_of(BRACKET, book).after is None


def test_an_order_is_its_own_leg_and_a_cancel_has_none(place: Place, view: Sees, held: Holds) -> None:
    order, book = place(quantity=2), view(positions=held(1))
    assert effect_of(order, book).legs == effect_of(ReplaceOrder("Sim101", "1", order), book).legs == (order,)
    assert effect_of(CancelOrder("Sim101", "1"), book).legs == ()


def test_what_is_flattened_first_is_a_leg_where_something_is_held(place: Place, view: Sees, held: Holds) -> None:
    order = place(quantity=2)
    first = replace(order, flatten_first=True)
    assert effect_of(first, view(positions=held(-3))).legs == (place(quantity=3), order)
    assert effect_of(first, view()).legs == (order,)
    assert effect_of(first, view(positions=None)).legs is None


def test_orders_that_stay_count_on_both_sides_of_a_reverse(view: Sees, held: Holds, resting: Rests) -> None:
    book = view(positions=held(2), orders=(resting(quantity=3),), pending=(PendingOrder(ES, 1),))
    assert effect_of(REVERSE, book).after == WorstCase(6, -6)


def test_an_old_order_and_its_replacement_may_both_fill(place: Place, view: Sees, resting: Rests) -> None:
    lone, pair = view(orders=(resting(quantity=2),)), view(orders=(resting(quantity=2, oco_id="pair"),))
    assert effect_of(ReplaceOrder("Sim101", "1", place(quantity=3)), lone).after == WorstCase(5, 0)
    assert effect_of(ReplaceOrder("Sim101", "1", place(quantity=3, oco_id="pair")), pair).after == WorstCase(5, 0)


def test_a_bracket_stands_in_place_of_the_orders_but_not_of_what_is_unknown(
    view: Sees, held: Holds, resting: Rests
) -> None:
    book = view(positions=held(2), orders=(resting(quantity=5),), pending=(PendingOrder(ES, -1),))
    assert effect_of(BRACKET, book).after == WorstCase(2, -1)
    assert effect_of(BRACKET, replace(book, orders=None)).after is None


def buy_stop(order_id: str) -> Order:
    """A stop of one contract above the market."""
    return factories.stop_order(order_id, action=BUY, stop_price=Decimal(6430))


@pytest.mark.parametrize(
    ("orders", "after"),
    [
        ((factories.order(quantity=2),), WorstCase(2, -1)),
        ((factories.order("1"), factories.order("2")), WorstCase(2, -1)),
        ((factories.order(quantity=2, order_type=OrderType.OTHER),), WorstCase(2, -1)),
        ((buy_stop("1"), buy_stop("2")), WorstCase(2, -1)),
        ((factories.order(),), WorstCase(1, -1)),
        ((factories.order("1"), buy_stop("2")), WorstCase(2, -1)),
        ((factories.order(action=SELL, quantity=3),), WorstCase(0, -1)),
    ],
    ids=["too large", "two", "of no known type", "two stops", "as large", "a loose stop and target", "one that adds"],
)
def test_an_order_that_ends_the_position_may_fill_before_a_bracket_takes_its_place(
    view: Sees, held: Holds, orders: tuple[Order, ...], after: WorstCase
) -> None:
    bracket = ProtectPosition("Sim101", ES, Decimal(6380), Decimal(6420))
    effect = effect_of(bracket, view(positions=held(-1), orders=orders))
    assert effect.after == after
    assert effect.only_reduces is (after == WorstCase(0, -1))


def test_a_reverse_leads_from_one_side_to_the_other(view: Sees, policy: Allows, held: Holds) -> None:
    book = view(positions=held(2))
    figures = order_figures(effect_of(REVERSE, book), book, policy())
    assert figures is not None
    assert (figures.position_now, figures.position_after) == (2, -2)
    assert figures.risk == 2000
