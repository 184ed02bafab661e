"""Orders, their states in named sets, and their histories."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import (
    CLOSED,
    IN_FLIGHT,
    WORKING,
    Lifecycle,
    LifecycleEvent,
    Order,
    OrderAction,
    OrderState,
    OrderType,
)

ORDER = Order("Sim101", "1", Instrument("ES", 2026, 12), OrderAction.BUY, OrderType.MARKET, OrderState.WORKING, 5, 2)


def test_every_state_stands_in_one_set_and_unknown_in_none() -> None:
    sets = (CLOSED, WORKING, IN_FLIGHT)
    assert sum(len(states) for states in sets) == len(OrderState) - 1
    assert frozenset().union(*sets) == frozenset(OrderState) - {OrderState.UNKNOWN}


def test_what_is_on_its_way_is_in_flight() -> None:
    assert {
        OrderState.INITIALIZED,
        OrderState.SUBMITTED,
        OrderState.CHANGE_PENDING,
        OrderState.CHANGE_SUBMITTED,
        OrderState.CANCEL_PENDING,
        OrderState.CANCEL_SUBMITTED,
    } == IN_FLIGHT


@pytest.mark.parametrize("state", OrderState)
def test_only_a_closed_order_has_nothing_left_to_fill(state: OrderState) -> None:
    order = replace(ORDER, state=state)
    assert order.is_closed is (state in CLOSED)
    assert order.remaining == (0 if state in CLOSED else 3)


def test_an_overfilled_order_has_nothing_left_either() -> None:
    assert replace(ORDER, filled=7).remaining == 0


def test_buying_adds_and_selling_takes_away() -> None:
    assert (OrderAction.BUY.sign, OrderAction.SELL.sign) == (1, -1)


@pytest.mark.parametrize(
    ("order_type", "limit", "stop"),
    [
        (OrderType.MARKET, False, False),
        (OrderType.LIMIT, True, False),
        (OrderType.STOP_MARKET, False, True),
        (OrderType.STOP_LIMIT, True, True),
        (OrderType.MARKET_IF_TOUCHED, False, False),
        (OrderType.OTHER, False, False),
    ],
)
def test_an_order_type_says_which_prices_it_needs(*, order_type: OrderType, limit: bool, stop: bool) -> None:
    assert (order_type.needs_limit_price, order_type.needs_stop_price) == (limit, stop)


def test_four_order_types_can_be_sent_and_the_others_only_describe() -> None:
    assert {kind for kind in OrderType if kind.can_be_sent} == {
        OrderType.MARKET,
        OrderType.LIMIT,
        OrderType.STOP_MARKET,
        OrderType.STOP_LIMIT,
    }


def event(state: OrderState | None) -> LifecycleEvent:
    """One step of a history."""
    return LifecycleEvent(datetime(2026, 11, 23, tzinfo=UTC), "nt8", "event", state, "1")


def test_the_newest_state_of_a_history_counts() -> None:
    events = (event(OrderState.SUBMITTED), event(OrderState.WORKING), event(None))
    assert Lifecycle("1", None, None, events).last_state is OrderState.WORKING


def test_a_history_without_states_has_no_last_one() -> None:
    assert Lifecycle("1", None, None, (event(None),)).last_state is None
    assert Lifecycle("1", None, None, ()).last_state is None
