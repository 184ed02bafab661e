"""One cancels other: who stands in a group with an order, and whether its end is the end of the others."""

from collections.abc import Iterable

from ct_mcp.simulator.orders import Order, OrderState


def siblings(order: Order, among: Iterable[Order]) -> list[Order]:
    """List the other orders of an OCO group; one that came too late to it belongs to none."""
    if not order.labels.oco_id or not order.joins_oco:
        return []
    group = (order.account, order.labels.oco_id)
    return [
        other
        for other in among
        if other is not order and other.joins_oco and (other.account, other.labels.oco_id) == group
    ]


def takes_the_others_along(order: Order) -> bool:
    """Say whether the end of an order is the end of its group.

    A leg of CancelAndBracket that is rejected goes alone: a user was left with the target and without a stop.
    """
    return not order.is_live and not (order.state is OrderState.REJECTED and order.labels.rpc == "CancelAndBracket")
