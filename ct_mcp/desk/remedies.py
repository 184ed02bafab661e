"""The calls that mend what went wrong, as the assistant would make them: with every field, ready to be proposed."""

from collections.abc import Iterable
from decimal import Decimal

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import price_terms
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction
from ct_mcp.domain.strategy import Strategy
from ct_mcp.text import format_price, sanitize

TELL_NOW = "tell the person now"
CANCEL_AGAIN = "look with get_orders: what still works may be cancelled again, since a second cancel opens nothing"
AWAIT = f"{TELL_NOW}; look with get_positions and get_orders until it is known what became of it, then flatten again"


def cancelling(order: Order) -> str:
    """Cancel one order."""
    return f"cancel_order with account {named(order.account)}, order_id {named(order.order_id)}"


def cancelling_all(orders: Iterable[Order]) -> str:
    """Cancel each of some orders."""
    return "; ".join(map(cancelling, orders))


def shrinking(order: Order, contracts: int) -> str:
    """Let an order stand with so many contracts that may still fill."""
    which = f"account {named(order.account)}, order_id {named(order.order_id)}"
    return f"change_order with {which}, quantity {order.filled + contracts}"


def closing(account: str, instrument: Instrument) -> str:
    """Leave a position."""
    return f"close_position with account {named(account)}, instrument {instrument}"


def stopping(held: Position, contracts: int, price: Decimal) -> str:
    """Put a stop behind so many contracts of a position."""
    action = OrderAction.SELL if held.net > 0 else OrderAction.BUY
    return (
        f"place_order with account {named(held.account)}, instrument {held.instrument}, action {action}, "
        f"quantity {contracts}, order_type STOP_MARKET, stop_price {format_price(price)}, time_in_force GTC"
    )


def named(text: str) -> str:
    """A name or an id that somebody else chose, harmless."""
    return sanitize(text, longest=80)


def position_line(position: Position) -> str:
    """One position, ``LONG 2 ES 12-26 at 6410.25``."""
    price = "an unknown price" if position.average_price is None else f"{position.average_price:f}"
    return f"{position.direction} {position.amount} {position.instrument.label} at {price}"


def order_line(order: Order) -> str:
    """One open order, ``SELL 2 ES 12-26 STOP MARKET 6400 WORKING (id)``."""
    prices = price_terms(order)
    words = (
        order.action,
        order.remaining if order.exact_quantity is None else order.amount,
        order.instrument.label,
        order.order_type.replace("_", " "),
        prices,
        order.state_text,
    )
    return " ".join(str(word) for word in words if str(word)) + f" ({sanitize(order.order_id, longest=80)})"


def strategy_line(strategy: Strategy) -> str:
    """One strategy, ``SampleMACrossOver on ES 12-26 REALTIME, enabled (id)``."""
    name = sanitize(strategy.class_name or strategy.name or "a strategy of unknown class", longest=80)
    place = f" on {strategy.instrument}" if strategy.instrument else ""
    enabled = {True: "enabled", False: "disabled", None: "perhaps enabled"}[strategy.is_enabled]
    return f"{name}{place} {strategy.state}, {enabled} ({sanitize(strategy.strategy_id, longest=80)})"
