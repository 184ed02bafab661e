"""ATM strategy templates: the brackets that NinjaTrader puts around an entry by itself.

Assumed, since nothing is documented: the two legs are placed at the first fill, in ticks from its price; each
further fill makes them larger and leaves their prices alone. They outlive a position that another order
closes. An entry with an unknown template is rejected after its acknowledgement.

A module of its own, though short: templates are a thing that traders know by name, apart from orders and strategies.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ct_mcp.simulator.orders import OrderLabels, OrderTerms, SimOrder, SimOrderState, SimOrderType, SimTimeInForce


@dataclass(frozen=True, slots=True)
class AtmTemplate:
    """A stop loss and a take profit, in ticks from the price of the entry."""

    name: str
    stop_ticks: int
    target_ticks: int


TEMPLATES = {
    template.name: template
    for template in (
        AtmTemplate("Scalp 8x8", stop_ticks=8, target_ticks=8),
        AtmTemplate("Day 20x40", stop_ticks=20, target_ticks=40),
        AtmTemplate("Swing 80x200", stop_ticks=80, target_ticks=200),
    )
}


def exit_terms(entry: SimOrder, template: AtmTemplate, size: int, ticks: int) -> dict[str, OrderTerms]:
    """Return the terms of the two exits, by name, for `size` contracts that an entry has filled at a price in ticks."""
    terms, product = entry.terms, entry.terms.contract.product
    stop = product.price(ticks - terms.action.sign * template.stop_ticks)
    target = product.price(ticks + terms.action.sign * template.target_ticks)
    contract, action, gtc = terms.contract, terms.action.opposite, SimTimeInForce.GTC
    return {
        "Stop1": OrderTerms(contract, action, size, SimOrderType.STOP_MARKET, gtc, stop_price=stop),
        "Target1": OrderTerms(contract, action, size, SimOrderType.LIMIT, gtc, limit_price=target),
    }


def leg_labels(entry: SimOrder, template: AtmTemplate, name: str, oco_id: str) -> OrderLabels:
    """Return the labels of one leg: both legs share an OCO id and name the template as their owner."""
    return OrderLabels("ATM", name, oco_id=oco_id, owner=template.name, owner_id=entry.owner_id, entry=entry)


def legs_of(entry: SimOrder, orders: Iterable[SimOrder]) -> list[SimOrder]:
    """List the legs that protect an entry, without those that are being cancelled."""
    return [
        order for order in orders if order.labels.entry is entry and order.state is not SimOrderState.CANCEL_PENDING
    ]
