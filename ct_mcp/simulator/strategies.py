"""NinjaScript strategies: the compiled classes, the strategies that run, and how they trade.

Documented: a strategy that is disabled keeps its position; enabling or disabling it again changes nothing, and
the answer tells so; a terminated one cannot be enabled again; closing also closes its position and cancels its
orders; the same class can be started twice.

Assumed, since nothing is documented: a strategy that is started is `Historical` for a second and `Realtime` then;
disabling cancels its working orders, the stop included; closing makes it `Finalized` and closes no more than the
position of the account. `HoldLong` is the one class that trades: it buys when it becomes `Realtime`, if it is
enabled, and a second later places a stop below the market. The seeded strategies do nothing by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType, SimTimeInForce
from ct_mcp.simulator.products import SimContract

PropertyValue = bool | int | float | str
_NEXT_STEP_SECONDS = 1.0


class StrategyHost(StrEnum):
    """Where a strategy is hosted."""

    ACCOUNT = "account"
    CHART = "chart"


class SimStrategyState(StrEnum):
    """States of NinjaTrader that are visible from outside, in its spelling."""

    HISTORICAL = "Historical"
    REALTIME = "Realtime"
    FINALIZED = "Finalized"


@dataclass(frozen=True, slots=True)
class StrategyClass:
    """A compiled class with its public properties and their defaults."""

    name: str
    properties: Mapping[str, PropertyValue]


_CROSS_OVER = StrategyClass("SampleMACrossOver", {"Fast": 10, "Slow": 25})
_OPENING_RANGE = StrategyClass(
    "OpeningRangeBreakout", {"Minutes": 15, "Offset": 0.5, "UseTrail": False, "Label": "morning"}
)
_HOLD_LONG = StrategyClass("HoldLong", {"Quantity": 1, "StopTicks": 40})
COMPILED = {each.name: each for each in (_CROSS_OVER, _OPENING_RANGE, _HOLD_LONG)}


@dataclass(frozen=True, slots=True)
class StrategyPlan:
    """Which class runs, where, and on which bars."""

    kind: StrategyClass
    account: str
    contract: SimContract
    host: StrategyHost = StrategyHost.ACCOUNT
    period_type: str = "Minute"
    period: int = 5
    parameters: Mapping[str, PropertyValue] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class SimStrategy:
    """One strategy and its state."""

    id: str
    plan: StrategyPlan
    state: SimStrategyState = SimStrategyState.HISTORICAL
    is_enabled: bool = True

    @property
    def is_terminated(self) -> bool:
        """Whether it is over for good."""
        return self.state is SimStrategyState.FINALIZED

    def value(self, name: str) -> PropertyValue:
        """Return the value of a property in this strategy."""
        return self.plan.parameters.get(name, self.plan.kind.properties[name])


@dataclass(frozen=True, slots=True)
class SeededStrategy:
    """A strategy that exists from the beginning, on the front month of a root; it does nothing by itself."""

    kind: StrategyClass
    account: str
    root: str
    host: StrategyHost = StrategyHost.ACCOUNT
    state: SimStrategyState = SimStrategyState.REALTIME
    is_enabled: bool = True


SEEDED_STRATEGIES = (
    SeededStrategy(_CROSS_OVER, "Sim101", "ES", StrategyHost.CHART),
    SeededStrategy(_OPENING_RANGE, "APEX-482910", "MNQ", is_enabled=False),
    SeededStrategy(_OPENING_RANGE, "Sim101", "NQ", state=SimStrategyState.FINALIZED, is_enabled=False),
)


class Strategies:
    """All strategies of this NinjaTrader, oldest first."""

    def __init__(self, exchange: Exchange, seeds: Iterable[SeededStrategy], now: datetime) -> None:
        """Create the seeded strategies; one whose account does not exist is left out."""
        self._exchange = exchange
        self.all: list[SimStrategy] = []
        for seed in seeds:
            if seed.account in exchange.accounts:
                contract = exchange.market.front(seed.root, now)
                plan = StrategyPlan(seed.kind, seed.account, contract, seed.host)
                self.all.append(SimStrategy(str(exchange.ids.strategy()), plan, seed.state, seed.is_enabled))

    def start(self, plan: StrategyPlan, now: datetime) -> SimStrategy:
        """Start a strategy; it becomes `Realtime` a little later."""
        strategy = SimStrategy(str(self._exchange.ids.strategy()), plan)
        self.all.append(strategy)
        self._exchange.schedule.after(now, _NEXT_STEP_SECONDS, partial(self._become_realtime, strategy))
        return strategy

    def disable(self, strategy: SimStrategy, now: datetime) -> None:
        """Disable a strategy: its position stays, its orders are cancelled."""
        strategy.is_enabled = False
        self._cancel_orders(strategy, now)

    def close(self, strategy: SimStrategy, now: datetime) -> SimOrder | None:
        """Terminate a strategy and cancel its orders; return the order that closes its position, if it has one."""
        strategy.state, strategy.is_enabled = SimStrategyState.FINALIZED, False
        self._cancel_orders(strategy, now)
        account = self._exchange.accounts[strategy.plan.account]
        mine, held = self.net(strategy), account.net(strategy.plan.contract)
        if mine * held <= 0:
            return None
        action = Action.SELL if mine > 0 else Action.BUY
        terms = OrderTerms(strategy.plan.contract, action, min(abs(mine), abs(held)), SimOrderType.MARKET)
        return self._submit(strategy, "Exit", terms, now)

    def net(self, strategy: SimStrategy) -> int:
        """Return the signed net quantity that a strategy itself has bought and sold."""
        owner = int(strategy.id)
        fills = [each for each in self._exchange.executions if each.order.owner_id == owner]
        return sum(each.quantity * each.order.terms.action.sign for each in fills)

    def _cancel_orders(self, strategy: SimStrategy, now: datetime) -> None:
        for order in self._exchange.live_orders(strategy.plan.account):
            if order.owner_id == int(strategy.id):
                self._exchange.cancel(order, now)

    def _submit(self, strategy: SimStrategy, name: str, terms: OrderTerms, at: datetime) -> SimOrder:
        labels = OrderLabels("Strategy", name, owner=strategy.plan.kind.name, owner_id=int(strategy.id))
        return self._exchange.submit(self._exchange.accounts[strategy.plan.account], terms, labels, at)

    def _become_realtime(self, strategy: SimStrategy, at: datetime) -> None:
        if strategy.is_terminated:
            return
        strategy.state = SimStrategyState.REALTIME
        quantity = int(strategy.value("Quantity")) if strategy.plan.kind is _HOLD_LONG else 0
        if quantity > 0 and strategy.is_enabled:
            self._submit(
                strategy, "Entry", OrderTerms(strategy.plan.contract, Action.BUY, quantity, SimOrderType.MARKET), at
            )
            self._exchange.schedule.after(at, _NEXT_STEP_SECONDS, partial(self._place_stop, strategy))

    def _place_stop(self, strategy: SimStrategy, at: datetime) -> None:
        contract, held, ticks = strategy.plan.contract, self.net(strategy), int(strategy.value("StopTicks"))
        if held <= 0 or ticks <= 0 or not strategy.is_enabled:
            return
        stop = contract.product.price(self._exchange.market.top(contract, at).last - ticks)
        gtc = SimTimeInForce.GTC
        terms = OrderTerms(contract, Action.SELL, held, SimOrderType.STOP_MARKET, gtc, stop_price=stop)
        self._submit(strategy, "Stop loss", terms, at)
