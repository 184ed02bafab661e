"""Why the broker rejects an order, after its acknowledgement."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES, EXPIRED = SimContract("ES", 2026, 9), SimContract("ES", 2026, 3)
MARKET = Market(7, MarketHours.GLOBEX, Faults())
LAST = MARKET.top(ES, NOW).last / 4


def _after(terms: OrderTerms, account: str = "Sim101", **labels: Any) -> SimOrder:
    """Submit an order and wait a second."""
    exchange = Exchange(MARKET, Faults(), ExchangePace(), (SIM, LIVE))
    exchange.begin(NOW)
    order = exchange.submit(exchange.accounts[account], terms, OrderLabels(**labels), NOW)
    assert order.state is SimOrderState.SUBMITTED
    exchange.advance(NOW + timedelta(seconds=1))
    return order


def _stop(action: Action, price: float) -> OrderTerms:
    return OrderTerms(ES, action, 1, SimOrderType.STOP_MARKET, stop_price=price)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (_stop(Action.BUY, LAST - 1), "can't be placed below the market"),
        (_stop(Action.BUY, LAST), "can't be placed below the market"),
        (_stop(Action.SELL, LAST + 1), "can't be placed above the market"),
        (OrderTerms(ES, Action.BUY, 1, SimOrderType.LIMIT, limit_price=6000.1), "not a multiple of the tick size 0.25"),
        (_stop(Action.SELL, 6000.1), "not a multiple"),
        (OrderTerms(EXPIRED, Action.BUY, 1, SimOrderType.MARKET), "ES 03-26 has expired"),
        (OrderTerms(ES, Action.SELL, 250, SimOrderType.MARKET), "Insufficient margin"),
    ],
)
def test_an_order_that_the_broker_does_not_take_is_rejected_late(terms: OrderTerms, words: str) -> None:
    order = _after(terms)
    assert order.state is SimOrderState.REJECTED
    assert words in str(order.error)
    assert order.filled == 0


@pytest.mark.parametrize("quantity", [11, 100])
def test_a_funded_account_has_a_largest_order(quantity: int) -> None:
    order = _after(OrderTerms(ES, Action.BUY, quantity, SimOrderType.MARKET), "APEX-482910")
    assert "maximum order size 10" in str(order.error)


def test_a_funded_account_has_a_largest_position() -> None:
    exchange = Exchange(MARKET, Faults(), ExchangePace(), (LIVE,))
    exchange.begin(NOW)
    orders = []
    for second, quantity in enumerate((8, 3, -9)):
        terms = OrderTerms(ES, Action.BUY if quantity > 0 else Action.SELL, abs(quantity), SimOrderType.MARKET)
        orders.append(
            exchange.submit(exchange.accounts["APEX-482910"], terms, OrderLabels(), NOW + timedelta(seconds=second))
        )
        exchange.advance(NOW + timedelta(seconds=second + 1))
    assert [order.state.value for order in orders] == ["Filled", "Rejected", "Filled"]
    assert "maximum position size 10" in str(orders[1].error)


def test_what_leaves_a_position_may_be_larger_than_the_largest_order() -> None:
    exchange = Exchange(MARKET, Faults(), ExchangePace(), (LIVE,))
    exchange.begin(NOW)
    account = exchange.accounts["APEX-482910"]
    account.book(ES, 12, MARKET.top(ES, NOW).last)
    order = exchange.submit(account, OrderTerms(ES, Action.SELL, 12, SimOrderType.MARKET), OrderLabels(), NOW)
    exchange.advance(NOW + timedelta(seconds=1))
    assert order.state is SimOrderState.FILLED


def test_leaving_a_position_needs_no_margin() -> None:
    exchange = Exchange(MARKET, Faults(), ExchangePace(), (SIM,))
    exchange.begin(NOW)
    account = exchange.accounts["Sim101"]
    account.book(ES, 300, MARKET.top(ES, NOW).last)
    order = exchange.submit(account, OrderTerms(ES, Action.SELL, 300, SimOrderType.MARKET), OrderLabels(), NOW)
    exchange.advance(NOW + timedelta(seconds=10))
    assert order.state is SimOrderState.FILLED


def test_an_unknown_template_is_rejected() -> None:
    order = _after(OrderTerms(ES, Action.BUY, 1, SimOrderType.MARKET), template="Nothing of the kind")
    assert "does not exist" in str(order.error)
