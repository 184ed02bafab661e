"""CancelAndBracket: what stands before, in, and after the gap."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.bracketing import Bracket, bracketed
from ct_mcp.simulator.exchange import Exchange, Pace
from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.ledger import LIVE, SIM
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderState, OrderTerms, OrderType, TimeInForce
from ct_mcp.simulator.products import Contract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
ES, MES = Contract("ES", 2026, 9), Contract("MES", 2026, 9)
CarryOut = Callable[..., tuple[Any, datetime]]


def _exchange(held: int) -> Exchange:
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, Pace(), (SIM, LIVE))
    exchange.begin(NOW)
    if held:
        exchange.accounts["Sim101"].book(ES, held, exchange.market.top(ES, NOW).last)
    return exchange


def _price(exchange: Exchange, ticks_away: int) -> float:
    return ES.product.price(exchange.market.top(ES, NOW).last + ticks_away)


def _submit(exchange: Exchange, kind: OrderType, ticks_away: int, contract: Contract = ES) -> Order:
    """Sell two, at a limit above the market or at a stop below it."""
    price = _price(exchange, ticks_away)
    terms = OrderTerms(contract, Action.SELL, 2, kind, TimeInForce.GTC, price, price)
    return exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)


def _wanted(exchange: Exchange, quantity: int = 2, target: int | None = 400, stop: int | None = -400) -> Bracket:
    """Protect a long position; prices in ticks from the market."""
    account = exchange.accounts["Sim101"]
    above, below = (None if ticks is None else _price(exchange, ticks) for ticks in (target, stop))
    return Bracket(account, ES, Action.BUY, quantity, above, below, 0.25)


def test_the_old_orders_go_and_the_new_ones_come_after_the_delay(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    old, elsewhere = _submit(exchange, OrderType.STOP_MARKET, -200), _submit(exchange, OrderType.LIMIT, 300, MES)
    exchange.advance(SOON)
    (target, stop), now = carry_out(exchange, bracketed(exchange, _wanted(exchange), SOON), SOON)
    assert (now - SOON).total_seconds() == 0.25
    assert (old.state, elsewhere.is_live) == (OrderState.CANCELLED, True)
    assert target.placed_at == stop.placed_at == now
    assert (target.terms.order_type, stop.terms.order_type) == (OrderType.LIMIT, OrderType.STOP_MARKET)
    assert {each.terms.action for each in (target, stop)} == {Action.SELL}
    assert {each.terms.time_in_force for each in (target, stop)} == {TimeInForce.GTC}
    assert target.labels.oco_id == stop.labels.oco_id is not None
    exchange.advance(now + timedelta(seconds=1))
    assert {target.state, stop.state} == {OrderState.WORKING}


def test_nothing_protects_the_position_in_between() -> None:
    exchange = _exchange(held=2)
    _submit(exchange, OrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    gap = next(bracketed(exchange, _wanted(exchange), SOON))
    exchange.advance(SOON + timedelta(seconds=gap * 0.9))
    assert exchange.live_orders("Sim101") == []
    assert exchange.accounts["Sim101"].net(ES) == 2


def test_a_position_that_goes_in_the_gap_is_not_bracketed(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    terms = OrderTerms(ES, Action.SELL, 2, OrderType.MARKET)
    exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)
    late = NOW + timedelta(seconds=0.19)
    exchange.advance(late)
    placed, _ = carry_out(exchange, bracketed(exchange, _wanted(exchange), late), late)
    assert placed == []
    assert (exchange.accounts["Sim101"].net(ES), exchange.live_orders("Sim101")) == (0, [])


def test_without_a_position_at_the_beginning_the_pair_opens_one(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    placed, now = carry_out(exchange, bracketed(exchange, _wanted(exchange, 5, target=8, stop=-8), NOW), NOW)
    assert [order.terms.quantity for order in placed] == [5, 5]
    exchange.advance(now + timedelta(hours=4))
    assert exchange.accounts["Sim101"].net(ES) == -5
    assert sorted(order.state.value for order in placed) == ["Cancelled", "Filled"]


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_pair_is_never_larger_than_the_position(carry_out: CarryOut, held: int, quantity: int) -> None:
    exchange = _exchange(held)
    placed, _ = carry_out(exchange, bracketed(exchange, _wanted(exchange, quantity), NOW), NOW)
    assert [order.terms.quantity for order in placed] == [min(held, quantity)] * 2


@pytest.mark.parametrize(
    ("target", "stop", "kind"), [(400, None, OrderType.LIMIT), (None, -400, OrderType.STOP_MARKET)]
)
def test_one_side_alone_needs_no_group(
    carry_out: CarryOut, target: int | None, stop: int | None, kind: OrderType
) -> None:
    exchange = _exchange(held=2)
    wanted = _wanted(exchange, target=target, stop=stop)
    (only,), _ = carry_out(exchange, bracketed(exchange, wanted, NOW), NOW)
    assert (only.terms.order_type, only.labels.oco_id) == (kind, None)


def test_a_stop_that_the_market_has_passed_leaves_the_position_without_one(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    old = _submit(exchange, OrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    wanted = _wanted(exchange, stop=40)
    (target, stop), now = carry_out(exchange, bracketed(exchange, wanted, SOON), SOON)
    assert stop.state is OrderState.SUBMITTED, "it is taken first, and refused later"
    exchange.advance(now + timedelta(seconds=1))
    assert (old.state, stop.state, target.state) == (OrderState.CANCELLED, OrderState.REJECTED, OrderState.WORKING)
    assert exchange.live_orders("Sim101") == [target]
    assert exchange.accounts["Sim101"].net(ES) == 2


def test_a_stop_alone_that_is_refused_leaves_the_position_naked(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    _submit(exchange, OrderType.STOP_MARKET, -200)
    exchange.advance(SOON)
    wanted = _wanted(exchange, target=None, stop=40)
    _, now = carry_out(exchange, bracketed(exchange, wanted, SOON), SOON)
    exchange.advance(now + timedelta(seconds=1))
    assert (exchange.live_orders("Sim101"), exchange.accounts["Sim101"].net(ES)) == ([], 2)


def test_an_old_order_that_cannot_be_cancelled_stands_beside_the_new_ones(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    frozen = _submit(exchange, OrderType.STOP_MARKET, -200)
    placed, now = carry_out(exchange, bracketed(exchange, _wanted(exchange), SOON), SOON)
    exchange.advance(now + timedelta(seconds=1))
    assert exchange.live_orders("Sim101") == [frozen, *placed]


def test_without_a_delay_there_is_no_wait(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2)
    wanted = replace(_wanted(exchange), delay_seconds=0.0)
    placed, now = carry_out(exchange, bracketed(exchange, wanted, NOW), NOW)
    assert (len(placed), now) == (2, NOW)


def test_the_direction_is_believed_whatever_is_held(carry_out: CarryOut) -> None:
    exchange = _exchange(held=-2)
    placed, _ = carry_out(exchange, bracketed(exchange, _wanted(exchange), NOW), NOW)
    assert {order.terms.action for order in placed} == {Action.SELL}
