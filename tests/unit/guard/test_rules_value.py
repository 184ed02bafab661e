"""Money: what an order is worth and what it risks."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import ONLY_REDUCES, Denial, Passed, assumption
from ct_mcp.guard.rules.limits import notional_is_within_limit, risk_is_within_limit

Place = Callable[..., PlaceOrder]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


def test_a_market_order_cannot_walk_around_the_notional_limit(place: Place, view: Sees, policy: Allows) -> None:
    assert notional_is_within_limit(effect_of(place(quantity=4), view()), view(), policy()) == Passed(
        "notional=1284050, maximum=1500000"
    )
    assert notional_is_within_limit(effect_of(place(quantity=5), view()), view(), policy()) == Denial(
        DenialCode.NOTIONAL_EXCEEDS_MAXIMUM, "notional=1605062.5, maximum=1500000"
    )


def test_the_notional_limit_itself_may_be_reached(place: Place, view: Sees, policy: Allows) -> None:
    order = place(order_type=OrderType.LIMIT, limit_price="6000")
    assert isinstance(
        notional_is_within_limit(effect_of(order, view()), view(), policy(max_order_notional=Decimal(300000))), Passed
    )
    assert isinstance(
        notional_is_within_limit(effect_of(order, view()), view(), policy(max_order_notional=Decimal("299999.99"))),
        Denial,
    )


def test_risk_is_taken_over_a_distance_of_its_own_and_says_so(place: Place, view: Sees, policy: Allows) -> None:
    assert risk_is_within_limit(effect_of(place(quantity=2), view()), view(), policy()) == Passed(
        "risk=2000 over 80 ticks, maximum=2500",
        assumption(
            "RISK_WITHOUT_STOP",
            "no stop stands with this order, so its risk is taken over 80 ticks, "
            "and is not held against what the day has left",
        ),
    )
    assert risk_is_within_limit(effect_of(place(quantity=3), view()), view(), policy()) == Denial(
        DenialCode.RISK_EXCEEDS_MAXIMUM, "risk=3000 over 80 ticks, maximum=2500"
    )


@pytest.mark.parametrize(("named", "fits"), [("1000", True), ("800", True), ("799.99", False)])
def test_a_size_that_was_reckoned_from_a_risk_holds_while_the_market_moves_a_little(
    place: Place, view: Sees, policy: Allows, named: str, fits: bool
) -> None:
    answer = risk_is_within_limit(effect_of(place(risk=Decimal(named)), view()), view(), policy())
    if fits:
        assert isinstance(answer, Passed)
    else:
        figures = "risk=1000 over 80 ticks, maximum=2500, named=799.99; the same call reckons the size anew"
        assert answer == Denial(DenialCode.RISK_EXCEEDS_NAMED, figures)


def test_the_risk_limit_itself_may_be_reached(place: Place, view: Sees, policy: Allows) -> None:
    assert isinstance(
        risk_is_within_limit(effect_of(place(), view()), view(), policy(max_order_risk=Decimal(1000))), Passed
    )


def test_what_cannot_be_reckoned_denies(place: Place, view: Sees, policy: Allows) -> None:
    unquoted = view(quote=None)
    assert notional_is_within_limit(effect_of(place(), unquoted), unquoted, policy()) == Denial(
        DenialCode.NOTIONAL_UNKNOWN, "notional=unknown, maximum=1500000"
    )
    assert risk_is_within_limit(effect_of(place(), unquoted), unquoted, policy()) == Denial(
        DenialCode.RISK_UNKNOWN, "risk=unknown over 80 ticks, maximum=2500"
    )


def test_what_only_reduces_is_never_value_gated(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    order, book = place(action=OrderAction.SELL, quantity=9), view(positions=held(9), quote=None)
    assert notional_is_within_limit(effect_of(order, book), book, policy()) == ONLY_REDUCES
    assert risk_is_within_limit(effect_of(order, book), book, policy()) == ONLY_REDUCES
