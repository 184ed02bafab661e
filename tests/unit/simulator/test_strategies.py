"""What runs, what trades, and what is left when it is paused or closed."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.strategies import (
    COMPILED,
    SEEDED_STRATEGIES,
    SimStrategy,
    SimStrategyState,
    Strategies,
    StrategyPlan,
)

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = SimContract("ES", 2026, 9)


class Floor:
    """An exchange with strategies, and the moment at which it stands."""

    def __init__(self) -> None:
        faults = Faults()
        self.exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM, LIVE))
        self.exchange.begin(NOW)
        self.now = NOW
        self.strategies = Strategies(self.exchange, SEEDED_STRATEGIES, NOW)

    @property
    def held(self) -> int:
        return self.exchange.accounts["Sim101"].net(ES)

    def start(self, name: str = "HoldLong", **parameters: int) -> SimStrategy:
        return self.strategies.start(StrategyPlan(COMPILED[name], "Sim101", ES, parameters=parameters), self.now)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.exchange.advance(self.now)

    def trade(self, action: Action, quantity: int) -> None:
        terms = OrderTerms(ES, action, quantity, SimOrderType.MARKET)
        self.exchange.submit(self.exchange.accounts["Sim101"], terms, OrderLabels(), self.now)
        self.wait(1)


@pytest.fixture
def floor() -> Floor:
    """A trading morning."""
    return Floor()


def test_three_strategies_are_there_from_the_beginning_and_do_nothing(floor: Floor) -> None:
    floor.wait(4 * 3600)
    standing = [(each.plan.account, each.state.value, each.is_enabled) for each in floor.strategies.all]
    assert standing == [
        ("Sim101", "Realtime", True),
        ("APEX-482910", "Realtime", False),
        ("Sim101", "Finalized", False),
    ]
    assert floor.exchange.orders == []


def test_a_strategy_of_an_account_that_is_not_there_is_left_out() -> None:
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, ExchangePace(), (LIVE,))
    exchange.begin(NOW)
    assert [each.plan.account for each in Strategies(exchange, SEEDED_STRATEGIES, NOW).all] == ["APEX-482910"]


def test_a_strategy_comes_to_real_time_a_little_after_its_start(floor: Floor) -> None:
    strategy = floor.start("SampleMACrossOver")
    states = []
    for seconds in (0.5, 0.5, 3600):
        floor.wait(seconds)
        states.append(strategy.state)
    assert states == [SimStrategyState.HISTORICAL, SimStrategyState.REALTIME, SimStrategyState.REALTIME]
    assert floor.exchange.orders == []


def test_the_one_that_trades_buys_and_then_protects_itself(floor: Floor) -> None:
    strategy = floor.start(Quantity=2, StopTicks=100)
    floor.wait(1.5)
    assert (floor.held, floor.exchange.live_orders("Sim101")) == (2, [])
    floor.wait(1)
    (stop,) = floor.exchange.live_orders("Sim101")
    assert (stop.terms.order_type, stop.terms.action, stop.terms.quantity) == (SimOrderType.STOP_MARKET, Action.SELL, 2)
    assert {order.owner_id for order in floor.exchange.orders} == {int(strategy.id)}
    assert floor.strategies.net(strategy) == 2


@pytest.mark.parametrize("quantity", [0, -1])
def test_what_is_to_buy_nothing_buys_nothing(floor: Floor, quantity: int) -> None:
    floor.start(Quantity=quantity)
    floor.wait(60)
    assert floor.exchange.orders == []


def test_without_ticks_there_is_no_stop(floor: Floor) -> None:
    floor.start(StopTicks=0)
    floor.wait(60)
    assert (floor.held, floor.exchange.live_orders("Sim101")) == (1, [])


def test_a_paused_strategy_keeps_its_position_and_loses_its_stop(floor: Floor) -> None:
    strategy = floor.start(StopTicks=400)
    floor.trade(Action.BUY, 1)
    floor.wait(5)
    (stop,) = floor.exchange.live_orders("Sim101")
    floor.strategies.disable(strategy, floor.now)
    floor.wait(1)
    assert (stop.state, floor.held, strategy.is_enabled) == (SimOrderState.CANCELLED, 2, False)
    assert strategy.state is SimStrategyState.REALTIME


def test_pausing_touches_nobody_elses_orders(floor: Floor) -> None:
    mine, other = floor.start(StopTicks=400), floor.start(StopTicks=500)
    floor.wait(5)
    floor.strategies.disable(mine, floor.now)
    floor.wait(1)
    assert [order.owner_id for order in floor.exchange.live_orders("Sim101")] == [int(other.id)]


@pytest.mark.parametrize(("seconds", "held"), [(0.5, 0), (1.1, 0), (1.5, 1)])
def test_a_strategy_that_is_paused_early_goes_no_further(floor: Floor, seconds: float, held: int) -> None:
    strategy = floor.start()
    floor.wait(seconds)
    floor.strategies.disable(strategy, floor.now)
    floor.wait(60)
    assert (floor.held, floor.exchange.live_orders("Sim101")) == (held, [])


def test_a_closed_strategy_leaves_with_its_position_and_its_orders(floor: Floor) -> None:
    strategy = floor.start(Quantity=2, StopTicks=400)
    floor.trade(Action.BUY, 1)
    floor.wait(5)
    order = floor.strategies.close(strategy, floor.now)
    assert order is not None
    floor.wait(1)
    assert (order.state, floor.held, floor.exchange.live_orders("Sim101")) == (SimOrderState.FILLED, 1, [])
    assert (strategy.state, strategy.is_enabled, floor.strategies.net(strategy)) == (
        SimStrategyState.FINALIZED,
        False,
        0,
    )


@pytest.mark.parametrize(("sold", "left"), [(1, 0), (2, 0), (5, -3)])
def test_a_strategy_sells_no_more_than_the_account_holds(floor: Floor, sold: int, left: int) -> None:
    strategy = floor.start(Quantity=2, StopTicks=400)
    floor.wait(5)
    floor.trade(Action.SELL, sold)
    floor.strategies.close(strategy, floor.now)
    floor.wait(1)
    assert floor.held == left


def test_a_strategy_that_is_closed_early_never_trades(floor: Floor) -> None:
    strategy = floor.start()
    assert floor.strategies.close(strategy, floor.now) is None
    floor.wait(60)
    assert (strategy.state, floor.exchange.orders) == (SimStrategyState.FINALIZED, [])


def test_two_starts_of_one_class_both_trade(floor: Floor) -> None:
    first, second = floor.start(), floor.start()
    floor.wait(5)
    assert (first.id == second.id, floor.held) == (False, 2)
