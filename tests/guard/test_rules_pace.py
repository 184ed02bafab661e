"""How often: orders per minute and day, duplicates, outcomes nobody knows."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.domain.action import Action, CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.rules_pace import (
    action_is_no_duplicate,
    no_identical_action_is_unresolved,
    orders_per_day_are_within_limit,
    orders_per_minute_are_within_limit,
)
from ct_mcp.guard.verdict import EXIT, Passed

ES = Instrument("ES", 2026, 12)
Place = Callable[..., PlaceOrder]
Sees = Callable[..., View]
Allows = Callable[..., Policy]

CANCELS: list[Action] = [CancelOrder("Sim101", "1"), CancelOrders("Sim101", None)]
WHOLE_EXITS: list[Action] = [
    Flatten("Sim101", None),
    ClosePosition("Sim101", ES),
    ClosePosition("Sim101", ES, percent=Decimal(100)),
]
PARTIAL: list[Action] = [ClosePosition("Sim101", ES, quantity=1), ClosePosition("Sim101", ES, percent=Decimal(50))]
CHANGE = ChangeOrder("Sim101", "1", quantity=2)


def test_the_minute_holds_as_many_orders_as_allowed(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE, *CANCELS):
        assert orders_per_minute_are_within_limit(action, view(orders_last_minute=5), policy()) == Passed(
            "orders in the last minute=5, maximum=6"
        )
        assert orders_per_minute_are_within_limit(action, view(orders_last_minute=6), policy()) == Denial(
            "ORDERS_PER_MINUTE_REACHED", "orders in the last minute=6, maximum=6"
        )


def test_the_day_holds_as_many_orders_as_allowed(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE):
        assert orders_per_day_are_within_limit(action, view(orders_today=99), policy()) == Passed(
            "orders today=99, maximum=100"
        )
        assert orders_per_day_are_within_limit(action, view(orders_today=100), policy()) == Denial(
            "ORDERS_PER_DAY_REACHED", "orders today=100, maximum=100"
        )


@pytest.mark.parametrize("action", [*CANCELS, *WHOLE_EXITS, *PARTIAL])
def test_a_full_day_can_still_be_cancelled_and_left(view: Sees, policy: Allows, action: Action) -> None:
    assert orders_per_day_are_within_limit(action, view(orders_today=1000), policy()) == EXIT


@pytest.mark.parametrize("action", [*WHOLE_EXITS, *PARTIAL])
def test_leaving_never_waits_for_the_minute(view: Sees, policy: Allows, action: Action) -> None:
    assert orders_per_minute_are_within_limit(action, view(orders_last_minute=1000), policy()) == EXIT


@pytest.mark.parametrize(("since", "passes"), [(0.0, False), (9.9, False), (-3.0, False), (10.0, True), (None, True)])
def test_the_same_again_within_the_window_is_a_repeated_call(
    *, place: Place, view: Sees, policy: Allows, since: float | None, passes: bool
) -> None:
    for action in (place(), CHANGE, *PARTIAL):
        found = action_is_no_duplicate(action, view(seconds_since_identical=since), policy())
        assert isinstance(found, Passed if passes else Denial)


def test_a_duplicate_says_how_long_ago(place: Place, view: Sees, policy: Allows) -> None:
    found = action_is_no_duplicate(place(), view(seconds_since_identical=3.25), policy())
    assert found == Denial("DUPLICATE_WITHIN_WINDOW", "identical sent=3.2 s ago, window=10 s")


def test_what_may_have_happened_is_not_sent_again(place: Place, view: Sees, policy: Allows) -> None:
    for action in (place(), CHANGE, *PARTIAL):
        found = no_identical_action_is_unresolved(action, view(identical_is_unknown=True), policy())
        assert isinstance(found, Denial)
        assert found.code == "OUTCOME_UNRESOLVED"
        assert isinstance(no_identical_action_is_unresolved(action, view(), policy()), Passed)


@pytest.mark.parametrize("action", [*CANCELS, *WHOLE_EXITS])
def test_leaving_all_and_cancelling_may_be_asked_twice(view: Sees, policy: Allows, action: Action) -> None:
    again = view(seconds_since_identical=0.0, identical_is_unknown=True)
    assert action_is_no_duplicate(action, again, policy()) == EXIT
    assert no_identical_action_is_unresolved(action, again, policy()) == EXIT
