"""ATM strategy templates: the brackets that NinjaTrader puts around an entry by itself.

Ours, since nothing is documented: the two legs are placed at the first fill, in ticks from its price; each
further fill makes them larger and leaves them where they are. They outlive a position that another order
closes. A template that does not exist is rejected after the acknowledgement.
"""

from dataclasses import dataclass

from ct_mcp.simulator.orders import Order, OrderTerms, OrderType, TimeInForce


@dataclass(frozen=True, slots=True)
class Template:
    """A stop loss and a take profit, in ticks from the price of the entry."""

    name: str
    stop_ticks: int
    target_ticks: int


TEMPLATES = {
    template.name: template
    for template in (
        Template("Scalp 8x8", stop_ticks=8, target_ticks=8),
        Template("Day 20x40", stop_ticks=20, target_ticks=40),
        Template("Swing 80x200", stop_ticks=80, target_ticks=200),
    )
}


def bracket(entry: Order, template: Template, size: int, ticks: int) -> dict[str, OrderTerms]:
    """Work out the two exits, by name, around so many contracts that an entry has filled at a price."""
    terms, product = entry.terms, entry.terms.contract.product
    stop = product.price(ticks - terms.action.sign * template.stop_ticks)
    target = product.price(ticks + terms.action.sign * template.target_ticks)
    contract, action, gtc = terms.contract, terms.action.opposite, TimeInForce.GTC
    return {
        "Stop1": OrderTerms(contract, action, size, OrderType.STOP_MARKET, gtc, stop_price=stop),
        "Target1": OrderTerms(contract, action, size, OrderType.LIMIT, gtc, limit_price=target),
    }
