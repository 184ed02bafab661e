"""What a write says and what it hears: our actions → their bodies, their acknowledgements → ours.

What reads hear is in ``wire_accounts``, ``wire_orders`` and ``wire_market``.
"""

from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.crosstrade.wire_accounts import closed_positions_in
from ct_mcp.crosstrade.wire_row import Reply
from ct_mcp.crosstrade.wire_values import number_for, whole_from
from ct_mcp.domain.action import ChangeOrder, ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderType
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import BadRequest

_TYPES = {kind: kind.value.replace("_", "") for kind in OrderType if kind.can_be_sent}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """They took a request: it is neither working nor filled, and nothing is flat, before it was read back.

    ``closed`` holds positions as they stood when closing was requested. ``pending`` and ``remaining_quantity`` come
    from newer services after a close; None where they say nothing. ``warning`` holds their words, made harmless.
    """

    order_ids: tuple[str, ...] = ()
    warning: str | None = None
    closed: tuple[Position, ...] = ()
    pending: bool | None = None
    remaining_quantity: int | None = None


def acknowledged_in(reply: Reply, account: str) -> Acknowledged:
    """Read an acknowledgement; without ``success: true`` there is none.

    Raises:
        BadReply: It does not prove that the request was taken.
    """
    if not reply.succeeded:
        reply.top.refuse("success is not claimed")
    return Acknowledged(
        order_ids=_order_ids(reply),
        warning=reply.warning,
        closed=closed_positions_in(reply, account),
        pending=reply.top.flag("pending"),
        remaining_quantity=whole_from(reply.top.values.get("remainingQuantity")),
    )


def acknowledged_order_in(reply: Reply, account: str) -> Acknowledged:
    """Read an acknowledgement that must name its order."""
    acknowledged = acknowledged_in(reply, account)
    return acknowledged if acknowledged.order_ids else reply.top.refuse("it names no order")


def order_body(order: PlaceOrder) -> dict[str, object]:
    """The nine fields that every placing route takes; always the dated instrument, never a root."""
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


def guarded_order_body(
    order: PlaceOrder, own_id: str, require: frozenset[Direction] | None, max_positions: int | None
) -> dict[str, object]:
    """The nine fields, our own id, and the conditions that CrossTrade is to check as a second net."""
    stands = None if require is None else ",".join(sorted(direction.value.lower() for direction in require))
    return {
        **order_body(order),
        "orderId": own_id,
        **_given(requireMarketPosition=stands, maxPositions=max_positions),
    }


def change_body(change: ChangeOrder) -> dict[str, object]:
    """Only what changes."""
    return {**_given(quantity=change.quantity), **_prices(change.limit_price, change.stop_price)}


def close_body(close: ClosePosition) -> dict[str, object]:
    """A percentage leaves as their fraction of one; neither figure means all of it."""
    if close.quantity is not None and close.percent is not None:
        raise BadRequest("a position is closed by quantity or by percent, not by both")
    if close.percent is not None and not 0 < close.percent <= 100:
        raise BadRequest(f"percent must lie above 0 and not above 100, found {close.percent}")
    fraction = None if close.percent is None else close.percent / 100
    return {
        "instrument": str(close.instrument),
        **_given(quantity=close.quantity, percent=None if fraction is None else number_field("percent", fraction)),
    }


def instrument_body(instrument: Instrument | None) -> dict[str, object]:
    """The one instrument that a call is to reach, or all of the account that stands in its path."""
    return _given(instrument=None if instrument is None else str(instrument))


def _prices(limit_price: Decimal | None, stop_price: Decimal | None) -> dict[str, object]:
    named = {"limitPrice": limit_price, "stopPrice": stop_price}
    return {name: number_field(name, price) for name, price in named.items() if price is not None}


def number_field(name: str, value: Decimal) -> int | float:
    """Give a price or a figure as the JSON number with the same digits.

    Raises:
        BadRequest: No number holds it.
    """
    try:
        return number_for(value)
    except ValueError as error:
        raise BadRequest(f"{name} {error}") from None


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _order_ids(reply: Reply) -> tuple[str, ...]:
    single, several = reply.top.text_or_none("orderId"), reply.top.values.get("orderIds")
    listed = several if isinstance(several, list) else []
    return tuple(dict.fromkeys([*([single] if single else []), *(item for item in listed if isinstance(item, str))]))
