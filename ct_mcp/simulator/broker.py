"""What the broker objects to. It speaks only after the add-on has acknowledged the order."""

from datetime import datetime

from ct_mcp.simulator.ledger import Account, margin_used
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, Order, OrderType


def objection(market: Market, account: Account, order: Order, at: datetime) -> str | None:
    """Say why the broker rejects an order; None if it takes it."""
    return (
        _contract_has_expired(market, order, at)
        or _price_is_off_tick(order)
        or _stop_is_behind_the_market(market, order, at)
        or _market_is_closed(market, account, order, at)
        or _size_is_over_the_limit(account, order)
        or _margin_is_short(market, account, order, at)
    )


def _contract_has_expired(market: Market, order: Order, at: datetime) -> str | None:
    contract = order.terms.contract
    return f"{contract.name} has expired" if market.has_expired(contract, at) else None


def _price_is_off_tick(order: Order) -> str | None:
    terms, product = order.terms, order.terms.contract.product
    prices = [terms.limit_price] * terms.order_type.has_limit + [terms.stop_price] * terms.order_type.has_stop
    for price in prices:
        if product.ticks(price) is None:
            return f"Price {price} is not a multiple of the tick size {product.tick_size}"
    return None


def _stop_is_behind_the_market(market: Market, order: Order, at: datetime) -> str | None:
    terms = order.terms
    if not terms.order_type.has_stop or order.triggered:
        return None
    last = market.top(terms.contract, at).last
    if terms.action is Action.BUY and terms.stop_ticks <= last:
        return "Buy stop or buy stop limit orders can't be placed below the market."
    if terms.action is Action.SELL and terms.stop_ticks >= last:
        return "Sell stop or sell stop limit orders can't be placed above the market."
    return None


def _market_is_closed(market: Market, account: Account, order: Order, at: datetime) -> str | None:
    """The simulator's own account holds a market order until the open; a real broker does not."""
    if account.spec.is_simulated or order.terms.order_type is not OrderType.MARKET or market.is_open(at):
        return None
    return "Market is closed"


def _size_is_over_the_limit(account: Account, order: Order) -> str | None:
    """What makes a position smaller may be as large as it has to be."""
    spec, terms = account.spec, order.terms
    held = account.net(terms.contract)
    after = abs(held + terms.action.sign * terms.quantity)
    if after < abs(held):
        return None
    if spec.max_order_size and terms.quantity > spec.max_order_size:
        return f"Order size {terms.quantity} exceeds maximum order size {spec.max_order_size}"
    if spec.max_position_size and after > spec.max_position_size:
        return f"Position size {after} exceeds maximum position size {spec.max_position_size}"
    return None


def _margin_is_short(market: Market, account: Account, order: Order, at: datetime) -> str | None:
    """Only what makes a position larger needs margin."""
    terms = order.terms
    held = account.net(terms.contract)
    grows = abs(held + terms.action.sign * order.remaining) - abs(held)
    if grows <= 0:
        return None
    needed = margin_used(account).intraday + grows * terms.contract.product.margin.intraday
    equity = account.cash + sum(
        position.open_profit(market.top(position.contract, at).last) for position in account.open_positions()
    )
    return None if needed <= equity else f"Insufficient margin: {needed:.2f} needed, {equity:.2f} available"
