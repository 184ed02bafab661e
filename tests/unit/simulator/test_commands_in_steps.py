"""Reversing, replacing and bracketing: what is cancelled, what is waited for, and what is placed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.commands import (
    BracketRequest,
    DeferredOrder,
    cancel_and_bracket,
    cancel_and_place,
    close_and_place,
    reversing_terms,
)
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Fault, Faults, Lag
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import (
    Action,
    OrderLabels,
    OrderTerms,
    SimOrder,
    SimOrderState,
    SimOrderType,
    SimTimeInForce,
)
from ct_mcp.simulator.products import SimContract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
CLOSED = datetime(2026, 9, 9, 21, 30, tzinfo=UTC)
ES = SimContract("ES", 2026, 9)
CarryOut = Callable[..., tuple[Any, datetime]]


def _exchange(held: int, now: datetime = NOW) -> Exchange:
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM, LIVE))
    exchange.begin(now)
    if held:
        exchange.accounts["Sim101"].book(ES, held, exchange.market.top(ES, now).last)
    return exchange


def _entry(exchange: Exchange, action: Action, quantity: int, rpc: str = "ReversePosition") -> DeferredOrder:
    terms = OrderTerms(ES, action, quantity, SimOrderType.MARKET)
    return DeferredOrder(exchange.accounts["Sim101"], terms, OrderLabels(rpc=rpc, name="Entry"))


def _rest(exchange: Exchange, now: datetime = NOW) -> SimOrder:
    price = ES.product.price(exchange.market.top(ES, now).last - 400)
    terms = OrderTerms(ES, Action.BUY, 2, SimOrderType.LIMIT, limit_price=price)
    order = exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), now)
    exchange.advance(now + timedelta(seconds=1))
    return order


def _net_after(exchange: Exchange, now: datetime) -> int:
    exchange.advance(now + timedelta(seconds=30))
    return exchange.accounts["Sim101"].net(ES)


def test_the_order_is_placed_once_the_position_is_closed_and_its_orders_are_gone(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    resting = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    order, now = carry_out(exchange, close_and_place(exchange, _entry(exchange, Action.SELL, 2), start), start)
    assert 0.2 <= (now - start).total_seconds() < 1
    assert (order.placed_at, order.state) == (now, SimOrderState.SUBMITTED)
    assert (resting.state, exchange.accounts["Sim101"].net(ES)) == (SimOrderState.CANCELLED, 0)
    assert _net_after(exchange, now) == -2


def test_without_a_position_nothing_is_waited_for_and_resting_orders_stay(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    resting = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    _, now = carry_out(exchange, close_and_place(exchange, _entry(exchange, Action.SELL, 1), start), start)
    assert now == start
    assert _net_after(exchange, now) == -1
    assert resting.is_live


def test_the_order_is_placed_even_if_the_old_position_still_stands(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Lag.CLOSE_STUCK)
    order, now = carry_out(exchange, close_and_place(exchange, _entry(exchange, Action.BUY, 2), NOW), NOW)
    assert (now - NOW).total_seconds() == pytest.approx(5)
    assert order.placed_at == now
    assert _net_after(exchange, now) == 5, "the old position and the new one stand together"


def test_an_order_that_cannot_be_cancelled_is_not_waited_for_for_ever(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    frozen = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    _, now = carry_out(exchange, close_and_place(exchange, _entry(exchange, Action.SELL, 1), start), start)
    assert (now - start).total_seconds() == pytest.approx(5)
    assert frozen.is_live


def test_a_close_that_is_rejected_is_waited_for_as_long(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Fault.LATE_REJECT, rpc="ReversePosition", times=1)
    _, now = carry_out(exchange, close_and_place(exchange, _entry(exchange, Action.SELL, 1), NOW), NOW)
    assert (now - NOW).total_seconds() == pytest.approx(5)
    assert _net_after(exchange, now) == 2


def test_while_the_market_is_closed_both_orders_wait_for_the_open(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2, now=CLOSED)
    entry = _entry(exchange, Action.SELL, 2)
    order, _ = carry_out(exchange, close_and_place(exchange, entry, CLOSED), CLOSED)
    assert exchange.accounts["Sim101"].net(ES) == 2
    assert [each.state for each in exchange.orders] == [SimOrderState.ACCEPTED, SimOrderState.SUBMITTED]
    exchange.advance(datetime(2026, 9, 9, 22, 1, tzinfo=UTC))
    assert (order.state, exchange.accounts["Sim101"].net(ES)) == (SimOrderState.FILLED, -2)


@given(st.integers(-40, 40).filter(bool))
def test_turned_the_other_way_a_position_has_its_size(carry_out: CarryOut, held: int) -> None:
    exchange = _exchange(held)
    account = exchange.accounts["Sim101"]
    entry = DeferredOrder(account, reversing_terms(account.positions[ES]), OrderLabels(rpc="Reverse"))
    _, now = carry_out(exchange, close_and_place(exchange, entry, NOW), NOW)
    assert _net_after(exchange, now) == -held


def test_another_order_is_placed_once_the_first_is_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    old = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    new, now = carry_out(exchange, cancel_and_place(exchange, old, _entry(exchange, Action.BUY, 1), start), start)
    assert old.state is SimOrderState.CANCELLED
    assert new.placed_at == now > start


def test_nothing_is_placed_for_an_order_that_fills_while_it_is_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    terms = OrderTerms(ES, Action.BUY, 1, SimOrderType.MARKET)
    old = exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)
    late = NOW + timedelta(seconds=0.19)
    exchange.advance(late)
    new, now = carry_out(exchange, cancel_and_place(exchange, old, _entry(exchange, Action.BUY, 1), late), late)
    assert (new, old.state) == (None, SimOrderState.FILLED)
    assert _net_after(exchange, now) == 1


def test_nothing_is_placed_for_an_order_that_cannot_be_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    old = _rest(exchange)
    new, now = carry_out(exchange, cancel_and_place(exchange, old, _entry(exchange, Action.BUY, 1), NOW), NOW)
    assert (new, old.is_live) == (None, True)
    assert (now - NOW).total_seconds() == pytest.approx(5)


SOON = NOW + timedelta(seconds=1)
ES, MES = SimContract("ES", 2026, 9), SimContract("MES", 2026, 9)


def _price(exchange: Exchange, ticks_away: int) -> float:
    return ES.product.price(exchange.market.top(ES, NOW).last + ticks_away)


def _submit(exchange: Exchange, kind: SimOrderType, ticks_away: int, contract: SimContract = ES) -> SimOrder:
    """Sell two, at a limit above the market or at a stop below it."""
    price = _price(exchange, ticks_away)
    terms = OrderTerms(contract, Action.SELL, 2, kind, SimTimeInForce.GTC, price, price)
    return exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)


def _wanted(exchange: Exchange, quantity: int = 2, target: int | None = 400, stop: int | None = -400) -> BracketRequest:
    """Protect a long position; prices in ticks from the market."""
    account = exchange.accounts["Sim101"]
    above, below = (None if ticks is None else _price(exchange, ticks) for ticks in (target, stop))
    return BracketRequest(account, ES, Action.BUY, quantity, above, below, 0.25)


def test_the_old_orders_go_and_the_new_ones_come_after_the_delay(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    old, elsewhere = _submit(exchange, SimOrderType.STOP_MARKET, -200), _submit(exchange, SimOrderType.LIMIT, 300, MES)
    exchange.advance(SOON)
    (target, stop), now = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange), SOON), SOON)
    assert (now - SOON).total_seconds() == 0.25
    assert (old.state, elsewhere.is_live) == (SimOrderState.CANCELLED, True)
    assert target.placed_at == stop.placed_at == now
    assert (target.terms.order_type, stop.terms.order_type) == (SimOrderType.LIMIT, SimOrderType.STOP_MARKET)
    assert {each.terms.action for each in (target, stop)} == {Action.SELL}
    assert {each.terms.time_in_force for each in (target, stop)} == {SimTimeInForce.GTC}
    assert target.labels.oco_id == stop.labels.oco_id is not None
    exchange.advance(now + timedelta(seconds=1))
    assert {target.state, stop.state} == {SimOrderState.WORKING}


def test_nothing_protects_the_position_in_between() -> None:
    exchange = _exchange(held=2)
    _submit(exchange, SimOrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    gap = next(cancel_and_bracket(exchange, _wanted(exchange), SOON))
    exchange.advance(SOON + timedelta(seconds=gap * 0.9))
    assert exchange.live_orders("Sim101") == []
    assert exchange.accounts["Sim101"].net(ES) == 2


def test_a_position_that_goes_in_the_gap_is_not_bracketed(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    terms = OrderTerms(ES, Action.SELL, 2, SimOrderType.MARKET)
    exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)
    late = NOW + timedelta(seconds=0.19)
    exchange.advance(late)
    placed, _ = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange), late), late)
    assert placed == []
    assert (exchange.accounts["Sim101"].net(ES), exchange.live_orders("Sim101")) == (0, [])


def test_without_a_position_at_the_beginning_the_pair_opens_one(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    placed, now = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange, 5, target=8, stop=-8), NOW), NOW)
    assert [order.terms.quantity for order in placed] == [5, 5]
    exchange.advance(now + timedelta(hours=4))
    assert exchange.accounts["Sim101"].net(ES) == -5
    assert sorted(order.state.value for order in placed) == ["Cancelled", "Filled"]


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_pair_is_never_larger_than_the_position(carry_out: CarryOut, held: int, quantity: int) -> None:
    exchange = _exchange(held)
    placed, _ = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange, quantity), NOW), NOW)
    assert [order.terms.quantity for order in placed] == [min(held, quantity)] * 2


@pytest.mark.parametrize(
    ("target", "stop", "kind"), [(400, None, SimOrderType.LIMIT), (None, -400, SimOrderType.STOP_MARKET)]
)
def test_one_side_alone_needs_no_group(
    carry_out: CarryOut, target: int | None, stop: int | None, kind: SimOrderType
) -> None:
    exchange = _exchange(held=2)
    wanted = _wanted(exchange, target=target, stop=stop)
    (only,), _ = carry_out(exchange, cancel_and_bracket(exchange, wanted, NOW), NOW)
    assert (only.terms.order_type, only.labels.oco_id) == (kind, None)


def test_a_stop_that_the_market_has_passed_leaves_the_position_without_one(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    old = _submit(exchange, SimOrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    wanted = _wanted(exchange, stop=40)
    (target, stop), now = carry_out(exchange, cancel_and_bracket(exchange, wanted, SOON), SOON)
    assert stop.state is SimOrderState.SUBMITTED, "it is taken first, and refused later"
    exchange.advance(now + timedelta(seconds=1))
    assert (old.state, stop.state, target.state) == (
        SimOrderState.CANCELLED,
        SimOrderState.REJECTED,
        SimOrderState.WORKING,
    )
    assert exchange.live_orders("Sim101") == [target]
    assert exchange.accounts["Sim101"].net(ES) == 2


def test_a_stop_alone_that_is_refused_leaves_the_position_naked(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    _submit(exchange, SimOrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    wanted = _wanted(exchange, target=None, stop=40)
    _, now = carry_out(exchange, cancel_and_bracket(exchange, wanted, SOON), SOON)
    exchange.advance(now + timedelta(seconds=1))
    assert (exchange.live_orders("Sim101"), exchange.accounts["Sim101"].net(ES)) == ([], 2)


def test_an_old_order_that_cannot_be_cancelled_stands_beside_the_new_ones(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    frozen = _submit(exchange, SimOrderType.STOP_MARKET, -200)
    placed, now = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange), SOON), SOON)
    exchange.advance(now + timedelta(seconds=1))
    assert exchange.live_orders("Sim101") == [frozen, *placed]


def test_without_a_delay_there_is_no_wait(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    wanted = replace(_wanted(exchange), delay_seconds=0.0)
    placed, now = carry_out(exchange, cancel_and_bracket(exchange, wanted, NOW), NOW)
    assert (len(placed), now) == (2, NOW)


def test_the_direction_is_believed_whatever_is_held(carry_out: CarryOut) -> None:
    exchange = _exchange(held=-2)
    placed, _ = carry_out(exchange, cancel_and_bracket(exchange, _wanted(exchange), NOW), NOW)
    assert {order.terms.action for order in placed} == {Action.SELL}
