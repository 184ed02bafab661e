"""The figures of one order."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import ChangeOrder, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.figures import OrderFigures, order_figures, quote_for, reference_price
from ct_mcp.guard.policy import Policy

SELL = OrderAction.SELL
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


def figures(action: PlaceOrder | ChangeOrder, view: RiskContext, policy: Policy) -> OrderFigures:
    """The figures of something that is an order."""
    found = order_figures(effect_of(action, view), view, policy)
    assert found is not None
    return found


def test_a_market_order_is_priced_from_the_ask_and_may_slip_by_the_distance_of_its_risk(
    place: Place, view: Sees, policy: Allows, held: Holds
) -> None:
    assert figures(place(quantity=2), view(positions=held(1)), policy(risk_ticks=80)) == OrderFigures(
        notional=Decimal(642025),  # 2 contracts at 6400.25 + 20 points, 50 a point
        risk=Decimal(2000),
        currency="USD",
        risk_ticks=80,
        reference_price=Decimal(6400),
        bid=Decimal("6399.75"),
        ask=Decimal("6400.25"),
        ticks_from_market=None,
        position_now=1,
        position_after=3,
        most_long_after=3,
        most_short_after=1,
    )


def test_a_limit_order_is_worth_its_limit(place: Place, view: Sees, policy: Allows) -> None:
    found = figures(place(order_type=OrderType.LIMIT, limit_price="6390"), view(), policy())
    assert (found.notional, found.ticks_from_market) == (Decimal(319500), Decimal(40))


def test_a_stop_may_slip_and_a_stop_limit_may_not(place: Place, view: Sees, policy: Allows) -> None:
    stop = figures(place(order_type=OrderType.STOP_MARKET, stop_price="6410"), view(), policy(risk_ticks=40))
    limit = place(order_type=OrderType.STOP_LIMIT, stop_price="6410", limit_price="6412")
    assert (stop.notional, stop.ticks_from_market) == (Decimal(321000), Decimal(40))
    assert figures(limit, view(), policy()).notional == Decimal(320600)
    assert figures(limit, view(), policy()).ticks_from_market == Decimal(40)


def test_the_worth_of_a_negative_price_is_not_negative(place: Place, view: Sees, policy: Allows, quote: Quote) -> None:
    book = view(quote=replace(quote, bid=Decimal(-37), last=Decimal(-37), ask=Decimal(-37)))
    limit = place(order_type=OrderType.LIMIT, limit_price="-37")
    assert figures(limit, book, policy()).notional == Decimal(1850)
    assert figures(place(), book, policy(risk_ticks=4)).notional == Decimal(1900)


def test_a_market_that_stands_at_zero_is_still_a_market(place: Place, view: Sees, policy: Allows, quote: Quote) -> None:
    at_zero = replace(quote, bid=Decimal(0), last=Decimal(0), ask=Decimal(0))
    found = figures(place(), view(quote=at_zero), policy(risk_ticks=4))
    assert (found.reference_price, found.notional) == (Decimal(0), Decimal(50))


def test_selling_leads_down_and_flattening_first_starts_at_flat(
    place: Place, view: Sees, policy: Allows, held: Holds
) -> None:
    book = view(positions=held(3))
    assert figures(place(action=SELL, quantity=2), book, policy()).position_after == 1
    found = figures(place(action=SELL, quantity=2, flatten_first=True), book, policy())
    assert (found.position_after, found.most_long_after, found.most_short_after) == (-2, 3, -2)


def test_a_changed_order_still_fills_what_has_not_filled(
    view: Sees, policy: Allows, held: Holds, resting: Rests
) -> None:
    order = resting(quantity=3, filled=1, state=OrderState.PART_FILLED)
    book = view(positions=held(1), orders=(order,))
    found = figures(ChangeOrder("Sim101", "1", quantity=5), book, policy())
    assert (found.position_after, found.most_long_after) == (5, 5)
    assert found.notional == Decimal(1597500)


def test_only_orders_have_figures(view: Sees, policy: Allows) -> None:
    assert order_figures(effect_of(Flatten("Sim101", None), view()), view(), policy()) is None
    assert order_figures(effect_of(ChangeOrder("Sim101", "nobody", quantity=2), view()), view(), policy()) is None


def test_what_is_not_known_is_none_and_never_zero(place: Place, view: Sees, policy: Allows) -> None:
    nothing = view(positions=None, orders=None, quote=None)
    assert figures(place(), nothing, policy()) == OrderFigures(risk_ticks=80)
    assert figures(place(order_type=OrderType.LIMIT), view(), policy()).notional is None
    assert figures(place(order_type=OrderType.LIMIT, limit_price="NaN"), view(), policy()).ticks_from_market is None


@pytest.mark.parametrize("quantity", [True, 0, -3, 1.5, "2"])
def test_a_quantity_that_counts_nothing_has_no_figures(
    place: Place, view: Sees, policy: Allows, quantity: object
) -> None:
    found = figures(place(quantity=quantity), view(), policy())
    assert (found.notional, found.risk, found.position_after, found.most_long_after) == (None, None, None, None)


def test_the_middle_stands_in_for_a_missing_last_price(quote: Quote) -> None:
    assert reference_price(replace(quote, last=None)) == Decimal("6400.00")
    assert reference_price(replace(quote, last=Decimal("NaN"), bid=Decimal(6398))) == Decimal("6399.125")
    assert reference_price(replace(quote, last=None, bid=None)) is None
    assert reference_price(replace(quote, last=None, ask=Decimal("Infinity"))) is None
    assert reference_price(None) is None


def test_a_quote_of_another_contract_is_none(place: Place, view: Sees, quote: Quote) -> None:
    other = replace(quote, instrument=Instrument("ES", 2027, 3))
    assert quote_for(place(), view()) == quote
    assert quote_for(place(), view(quote=other)) is None
    assert quote_for(place(), view(quote=None)) is None


@pytest.mark.parametrize("size", ["0", "-0.25", "NaN"])
@pytest.mark.parametrize("field", ["tick_size", "tick_value", "point_value"])
def test_a_quote_without_sizes_is_none(place: Place, view: Sees, quote: Quote, field: str, size: str) -> None:
    contract = replace(quote.contract, **{field: Decimal(size)})  # type: ignore[arg-type]
    assert quote_for(place(), view(quote=replace(quote, contract=contract))) is None


TORN: dict[str, Any] = {"bid": Decimal(6310), "last": Decimal(6400), "ask": Decimal(6490)}


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({}, 6490),
        ({"action": SELL}, 6310),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6495"}, 6495),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6420"}, 6490),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6320", "action": SELL}, 6310),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6300", "action": SELL}, 6300),
    ],
)
def test_what_trades_at_the_market_is_priced_from_the_side_that_it_trades_against(
    *, place: Place, view: Sees, policy: Allows, quote: Quote, changes: dict[str, object], price: int
) -> None:
    found = figures(place(**changes), view(quote=replace(quote, **TORN)), policy(risk_ticks=4))
    assert found.notional == Decimal(50 * (price + 1))


def test_a_narrower_band_makes_no_order_seem_to_risk_less(place: Place, view: Sees, policy: Allows) -> None:
    wide, narrow = (figures(place(), view(), policy(price_band_ticks=band)) for band in (80, 10))
    assert (wide.risk, wide.notional) == (narrow.risk, narrow.notional)
