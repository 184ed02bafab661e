"""How far a book can reach: the net position if any subset of the open orders fills."""

from collections.abc import Iterable
from dataclasses import dataclass

from ct_mcp.domain.action import Action, ChangeOrder, PlaceOrder
from ct_mcp.domain.order import Order, TimeInForce
from ct_mcp.guard.policy import PendingOrder, View


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The two ends that the net position can reach, signed."""

    most_long: int
    most_short: int

    @property
    def long(self) -> int:
        """Contracts that may come to be held long."""
        return max(0, self.most_long)

    @property
    def short(self) -> int:
        """Contracts that may come to be held short."""
        return max(0, -self.most_short)

    @property
    def largest(self) -> int:
        """The larger of the two: what a position limit is held against."""
        return max(self.long, self.short)

    def is_beyond(self, other: "WorstCase") -> bool:
        """Say whether it is worse than another on either side."""
        return self.long > other.long or self.short > other.short


@dataclass(frozen=True, slots=True)
class _Leg:
    """Contracts that may fill; of the legs of one OCO group at most one does."""

    signed: int
    oco_id: str | None = None


def worst_case(net: int, orders: Iterable[Order], pending: Iterable[PendingOrder]) -> WorstCase:
    """Count what remains of every order that is not closed, of an OCO group its worst member, of pending ones all."""
    return _worst(net, [*map(_leg, orders), *map(_pending_leg, pending)])


def worst_case_now(action: PlaceOrder | ChangeOrder, view: View) -> WorstCase | None:
    """How far the book reaches before the action; None where positions or orders were not read."""
    order = resulting_order(action, view)
    if order is None:
        return None
    net, orders = view.net_position(order.instrument), view.open_orders(order.instrument)
    if net is None or orders is None:
        return None
    return worst_case(net, orders, view.pending_orders(order.instrument))


def worst_case_after(action: PlaceOrder | ChangeOrder, view: View) -> WorstCase | None:
    """How far the book reaches once the action is sent; None where positions or orders were not read.

    An order that is being changed may still fill as it was. A flatten that comes first may not have happened
    when the order behind it fills: CrossTrade places that one either way.
    """
    order = resulting_order(action, view)
    if order is None:
        return None
    net, orders = view.net_position(order.instrument), view.open_orders(order.instrument)
    if net is None or orders is None:
        return None
    changed = view.order(action.order_id) if isinstance(action, ChangeOrder) else None
    legs = [_leg(other) for other in orders if other is not changed]
    legs += map(_pending_leg, view.pending_orders(order.instrument))
    if order.flatten_first:
        legs.append(_Leg(-net))
    return _worst(net, [*legs, _Leg(order.action.sign * _may_fill(order, changed), order.oco_id)])


def resulting_order(action: Action, view: View) -> PlaceOrder | None:
    """The order as it would stand: a new one itself, a changed one with its changes; None where there is none."""
    if isinstance(action, PlaceOrder):
        return action
    order = view.order(action.order_id) if isinstance(action, ChangeOrder) else None
    if not isinstance(action, ChangeOrder) or order is None or order.is_closed:
        return None
    return PlaceOrder(
        account=order.account,
        instrument=order.instrument,
        action=order.action,
        quantity=order.quantity if action.quantity is None else action.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price if action.limit_price is None else action.limit_price,
        stop_price=order.stop_price if action.stop_price is None else action.stop_price,
        time_in_force=order.time_in_force or TimeInForce.DAY,
        oco_id=order.oco_id,
    )


def _worst(net: int, legs: Iterable[_Leg]) -> WorstCase:
    most_long, most_short = net, net
    groups: dict[str, tuple[int, int]] = {}
    for leg in legs:
        if leg.oco_id:
            low, high = groups.get(leg.oco_id, (0, 0))
            groups[leg.oco_id] = min(low, leg.signed), max(high, leg.signed)
        else:
            most_long += max(0, leg.signed)
            most_short += min(0, leg.signed)
    return WorstCase(
        most_long + sum(high for _, high in groups.values()), most_short + sum(low for low, _ in groups.values())
    )


def _leg(order: Order) -> _Leg:
    return _Leg(order.action.sign * order.remaining, order.oco_id)


def _pending_leg(order: PendingOrder) -> _Leg:
    return _Leg(order.signed_quantity)


def _may_fill(order: PlaceOrder, changed: Order | None) -> int:
    """Contracts that may still fill: of a changed order the larger of what remains before and after."""
    return order.quantity if changed is None else max(changed.remaining, order.quantity - changed.filled)
