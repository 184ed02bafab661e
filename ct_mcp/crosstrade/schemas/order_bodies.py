"""What is sent to place, change and close, as the service spells it."""

from decimal import Decimal

from ct_mcp.crosstrade.schemas.values import json_number
from ct_mcp.domain.account import Direction
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderType
from ct_mcp.errors import BadRequest

_TYPES = {kind: kind.value.replace("_", "") for kind in OrderType if kind.can_be_sent}


def order_body(order: PlaceOrder) -> dict[str, object]:
    """Write the nine fields that every placing route takes; always the dated instrument, never a root.

    Raises:
        BadRequest: The order type only describes an order, or no number holds a price.
    """
    if not order.order_type.can_be_sent:
        raise BadRequest(f"order type {order.order_type} describes an order and cannot be sent")
    return {
        "instrument": str(order.instrument),
        "action": order.action.value,
        "quantity": order.quantity,
        "orderType": _TYPES[order.order_type],
        "timeInForce": order.time_in_force.value,
        **_prices(order.limit_price, order.stop_price),
        **_given(ocoId=order.oco_id, strategy=order.atm_strategy),
    }


def guarded_order_body(order: PlaceOrder, own_id: str, require: frozenset[Direction] | None) -> dict[str, object]:
    """Write the nine fields, our own id, and the directions that CrossTrade is to check as a second net."""
    directions = None if require is None else ",".join(sorted(direction.value.lower() for direction in require))
    return {**order_body(order), "orderId": own_id, **_given(requireMarketPosition=directions)}


def change_body(change: ChangeOrder) -> dict[str, object]:
    """Write only what changes."""
    return {**_given(quantity=change.quantity), **_prices(change.limit_price, change.stop_price)}


def close_body(close: ClosePosition) -> dict[str, object]:
    """Write how much to close: a percentage leaves as their fraction of one; neither figure means all of it.

    Raises:
        BadRequest: Both figures are given, or the percentage is none.
    """
    if close.quantity is not None and close.percent is not None:
        raise BadRequest("a position is closed by quantity or by percent, not by both")
    if close.percent is not None and not 0 < close.percent <= 100:
        raise BadRequest(f"percent must lie above 0 and not above 100, found {close.percent}")
    fraction = None if close.percent is None else json_number("percent", close.percent / 100)
    return {"instrument": str(close.instrument), **_given(quantity=close.quantity, percent=fraction)}


def instrument_body(instrument: Instrument | None) -> dict[str, object]:
    """Write the one instrument that a call is to reach; nothing for all of the account that stands in its path."""
    return _given(instrument=None if instrument is None else str(instrument))


def _prices(limit_price: Decimal | None, stop_price: Decimal | None) -> dict[str, object]:
    named = {"limitPrice": limit_price, "stopPrice": stop_price}
    return {name: json_number(name, price) for name, price in named.items() if price is not None}


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
