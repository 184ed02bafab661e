"""Turning a position round, and the bracket around one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.action import PlaceOrder, ProtectPosition, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Position
from ct_mcp.guard.policy import Denial, PendingOrder, Policy, View
from ct_mcp.guard.rules import Review, review
from ct_mcp.guard.rules_position import (
    NO_BRACKET,
    NO_POSITION_MEANT,
    STOP_CLEARANCE_TICKS,
    bracket_has_a_price,
    bracket_is_placed_on_a_fresh_quote,
    position_to_turn_or_protect_is_held,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
)
from ct_mcp.guard.verdict import Finding, Passed

ES = Instrument("ES", 2026, 12)
REVERSE = ReversePosition("Sim101", ES)
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., View]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
Codes = Callable[[Review], set[str]]


def protect(target: str | None = None, stop: str | None = None) -> ProtectPosition:
    """A bracket by its prices as text."""
    return ProtectPosition("Sim101", ES, Decimal(target) if target else None, Decimal(stop) if stop else None)


def code(found: Finding) -> str:
    """The code of a denial, or that there is none."""
    return found.code if isinstance(found, Denial) else type(found).__name__


@pytest.mark.parametrize("action", [REVERSE, protect("6420", "6390")])
@pytest.mark.parametrize(
    ("net", "pending", "expected"),
    [
        (2, (), "Passed"),
        (-2, (), "Passed"),
        (0, (), "POSITION_FLAT"),
        (2, (-1,), "Passed"),
        (2, (-2,), "POSITION_UNKNOWN"),
        (-2, (1, 1), "POSITION_UNKNOWN"),
        (0, (2,), "POSITION_UNKNOWN"),
        (2, (2,), "Passed"),
    ],
)
def test_only_a_position_that_is_surely_held_is_turned_or_protected(
    *,
    view: Sees,
    policy: Allows,
    held: Holds,
    action: ReversePosition | ProtectPosition,
    net: int,
    pending: tuple[int, ...],
    expected: str,
) -> None:
    book = view(positions=held(net), pending=tuple(PendingOrder(ES, size) for size in pending))
    assert code(position_to_turn_or_protect_is_held(action, book, policy())) == expected


@pytest.mark.parametrize("unread", ["positions", "orders"])
def test_what_was_not_read_is_neither_turned_nor_protected(
    view: Sees, policy: Allows, held: Holds, unread: str
) -> None:
    book = view(**{"positions": held(2), unread: None})
    for action in (REVERSE, protect("6420", "6390")):
        assert code(position_to_turn_or_protect_is_held(action, book, policy())) == "POSITION_UNKNOWN"


def test_a_reverse_says_which_exits_may_stay_and_add(view: Sees, policy: Allows, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    found = position_to_turn_or_protect_is_held(REVERSE, book, policy())
    assert found == Passed(
        "held=+2 ES 12-26",
        "whether CrossTrade cancels the orders that leave the old position: 1 stand, are counted as staying, "
        "and would then add to the new one",
    )
    assert position_to_turn_or_protect_is_held(REVERSE, view(positions=held(2)), policy()) == Passed("held=+2 ES 12-26")


def test_an_order_meets_none_of_these_rules(place: Place, view: Sees, policy: Allows) -> None:
    assert position_to_turn_or_protect_is_held(place(), view(), policy()) == NO_POSITION_MEANT
    assert bracket_has_a_price(place(), view(), policy()) == NO_BRACKET


def test_a_bracket_without_a_price_would_only_cancel(view: Sees, policy: Allows) -> None:
    assert bracket_has_a_price(protect(), view(), policy()) == Denial(
        "BRACKET_EMPTY", "take_profit_price=none, stop_loss_price=none"
    )
    assert bracket_has_a_price(protect("6420"), view(), policy()) == Passed(
        "take_profit_price=6420, stop_loss_price=none"
    )


def test_a_bracket_needs_a_fresh_quote(view: Sees, policy: Allows, held: Holds, quote: Quote, codes: Codes) -> None:
    old = replace(quote, at=view().now - timedelta(seconds=11))
    assert code(bracket_is_placed_on_a_fresh_quote(protect("6420"), view(quote=old), policy())) == "QUOTE_STALE"
    assert code(bracket_is_placed_on_a_fresh_quote(protect("6420"), view(), policy())) == "Passed"
    blind = view(positions=held(2), quote=None)
    assert codes(review(protect("6420", "6390"), blind, policy())) == {"QUOTE_UNKNOWN"}
    nothing_quoted = replace(quote, bid=None, ask=None, last=None)
    assert codes(review(protect("6420", "6390"), view(positions=held(2), quote=nothing_quoted), policy())) == {
        "QUOTE_UNKNOWN"
    }


@pytest.mark.parametrize(
    ("net", "stop", "expected"),
    [
        # 6399.75 bid, 6400.25 asked
        (2, "6390", "Passed"),
        (2, "6398.75", "Passed"),
        (2, "6399.00", "STOP_LOSS_TOO_NEAR"),
        (2, "6399.75", "STOP_LOSS_ON_WRONG_SIDE"),
        (2, "6410", "STOP_LOSS_ON_WRONG_SIDE"),
        (-2, "6410", "Passed"),
        (-2, "6401.25", "Passed"),
        (-2, "6401.00", "STOP_LOSS_TOO_NEAR"),
        (-2, "6400.25", "STOP_LOSS_ON_WRONG_SIDE"),
        (-2, "6390", "STOP_LOSS_ON_WRONG_SIDE"),
        (2, "5000", "Passed"),
        (2, "NaN", "NotApplicable"),
        (2, None, "NotApplicable"),
        (0, "6390", "NotApplicable"),
    ],
)
def test_a_stop_loss_stands_clear_of_the_market_on_the_losing_side(
    *, view: Sees, policy: Allows, held: Holds, net: int, stop: str | None, expected: str
) -> None:
    found = stop_loss_stands_clear_of_the_market(protect(None, stop), view(positions=held(net)), policy())
    assert code(found) == expected


def test_a_stop_loss_too_near_says_how_near(view: Sees, policy: Allows, held: Holds) -> None:
    found = stop_loss_stands_clear_of_the_market(protect(None, "6399"), view(positions=held(2)), policy())
    assert found == Denial(
        "STOP_LOSS_TOO_NEAR",
        f"SELL stop loss=6399, bid=6399.75, clearance=3 ticks, minimum={STOP_CLEARANCE_TICKS}",
    )


@pytest.mark.parametrize(
    ("net", "target", "expected"),
    [
        (2, "6420", "Passed"),
        (2, "6400", "Passed"),
        (2, "6399.75", "TAKE_PROFIT_ON_WRONG_SIDE"),
        (2, "6390", "TAKE_PROFIT_ON_WRONG_SIDE"),
        (-2, "6390", "Passed"),
        (-2, "6400.25", "TAKE_PROFIT_ON_WRONG_SIDE"),
        (-2, "6410", "TAKE_PROFIT_ON_WRONG_SIDE"),
        (2, None, "NotApplicable"),
        (2, "Infinity", "NotApplicable"),
        (0, "6420", "NotApplicable"),
    ],
)
def test_a_take_profit_stands_where_the_position_gains(
    *, view: Sees, policy: Allows, held: Holds, net: int, target: str | None, expected: str
) -> None:
    found = take_profit_stands_on_its_side(protect(target), view(positions=held(net)), policy())
    assert code(found) == expected


@pytest.mark.parametrize("price", ["NaN", "sNaN", "Infinity", "1E+400", "0.0", "-6400", "6390.10"])
def test_no_hostile_price_stands_in_a_bracket(
    view: Sees, policy: Allows, held: Holds, codes: Codes, price: str
) -> None:
    for net in (2, -2):
        for action in (protect(price), protect(None, price)):
            found = codes(review(action, view(positions=held(net)), policy()))
            assert found & {"PRICE_INVALID", "PRICE_NOT_POSITIVE", "PRICE_OFF_TICK"}


def test_a_far_stop_is_no_reason_to_leave_a_position_bare(view: Sees, policy: Allows, held: Holds) -> None:
    found = review(protect("7400", "5000"), view(positions=held(8)), policy(instruments=frozenset()))
    assert found.denials == ()


def test_a_bracket_for_a_contract_of_another_month_has_no_quote(
    view: Sees, policy: Allows, held: Holds, codes: Codes
) -> None:
    march = Instrument("ES", 2027, 3)
    action = ProtectPosition("Sim101", march, None, Decimal(6390))
    assert codes(review(action, view(positions=held(2, march)), policy())) == {"QUOTE_UNKNOWN"}
