"""NinjaScript strategies: what is compiled, what runs, and what becomes of it.

Documented: a strategy that is disabled keeps its position; enabling and disabling again changes nothing and
says so; a terminated one cannot be revived; closing takes its positions and its orders along; nothing keeps
the same class from being started twice.

Ours, since nothing is documented: a strategy that is started stays `Historical` for a second and is `Realtime`
then; disabling cancels its working orders, the stop included; closing makes it `Finalized` and sells no more
than the account holds. `HoldLong` is the one class that trades: it buys when it comes to real time, if it is
enabled, and a second later puts a stop below the market. Nothing of that is done for the seeded ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderTerms, OrderType, TimeInForce
from ct_mcp.simulator.products import Contract

Value = bool | int | float | str
_A_MOMENT_SECONDS = 1.0


class HostMode(StrEnum):
    """Where a strategy runs."""

    ACCOUNT = "account"
    CHART = "chart"


class StrategyState(StrEnum):
    """NinjaTrader's states, in its spelling; those that are seen from outside."""

    HISTORICAL = "Historical"
    REALTIME = "Realtime"
    FINALIZED = "Finalized"


@dataclass(frozen=True, slots=True)
class StrategyClass:
    """A compiled class with its public properties, as they are if nobody changes them."""

    name: str
    properties: Mapping[str, Value]


_CROSS_OVER = StrategyClass("SampleMACrossOver", {"Fast": 10, "Slow": 25})
_OPENING_RANGE = StrategyClass(
    "OpeningRangeBreakout", {"Minutes": 15, "Offset": 0.5, "UseTrail": False, "Label": "morning"}
)
_HOLD_LONG = StrategyClass("HoldLong", {"Quantity": 1, "StopTicks": 40})
COMPILED = {each.name: each for each in (_CROSS_OVER, _OPENING_RANGE, _HOLD_LONG)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs, where, and on which bars."""

    kind: StrategyClass
    account: str
    contract: Contract
    host: HostMode = HostMode.ACCOUNT
    period_type: str = "Minute"
    period: int = 5
    parameters: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Strategy:
    """One strategy and how it stands."""

    id: str
    plan: Plan
    state: StrategyState = StrategyState.HISTORICAL
    is_enabled: bool = True

    @property
    def is_terminated(self) -> bool:
        """Say whether it is over for good."""
        return self.state is StrategyState.FINALIZED

    def value(self, name: str) -> Value:
        """Tell a property as it is here."""
        return self.plan.parameters.get(name, self.plan.kind.properties[name])


@dataclass(frozen=True, slots=True)
class Seed:
    """A strategy that is there from the beginning, on the front month of a root; it does nothing by itself."""

    kind: StrategyClass
    account: str
    root: str
    host: HostMode = HostMode.ACCOUNT
    state: StrategyState = StrategyState.REALTIME
    is_enabled: bool = True


SEEDS = (
    Seed(_CROSS_OVER, "Sim101", "ES", HostMode.CHART),
    Seed(_OPENING_RANGE, "APEX-482910", "MNQ", is_enabled=False),
    Seed(_OPENING_RANGE, "Sim101", "NQ", state=StrategyState.FINALIZED, is_enabled=False),
)


class Strategies:
    """The strategies of this NinjaTrader, oldest first."""

    def __init__(self, exchange: Exchange, seeds: Iterable[Seed], now: datetime) -> None:
        """Set up those that are there from the beginning; one whose account does not exist is left out."""
        self._exchange = exchange
        self.all: list[Strategy] = []
        for seed in seeds:
            if seed.account in exchange.accounts:
                contract = exchange.market.front(seed.root, now)
                plan = Plan(seed.kind, seed.account, contract, seed.host)
                self.all.append(Strategy(str(exchange.mint.strategy()), plan, seed.state, seed.is_enabled))

    def start(self, plan: Plan, now: datetime) -> Strategy:
        """Start a strategy; it comes to real time a little later."""
        strategy = Strategy(str(self._exchange.mint.strategy()), plan)
        self.all.append(strategy)
        self._exchange.timetable.after(now, _A_MOMENT_SECONDS, partial(self._comes_to_real_time, strategy))
        return strategy

    def disable(self, strategy: Strategy, now: datetime) -> None:
        """Pause a strategy: its position stays, its orders go."""
        strategy.is_enabled = False
        self._cancel_orders(strategy, now)

    def close(self, strategy: Strategy, now: datetime) -> Order | None:
        """End a strategy with its orders and its position; the order that closes it, if one is needed."""
        strategy.state, strategy.is_enabled = StrategyState.FINALIZED, False
        self._cancel_orders(strategy, now)
        account = self._exchange.accounts[strategy.plan.account]
        mine, held = self.net(strategy), account.net(strategy.plan.contract)
        if mine * held <= 0:
            return None
        action = Action.SELL if mine > 0 else Action.BUY
        terms = OrderTerms(strategy.plan.contract, action, min(abs(mine), abs(held)), OrderType.MARKET)
        return self._submit(strategy, "Exit", terms, now)

    def net(self, strategy: Strategy) -> int:
        """Add up what a strategy itself has bought and sold."""
        owner = int(strategy.id)
        fills = [each for each in self._exchange.executions if each.order.owner_id == owner]
        return sum(each.quantity * each.order.terms.action.sign for each in fills)

    def _cancel_orders(self, strategy: Strategy, now: datetime) -> None:
        for order in self._exchange.live_orders(strategy.plan.account):
            if order.owner_id == int(strategy.id):
                self._exchange.cancel(order, now)

    def _submit(self, strategy: Strategy, name: str, terms: OrderTerms, at: datetime) -> Order:
        labels = OrderLabels("Strategy", name, owner=strategy.plan.kind.name, owner_id=int(strategy.id))
        return self._exchange.submit(self._exchange.accounts[strategy.plan.account], terms, labels, at)

    def _comes_to_real_time(self, strategy: Strategy, at: datetime) -> None:
        if strategy.is_terminated:
            return
        strategy.state = StrategyState.REALTIME
        quantity = int(strategy.value("Quantity")) if strategy.plan.kind is _HOLD_LONG else 0
        if quantity > 0 and strategy.is_enabled:
            self._submit(
                strategy, "Entry", OrderTerms(strategy.plan.contract, Action.BUY, quantity, OrderType.MARKET), at
            )
            self._exchange.timetable.after(at, _A_MOMENT_SECONDS, partial(self._protects_itself, strategy))

    def _protects_itself(self, strategy: Strategy, at: datetime) -> None:
        contract, held, ticks = strategy.plan.contract, self.net(strategy), int(strategy.value("StopTicks"))
        if held <= 0 or ticks <= 0 or not strategy.is_enabled:
            return
        stop = contract.product.price(self._exchange.market.top(contract, at).last - ticks)
        gtc = TimeInForce.GTC
        terms = OrderTerms(contract, Action.SELL, held, OrderType.STOP_MARKET, gtc, stop_price=stop)
        self._submit(strategy, "Stop loss", terms, at)
