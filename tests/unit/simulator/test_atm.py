"""The brackets that templates put around an entry."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.atm import TEMPLATES
from ct_mcp.simulator.commands import FlattenScope, flatten
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = SimContract("ES", 2026, 9)
WIDE = OrderLabels(template="Swing 80x200", own_id="mine-1")


@pytest.fixture
def exchange() -> Exchange:
    """An exchange with nothing on it."""
    return _exchange()


def _exchange(seed: int = 7) -> Exchange:
    faults = Faults()
    exchange = Exchange(Market(seed, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM,))
    exchange.begin(NOW)
    return exchange


def _enter(exchange: Exchange, quantity: int, action: Action = Action.BUY) -> SimOrder:
    return exchange.submit(
        exchange.accounts["Sim101"], OrderTerms(ES, action, quantity, SimOrderType.MARKET), WIDE, NOW
    )


def _wait(exchange: Exchange, seconds: float) -> datetime:
    exchange.advance(NOW + timedelta(seconds=seconds))
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("action", "away"), [(Action.BUY, 1), (Action.SELL, -1)])
def test_a_filled_entry_is_protected_by_its_template(exchange: Exchange, action: Action, away: int) -> None:
    entry = _enter(exchange, 2, action)
    _wait(exchange, 1)
    stop, target = exchange.live_orders("Sim101")
    template = TEMPLATES["Swing 80x200"]
    middle = entry.filled_ticks // 2
    assert (stop.labels.name, target.labels.name) == ("Stop1", "Target1")
    assert stop.labels.oco_id == target.labels.oco_id
    assert stop.labels.owner == target.labels.owner == template.name
    assert stop.owner_id == target.owner_id == entry.owner_id is not None
    assert stop.terms.stop_ticks == middle - away * template.stop_ticks
    assert target.terms.limit_ticks == middle + away * template.target_ticks
    assert {leg.terms.action for leg in (stop, target)} == {action.opposite}
    assert {leg.state for leg in (stop, target)} == {SimOrderState.WORKING}
    assert {leg.terms.quantity for leg in (stop, target)} == {2}


def test_each_use_of_a_template_has_a_number_of_its_own(exchange: Exchange) -> None:
    assert _enter(exchange, 1).owner_id != _enter(exchange, 1).owner_id


def test_an_entry_that_never_fills_needs_no_bracket(exchange: Exchange) -> None:
    terms = OrderTerms(ES, Action.BUY, 1, SimOrderType.LIMIT, limit_price=100.0)
    entry = exchange.submit(exchange.accounts["Sim101"], terms, WIDE, NOW)
    exchange.cancel(entry, _wait(exchange, 1))
    _wait(exchange, 2)
    assert exchange.orders == [entry]


def test_the_bracket_grows_with_the_fills_and_stays_where_it_is(exchange: Exchange) -> None:
    _enter(exchange, 25)
    sizes, prices = [], set()
    for seconds in (0.25, 0.40, 0.55):
        _wait(exchange, seconds)
        stop, target = (order for order in exchange.live_orders("Sim101") if order.labels.entry)
        assert stop.terms.quantity == target.terms.quantity
        sizes.append(stop.terms.quantity)
        prices.add((stop.terms.stop_price, target.terms.limit_price))
    assert sizes == [10, 20, 25]
    assert len(prices) == 1


def test_an_entry_that_fills_by_half_is_protected_by_half(exchange: Exchange) -> None:
    exchange.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    entry = _enter(exchange, 8)
    now = _wait(exchange, 1)
    assert [leg.terms.quantity for leg in exchange.live_orders("Sim101") if leg is not entry] == [4, 4]
    exchange.cancel(entry, now)
    _wait(exchange, 2)
    assert [leg.terms.quantity for leg in exchange.live_orders("Sim101")] == [4, 4]


def test_what_fills_after_its_bracket_was_cancelled_gets_another(exchange: Exchange) -> None:
    _enter(exchange, 20)
    now = _wait(exchange, 0.30)
    for leg in exchange.live_orders("Sim101"):
        if leg.labels.entry:
            exchange.cancel(leg, now)
    _wait(exchange, 2)
    assert [leg.terms.quantity for leg in exchange.live_orders("Sim101")] == [10, 10]


def test_what_is_being_closed_is_not_protected(exchange: Exchange) -> None:
    entry = _enter(exchange, 20)
    flatten(exchange, FlattenScope("Flatten"), _wait(exchange, 0.32))
    _wait(exchange, 2)
    assert entry.filled == 20, "it fills once more before it is cancelled"
    assert exchange.live_orders("Sim101") == []


@given(st.integers(1, 60), st.sampled_from(Action), st.integers(1, 20))
def test_a_bracket_is_as_large_as_what_has_filled(quantity: int, action: Action, seed: int) -> None:
    exchange = _exchange(seed)
    entry = _enter(exchange, quantity, action)
    for tenths in range(1, 12):
        _wait(exchange, tenths / 10)
        legs = [order for order in exchange.live_orders("Sim101") if order.labels.entry is entry]
        assert {leg.terms.quantity for leg in legs} == ({entry.filled} if entry.filled else set())
