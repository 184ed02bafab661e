"""Turning around: leave a position or an order, wait until it is gone, and place another order.

Documented: ReversePosition and FlatPlace wait up to about five seconds for the position to close and
its orders to clear, **and then place the order in any case**: both positions may stand together. That
happens here where the close does not fill (`Lag.CLOSE_STUCK`, or a market that is closed), or where an order
cannot be cancelled (`Fault.FROZEN_ORDERS`). CancelReplace places nothing unless the old order was cancelled.

Ours, since nothing is documented: Reverse goes the same way, with a market order for the size that stood
at the beginning; the orders of the instrument are cancelled as NinjaTrader cancels them when it flattens;
CancelReplace waits the same five seconds for the cancel, and what an order has filled by then is not taken
off the new one.
"""

from dataclasses import dataclass
from datetime import datetime

from ct_mcp.simulator.closing import leave
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.ledger import Account, Position
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderState, OrderTerms, OrderType
from ct_mcp.simulator.steps import Steps, awaited


@dataclass(frozen=True, slots=True)
class Entry:
    """An order that is to be placed when its turn comes."""

    account: Account
    terms: OrderTerms
    labels: OrderLabels


def turned(exchange: Exchange, entry: Entry, now: datetime) -> Steps[Order]:
    """Leave what is held in the instrument of an order, wait, and place the order whatever came of it."""
    account, contract = entry.account, entry.terms.contract
    held = account.positions.get(contract)
    if held is not None and held.quantity:
        leave(exchange, account, held, entry.labels.rpc, now)
        name = account.spec.name
        now = yield from awaited(lambda: not (held.quantity or exchange.live_orders(name, contract.name)), now)
    return exchange.submit(account, entry.terms, entry.labels, now)


def replaced(exchange: Exchange, old: Order, entry: Entry, now: datetime) -> Steps[Order | None]:
    """Cancel an order and place another. None if the first was not cancelled, because it filled or cannot be."""
    exchange.cancel(old, now)
    now = yield from awaited(lambda: not old.is_live, now)
    if old.state is not OrderState.CANCELLED:
        return None
    return exchange.submit(entry.account, entry.terms, entry.labels, now)


def the_other_way(position: Position) -> OrderTerms:
    """Ask for the same size in the other direction, at the market."""
    action = Action.SELL if position.quantity > 0 else Action.BUY
    return OrderTerms(position.contract, action, abs(position.quantity), OrderType.MARKET)
