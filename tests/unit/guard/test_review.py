"""The review of an action by all rules together."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Account, Position
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Command, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.guard.review import RULES, Result, Review, RuleResult, review
from ct_mcp.guard.rules.order import quantity_is_within_limit

ES = Instrument("ES", 2026, 12)
SELL = OrderAction.SELL
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
Codes = Callable[[Review], set[str]]
Finds = Callable[[Review, str], RuleResult]
HOSTILE_QUANTITIES = [True, False, 0, -1, 2**63, -(2**63), 1.0, "1"]
HOSTILE_PRICES = [
    "NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "1E+400",
    "-1E+400",
    "1E-400",
    "0",
    "-0",
    "-6400",
    "1E+999999",
]


def test_an_ordinary_order_passes_every_rule(place: Place, view: Sees, policy: Allows) -> None:
    found = review(place(), view(), policy())
    assert found.passes
    assert len(found.results) == len(RULES)
    assert [str(finding) for finding in found.findings] == [
        "Assumption: no stop stands with this order, so its risk is taken over 80 ticks, "
        "and is not held against what the day has left"
    ]


def test_every_rule_states_its_verdict_with_figures(place: Place, view: Sees, policy: Allows) -> None:
    for verdict in review(place(), view(), policy()).results:
        assert verdict.rule
        assert verdict.figures


def test_all_denials_come_back_and_not_the_first_alone(place: Place, view: Sees, policy: Allows, codes: Codes) -> None:
    order = place(quantity=6, order_type=OrderType.LIMIT, limit_price="6500.10")
    found = review(order, view(orders_last_minute=6), policy(max_order_notional=Decimal(1000)))
    assert codes(found) == {
        "QUANTITY_EXCEEDS_MAXIMUM",
        "PRICE_OFF_TICK",
        "PRICE_OUTSIDE_BAND",
        "LIMIT_THROUGH_MARKET",
        "NOTIONAL_EXCEEDS_MAXIMUM",
        "RISK_EXCEEDS_MAXIMUM",
        "ORDERS_PER_MINUTE_REACHED",
    }


def test_what_several_rules_say_in_the_same_words_is_said_once(place: Place, view: Sees, policy: Allows) -> None:
    order = place(order_type=OrderType.LIMIT, limit_price="6399.00")
    denials = [str(denial) for denial in review(order, view(quote=None), policy()).denials]
    assert denials.count("QUOTE_UNKNOWN: no usable quote of ES 12-26") == 1


def test_nothing_known_denies_an_order_for_each_thing_that_is_not(
    place: Place, view: Sees, policy: Allows, codes: Codes
) -> None:
    nothing = view(account=None, positions=None, orders=None, quote=None, session=None)
    assert codes(review(place(), nothing, policy())) == {
        "ACCOUNT_UNKNOWN",
        "ACCOUNT_NOT_SIMULATED",
        "DAY_PNL_UNKNOWN",
        "POSITION_UNKNOWN",
        "QUOTE_UNKNOWN",
        "NOTIONAL_UNKNOWN",
        "RISK_UNKNOWN",
        "SESSION_UNKNOWN",
    }


def test_the_second_of_two_orders_is_denied_while_the_first_is_unknown(
    place: Place, view: Sees, policy: Allows
) -> None:
    allowed = policy(max_position_contracts=2)
    assert review(place(quantity=2), view(), allowed).passes
    second = review(place(quantity=2), view(pending=(PendingOrder(ES, 2),)), allowed)
    assert [denial.code for denial in second.denials] == ["POSITION_EXCEEDS_MAXIMUM", "OUTCOME_UNRESOLVED"]
    assert str(second.denials[0]).endswith("after=4, maximum=2, held=0, working=0, unknown=2, this order=2")


def exits() -> list[Command]:
    """Everything that closes, flattens or cancels."""
    return [
        Flatten("Sim101", None),
        Flatten("Sim101", ES),
        ClosePosition("Sim101", ES),
        CancelOrder("Sim101", "1"),
        CancelOrders("Sim101", None),
    ]


@pytest.mark.parametrize("exit_", exits())
def test_nothing_but_the_account_stops_an_exit(
    view: Sees, policy: Allows, account: Account, now: object, exit_: Command
) -> None:
    worst = view(
        positions=None,
        orders=None,
        quote=None,
        session=None,
        halt=Halt("person", view().now, "enough"),
        day_loss_reached=True,
        orders_today=1000,
        seconds_since_identical=0.0,
        identical_is_unknown=True,
    )
    strict = policy(max_order_contracts=1, instruments=frozenset({"NQ"}), max_day_loss=Decimal(0))
    assert review(exit_, worst, strict).passes


@pytest.mark.parametrize("exit_", exits())
def test_a_wrong_account_stops_even_an_exit(view: Sees, policy: Allows, codes: Codes, exit_: Command) -> None:
    assert codes(review(exit_, view(account=None), policy())) == {"ACCOUNT_UNKNOWN", "ACCOUNT_NOT_SIMULATED"}
    assert codes(review(exit_, view(), policy(Mode.READ_ONLY))) == {"MODE_READ_ONLY"}


def test_an_order_that_only_reduces_passes_size_value_loss_halt_price_and_session(
    place: Place, view: Sees, policy: Allows, held: Holds
) -> None:
    order = place(action=SELL, quantity=8, order_type=OrderType.LIMIT, limit_price="6000")
    hard = view(
        positions=held(8),
        quote=None,
        session=None,
        halt=Halt("person", view().now, "enough"),
        day_loss_reached=True,
    )
    found = review(order, hard, policy(max_order_contracts=1, max_position_contracts=1, max_order_risk=Decimal(0)))
    assert found.denials == ()
    assert "Could not verify: no usable quote of ES 12-26" in map(str, found.findings)


def test_an_order_that_only_reduces_must_still_be_a_sound_order(
    place: Place, view: Sees, policy: Allows, held: Holds, codes: Codes
) -> None:
    book = view(positions=held(8))
    bad = place(action=SELL, order_type=OrderType.LIMIT, limit_price="6400.10", stop_price="6300")
    assert codes(review(bad, book, policy())) == {"PRICE_OFF_TICK", "STOP_PRICE_SUPERFLUOUS"}
    wrong = place(action=SELL, order_type=OrderType.STOP_MARKET, stop_price="6410")
    assert codes(review(wrong, book, policy())) == {"STOP_ON_WRONG_SIDE"}


@pytest.mark.parametrize("quantity", HOSTILE_QUANTITIES)
@pytest.mark.parametrize("net", [0, 3, -3])
def test_no_hostile_quantity_passes(
    *, place: Place, view: Sees, policy: Allows, held: Holds, net: int, quantity: object
) -> None:
    found = review(place(quantity=quantity), view(positions=held(net)), policy())
    assert {denial.code for denial in found.denials} & {"QUANTITY_INVALID", "QUANTITY_EXCEEDS_MAXIMUM"}


@pytest.mark.parametrize("price", HOSTILE_PRICES)
@pytest.mark.parametrize("net", [0, 3, -3])
@pytest.mark.parametrize("order_type", OrderType)
def test_no_hostile_price_passes(
    *, place: Place, view: Sees, policy: Allows, held: Holds, net: int, order_type: OrderType, price: str
) -> None:
    order = place(order_type=order_type, limit_price=price, stop_price=price)
    found = review(order, view(positions=held(net)), policy())
    assert {denial.code for denial in found.denials} & {"PRICE_INVALID", "PRICE_NOT_POSITIVE"}
    assert all(len(str(denial)) < 200 for denial in found.denials)


@pytest.mark.parametrize("quantity", [None, *HOSTILE_QUANTITIES])
@pytest.mark.parametrize("price", HOSTILE_PRICES)
def test_no_hostile_change_passes(
    *, view: Sees, policy: Allows, stop: Rests, held: Holds, quantity: int, price: str
) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    change = ChangeOrder("Sim101", "stop", quantity=quantity, stop_price=Decimal(price))
    assert not review(change, book, policy()).passes


@pytest.mark.parametrize("quantity", HOSTILE_QUANTITIES)
def test_no_hostile_close_passes_but_a_size_that_is_capped(view: Sees, policy: Allows, quantity: int) -> None:
    capped = type(quantity) is int and quantity > 0  # the service closes what is open and no more
    assert review(ClosePosition("Sim101", ES, quantity=quantity), view(), policy()).passes is capped


@given(
    quantity=st.integers(-3, 8),
    order_type=st.sampled_from(OrderType),
    action=st.sampled_from(OrderAction),
    prices=st.tuples(*[st.one_of(st.none(), st.decimals("6300", "6500", places=2))] * 2),
    net=st.integers(-5, 5),
    working=st.integers(0, 5),
)
def test_no_order_that_passes_can_lead_beyond_the_limits(
    place: Place,
    view: Sees,
    policy: Allows,
    held: Holds,
    resting: Rests,
    *,
    quantity: int,
    order_type: OrderType,
    action: OrderAction,
    prices: tuple[Decimal | None, Decimal | None],
    net: int,
    working: int,
) -> None:
    orders = (resting(action=action, quantity=working),) if working else ()
    order = place(quantity=quantity, order_type=order_type, action=action, limit_price=prices[0], stop_price=prices[1])
    found = review(order, view(positions=held(net), orders=orders), policy(max_position_contracts=5))
    if found.passes:
        assert quantity >= 1
        assert abs(net + action.sign * (quantity + working)) <= max(5, abs(net))
        assert (prices[0] is not None) is order_type.needs_limit_price
        assert (prices[1] is not None) is order_type.needs_stop_price


def test_a_review_states_what_was_not_applicable(view: Sees, policy: Allows, verdict: Finds) -> None:
    found = review(Flatten("Sim101", None), view(), policy())
    assert verdict(found, "quantity-limit") == RuleResult(
        quantity_is_within_limit, Result.NOT_APPLICABLE, "sends no order"
    )


def test_a_good_till_cancelled_order_may_rest_while_the_market_is_closed(
    place: Place, view: Sees, policy: Allows
) -> None:
    order = place(order_type=OrderType.LIMIT, limit_price="6390", time_in_force=TimeInForce.GTC)
    assert review(order, view(), policy()).passes
