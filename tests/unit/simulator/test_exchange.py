"""What time makes of an order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import LIVE, SIM, SimAccount
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Fault, Faults
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
BUY, SELL = Action.BUY, Action.SELL


class Floor:
    """An exchange and the moment at which it stands."""

    def __init__(self, now: datetime = NOW, seed: int = 7) -> None:
        self.faults = Faults()
        self.exchange = Exchange(
            Market(seed, MarketHours.GLOBEX, self.faults), self.faults, ExchangePace(), (SIM, LIVE)
        )
        self.exchange.begin(now)
        self.now = now

    @property
    def account(self) -> SimAccount:
        return self.exchange.accounts["Sim101"]

    @property
    def last(self) -> int:
        return self.exchange.market.top(ES, self.now).last

    def price(self, ticks_away: int) -> float:
        return ES.product.price(self.last + ticks_away)

    def submit(self, terms: OrderTerms, account: str = "Sim101", **labels: Any) -> SimOrder:
        return self.exchange.submit(self.exchange.accounts[account], terms, OrderLabels(**labels), self.now)

    def market(self, action: Action, quantity: int, account: str = "Sim101", **labels: Any) -> SimOrder:
        return self.submit(OrderTerms(ES, action, quantity, SimOrderType.MARKET), account, **labels)

    def limit(self, action: Action, ticks_away: int, quantity: int = 1, **labels: Any) -> SimOrder:
        terms = OrderTerms(ES, action, quantity, SimOrderType.LIMIT, limit_price=self.price(ticks_away))
        return self.submit(terms, **labels)

    def stop(self, action: Action, ticks_away: int, **labels: Any) -> SimOrder:
        return self.submit(
            OrderTerms(ES, action, 1, SimOrderType.STOP_MARKET, stop_price=self.price(ticks_away)), **labels
        )

    def wait(self, seconds: float = 1.0) -> None:
        self.now += timedelta(seconds=seconds)
        self.exchange.advance(self.now)

    def states(self, order: SimOrder) -> list[str]:
        return [each.state.value for each in self.exchange.record.transitions if each.order is order]


def test_an_order_is_acknowledged_before_it_works_and_fills_later_still() -> None:
    floor = Floor()
    order = floor.market(BUY, 1)
    for seconds, state in ((0.049, "Submitted"), (0.001, "Working"), (0.149, "Working"), (0.001, "Filled")):
        floor.wait(seconds)
        assert floor.states(order)[-1] == state
    assert floor.states(order) == ["Submitted", "Accepted", "Working", "Filled"]
    assert floor.account.net(ES) == 1


def test_a_market_order_pays_the_other_side_of_the_book() -> None:
    floor = Floor()
    bought, sold = floor.market(BUY, 1), floor.market(SELL, 1)
    floor.wait()
    top = floor.exchange.market.top(ES, floor.exchange.executions[0].at)
    assert (bought.filled_ticks, sold.filled_ticks) == (top.ask, top.bid)


def test_a_large_order_fills_in_several_executions() -> None:
    floor = Floor()
    order = floor.market(SELL, 25)
    floor.wait(0.2)
    assert (order.state, order.filled, order.remaining) == (SimOrderState.PART_FILLED, 10, 15)
    floor.wait()
    assert [each.quantity for each in floor.exchange.executions] == [10, 10, 5]
    assert [each.position for each in floor.exchange.executions] == [-10, -20, -25]
    assert order.state is SimOrderState.FILLED


def test_a_limit_order_waits_for_its_price_and_gets_it_or_better() -> None:
    floor = Floor()
    order = floor.limit(BUY, -8)
    floor.wait()
    assert floor.states(order)[-1] == "Working"
    floor.wait(6 * 3600)
    assert floor.states(order)[-1] == "Filled"
    fill = floor.exchange.executions[0]
    assert fill.ticks <= order.terms.limit_ticks
    assert floor.exchange.market.top(ES, fill.at).ask == fill.ticks


def test_a_limit_order_through_the_market_fills_at_the_market() -> None:
    floor = Floor()
    order = floor.limit(BUY, 40)
    floor.wait()
    assert order.state is SimOrderState.FILLED
    assert order.filled_ticks < order.terms.limit_ticks - 20


def test_a_stop_order_waits_for_its_trigger_and_fills_after_it() -> None:
    floor = Floor()
    order = floor.stop(SELL, -8)
    floor.wait()
    assert (order.state, order.triggered) == (SimOrderState.WORKING, False)
    floor.wait(6 * 3600)
    assert order.state is SimOrderState.FILLED
    before = floor.exchange.executions[0].at - timedelta(seconds=ExchangePace().fill_seconds)
    assert floor.exchange.market.top(ES, before).last <= order.terms.stop_ticks


def test_a_stop_limit_order_is_pending_until_its_trigger() -> None:
    floor = Floor()
    stop, limit = floor.price(-8), floor.price(-400)
    order = floor.submit(OrderTerms(ES, SELL, 1, SimOrderType.STOP_LIMIT, limit_price=limit, stop_price=stop))
    floor.wait()
    assert floor.states(order)[-1] == "TriggerPending"
    floor.wait(6 * 3600)
    assert floor.states(order) == ["Submitted", "Accepted", "TriggerPending", "Working", "Filled"]


def test_a_cancelled_order_is_pending_first() -> None:
    floor = Floor()
    order = floor.limit(BUY, -400)
    floor.wait()
    floor.exchange.cancel(order, floor.now)
    floor.exchange.cancel(order, floor.now)
    assert order.state is SimOrderState.CANCEL_PENDING
    floor.wait()
    assert floor.states(order)[-2:] == ["CancelPending", "Cancelled"]


def test_an_order_may_fill_before_its_cancel_is_done() -> None:
    floor = Floor()
    order = floor.market(BUY, 1)
    floor.wait(0.19)
    floor.exchange.cancel(order, floor.now)
    floor.wait()
    assert floor.states(order)[-2:] == ["CancelPending", "Filled"]


def test_an_order_that_is_cancelled_before_it_is_accepted_never_works() -> None:
    floor = Floor()
    order = floor.market(BUY, 1)
    floor.exchange.cancel(order, floor.now)
    floor.wait()
    assert floor.states(order) == ["Submitted", "CancelPending", "Cancelled"]


def test_changed_terms_are_in_place_a_little_later() -> None:
    floor = Floor()
    order = floor.limit(BUY, -400)
    floor.wait()
    before, after = order.terms, replace(order.terms, limit_price=floor.price(-300), quantity=3)
    floor.exchange.change(order, after, floor.now)
    assert (order.state, order.terms) == (SimOrderState.CHANGE_PENDING, before)
    floor.wait()
    assert (order.state, order.terms) == (SimOrderState.WORKING, after)


def test_terms_that_the_broker_does_not_take_leave_the_old_ones() -> None:
    floor = Floor()
    order = floor.stop(SELL, -400)
    floor.wait()
    before = order.terms
    floor.exchange.change(order, replace(order.terms, stop_price=floor.price(400)), floor.now)
    floor.wait()
    assert order.state is SimOrderState.WORKING
    assert order.terms == before
    assert floor.exchange.record.transitions[-1].error


def test_a_cancel_overtakes_a_change() -> None:
    floor = Floor()
    order = floor.limit(BUY, -400)
    floor.wait()
    floor.exchange.change(order, replace(order.terms, quantity=3), floor.now)
    floor.exchange.cancel(order, floor.now)
    floor.wait()
    assert floor.states(order)[-3:] == ["ChangePending", "CancelPending", "Cancelled"]
    assert order.terms.quantity == 1


def test_an_order_that_is_not_accepted_yet_is_changed_at_once() -> None:
    floor = Floor()
    order = floor.limit(BUY, -400)
    floor.exchange.change(order, replace(order.terms, quantity=2), floor.now)
    assert (order.state, order.terms.quantity) == (SimOrderState.SUBMITTED, 2)


def test_a_change_never_shrinks_an_order_below_what_has_filled() -> None:
    floor = Floor()
    floor.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    order = floor.limit(BUY, 40, quantity=8)
    floor.wait()
    floor.exchange.change(order, replace(order.terms, quantity=1), floor.now)
    floor.wait()
    assert (order.filled, order.terms.quantity, order.state) == (4, 5, SimOrderState.PART_FILLED)


def test_the_fill_of_one_order_cancels_the_other_of_its_group() -> None:
    floor = Floor()
    target, stop = floor.limit(SELL, 8, oco_id="a"), floor.stop(SELL, -8, oco_id="a")
    floor.wait(6 * 3600)
    assert sorted(order.state.value for order in (target, stop)) == ["Cancelled", "Filled"]
    assert len(floor.exchange.executions) == 1


def test_cancelling_one_order_cancels_the_other_of_its_group() -> None:
    floor = Floor()
    target, stop = floor.limit(SELL, 400, oco_id="a"), floor.stop(SELL, -400, oco_id="a")
    floor.wait()
    floor.exchange.cancel(stop, floor.now)
    floor.wait()
    assert target.state is SimOrderState.CANCELLED


def test_a_partial_fill_cancels_the_other_and_goes_on() -> None:
    floor = Floor()
    entry, other = floor.limit(BUY, 40, quantity=12, oco_id="a"), floor.limit(BUY, -400, oco_id="a")
    floor.wait(0.2)
    assert (entry.state, other.state) == (SimOrderState.PART_FILLED, SimOrderState.CANCELLED)
    floor.wait()
    assert entry.state is SimOrderState.FILLED


def test_a_group_that_is_over_is_burnt_for_ever() -> None:
    floor = Floor()
    first = floor.limit(BUY, -400, oco_id="a")
    floor.wait()
    floor.exchange.cancel(first, floor.now)
    floor.wait(86_400)
    late = floor.limit(BUY, -400, oco_id="a")
    floor.wait()
    assert late.state is SimOrderState.REJECTED
    assert "already been used" in str(late.error)


def test_a_late_comer_to_a_burnt_group_harms_nobody() -> None:
    floor = Floor()
    floor.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    entry = floor.limit(BUY, 40, quantity=8, oco_id="a")
    floor.limit(BUY, -400, oco_id="a")
    floor.wait()
    floor.limit(BUY, -400, oco_id="a")
    floor.wait()
    assert entry.state is SimOrderState.PART_FILLED


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(2, 40), st.integers(2, 40), st.integers(1, 600)), min_size=1, max_size=6),
    st.integers(1, 50),
)
def test_two_orders_of_a_group_never_both_fill(pairs: list[tuple[int, int, int]], seed: int) -> None:
    floor = Floor(seed=seed)
    groups = []
    for index, (above, below, pause) in enumerate(pairs):
        groups.append((floor.limit(SELL, above, oco_id=f"{index}"), floor.stop(SELL, -below, oco_id=f"{index}")))
        floor.wait(pause)
    floor.wait(3600)
    assert all(sum(order.filled for order in group) <= 1 for group in groups)


@pytest.mark.slow
@given(st.lists(st.floats(0.01, 400), min_size=1, max_size=12), st.integers(1, 50))
def test_looking_more_often_changes_nothing(pauses: list[float], seed: int) -> None:
    def run(pauses: list[float]) -> list[tuple[str, datetime, int, int]]:
        floor = Floor(seed=seed)
        floor.market(BUY, 25)
        floor.limit(BUY, -4)
        floor.stop(SELL, -6, oco_id="x")
        floor.limit(SELL, 6, oco_id="x")
        for pause in pauses:
            floor.wait(pause)
        floor.now = NOW
        floor.wait(5000)
        return [(each.id, each.at, each.ticks, each.quantity) for each in floor.exchange.executions]

    assert run(pauses) == run([])


def test_orders_of_the_day_expire_with_the_session_and_others_stay() -> None:
    floor = Floor()
    day = floor.limit(BUY, -2000)
    gtc = floor.submit(replace(day.terms, time_in_force=SimTimeInForce.GTC))
    floor.wait(7 * 3600)
    assert day.state is SimOrderState.CANCELLED
    assert floor.exchange.record.history_of(day.id, day)[-1].at == datetime(2026, 9, 9, 21, 0, tzinfo=UTC)
    assert gtc.state is SimOrderState.WORKING


def test_a_group_that_expires_is_cancelled_once() -> None:
    floor = Floor()
    pair = floor.limit(BUY, -2000, oco_id="a"), floor.limit(BUY, -2100, oco_id="a")
    floor.wait(7 * 3600)
    assert [floor.states(order).count("Cancelled") for order in pair] == [1, 1]


def test_a_day_order_of_the_break_belongs_to_the_next_session() -> None:
    floor = Floor(CLOSED)
    order = floor.limit(BUY, -2000)
    for state in ("Working", "Cancelled"):
        floor.wait(12 * 3600)
        assert floor.states(order)[-1] == state


def test_the_simulated_account_holds_a_market_order_until_the_open() -> None:
    floor = Floor(CLOSED)
    order = floor.market(BUY, 1)
    floor.wait()
    assert order.state is SimOrderState.ACCEPTED
    floor.wait(3600)
    assert floor.states(order)[-3:] == ["Accepted", "Working", "Filled"]
    assert floor.exchange.executions[0].at == datetime(2026, 9, 9, 22, 0, tzinfo=UTC)


def test_a_real_broker_rejects_a_market_order_while_the_market_is_closed() -> None:
    floor = Floor(CLOSED)
    order = floor.market(BUY, 1, "APEX-482910")
    floor.wait()
    assert (order.state, order.error) == (SimOrderState.REJECTED, "Market is closed")


def test_a_session_begins_with_new_figures() -> None:
    floor = Floor()
    floor.market(BUY, 1)
    floor.wait()
    floor.market(SELL, 1)
    floor.wait()
    lost = floor.account.realized
    assert lost < 0
    floor.wait(8 * 3600)
    assert floor.account.realized == 0.0
    assert floor.account.opening_cash == floor.account.cash == pytest.approx(SIM.cash + lost)
    assert floor.account.earlier_this_week == lost


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (Fault.LATE_REJECT, ["Submitted", "Rejected"]),
        (Fault.FROZEN_ORDERS, ["Submitted"]),
        (Fault.NO_FILL, ["Submitted", "Accepted", "Working"]),
        (Fault.PARTIAL_FILL_STUCK, ["Submitted", "Accepted", "Working", "PartFilled"]),
    ],
)
def test_a_fault_stops_an_order_on_its_way(fault: Fault, states: list[str]) -> None:
    floor = Floor()
    floor.faults.arm(fault, times=1)
    struck, spared = floor.market(BUY, 4), floor.market(BUY, 4)
    floor.wait(600)
    assert floor.states(struck) == states
    assert spared.state is SimOrderState.FILLED


@pytest.mark.parametrize("fault", [Fault.FROZEN_ORDERS, Fault.NO_FILL, Fault.PARTIAL_FILL_STUCK])
def test_an_order_goes_on_when_its_fault_is_disarmed(fault: Fault) -> None:
    floor = Floor()
    floor.faults.arm(fault, times=1)
    order = floor.market(BUY, 4)
    floor.wait(60)
    floor.faults.disarm(fault)
    floor.wait()
    floor.wait()
    assert (order.state, order.filled) == (SimOrderState.FILLED, 4)


def test_a_frozen_order_cannot_be_cancelled() -> None:
    floor = Floor()
    floor.faults.arm(Fault.FROZEN_ORDERS)
    order = floor.market(BUY, 1)
    floor.exchange.cancel(order, floor.now)
    floor.wait()
    assert order.state is SimOrderState.SUBMITTED


def test_simulated_orders_have_long_ids_and_real_ones_numbers() -> None:
    floor = Floor()
    simulated, real = floor.market(BUY, 1), floor.market(BUY, 1, "APEX-482910")
    assert len(simulated.id) == 32
    assert int(simulated.id, 16)
    assert real.id.isdecimal()


def test_a_world_with_the_same_seed_has_the_same_ids() -> None:
    assert Floor().market(BUY, 1).id == Floor().market(BUY, 1).id
    assert Floor().market(BUY, 1).id != Floor(seed=8).market(BUY, 1).id


def test_an_exchange_has_to_begin() -> None:
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM,))
    with pytest.raises(RuntimeError, match="begun"):
        exchange.advance(NOW)
