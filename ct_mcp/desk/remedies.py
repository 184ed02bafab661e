"""The calls that mend what went wrong, as the assistant would make them: with every field, ready to be proposed."""

from collections.abc import Iterable
from decimal import Decimal

from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction
from ct_mcp.domain.position import Position
from ct_mcp.guard.values import written

TELL_NOW = "tell the person now"


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
        f"quantity {contracts}, order_type STOP_MARKET, stop_price {written(price)}, time_in_force GTC"
    )


def named(text: str) -> str:
    """A name or an id that somebody else chose, harmless."""
    return cleaned(text, longest=80)
