"""How far a book can reach: the net position if any subset of the open orders fills."""

from collections.abc import Iterable
from dataclasses import dataclass

from ct_mcp.domain.action import ChangeOrder, PlaceOrder, ProtectPosition, ReplaceOrder, ReversePosition
from ct_mcp.domain.order import Order
from ct_mcp.guard.legs import SendsOrder, bracket_of, resulting_order
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


def worst_case_now(action: SendsOrder | ProtectPosition, view: View) -> WorstCase | None:
    """How far the book reaches before the action; None where positions or orders were not read."""
    book = _book(action, view)
    return None if book is None else _worst(book.net, book.standing)


def worst_case_after(action: SendsOrder | ProtectPosition, view: View) -> WorstCase | None:
    """How far the book reaches once the action is sent; None where positions or orders were not read.

    An order that is being changed or replaced may still fill as it was. A flatten that comes first may not have
    happened when the order behind it fills: CrossTrade places that one either way.
    """
    book, order = _book(action, view), resulting_order(action, view)
    if book is None:
        return None
    if isinstance(action, ProtectPosition):
        return _around(action, book, view)
    if order is None:
        return None
    if isinstance(action, ReversePosition):
        # What fills before it is turned round as well, and what fills after it is not.
        turned = [_Leg(-leg.signed, leg.oco_id) for leg in book.standing]
        return _worst(book.net, [*book.standing, *turned, _Leg(-book.net), _Leg(-book.net)])
    changed = view.order(action.order_id) if isinstance(action, ChangeOrder) else None
    legs = [_leg(other) for other in book.orders if other is not changed] + book.pending
    if order.flatten_first:
        legs.append(_Leg(-book.net))
    return _worst(book.net, [*legs, _new_leg(action, order, changed, view)])


@dataclass(frozen=True, slots=True)
class _Book:
    """What is known of one instrument."""

    net: int
    orders: tuple[Order, ...]
    pending: list[_Leg]

    @property
    def standing(self) -> list[_Leg]:
        return [*map(_leg, self.orders), *self.pending]


def _book(action: SendsOrder | ProtectPosition, view: View) -> _Book | None:
    order = resulting_order(action, view)
    instrument = action.instrument if isinstance(action, ReversePosition | ProtectPosition) else None
    instrument = instrument or (order.instrument if order else None)
    if instrument is None:
        return None
    net, orders = view.net_position(instrument), view.open_orders(instrument)
    if net is None or orders is None:
        return None
    return _Book(net, orders, [*map(_pending_leg, view.pending_orders(instrument))])


def _around(protect: ProtectPosition, book: _Book, view: View) -> WorstCase | None:
    """The orders of the instrument are cancelled first; what was sent with an unknown outcome may still come."""
    legs = bracket_of(protect, view)
    if legs is None:
        return None
    return _worst(book.net, [*book.pending, *(_Leg(leg.action.sign * leg.quantity, leg.oco_id) for leg in legs)])


def _new_leg(action: SendsOrder, order: PlaceOrder, changed: Order | None, view: View) -> _Leg:
    """A replacement does not share the fate of the group that goes with the old order."""
    replaced = view.order(action.order_id) if isinstance(action, ReplaceOrder) else None
    is_alone = replaced is not None and replaced.oco_id == order.oco_id
    return _Leg(order.action.sign * _may_fill(order, changed), None if is_alone else order.oco_id)


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
