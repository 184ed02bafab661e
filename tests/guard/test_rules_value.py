"""Money: what an order is worth and what it risks."""

from collections.abc import Callable
from decimal import Decimal

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.domain.position import Position
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.rules_value import notional_is_within_limit, risk_is_within_limit
from ct_mcp.guard.verdict import ONLY_REDUCES, Passed

Place = Callable[..., PlaceOrder]
Sees = Callable[..., View]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


def test_a_market_order_cannot_walk_around_the_notional_limit(place: Place, view: Sees, policy: Allows) -> None:
    assert notional_is_within_limit(place(quantity=4), view(), policy()) == Passed("notional=1284000, maximum=1500000")
    assert notional_is_within_limit(place(quantity=5), view(), policy()) == Denial(
        "NOTIONAL_EXCEEDS_MAXIMUM", "notional=1605000, maximum=1500000"
    )


def test_the_notional_limit_itself_may_be_reached(place: Place, view: Sees, policy: Allows) -> None:
    order = place(order_type=OrderType.LIMIT, limit_price="6000")
    assert isinstance(notional_is_within_limit(order, view(), policy(max_order_notional=Decimal(300000))), Passed)
    assert isinstance(notional_is_within_limit(order, view(), policy(max_order_notional=Decimal("299999.99"))), Denial)


def test_risk_is_taken_over_the_band_and_says_so(place: Place, view: Sees, policy: Allows) -> None:
    assert risk_is_within_limit(place(quantity=2), view(), policy()) == Passed(
        "risk=2000 over 80 ticks, maximum=2500",
        "no stop stands with this order, so its risk is taken over 80 ticks",
    )
    assert risk_is_within_limit(place(quantity=3), view(), policy()) == Denial(
        "RISK_EXCEEDS_MAXIMUM", "risk=3000 over 80 ticks, maximum=2500"
    )


def test_the_risk_limit_itself_may_be_reached(place: Place, view: Sees, policy: Allows) -> None:
    assert isinstance(risk_is_within_limit(place(), view(), policy(max_order_risk=Decimal(1000))), Passed)


def test_what_cannot_be_reckoned_denies(place: Place, view: Sees, policy: Allows) -> None:
    unquoted = view(quote=None)
    assert notional_is_within_limit(place(), unquoted, policy()) == Denial(
        "NOTIONAL_UNKNOWN", "notional=unknown, maximum=1500000"
    )
    assert risk_is_within_limit(place(), unquoted, policy()) == Denial(
        "RISK_UNKNOWN", "risk=unknown over 80 ticks, maximum=2500"
    )


def test_what_only_reduces_is_never_value_gated(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    order, book = place(action=OrderAction.SELL, quantity=9), view(positions=held(9), quote=None)
    assert notional_is_within_limit(order, book, policy()) == ONLY_REDUCES
    assert risk_is_within_limit(order, book, policy()) == ONLY_REDUCES
