"""The brackets that templates put around an entry."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.simulator.atm import TEMPLATES
from ct_mcp.simulator.exchange import Exchange, Pace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.ledger import SIM
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, OrderLabels, OrderState, OrderTerms, OrderType
from ct_mcp.simulator.products import Contract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = Contract("ES", 2026, 9)


@pytest.mark.parametrize(("action", "away"), [(Action.BUY, 1), (Action.SELL, -1)])
def test_a_filled_entry_is_protected_by_its_template(action: Action, away: int) -> None:
    exchange = Exchange(Market(7, MarketHours.GLOBEX, Faults()), Faults(), Pace(), (SIM,))
    exchange.begin(NOW)
    terms = OrderTerms(ES, action, 2, OrderType.MARKET)
    entry = exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(template="Swing 80x200"), NOW)
    exchange.advance(NOW + timedelta(seconds=1))
    stop, target = exchange.live_orders("Sim101")
    template = TEMPLATES["Swing 80x200"]
    middle = entry.filled_ticks // 2
    assert (stop.labels.name, target.labels.name) == ("Stop1", "Target1")
    assert stop.labels.oco_id == target.labels.oco_id
    assert stop.labels.owner == target.labels.owner == template.name
    assert stop.terms.stop_ticks == middle - away * template.stop_ticks
    assert target.terms.limit_ticks == middle + away * template.target_ticks
    assert {leg.terms.action for leg in (stop, target)} == {action.opposite}
    assert {leg.state for leg in (stop, target)} == {OrderState.WORKING}
    assert {leg.terms.quantity for leg in (stop, target)} == {2}


def test_an_entry_that_never_fills_needs_no_bracket() -> None:
    exchange = Exchange(Market(7, MarketHours.GLOBEX, Faults()), Faults(), Pace(), (SIM,))
    exchange.begin(NOW)
    terms = OrderTerms(ES, Action.BUY, 1, OrderType.LIMIT, limit_price=100.0)
    entry = exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(template="Swing 80x200"), NOW)
    exchange.advance(NOW + timedelta(seconds=1))
    exchange.cancel(entry, NOW + timedelta(seconds=1))
    exchange.advance(NOW + timedelta(seconds=2))
    assert exchange.orders == [entry]
