"""The calls that mend what went wrong, as the assistant would make them: with every field, ready to be proposed."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder, price_terms
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


def protecting(legs: Sequence[PlaceOrder]) -> str:
    """Put a bracket round a position, given the legs of it."""
    given = [("stop_loss", leg.stop_price) for leg in legs] + [("take_profit", leg.limit_price) for leg in legs]
    prices = (f", {name} {format_price(price)}" for name, price in given if price is not None)
    return f"protect_position with account {named(legs[0].account)}, instrument {legs[0].instrument}{''.join(prices)}"


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
    """One order with what may still fill of it, ``SELL 2 ES 12-26 STOP MARKET 6400 WORKING (id)``.

    Of one that is over, all that it was for: ``BUY 4 ES 12-26 LIMIT 6400 CANCELLED, 3 filled (id)``.
    """
    prices, is_whole = price_terms(order), order.is_closed or order.exact_quantity is not None
    words = (
        order.action,
        order.amount if is_whole else order.remaining,
        order.instrument.label,
        order.order_type.replace("_", " "),
        prices,
        order.state_text,
    )
    part = f", {order.filled} filled" if order.is_closed and 0 < order.filled < order.quantity else ""
    return " ".join(str(word) for word in words if str(word)) + f"{part} ({sanitize(order.order_id, longest=80)})"


def strategy_line(strategy: Strategy) -> str:
    """One strategy, ``SampleMACrossOver on ES 12-26 REALTIME, enabled (id)``."""
    name = sanitize(strategy.class_name or strategy.name or "a strategy of unknown class", longest=80)
    place = f" on {strategy.instrument}" if strategy.instrument else ""
    enabled = {True: "enabled", False: "disabled", None: "perhaps enabled"}[strategy.is_enabled]
    return f"{name}{place} {strategy.state}, {enabled} ({sanitize(strategy.strategy_id, longest=80)})"
