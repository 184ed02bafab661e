"""Turning a position round, and the bracket around one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import Flatten, PlaceOrder, ProtectPosition, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order, OrderAction, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review, review
from ct_mcp.guard.rule import Denial, NotApplicable, Passed, RuleAnswer, warning
from ct_mcp.guard.rules.position import (
    CLOSE_NOT_COVERED,
    NO_BRACKET,
    NO_POSITION_MEANT,
    STOP_CLEARANCE_TICKS,
    bracket_has_a_price,
    bracket_is_placed_on_a_fresh_quote,
    exit_is_not_on_its_way,
    partial_close_leaves_no_orders_behind,
    position_to_turn_or_protect_is_held,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
)
from tests import factories

ES = Instrument("ES", 2026, 12)
REVERSE = ReversePosition("Sim101", ES)
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
Codes = Callable[[Review], set[str]]


def protect(target: str | None = None, stop: str | None = None) -> ProtectPosition:
    """A bracket by its prices as text."""
    return ProtectPosition("Sim101", ES, Decimal(target) if target else None, Decimal(stop) if stop else None)


def code(found: RuleAnswer) -> str:
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
    assert code(position_to_turn_or_protect_is_held(effect_of(action, book), book, policy())) == expected


@pytest.mark.parametrize("unread", ["positions", "orders"])
def test_what_was_not_read_is_neither_turned_nor_protected(
    view: Sees, policy: Allows, held: Holds, unread: str
) -> None:
    book = view(**{"positions": held(2), unread: None})
    for action in (REVERSE, protect("6420", "6390")):
        assert code(position_to_turn_or_protect_is_held(effect_of(action, book), book, policy())) == "POSITION_UNKNOWN"


def test_a_reverse_says_which_exits_may_stay_and_add(view: Sees, policy: Allows, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    found = position_to_turn_or_protect_is_held(effect_of(REVERSE, book), book, policy())
    assert found == Passed(
        "held=+2 ES 12-26",
        warning(
            "EXITS_MAY_STAY",
            "whether CrossTrade cancels 1 order that would leave the old position is not known; "
            "left standing, they would add to the new one",
        ),
    )
    assert position_to_turn_or_protect_is_held(
        effect_of(REVERSE, view(positions=held(2))), view(positions=held(2)), policy()
    ) == Passed("held=+2 ES 12-26")


def test_a_bracket_in_place_of_what_could_end_the_position_says_how_far_it_may_lead(
    view: Sees, policy: Allows, held: Holds, resting: Rests
) -> None:
    book = view(positions=held(-1), orders=(resting(quantity=2),))
    found = review(protect("6380", "6420"), book, policy())
    (warned,) = (each for each in found.findings if each.code == CLOSE_NOT_COVERED)
    assert "may fill before it is cancelled" in str(warned)
    assert "with the bracket to +2 at worst" in str(warned)
    whole = view(positions=held(-1), orders=(resting(quantity=1),))
    assert "with the bracket to +1 at worst" in str(review(protect("6380", "6420"), whole, policy()).findings)
    small = view(positions=held(-2), orders=(resting(quantity=1),))
    assert CLOSE_NOT_COVERED not in {each.code for each in review(protect("6380", "6420"), small, policy()).findings}


def test_an_order_meets_none_of_these_rules(place: Place, view: Sees, policy: Allows) -> None:
    assert position_to_turn_or_protect_is_held(effect_of(place(), view()), view(), policy()) == NO_POSITION_MEANT
    assert bracket_has_a_price(effect_of(place(), view()), view(), policy()) == NO_BRACKET


def test_a_bracket_without_a_price_would_only_cancel(view: Sees, policy: Allows) -> None:
    assert bracket_has_a_price(effect_of(protect(), view()), view(), policy()) == Denial(
        DenialCode.BRACKET_EMPTY, "take_profit=none, stop_loss=none"
    )
    assert bracket_has_a_price(effect_of(protect("6420"), view()), view(), policy()) == Passed(
        "take_profit=6420, stop_loss=none"
    )


def test_a_bracket_needs_a_fresh_quote(view: Sees, policy: Allows, held: Holds, quote: Quote, codes: Codes) -> None:
    old = replace(quote, at=view().now - timedelta(seconds=11))
    assert (
        code(bracket_is_placed_on_a_fresh_quote(effect_of(protect("6420"), view(quote=old)), view(quote=old), policy()))
        == "QUOTE_STALE"
    )
    assert code(bracket_is_placed_on_a_fresh_quote(effect_of(protect("6420"), view()), view(), policy())) == "Passed"


def test_a_bracket_that_takes_orders_away_first_needs_a_quote(
    view: Sees, policy: Allows, held: Holds, quote: Quote, codes: Codes
) -> None:
    """Where nothing stands it takes nothing away, and goes without one as a plain stop does."""
    stop = factories.stop_order(quantity=2)
    for unquoted in (None, replace(quote, bid=None, ask=None, last=None)):
        blind = view(positions=held(2), quote=unquoted)
        for orders, denied in (((stop,), {"QUOTE_UNKNOWN"}), ((), set()), (None, {"POSITION_UNKNOWN"})):
            judged = review(protect("6420", "6390"), replace(blind, orders=orders), policy())
            assert denied <= codes(judged)
            assert judged.passes is not bool(denied)
        assert "QUOTE_UNKNOWN" in {
            finding.code for finding in review(protect("6420", "6390"), blind, policy()).findings
        }


@pytest.mark.parametrize("action", [OrderAction.SELL, OrderAction.BUY])
def test_a_bracket_cancels_no_exit_that_is_on_its_way(view: Sees, held: Holds, action: OrderAction) -> None:
    """The orders of the instrument go first, and an exit at the market that has not filled is one of them."""
    at_market = factories.order("9", action=action, order_type=OrderType.MARKET, quantity=2, limit_price=None)
    context = view(positions=held(2), orders=(at_market, factories.stop_order(quantity=2)))
    answer = exit_is_not_on_its_way(effect_of(protect(None, "6390"), context), context, Policy())
    assert code(answer) == ("EXIT_ON_ITS_WAY" if action is OrderAction.SELL else "Passed")


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
    found = stop_loss_stands_clear_of_the_market(
        effect_of(protect(None, stop), view(positions=held(net))), view(positions=held(net)), policy()
    )
    assert code(found) == expected


def test_a_stop_loss_too_near_says_how_near(view: Sees, policy: Allows, held: Holds) -> None:
    found = stop_loss_stands_clear_of_the_market(
        effect_of(protect(None, "6399"), view(positions=held(2))), view(positions=held(2)), policy()
    )
    assert found == Denial(
        DenialCode.STOP_LOSS_TOO_NEAR,
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
    found = take_profit_stands_on_its_side(
        effect_of(protect(target), view(positions=held(net))), view(positions=held(net)), policy()
    )
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
    stop = factories.stop_order(quantity=2, instrument=march)
    assert codes(review(action, view(positions=held(2, march), orders=(stop,)), policy())) == {"QUOTE_UNKNOWN"}


@pytest.mark.parametrize("standing", [False, True], ids=["nothing stands", "the stop of a part comes nearer"])
def test_what_only_protects_is_not_refused_for_an_old_quote(
    *,
    view: Sees,
    policy: Allows,
    held: Holds,
    quote: Quote,
    codes: Codes,
    stop: Callable[..., Order],
    standing: bool,
) -> None:
    old = replace(quote, at=view().now - timedelta(seconds=40), bid=Decimal(6380), last=Decimal(6380))
    book = view(positions=held(2), quote=old, orders=(stop(quantity=1),) if standing else ())
    found = review(protect("6420", "6390"), book, policy())
    assert found.denials == ()
    assert "Could not verify: which side of the market it stands on" in " ".join(map(str, found.findings))
    moved_away = view(positions=held(2), quote=old, orders=(stop(quantity=1, stop_price=Decimal(6395)),))
    assert codes(review(protect("6420", "6390"), moved_away, policy())) == {"QUOTE_STALE"}


NQ = Instrument("NQ", 2026, 12)


def test_an_exit_beside_one_that_leaves_all_is_told_what_that_one_does_not_cover() -> None:
    context = factories.context(positions=factories.positions(1, NQ), whole_exits=(ES,))
    answer = exit_is_not_on_its_way(effect_of(Flatten("Sim101", None), context), context, Policy())
    assert isinstance(answer, Denial)
    assert "an exit of all that was held, not seen to be done yet" in answer.figures
    assert answer.figures.endswith("what it does not cover: flatten of NQ 12-26")
    covered = effect_of(Flatten("Sim101", NQ), context)
    assert isinstance(exit_is_not_on_its_way(covered, context, Policy()), NotApplicable)
    of_all = replace(context, whole_exits=(None,))
    answer = exit_is_not_on_its_way(effect_of(Flatten("Sim101", None), of_all), of_all, Policy())
    assert isinstance(answer, Denial)
    assert answer.figures.endswith("look with get_positions until it has filled"), "one of all covers every instrument"


@pytest.mark.parametrize(("action", "denied"), [(OrderAction.BUY, True), (OrderAction.SELL, False)])
def test_an_exit_that_is_listed_is_on_its_way_though_a_position_is_listed_twice(
    action: OrderAction,
    denied: bool,  # a parameter of the test
) -> None:
    """How much is held nobody knows then, and on which side everybody."""
    twice = (*factories.positions(-4), *factories.positions(-4))
    order = factories.order(order_type=OrderType.MARKET, limit_price=None, action=action, quantity=4)
    context = factories.context(positions=twice, orders=(order,))
    answer = exit_is_not_on_its_way(effect_of(Flatten("Sim101", ES), context), context, Policy())
    assert isinstance(answer, Denial) is denied


@pytest.mark.parametrize(
    ("order", "standing", "is_warned"),
    [
        (factories.place_order("SELL", 1), 3, True),
        (factories.place_order("SELL", 1), 2, False),
        (factories.place_order("SELL", 1, "6420"), 3, True),
        (factories.place_order("SELL", 1, "6420", oco_id="pair"), 1, False),
        (factories.place_order("SELL", 3), 3, True),
        (factories.place_order("SELL", 5), 3, True),
        (factories.place_order("SELL", 5), 0, False),
        (factories.place_order("BUY", 1), 3, False),
        (factories.place_order("SELL", 1, order_type=OrderType.STOP_MARKET, stop_price="6380"), 3, True),
        (factories.place_order("SELL", 3, order_type=OrderType.STOP_MARKET, stop_price="6380"), 0, False),
        (factories.place_order("SELL", 3, flatten_first=True), 3, False),
    ],
    ids=["a part", "fits", "a limit", "of a pair", "all", "beyond", "alone", "more", "a stop", "the only one", "first"],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_order_that_leaves_is_warned_of_exits_that_could_turn_the_position_with_it(
    order: PlaceOrder, standing: int, is_warned: bool, sign: int
) -> None:
    stop = factories.stop_order(quantity=standing or 1, oco_id=order.oco_id)
    if sign < 0:
        turned = {OrderAction.BUY: OrderAction.SELL, OrderAction.SELL: OrderAction.BUY}
        order, stop = replace(order, action=turned[order.action]), replace(stop, action=turned[stop.action])
    context = factories.context(positions=factories.positions(3 * sign), orders=(stop,) if standing else ())
    answer = partial_close_leaves_no_orders_behind(effect_of(order, context), context, factories.policy())
    assert not isinstance(answer, Denial)
    found = answer.finding if isinstance(answer, Passed) else None
    assert (found is not None and found.code == CLOSE_NOT_COVERED) is is_warned
