"""What stands without a stop once an order is cancelled or changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.domain.action import Action, CancelOrder, CancelOrders, ChangeOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.policy import View
from ct_mcp.guard.values import is_price, is_whole_number, written

# A stop in any other open state may be refused or not yet stand: it is not counted on, though losing it counts.
_PROTECTING = frozenset({OrderState.SUBMITTED, OrderState.ACCEPTED, OrderState.WORKING, OrderState.PART_FILLED})


@dataclass(frozen=True, slots=True)
class Bare:
    """Contracts of one position that no stop stands behind."""

    instrument: Instrument
    contracts: int
    held: int

    def __str__(self) -> str:
        return f"{self.contracts} of {self.held} {self.instrument}"


@dataclass(frozen=True, slots=True)
class LostProtection:
    """What an action takes away from the stops of open positions."""

    bare: tuple[Bare, ...] = ()
    stop_moves_away: bool = False
    moves_away_by: Decimal | None = None

    @property
    def is_any(self) -> bool:
        """Say whether a position is less protected afterwards."""
        return bool(self.bare) or self.stop_moves_away

    @property
    def contracts(self) -> int:
        """Contracts without a stop afterwards, over all instruments."""
        return sum(bare.contracts for bare in self.bare)

    def __str__(self) -> str:
        parts = []
        if self.bare:
            parts.append(f"without a stop afterwards: {', '.join(map(str, self.bare))}")
        if self.stop_moves_away:
            away = self.moves_away_by
            parts.append("the stop moves away" if away is None else f"the stop moves away by {written(away)}")
        return "; ".join(parts) or "no protection is lost"


NOTHING_LOST = LostProtection()


def unprotects(action: Action, view: View) -> LostProtection | None:
    """Say what protection a cancel or change takes away; None where positions, orders or the order are not known."""
    match action:
        case CancelOrder() | CancelOrders():
            return _lost_by_cancelling(cancelled_by(action, view), view)
        case ChangeOrder():
            return _lost_by_changing(action, view)
        case _:
            return NOTHING_LOST


def cancelled_by(action: CancelOrder | CancelOrders, view: View) -> tuple[Order, ...] | None:
    """Every open order that goes; None where it is not known.

    NinjaTrader cancels the rest of an OCO group with any of its members, so cancelling a target takes its stop along.
    """
    if view.orders is None:
        return None
    if isinstance(action, CancelOrders):
        wanted = [order for order in view.orders if action.instrument in (None, order.instrument)]
    else:
        named = view.order(action.order_id)
        wanted = [] if named is None else [named]
    groups = {order.oco_id for order in wanted if order.oco_id}
    gone = tuple(order for order in view.orders if order in wanted or order.oco_id in groups)
    return None if isinstance(action, CancelOrder) and not gone else tuple(o for o in gone if not o.is_closed)


def _lost_by_cancelling(gone: tuple[Order, ...] | None, view: View) -> LostProtection | None:
    if gone is None or view.orders is None or view.positions is None:
        return None
    left = tuple(order for order in view.orders if order not in gone)
    instruments = dict.fromkeys(order.instrument for order in gone if _may_be_stop(order))
    return LostProtection(tuple(bare for name in instruments for bare in _bare(name, gone, left, view)))


def _bare(instrument: Instrument, gone: Iterable[Order], left: Iterable[Order], view: View) -> Iterable[Bare]:
    """Compare what may be held on each side with the stops that are left, where a stop of that side goes."""
    for action, held in _held(instrument, view):
        goes = any(_may_be_stop(order) and (order.instrument, order.action) == (instrument, action) for order in gone)
        covered = sum(order.remaining for order in left if _protects(order, instrument, action))
        if goes and held > covered:
            yield Bare(instrument, held - covered, held)


def _held(instrument: Instrument, view: View) -> tuple[tuple[OrderAction, int], ...]:
    """Contracts that a SELL stop and a BUY stop protect; an order of unknown outcome may have made them."""
    reach = worst_case(view.net_position(instrument) or 0, (), view.pending_orders(instrument))
    return (OrderAction.SELL, reach.long), (OrderAction.BUY, reach.short)


def _is_stop(order: Order) -> bool:
    return order.order_type.needs_stop_price and not order.is_closed


def _may_be_stop(order: Order) -> bool:
    """An order of a type that we do not know is not counted on, but losing it may be losing a stop."""
    return _is_stop(order) or (order.order_type is OrderType.OTHER and not order.is_closed)


def _protects(order: Order, instrument: Instrument, action: OrderAction) -> bool:
    return _is_stop(order) and order.state in _PROTECTING and (order.instrument, order.action) == (instrument, action)


def _lost_by_changing(change: ChangeOrder, view: View) -> LostProtection | None:
    order = view.order(change.order_id)
    if order is None or view.orders is None or view.positions is None:
        return None
    held = dict(_held(order.instrument, view))[order.action]
    if not _is_stop(order) or not held:
        return NOTHING_LOST
    away = _moves_away(order, change)
    return LostProtection(_bare_after(change, order, held, view), away is not None, away or None)


def _moves_away(order: Order, change: ChangeOrder) -> Decimal | None:
    """How far the stop, or what it will accept once triggered, moves away; zero where it moves nobody knows how far."""
    sign = order.action.sign
    moves = (_moved(order.stop_price, change.stop_price, sign), _moved(order.limit_price, change.limit_price, -sign))
    away = [move for move in moves if move is not None]
    return max(away) if away else None


def _moved(old: Decimal | None, new: Decimal | None, sign: int) -> Decimal | None:
    if new is None:
        return None
    if old is None or not is_price(old) or not is_price(new):
        return Decimal(0)
    return (new - old) * sign if (new - old) * sign > 0 else None


def _bare_after(change: ChangeOrder, order: Order, held: int, view: View) -> tuple[Bare, ...]:
    if change.quantity is None or (is_whole_number(change.quantity) and change.quantity >= order.quantity):
        return ()
    kept = max(0, change.quantity - order.filled) if is_whole_number(change.quantity) else 0
    others = (other for other in view.orders or () if other is not order)
    covered = kept + sum(other.remaining for other in others if _protects(other, order.instrument, order.action))
    return (Bare(order.instrument, held - covered, held),) if held > covered else ()
