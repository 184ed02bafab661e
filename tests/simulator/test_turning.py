"""Turning around: what is left, what is waited for, and what is placed in any case."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.exchange import Exchange, Pace
from ct_mcp.simulator.faults import Fault, Faults, Lag
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.ledger import LIVE, SIM
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderState, OrderTerms, OrderType
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.turning import Entry, replaced, the_other_way, turned

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
CLOSED = datetime(2026, 9, 9, 21, 30, tzinfo=UTC)
ES = Contract("ES", 2026, 9)
CarryOut = Callable[..., tuple[Any, datetime]]


def _exchange(held: int, now: datetime = NOW) -> Exchange:
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, Pace(), (SIM, LIVE))
    exchange.begin(now)
    if held:
        exchange.accounts["Sim101"].book(ES, held, exchange.market.top(ES, now).last)
    return exchange


def _entry(exchange: Exchange, action: Action, quantity: int, rpc: str = "ReversePosition") -> Entry:
    terms = OrderTerms(ES, action, quantity, OrderType.MARKET)
    return Entry(exchange.accounts["Sim101"], terms, OrderLabels(rpc=rpc, name="Entry"))


def _rest(exchange: Exchange, now: datetime = NOW) -> Order:
    price = ES.product.price(exchange.market.top(ES, now).last - 400)
    terms = OrderTerms(ES, Action.BUY, 2, OrderType.LIMIT, limit_price=price)
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
    order, now = carry_out(exchange, turned(exchange, _entry(exchange, Action.SELL, 2), start), start)
    assert 0.2 <= (now - start).total_seconds() < 1
    assert (order.placed_at, order.state) == (now, OrderState.SUBMITTED)
    assert (resting.state, exchange.accounts["Sim101"].net(ES)) == (OrderState.CANCELLED, 0)
    assert _net_after(exchange, now) == -2


def test_without_a_position_nothing_is_waited_for_and_resting_orders_stay(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    resting = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    _, now = carry_out(exchange, turned(exchange, _entry(exchange, Action.SELL, 1), start), start)
    assert now == start
    assert _net_after(exchange, now) == -1
    assert resting.is_live


def test_the_order_is_placed_even_if_the_old_position_still_stands(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Lag.CLOSE_STUCK)
    order, now = carry_out(exchange, turned(exchange, _entry(exchange, Action.BUY, 2), NOW), NOW)
    assert (now - NOW).total_seconds() == pytest.approx(5)
    assert order.placed_at == now
    assert _net_after(exchange, now) == 5, "the old position and the new one stand together"


def test_an_order_that_cannot_be_cancelled_is_not_waited_for_for_ever(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    frozen = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    _, now = carry_out(exchange, turned(exchange, _entry(exchange, Action.SELL, 1), start), start)
    assert (now - start).total_seconds() == pytest.approx(5)
    assert frozen.is_live


def test_a_close_that_is_rejected_is_waited_for_as_long(carry_out: CarryOut) -> None:
    exchange = _exchange(held=3)
    exchange.faults.arm(Fault.LATE_REJECT, rpc="ReversePosition", times=1)
    _, now = carry_out(exchange, turned(exchange, _entry(exchange, Action.SELL, 1), NOW), NOW)
    assert (now - NOW).total_seconds() == pytest.approx(5)
    assert _net_after(exchange, now) == 2


def test_while_the_market_is_closed_both_orders_wait_for_the_open(carry_out: CarryOut) -> None:
    exchange = _exchange(held=2, now=CLOSED)
    entry = _entry(exchange, Action.SELL, 2)
    order, _ = carry_out(exchange, turned(exchange, entry, CLOSED), CLOSED)
    assert exchange.accounts["Sim101"].net(ES) == 2
    assert [each.state for each in exchange.orders] == [OrderState.ACCEPTED, OrderState.SUBMITTED]
    exchange.advance(datetime(2026, 9, 9, 22, 1, tzinfo=UTC))
    assert (order.state, exchange.accounts["Sim101"].net(ES)) == (OrderState.FILLED, -2)


@given(st.integers(-40, 40).filter(bool))
def test_turned_the_other_way_a_position_has_its_size(carry_out: CarryOut, held: int) -> None:
    exchange = _exchange(held)
    account = exchange.accounts["Sim101"]
    entry = Entry(account, the_other_way(account.positions[ES]), OrderLabels(rpc="Reverse"))
    _, now = carry_out(exchange, turned(exchange, entry, NOW), NOW)
    assert _net_after(exchange, now) == -held


def test_another_order_is_placed_once_the_first_is_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    old = _rest(exchange)
    start = NOW + timedelta(seconds=1)
    new, now = carry_out(exchange, replaced(exchange, old, _entry(exchange, Action.BUY, 1), start), start)
    assert old.state is OrderState.CANCELLED
    assert new.placed_at == now > start


def test_nothing_is_placed_for_an_order_that_fills_while_it_is_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    terms = OrderTerms(ES, Action.BUY, 1, OrderType.MARKET)
    old = exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), NOW)
    late = NOW + timedelta(seconds=0.19)
    exchange.advance(late)
    new, now = carry_out(exchange, replaced(exchange, old, _entry(exchange, Action.BUY, 1), late), late)
    assert (new, old.state) == (None, OrderState.FILLED)
    assert _net_after(exchange, now) == 1


def test_nothing_is_placed_for_an_order_that_cannot_be_cancelled(carry_out: CarryOut) -> None:
    exchange = _exchange(held=0)
    exchange.faults.arm(Fault.FROZEN_ORDERS, times=1)
    old = _rest(exchange)
    new, now = carry_out(exchange, replaced(exchange, old, _entry(exchange, Action.BUY, 1), NOW), NOW)
    assert (new, old.is_live) == (None, True)
    assert (now - NOW).total_seconds() == pytest.approx(5)
