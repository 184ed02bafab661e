"""What stands, in words that a person can read: positions, orders, strategies."""

from decimal import Decimal

from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Position
from ct_mcp.domain.strategy import Strategy


def position_line(position: Position) -> str:
    """One position, ``LONG 2 ES 12-26 at 6410.25``."""
    return f"{position.direction} {position.quantity} {position.instrument} at {position.average_price:f}"


def order_line(order: Order) -> str:
    """One open order, ``SELL 2 ES 12-26 STOP MARKET 6400 WORKING (id)``."""
    prices = " ".join(f"{price:f}" for price in (order.limit_price, order.stop_price) if price is not None)
    words = (order.action, order.remaining, order.instrument, order.order_type.replace("_", " "), prices, order.state)
    return " ".join(str(word) for word in words if str(word)) + f" ({cleaned(order.order_id, longest=80)})"


def strategy_line(strategy: Strategy) -> str:
    """One strategy, ``SampleMACrossOver on ES 12-26 REALTIME, enabled (id)``."""
    name = cleaned(strategy.class_name or strategy.name or "a strategy of unknown class", longest=80)
    place = f" on {strategy.instrument}" if strategy.instrument else ""
    enabled = {True: "enabled", False: "disabled", None: "perhaps enabled"}[strategy.is_enabled]
    return f"{name}{place} {strategy.state}, {enabled} ({cleaned(strategy.strategy_id, longest=80)})"


def money(amount: Decimal | None) -> str:
    """An amount, ``1,234.50``."""
    return "unknown" if amount is None else f"{amount:,.2f}"


def contracts(net: int | None) -> str:
    """Contracts held, ``+2``, ``-1`` or ``flat``."""
    return "unknown" if net is None else f"{net:+d}" if net else "flat"
