"""Prices: readable, positive, on tick, near the market, on its right side, on a fresh quote."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.market import Quote, Session
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import ONLY_REDUCES, Denial, NotApplicable, Passed, Rule, could_not_verify
from ct_mcp.guard.rules.price import (
    NO_PRICE,
    bid_and_ask_are_near_the_last_trade,
    limit_does_not_run_through_the_market,
    prices_are_near_the_market,
    prices_are_on_tick,
    prices_are_positive,
    prices_are_readable,
    quote_is_fresh,
    stop_stands_on_its_side,
)

SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
UNQUOTED = Denial(DenialCode.QUOTE_UNKNOWN, "no usable quote of ES 12-26")


@pytest.fixture(scope="session")
def limit(place: Place) -> Place:
    """A BUY LIMIT at 6399.00 unless said otherwise."""
    return lambda **changes: place(**{"order_type": OrderType.LIMIT, "limit_price": "6399", **changes})


@pytest.fixture(scope="session")
def stop_order(place: Place) -> Place:
    """A BUY STOP MARKET at 6402.00 unless said otherwise."""
    return lambda **changes: place(**{"order_type": OrderType.STOP_MARKET, "stop_price": "6402", **changes})


def code(found: object) -> str:
    """The code of a denial, and nothing for a pass."""
    return found.code if isinstance(found, Denial) else ""


@pytest.mark.parametrize("price", ["NaN", "sNaN", "Infinity", "1E+400", "0", "-0", "1E-400"])
def test_a_price_must_be_readable(limit: Place, view: Sees, policy: Allows, price: str) -> None:
    found = prices_are_readable(effect_of(limit(limit_price=price), view()), view(), policy())
    assert code(found) == "PRICE_INVALID"
    assert str(found).startswith(f"PRICE_INVALID: limit_price={price}; must be finite")


def test_readable_prices_pass_and_a_market_order_has_none(
    limit: Place, place: Place, view: Sees, policy: Allows
) -> None:
    assert prices_are_readable(effect_of(limit(), view()), view(), policy()) == Passed("limit_price=6399")
    assert prices_are_readable(effect_of(place(), view()), view(), policy()) == NO_PRICE


def test_a_negative_price_needs_a_market_near_zero(limit: Place, view: Sees, policy: Allows, quote: Quote) -> None:
    order = limit(limit_price="-5.25")
    near = view(quote=replace(quote, last=Decimal(20)))
    below = view(quote=replace(quote, last=Decimal(-37)))
    assert prices_are_positive(effect_of(order, view()), view(), policy()) == Denial(
        DenialCode.PRICE_NOT_POSITIVE, "limit_price=-5.25, last=6400"
    )
    assert prices_are_positive(effect_of(order, near), near, policy(price_band_ticks=80)) == Passed(
        "limit_price=-5.25, last=20"
    )
    assert code(prices_are_positive(effect_of(order, near), near, policy(price_band_ticks=79))) == "PRICE_NOT_POSITIVE"
    assert isinstance(prices_are_positive(effect_of(order, below), below, policy()), Passed)
    assert prices_are_positive(effect_of(order, view(quote=None)), view(quote=None), policy()) == UNQUOTED
    assert (
        prices_are_positive(
            effect_of(order, view(quote=replace(quote, last=None, bid=None))),
            view(quote=replace(quote, last=None, bid=None)),
            policy(),
        )
        == UNQUOTED
    )


def test_an_ordinary_price_needs_no_quote_to_be_positive(limit: Place, view: Sees, policy: Allows) -> None:
    for price in ("6399", "0.25"):
        assert prices_are_positive(
            effect_of(limit(limit_price=price), view(quote=None)), view(quote=None), policy()
        ) == Passed("none negative")


@pytest.mark.parametrize(
    ("price", "passes"), [("6399.00", True), ("6399.25", True), ("6399.10", False), ("-5.1", False)]
)
def test_a_price_stands_on_a_tick(*, limit: Place, view: Sees, policy: Allows, price: str, passes: bool) -> None:
    found = prices_are_on_tick(effect_of(limit(limit_price=price), view()), view(), policy())
    assert code(found) == ("" if passes else "PRICE_OFF_TICK")


def test_every_price_stands_on_a_tick(place: Place, view: Sees, policy: Allows) -> None:
    order = place(order_type=OrderType.STOP_LIMIT, limit_price="6402.50", stop_price="6402.30")
    assert prices_are_on_tick(effect_of(order, view()), view(), policy()) == Denial(
        DenialCode.PRICE_OFF_TICK,
        "limit_price=6402.5, stop_price=6402.3, tick=0.25, nearest: stop_price 6402.25 or 6402.5",
    )


def test_a_tick_that_is_not_known_denies_unless_the_order_only_reduces(
    limit: Place, place: Place, view: Sees, policy: Allows, held: Holds
) -> None:
    unquoted = view(quote=None)
    assert prices_are_on_tick(effect_of(limit(), unquoted), unquoted, policy()) == UNQUOTED
    assert prices_are_on_tick(effect_of(place(), unquoted), unquoted, policy()) == NO_PRICE
    leaving = limit(action=SELL)
    assert prices_are_on_tick(
        effect_of(leaving, view(quote=None, positions=held(1))), view(quote=None, positions=held(1)), policy()
    ) == Passed("only reduces", could_not_verify("QUOTE_UNKNOWN", "no usable quote of ES 12-26"))


@pytest.mark.parametrize(
    ("age", "passes"), [(0.0, True), (10.0, True), (10.5, False), (86400.0, False), (-5.0, True), (-6.0, False)]
)
def test_a_quote_is_fresh_for_its_time_and_never_from_the_future(
    *, place: Place, view: Sees, policy: Allows, quote: Quote, age: float, passes: bool
) -> None:
    aged = view(quote=replace(quote, at=view().now - timedelta(seconds=age)))
    found = quote_is_fresh(effect_of(place(), aged), aged, policy())
    figures = f"age={age:.1f} s, maximum=10 s"
    assert found == (Passed(figures) if passes else Denial(DenialCode.QUOTE_STALE, figures))


def test_a_quote_without_a_stamp_is_never_fresh(place: Place, view: Sees, policy: Allows, quote: Quote) -> None:
    found = quote_is_fresh(
        effect_of(place(), view(quote=replace(quote, at=None))), view(quote=replace(quote, at=None)), policy()
    )
    assert found == Denial(DenialCode.QUOTE_STALE, "age=unknown, maximum=10 s")


def test_no_quote_and_a_quote_without_prices_deny(place: Place, view: Sees, policy: Allows, quote: Quote) -> None:
    empty = replace(quote, last=None, bid=None, ask=None)
    assert quote_is_fresh(effect_of(place(), view(quote=None)), view(quote=None), policy()) == UNQUOTED
    assert quote_is_fresh(effect_of(place(), view(quote=empty)), view(quote=empty), policy()) == UNQUOTED


def test_only_what_rests_over_a_closed_session_may_lean_on_an_old_quote(
    limit: Place, place: Place, view: Sees, policy: Allows, quote: Quote, session: Session
) -> None:
    closed = replace(session, is_open=False, state="Closed", opens_at=view().now + timedelta(hours=2))
    old = replace(quote, at=view().now - timedelta(hours=12))
    night, day = view(quote=old, session=closed), view(quote=old)
    rests = limit(time_in_force=TimeInForce.GTC)
    found = quote_is_fresh(effect_of(rests, night), night, policy())
    assert isinstance(found, Passed)
    assert found.finding is not None
    assert found.finding.text == "the session is closed, so the last quote there was stands for the market"
    assert code(quote_is_fresh(effect_of(rests, day), day, policy())) == "QUOTE_STALE"
    assert code(quote_is_fresh(effect_of(limit(), night), night, policy())) == "QUOTE_STALE"
    assert (
        code(quote_is_fresh(effect_of(place(time_in_force=TimeInForce.GTC), night), night, policy())) == "QUOTE_STALE"
    )


@pytest.mark.parametrize(("price", "passes"), [("6380", True), ("6379.75", False), ("6420", True), ("6420.25", False)])
def test_a_price_stands_within_the_band(*, limit: Place, view: Sees, policy: Allows, price: str, passes: bool) -> None:
    found = prices_are_near_the_market(effect_of(limit(limit_price=price), view()), view(), policy(price_band_ticks=80))
    assert code(found) == ("" if passes else "PRICE_OUTSIDE_BAND")


def test_the_price_farthest_from_the_market_counts(place: Place, view: Sees, policy: Allows) -> None:
    order = place(order_type=OrderType.STOP_LIMIT, limit_price="6425", stop_price="6402")
    assert prices_are_near_the_market(effect_of(order, view()), view(), policy()) == Denial(
        DenialCode.PRICE_OUTSIDE_BAND,
        "limit_price=6425, stop_price=6402, last=6400, distance=100 ticks, maximum=80, allowed now=6380 to 6420",
    )


def test_the_band_needs_a_quote_where_there_is_a_price(
    limit: Place, place: Place, view: Sees, policy: Allows, quote: Quote
) -> None:
    assert prices_are_near_the_market(effect_of(limit(), view(quote=None)), view(quote=None), policy()) == UNQUOTED
    assert (
        prices_are_near_the_market(
            effect_of(limit(), view(quote=replace(quote, last=None, ask=None))),
            view(quote=replace(quote, last=None, ask=None)),
            policy(),
        )
        == UNQUOTED
    )
    assert prices_are_near_the_market(effect_of(place(), view(quote=None)), view(quote=None), policy()) == NO_PRICE


@pytest.mark.parametrize(
    ("action", "price", "passes"),
    [(BUY, "6402.25", True), (BUY, "6402.50", False), (SELL, "6397.75", True), (SELL, "6397.50", False)],
)
def test_a_limit_runs_no_further_through_the_market_than_the_band(
    *, limit: Place, view: Sees, policy: Allows, action: OrderAction, price: str, passes: bool
) -> None:
    found = limit_does_not_run_through_the_market(
        effect_of(limit(action=action, limit_price=price), view()), view(), policy(price_band_ticks=8)
    )
    assert code(found) == ("" if passes else "LIMIT_THROUGH_MARKET")


def test_a_limit_through_the_market_says_by_how_much(limit: Place, view: Sees, policy: Allows) -> None:
    found = limit_does_not_run_through_the_market(
        effect_of(limit(limit_price="6405.25"), view()), view(), policy(price_band_ticks=8)
    )
    assert found == Denial(
        DenialCode.LIMIT_THROUGH_MARKET, "BUY limit=6405.25, ask=6400.25, through=20 ticks, maximum=8"
    )


def test_the_last_price_stands_in_for_a_missing_side(
    limit: Place, stop_order: Place, view: Sees, policy: Allows, quote: Quote
) -> None:
    one_sided = view(quote=replace(quote, ask=None, last=Decimal(6403)))
    through = limit_does_not_run_through_the_market(
        effect_of(limit(limit_price="6404"), one_sided), one_sided, policy()
    )
    assert through == Passed("BUY limit=6404, last=6403, through=4 ticks, maximum=80")
    assert stop_stands_on_its_side(effect_of(stop_order(), one_sided), one_sided, policy()) == Denial(
        DenialCode.STOP_ON_WRONG_SIDE, "BUY stop=6402, must stand above the last=6403"
    )


def test_a_market_nobody_quotes_has_no_sides(
    limit: Place, stop_order: Place, view: Sees, policy: Allows, quote: Quote
) -> None:
    for unquoted in (None, replace(quote, last=None, ask=None)):
        assert (
            limit_does_not_run_through_the_market(
                effect_of(limit(), view(quote=unquoted)), view(quote=unquoted), policy()
            )
            == UNQUOTED
        )
        assert (
            stop_stands_on_its_side(effect_of(stop_order(), view(quote=unquoted)), view(quote=unquoted), policy())
            == UNQUOTED
        )


@pytest.mark.parametrize(
    "changes", [{}, {"order_type": OrderType.LIMIT}, {"order_type": OrderType.LIMIT, "limit_price": "NaN"}]
)
def test_only_a_limit_can_run_through(place: Place, view: Sees, policy: Allows, changes: dict[str, object]) -> None:
    assert isinstance(
        limit_does_not_run_through_the_market(effect_of(place(**changes), view()), view(), policy()), NotApplicable
    )


@pytest.mark.parametrize(
    ("action", "price", "passes"),
    [
        (BUY, "6400.50", True),
        (BUY, "6400.25", False),
        (BUY, "6390", False),
        (SELL, "6399.50", True),
        (SELL, "6399.75", False),
        (SELL, "6410", False),
    ],
)
def test_a_stop_waits_on_its_own_side_of_the_market(
    *, stop_order: Place, view: Sees, policy: Allows, action: OrderAction, price: str, passes: bool
) -> None:
    found = stop_stands_on_its_side(effect_of(stop_order(action=action, stop_price=price), view()), view(), policy())
    assert code(found) == ("" if passes else "STOP_ON_WRONG_SIDE")


def test_a_stop_is_not_judged_by_an_old_quote(
    stop_order: Place, view: Sees, policy: Allows, quote: Quote, held: Holds
) -> None:
    old = replace(quote, at=view().now - timedelta(minutes=5))
    order = stop_order(action=SELL, stop_price="6410")
    assert stop_stands_on_its_side(effect_of(order, view(quote=old)), view(quote=old), policy()) == Denial(
        DenialCode.QUOTE_STALE, "age=300.0 s, maximum=10 s"
    )
    assert stop_stands_on_its_side(
        effect_of(order, view(quote=old, positions=held(1))), view(quote=old, positions=held(1)), policy()
    ) == Passed(
        "only reduces",
        could_not_verify(
            "QUOTE_STALE",
            "which side of the market it stands on, since the quote is old: age=300.0 s, maximum=10 s",
        ),
    )


def test_a_stop_that_rests_over_a_closed_session_is_judged_by_the_last_quote_there_was(
    stop_order: Place, view: Sees, policy: Allows, quote: Quote, session: Session
) -> None:
    closed = replace(session, is_open=False, opens_at=view().now + timedelta(hours=2))
    night = view(quote=replace(quote, at=view().now - timedelta(hours=12)), session=closed)
    rests = stop_order(time_in_force=TimeInForce.GTC)
    assert isinstance(stop_stands_on_its_side(effect_of(rests, night), night, policy()), Passed)
    assert (
        code(stop_stands_on_its_side(effect_of(replace(rests, stop_price=Decimal(6390)), night), night, policy()))
        == "STOP_ON_WRONG_SIDE"
    )


@pytest.mark.parametrize(
    "changes", [{}, {"order_type": OrderType.STOP_MARKET}, {"order_type": OrderType.STOP_LIMIT, "stop_price": "NaN"}]
)
def test_only_a_stop_has_a_side(place: Place, view: Sees, policy: Allows, changes: dict[str, object]) -> None:
    assert isinstance(stop_stands_on_its_side(effect_of(place(**changes), view()), view(), policy()), NotApplicable)


@pytest.mark.parametrize("rule", [quote_is_fresh, prices_are_near_the_market, limit_does_not_run_through_the_market])
def test_what_only_reduces_needs_no_market(limit: Place, view: Sees, policy: Allows, held: Holds, rule: Rule) -> None:
    book = view(quote=None, positions=held(1))
    found = rule(effect_of(limit(action=SELL, limit_price="6000"), book), book, policy())
    assert found == NotApplicable("only reduces")


@pytest.mark.parametrize("kind", [{}, {"order_type": OrderType.STOP_MARKET, "stop_price": "6401"}])
@pytest.mark.parametrize("action", list(OrderAction))
@pytest.mark.parametrize(
    ("sides", "why"),
    [
        ({"ask": Decimal("6420.25")}, "81 ticks"),
        ({"bid": Decimal("6379.75")}, "81 ticks"),
        ({"bid": Decimal("6400.25"), "ask": Decimal(6400)}, "crossed"),
        ({"bid": None}, "empty"),
        ({"ask": None}, "empty"),
    ],
)
def test_nothing_opens_on_a_book_that_is_torn_crossed_or_half_empty(
    *,
    place: Callable[..., PlaceOrder],
    view: Sees,
    policy: Allows,
    quote: Quote,
    kind: dict[str, object],
    action: OrderAction,
    sides: dict[str, Decimal | None],
    why: str,
) -> None:
    book = view(quote=replace(quote, **sides))  # type: ignore[arg-type]
    found = bid_and_ask_are_near_the_last_trade(effect_of(place(action=action, **kind), book), book, policy())
    assert isinstance(found, Denial)
    assert found.code == "SPREAD_TOO_WIDE"
    assert why in found.figures


def test_what_leaves_and_what_waits_for_the_open_need_no_book(
    place: Callable[..., PlaceOrder],
    view: Sees,
    policy: Allows,
    quote: Quote,
    held: Callable[..., tuple[Position, ...]],
) -> None:
    empty = view(quote=replace(quote, bid=None, ask=None), positions=held(2))
    leaves = place(action=OrderAction.SELL)
    assert bid_and_ask_are_near_the_last_trade(effect_of(leaves, empty), empty, policy()) == ONLY_REDUCES
    assert empty.session is not None
    night = replace(empty, session=replace(empty.session, is_open=False, opens_at=None))
    rests = place(order_type=OrderType.LIMIT, limit_price="6390", time_in_force=TimeInForce.GTC)
    answer = bid_and_ask_are_near_the_last_trade(effect_of(rests, night), night, policy())
    assert isinstance(answer, NotApplicable)
