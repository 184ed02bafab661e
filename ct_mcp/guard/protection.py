"""What stands without a stop once orders are cancelled, changed, replaced or linked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    DisableStrategy,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.legs import bracket_of
from ct_mcp.guard.policy import View
from ct_mcp.guard.stops import (
    Bare,
    as_row,
    bare_once_filled,
    bare_without,
    covered_by,
    held_each_way,
    is_stop,
    leaving,
    may_be_stop,
    moves_away,
    moves_away_from,
)
from ct_mcp.guard.values import is_price, is_whole_number, written


@dataclass(frozen=True, slots=True)
class LostProtection:
    """What an action takes away from the stops of open positions."""

    bare: tuple[Bare, ...] = ()
    stop_moves_away: bool = False
    moves_away_by: Decimal | None = None
    words: str = "without a stop afterwards"

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
            parts.append(f"{self.words}: {', '.join(map(str, self.bare))}")
        if self.stop_moves_away:
            away = self.moves_away_by
            parts.append("the stop moves away" if away is None else f"the stop moves away by {written(away)}")
        return "; ".join(parts) or "no protection is lost"


NOTHING_LOST = LostProtection()
_ONCE_FILLED = "without a stop once it fills, because a fill cancels its OCO group"


def unprotects(action: Action, view: View) -> LostProtection | None:
    """Say what protection an action takes away; None where positions, orders or the order are not known."""
    lost: LostProtection | None = NOTHING_LOST
    match action:
        case CancelOrder() | CancelOrders():
            lost = _lost_by_cancelling(cancelled_by(action, view), view)
        case ChangeOrder():
            lost = _lost_by_changing(action, view)
        case PlaceOrder():
            lost = _lost_by_joining(action, view)
        case ReplaceOrder():
            lost = _lost_by_replacing(action, view)
        case ProtectPosition():
            lost = _lost_to_bracket(action, view)
        case DisableStrategy():
            lost = _lost_by_pausing(view)
    return lost


def protected_by(view: View, instrument: Instrument) -> int | None:
    """Contracts of the position that a standing stop leaves; None where positions or orders were not read."""
    net, orders = view.net_position(instrument), view.open_orders(instrument)
    if net is None or orders is None:
        return None
    return min(abs(net), covered_by(orders, instrument, leaving(net)))


def overhang(net: int, orders: Iterable[Order]) -> int:
    """Contracts that the orders of one instrument would open on the other side of a position if they filled."""
    reach = worst_case(net, orders, ())
    return (reach.short if net >= 0 else 0) + (reach.long if net <= 0 else 0)


def added_to_reversed(reverse: ReversePosition, view: View) -> tuple[Order, ...] | None:
    """The exits of the old direction: should CrossTrade leave them standing, they add to the new position."""
    net, orders = view.net_position(reverse.instrument), view.open_orders(reverse.instrument)
    if net is None or orders is None:
        return None
    return tuple(order for order in orders if net and order.action is leaving(net))


def cancelled_by(
    action: CancelOrder | CancelOrders | ReplaceOrder | ProtectPosition, view: View
) -> tuple[Order, ...] | None:
    """Every open order that goes, before anything new comes; None where it is not known.

    NinjaTrader cancels the rest of an OCO group with any of its members, so cancelling a target takes its stop along.
    """
    if view.orders is None:
        return None
    if isinstance(action, CancelOrders | ProtectPosition):
        return _with_groups([o for o in view.orders if action.instrument in (None, o.instrument)], view.orders)
    named = view.order(action.order_id)
    return None if named is None else _with_groups([named], view.orders)


def _with_groups(wanted: list[Order], orders: tuple[Order, ...]) -> tuple[Order, ...]:
    groups = {order.oco_id for order in wanted if order.oco_id}
    gone = (order for order in orders if order in wanted or order.oco_id in groups)
    return tuple(order for order in gone if not order.is_closed)


def _lost_by_cancelling(gone: tuple[Order, ...] | None, view: View, new: Order | None = None) -> LostProtection | None:
    """Compare with what is left and with the ``new`` order that comes in place of what goes."""
    if gone is None or view.orders is None or view.positions is None:
        return None
    left = [order for order in (*view.orders, new) if order is not None and order not in gone]
    instruments = dict.fromkeys(order.instrument for order in gone if may_be_stop(order))
    bare = tuple(bare for name in instruments for bare in bare_without(name, gone, left, view))
    away = None if new is None else moves_away_from(gone, new, view)
    return LostProtection(bare, away is not None, away or None)


def _lost_by_replacing(action: ReplaceOrder, view: View) -> LostProtection | None:
    lost, joined = (
        _lost_by_cancelling(cancelled_by(action, view), view, as_row(action.order)),
        _lost_by_joining(action.order, view),
    )
    return joined if lost is not None and not lost.is_any else lost


def _lost_to_bracket(protect: ProtectPosition, view: View) -> LostProtection | None:
    """What goes are all orders of the instrument and the groups they are in; what comes is one stop, or none."""
    net = view.net_position(protect.instrument)
    if net is None:
        return None
    stops = [leg for leg in bracket_of(protect, view) or () if is_price(leg.stop_price)]
    return _lost_by_cancelling(cancelled_by(protect, view), view, as_row(stops[0]) if stops else None)


def _lost_by_pausing(view: View) -> LostProtection | None:
    """Nobody says which orders are the strategy's: it may be any of them."""
    lost = _lost_by_cancelling(view.orders, view)
    return lost and replace(lost, words="may stand without a stop afterwards")


def _lost_by_joining(order: PlaceOrder, view: View) -> LostProtection | None:
    """An order that fills cancels the rest of its group: a small exit takes a larger stop along."""
    if not order.oco_id or order.flatten_first:
        return NOTHING_LOST
    if view.orders is None or view.positions is None:
        return None
    row = as_row(order)
    return LostProtection(bare_once_filled(row, view), words=_ONCE_FILLED)


def _lost_by_changing(change: ChangeOrder, view: View) -> LostProtection | None:
    order = view.order(change.order_id)
    if order is None or view.orders is None or view.positions is None:
        return None
    held = dict(held_each_way(order.instrument, view))[order.action]
    if is_stop(order) and held:
        away = moves_away(order, change.stop_price, change.limit_price)
        lost = LostProtection(_bare_after(change, order, held, view), away is not None, away or None)
        if lost.is_any:
            return lost
    return _lost_by_shrinking(change, order, view)


def _lost_by_shrinking(change: ChangeOrder, order: Order, view: View) -> LostProtection:
    """A target made smaller than the stop of its group takes that stop along all the same."""
    if change.quantity is None:
        return NOTHING_LOST
    quantity = change.quantity if is_whole_number(change.quantity) else 0
    before, after = (bare_once_filled(row, view) for row in (order, replace(order, quantity=quantity)))
    grows = sum(bare.contracts for bare in after) > sum(bare.contracts for bare in before)
    return LostProtection(after, words=_ONCE_FILLED) if grows else NOTHING_LOST


def _bare_after(change: ChangeOrder, order: Order, held: int, view: View) -> tuple[Bare, ...]:
    if change.quantity is None or (is_whole_number(change.quantity) and change.quantity >= order.quantity):
        return ()
    kept = replace(order, quantity=change.quantity if is_whole_number(change.quantity) else 0)
    rows = [kept if other is order else other for other in view.orders or ()]
    covered = covered_by(rows, order.instrument, order.action)
    return (Bare(order.instrument, held - covered, held),) if held > covered else ()
