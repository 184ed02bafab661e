"""The orders that come of an action, and what they stand for in money."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.domain.action import CancelOrder, PlaceOrder, ProtectPosition, ReplaceOrder, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType, TimeInForce
from ct_mcp.domain.position import Position
from ct_mcp.guard.exposure import WorstCase, worst_case_after
from ct_mcp.guard.figures import BracketFigures, bracket_figures, order_figures
from ct_mcp.guard.legs import bracket_of, legs_of, resulting_order
from ct_mcp.guard.policy import PendingOrder, Policy, View

ES = Instrument("ES", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
REVERSE = ReversePosition("Sim101", ES)
BRACKET = ProtectPosition("Sim101", ES, Decimal(6420), Decimal(6390))
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., View]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


@pytest.mark.parametrize(("net", "action"), [(3, SELL), (-3, BUY)])
def test_a_reverse_is_an_exit_and_as_much_the_other_way(
    place: Place, view: Sees, held: Holds, *, net: int, action: OrderAction
) -> None:
    book, leg = view(positions=held(net)), place(action=action, quantity=3)
    assert legs_of(REVERSE, book) == (leg, leg)
    assert resulting_order(REVERSE, book) == replace(leg, flatten_first=True)


def test_a_bracket_is_two_exits_in_one_group(view: Sees, held: Holds) -> None:
    target, stop = bracket_of(BRACKET, view(positions=held(-2))) or ()
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
    assert legs_of(BRACKET, view(positions=held(-2))) == (target, stop)


def test_a_bracket_has_the_legs_that_are_given(view: Sees, held: Holds) -> None:
    (only,) = bracket_of(replace(BRACKET, take_profit_price=None), view(positions=held(2))) or ()
    assert only.order_type is OrderType.STOP_MARKET
    assert bracket_of(ProtectPosition("Sim101", ES, None, None), view(positions=held(2))) == ()


def test_without_a_position_there_is_nothing_to_turn_or_protect(view: Sees) -> None:
    for book in (view(), view(positions=None)):
        assert legs_of(REVERSE, book) is None
        assert legs_of(BRACKET, book) is None
        assert worst_case_after(REVERSE, book) is None
        assert worst_case_after(BRACKET, book) is None


def test_an_order_is_its_own_leg_and_a_cancel_has_none(place: Place, view: Sees, held: Holds) -> None:
    order, book = place(quantity=2), view(positions=held(1))
    assert legs_of(order, book) == legs_of(ReplaceOrder("Sim101", "1", order), book) == (order,)
    assert legs_of(CancelOrder("Sim101", "1"), book) == ()


def test_what_is_flattened_first_is_a_leg_where_something_is_held(place: Place, view: Sees, held: Holds) -> None:
    order = place(quantity=2)
    first = replace(order, flatten_first=True)
    assert legs_of(first, view(positions=held(-3))) == (place(quantity=3), order)
    assert legs_of(first, view()) == (order,)
    assert legs_of(first, view(positions=None)) is None


def test_orders_that_stay_count_on_both_sides_of_a_reverse(view: Sees, held: Holds, resting: Rests) -> None:
    book = view(positions=held(2), orders=(resting(quantity=3),), pending=(PendingOrder(ES, 1),))
    assert worst_case_after(REVERSE, book) == WorstCase(6, -6)


def test_an_old_order_and_its_replacement_may_both_fill(place: Place, view: Sees, resting: Rests) -> None:
    lone, pair = view(orders=(resting(quantity=2),)), view(orders=(resting(quantity=2, oco_id="pair"),))
    assert worst_case_after(ReplaceOrder("Sim101", "1", place(quantity=3)), lone) == WorstCase(5, 0)
    assert worst_case_after(ReplaceOrder("Sim101", "1", place(quantity=3, oco_id="pair")), pair) == WorstCase(5, 0)


def test_a_bracket_stands_in_place_of_the_orders_but_not_of_what_is_unknown(
    view: Sees, held: Holds, resting: Rests
) -> None:
    book = view(positions=held(2), orders=(resting(quantity=5),), pending=(PendingOrder(ES, -1),))
    assert worst_case_after(BRACKET, book) == WorstCase(2, -1)
    assert worst_case_after(BRACKET, replace(book, orders=None)) is None


def test_a_reverse_leads_from_one_side_to_the_other(view: Sees, policy: Allows, held: Holds) -> None:
    figures = order_figures(REVERSE, view(positions=held(2)), policy())
    assert figures is not None
    assert (figures.position_now, figures.position_after) == (2, -2)
    assert figures.risk == 2000


def test_a_bracket_says_what_stands_at_risk(view: Sees, held: Holds) -> None:
    # Held from 6395, last 6400, a point is worth 50.
    assert bracket_figures(BRACKET, view(positions=held(2))) == BracketFigures(
        position=2,
        reference_price=Decimal(6400),
        stop_ticks=Decimal(40),
        risk=Decimal(1000),
        result_at_stop=Decimal(-500),
        target_ticks=Decimal(80),
        reward=Decimal(2000),
        result_at_target=Decimal(2500),
    )


def test_a_short_position_loses_upwards(view: Sees, held: Holds) -> None:
    figures = bracket_figures(ProtectPosition("Sim101", ES, None, Decimal(6410)), view(positions=held(-1)))
    assert figures is not None
    assert (figures.risk, figures.result_at_stop, figures.reward) == (Decimal(500), Decimal(-750), None)


def test_a_bracket_says_nothing_of_what_is_not_known(view: Sees, held: Holds) -> None:
    assert bracket_figures(BRACKET, view()) is None
    assert bracket_figures(BRACKET, view(positions=None)) is None
    assert bracket_figures(BRACKET, view(positions=held(2), quote=None)) == BracketFigures(position=2)
    torn = bracket_figures(BRACKET, view(positions=(*held(1), *held(1))))
    assert torn is not None
    assert (torn.risk, torn.result_at_stop) == (Decimal(1000), None)
    odd = bracket_figures(replace(BRACKET, stop_loss_price=Decimal("NaN")), view(positions=held(2)))
    assert odd is not None
    assert (odd.stop_ticks, odd.risk, odd.reward) == (None, None, Decimal(2000))
