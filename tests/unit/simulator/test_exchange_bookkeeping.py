"""Whatever is done, the books agree: orders with executions, executions with positions, positions with cash."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.commands import (
    BracketRequest,
    DeferredOrder,
    FlattenScope,
    Steps,
    cancel_and_bracket,
    cancel_and_place,
    close_and_place,
    flatten,
    reversing_terms,
)
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import TERMINAL, Action, OrderLabels, OrderTerms, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.strategies import COMPILED, SEEDED_STRATEGIES, Strategies, StrategyPlan

NOW = datetime(2026, 9, 9, 20, 30, tzinfo=UTC)  # half an hour before the close
CONTRACTS = (SimContract("ES", 2026, 9), SimContract("MES", 2026, 9), SimContract("CL", 2026, 10))
CarryOut = Callable[..., tuple[Any, datetime]]
DOINGS = ["place", "place", "place", "cancel", "change", "flatten", "wait"]
IN_STEPS = ["reverse", "turn", "replace", "bracket", "bracket"]
OF_STRATEGIES = ["start", "start", "disable", "close"]
STEP = st.fixed_dictionaries(
    {
        "do": st.sampled_from([*DOINGS, *IN_STEPS, *OF_STRATEGIES]),
        "account": st.sampled_from(["Sim101", "APEX-482910"]),
        "contract": st.sampled_from(CONTRACTS),
        "action": st.sampled_from(Action),
        "kind": st.sampled_from(SimOrderType),
        "quantity": st.integers(1, 25),
        "away": st.integers(-20, 20),
        "group": st.sampled_from([None, None, "a", "b"]),
        "template": st.sampled_from([None, None, None, "Scalp 8x8"]),
        "seconds": st.sampled_from([0.01, 0.1, 1.0, 60.0, 900.0, 5000.0]),
    }
)
Step = dict[str, Any]


class Floor:
    """An exchange with strategies, and somebody who does one thing after another."""

    def __init__(self, seed: int, carry_out: CarryOut) -> None:
        faults = Faults()
        self.exchange = Exchange(Market(seed, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM, LIVE))
        self.now = NOW
        self.exchange.begin(NOW)
        self.strategies = Strategies(self.exchange, SEEDED_STRATEGIES, NOW)
        self._carry_out = carry_out

    def lives_through(self, steps: list[Step]) -> None:
        for step in steps:
            self._in_one_step(step)
            self._in_several(step)
            self._with_strategies(step)
            self.now += timedelta(seconds=step["seconds"])
            self.exchange.advance(self.now)

    def _in_one_step(self, step: Step) -> None:
        entry = self._entry(step)
        live = self.exchange.live_orders(step["account"])
        match step["do"]:
            case "place":
                self.exchange.submit(entry.account, entry.terms, entry.labels, self.now)
            case "cancel" if live:
                self.exchange.cancel(live[-1], self.now)
            case "change" if live:
                self.exchange.change(live[0], replace(live[0].terms, quantity=live[-1].terms.quantity), self.now)
            case "flatten":
                flatten(self.exchange, FlattenScope("Flatten", entry.account), self.now)

    def _in_several(self, step: Step) -> None:
        entry = self._entry(step)
        held = entry.account.positions.get(entry.terms.contract)
        live = self.exchange.live_orders(step["account"])
        match step["do"]:
            case "reverse" if held and held.quantity:
                self._take(close_and_place(self.exchange, replace(entry, terms=reversing_terms(held)), self.now))
            case "turn":
                self._take(close_and_place(self.exchange, entry, self.now))
            case "replace" if live:
                self._take(cancel_and_place(self.exchange, live[0], entry, self.now))
            case "bracket":
                terms = entry.terms
                prices = (terms.limit_price, terms.stop_price)
                wanted = BracketRequest(entry.account, terms.contract, terms.action, terms.quantity, *prices, 0.25)
                self._take(cancel_and_bracket(self.exchange, wanted, self.now))

    def _with_strategies(self, step: Step) -> None:
        last = self.strategies.all[-1]
        match step["do"]:
            case "start":
                sizes = {"Quantity": step["quantity"], "StopTicks": step["away"]}
                plan = StrategyPlan(COMPILED["HoldLong"], step["account"], step["contract"], parameters=sizes)
                self.strategies.start(plan, self.now)
            case "disable":
                self.strategies.disable(last, self.now)
            case "close":
                self.strategies.close(last, self.now)

    def _entry(self, step: Step) -> DeferredOrder:
        contract, action, away = step["contract"], step["action"], step["away"]
        last = self.exchange.market.top(contract, self.now).last
        limit, stop = contract.product.price(last + away), contract.product.price(last + action.sign * abs(away))
        terms = OrderTerms(contract, action, step["quantity"], step["kind"], limit_price=limit, stop_price=stop)
        labels = OrderLabels(oco_id=step["group"], template=step["template"])
        return DeferredOrder(self.exchange.accounts[step["account"]], terms, labels)

    def _take(self, steps: Steps[Any]) -> None:
        _, self.now = self._carry_out(self.exchange, steps, self.now)


def _lived(steps: list[Step], seed: int, carry_out: CarryOut) -> Floor:
    floor = Floor(seed, carry_out)
    floor.lives_through(steps)
    return floor


@pytest.mark.slow
@settings(max_examples=75)
@given(st.lists(STEP, max_size=25), st.integers(1, 20))
def test_the_books_agree_whatever_is_done(carry_out: CarryOut, steps: list[Step], seed: int) -> None:
    floor = _lived(steps, seed, carry_out)
    exchange, now = floor.exchange, floor.now
    for order in exchange.orders:
        fills = [each for each in exchange.executions if each.order is order]
        assert order.filled == sum(fill.quantity for fill in fills) <= order.terms.quantity
        assert order.filled_ticks == sum(fill.quantity * fill.ticks for fill in fills)
        states = [each.state for each in exchange.record.transitions if each.order is order]
        assert not TERMINAL & set(states[:-1])
        assert states[-1] is order.state
    for account in exchange.accounts.values():
        fills = [each for each in exchange.executions if each.order.account == account.spec.name]
        costs = sum(fill.commission + fill.fee for fill in fills)
        paper = 0.0
        for contract in CONTRACTS:
            last, mine = (
                exchange.market.top(contract, now).last,
                [f for f in fills if f.order.terms.contract == contract],
            )
            signed = [(fill.quantity * fill.order.terms.action.sign, fill.ticks) for fill in mine]
            assert account.net(contract) == sum(quantity for quantity, _ in signed)
            paper += sum(quantity * (last - ticks) for quantity, ticks in signed) * contract.product.tick_value
        worth = account.cash + exchange.open_profit(account, now)
        assert worth == pytest.approx(account.spec.cash + paper - costs, abs=1e-3)
        assert account.opening_cash + account.realized == pytest.approx(account.cash, abs=1e-3)


@pytest.mark.slow
@settings(max_examples=75)
@given(st.lists(STEP, max_size=25), st.integers(1, 20))
def test_only_one_order_of_a_group_ever_fills(carry_out: CarryOut, steps: list[Step], seed: int) -> None:
    exchange = _lived(steps, seed, carry_out).exchange
    filled = [(order.account, order.labels.oco_id) for order in exchange.orders if order.filled and order.labels.oco_id]
    assert len(filled) == len(set(filled))


@pytest.mark.slow
@settings(max_examples=75)
@given(st.lists(STEP.filter(lambda step: step["seconds"] <= 60), max_size=25), st.integers(1, 20))
def test_flattening_twice_leaves_nothing(carry_out: CarryOut, steps: list[Step], seed: int) -> None:
    """Once is not enough: an entry on its way may fill before it is cancelled, when there was nothing to close yet."""
    floor = _lived(steps, seed, carry_out)
    exchange, now = floor.exchange, floor.now
    for _ in range(2):
        flatten(exchange, FlattenScope("FlattenEverything"), now)
        now += timedelta(seconds=60)
        exchange.advance(now)
    assert [account.open_positions() for account in exchange.accounts.values()] == [[], []]
    assert [exchange.live_orders(name) for name in exchange.accounts] == [[], []]


@pytest.mark.slow
@settings(max_examples=75)
@given(st.lists(STEP, max_size=25), st.integers(1, 20))
def test_a_bracket_is_never_larger_than_its_entry_has_filled(carry_out: CarryOut, steps: list[Step], seed: int) -> None:
    exchange = _lived([step for step in steps if step["do"] != "change"], seed, carry_out).exchange
    legs = [order for order in exchange.orders if order.labels.entry]
    for entry in {leg.labels.entry for leg in legs if leg.labels.entry}:
        stops = [leg.terms.quantity for leg in legs if leg.labels.entry is entry and leg.labels.name == "Stop1"]
        assert sum(stops) <= entry.filled


@pytest.mark.slow
@settings(max_examples=75)
@given(st.lists(STEP, max_size=25), st.integers(1, 20))
def test_what_a_strategy_owns_is_its_own(carry_out: CarryOut, steps: list[Step], seed: int) -> None:
    floor = _lived(steps, seed, carry_out)
    for strategy in floor.strategies.all:
        orders = [order for order in floor.exchange.orders if order.owner_id == int(strategy.id)]
        assert {order.account for order in orders} <= {strategy.plan.account}
        assert {order.terms.contract for order in orders} <= {strategy.plan.contract}
        if strategy.is_terminated:
            standing = [order.labels.name for order in orders if order.state is SimOrderState.WORKING]
            assert set(standing) <= {"Exit"}
