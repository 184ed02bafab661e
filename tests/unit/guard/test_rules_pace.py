"""How often: orders per minute and day, duplicates, outcomes nobody knows."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import EXIT, Denial, Passed
from ct_mcp.guard.rules.limits import (
    action_is_no_duplicate,
    no_twin_is_unresolved,
    orders_per_day_are_within_limit,
    orders_per_minute_are_within_limit,
)

ES = Instrument("ES", 2026, 12)
Place = Callable[..., PlaceOrder]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]

CANCELS: list[Command] = [CancelOrder("Sim101", "1"), CancelOrders("Sim101", None)]
WHOLE_EXITS: list[Command] = [
    Flatten("Sim101", None),
    ClosePosition("Sim101", ES),
    ClosePosition("Sim101", ES, percent=Decimal(100)),
]
PARTIAL: list[Command] = [ClosePosition("Sim101", ES, quantity=1), ClosePosition("Sim101", ES, percent=Decimal(50))]
CHANGE = ChangeOrder("Sim101", "1", quantity=2)


def test_the_minute_holds_as_many_orders_as_allowed(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE, *CANCELS):
        assert orders_per_minute_are_within_limit(
            effect_of(action, view(orders_last_minute=5)), view(orders_last_minute=5), policy()
        ) == Passed("orders in the last minute=5, maximum=6")
        assert orders_per_minute_are_within_limit(
            effect_of(action, view(orders_last_minute=6)), view(orders_last_minute=6), policy()
        ) == Denial(DenialCode.ORDERS_PER_MINUTE_REACHED, "orders in the last minute=6, maximum=6")


def test_the_day_holds_as_many_orders_as_allowed(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE):
        assert orders_per_day_are_within_limit(
            effect_of(action, view(orders_today=99)), view(orders_today=99), policy()
        ) == Passed("orders today=99, maximum=100")
        assert orders_per_day_are_within_limit(
            effect_of(action, view(orders_today=100)), view(orders_today=100), policy()
        ) == Denial(DenialCode.ORDERS_PER_DAY_REACHED, "orders today=100, maximum=100")


@pytest.mark.parametrize("action", [*CANCELS, *WHOLE_EXITS, *PARTIAL])
def test_a_full_day_can_still_be_cancelled_and_left(view: Sees, policy: Allows, action: Command) -> None:
    assert (
        orders_per_day_are_within_limit(effect_of(action, view(orders_today=1000)), view(orders_today=1000), policy())
        == EXIT
    )


@pytest.mark.parametrize("action", [*WHOLE_EXITS, *PARTIAL])
def test_leaving_never_waits_for_the_minute(view: Sees, policy: Allows, action: Command) -> None:
    assert (
        orders_per_minute_are_within_limit(
            effect_of(action, view(orders_last_minute=1000)), view(orders_last_minute=1000), policy()
        )
        == EXIT
    )


@pytest.mark.parametrize(("since", "passes"), [(0.0, False), (9.9, False), (-3.0, False), (10.0, True), (None, True)])
def test_the_same_again_within_the_window_is_a_repeated_call(
    *, place: Place, view: Sees, policy: Allows, since: float | None, passes: bool
) -> None:
    for action in (place(), CHANGE, *PARTIAL):
        found = action_is_no_duplicate(
            effect_of(action, view(seconds_since_identical=since)), view(seconds_since_identical=since), policy()
        )
        assert isinstance(found, Passed if passes else Denial)


def test_a_duplicate_says_how_long_ago(place: Place, view: Sees, policy: Allows) -> None:
    found = action_is_no_duplicate(
        effect_of(place(), view(seconds_since_identical=3.25)), view(seconds_since_identical=3.25), policy()
    )
    assert found == Denial(DenialCode.DUPLICATE_WITHIN_WINDOW, "identical sent=3.2 s ago, window=10 s")


def test_what_may_have_happened_is_not_sent_again(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE, *PARTIAL):
        found = no_twin_is_unresolved(
            effect_of(action, view(identical_is_unknown=True)), view(identical_is_unknown=True), policy()
        )
        assert isinstance(found, Denial)
        assert found.code == "OUTCOME_UNRESOLVED"
        assert isinstance(no_twin_is_unresolved(effect_of(action, view()), view(), policy()), Passed)


@pytest.mark.parametrize("action", [*CANCELS, *WHOLE_EXITS])
def test_leaving_all_and_cancelling_may_be_asked_twice(view: Sees, policy: Allows, action: Command) -> None:
    again = view(seconds_since_identical=0.0, identical_is_unknown=True)
    assert action_is_no_duplicate(effect_of(action, again), again, policy()) == EXIT
    assert no_twin_is_unresolved(effect_of(action, again), again, policy()) == EXIT


OTHER_WORDS: list[dict[str, object]] = [
    {},
    {"quantity": 1},
    {"time_in_force": TimeInForce.GTC},
    {"oco_id": "new"},
    {"order_type": OrderType.LIMIT, "limit_price": "6400.25"},
    {"order_type": OrderType.STOP_MARKET, "stop_price": "6401"},
    {"atm_strategy": "Two targets"},
    {"flatten_first": True},
]


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_a_wish_of_unknown_outcome_is_not_sent_again_in_other_words(
    place: Place, view: Sees, policy: Allows, words: dict[str, object]
) -> None:
    unknown = view(pending=(PendingOrder(ES, 2),))
    order = place(**{"quantity": 2, **words})
    found = no_twin_is_unresolved(effect_of(order, unknown), unknown, policy())
    assert isinstance(found, Denial)
    assert found.code == "OUTCOME_UNRESOLVED"
    assert "+2 ES 12-26" in found.figures


def test_a_replacement_a_change_and_a_reverse_are_other_words_too(
    place: Place, view: Sees, policy: Allows, resting: Callable[..., Order], held: Callable[..., tuple[Position, ...]]
) -> None:
    for command, net in (
        (ReplaceOrder("Sim101", "1", place(quantity=2)), 0),
        (ChangeOrder("Sim101", "1", limit_price=Decimal("6400.25")), 0),
        (ReversePosition("Sim101", ES), -1),
    ):
        known = view(positions=held(net), pending=(PendingOrder(ES, 2),), orders=(resting(),))
        found = no_twin_is_unresolved(effect_of(command, known), known, policy())
        assert isinstance(found, Denial), command


def test_the_other_side_another_contract_and_what_reduces_go_on(
    place: Place, view: Sees, policy: Allows, held: Callable[..., tuple[Position, ...]]
) -> None:
    unknown = view(pending=(PendingOrder(ES, 2),), positions=held(3))
    march = Instrument("ES", 2027, 3)
    for order in (place(action=OrderAction.SELL, quantity=3), place(instrument=march)):
        assert isinstance(no_twin_is_unresolved(effect_of(order, unknown), unknown, policy()), Passed)
    leaving = view(pending=(PendingOrder(ES, -1),), positions=held(3))
    for command in (place(action=OrderAction.SELL, quantity=2), ClosePosition("Sim101", ES, quantity=2)):
        assert isinstance(no_twin_is_unresolved(effect_of(command, leaving), leaving, policy()), Passed)
    turning = place(action=OrderAction.SELL, quantity=3)
    assert isinstance(no_twin_is_unresolved(effect_of(turning, leaving), leaving, policy()), Denial)
