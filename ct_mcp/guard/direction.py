"""Does an action open, add, reduce, leave or unprotect? Decided from its effect on the book, not from its verb.

It is asked before something is let past a limit, so it errs to one side: what may raise the worst case is never
called reducing, and what is not known is None, never a guess.
"""

from enum import StrEnum

from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    FlattenEverything,
    OrderAsked,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.order import Order
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.exposure import worst_case, worst_case_after, worst_case_now
from ct_mcp.guard.legs import SendsOrder, bracket_of, resulting_order
from ct_mcp.guard.policy import View
from ct_mcp.guard.protection import cancelled_by, unprotects
from ct_mcp.guard.values import is_whole_number


class RiskDirection(StrEnum):
    """What an action does to the risk of the account it names."""

    OPENS = "opens"
    ADDS = "adds"
    REDUCES = "reduces"
    CLOSES = "closes"
    PROTECTS = "protects"
    UNPROTECTS = "unprotects"
    NEUTRAL = "neutral"


def leaves_position(action: Action) -> bool:
    """Say whether it is an exit that no value may stop: close and flatten, and closing a strategy."""
    return isinstance(action, ClosePosition | Flatten | FlattenEverything | CloseStrategy)


def sends_orders(action: Action) -> bool:
    """Say whether an order comes of it, ours or a strategy's; cancels and exits are not meant."""
    is_pause = isinstance(action, CancelOrder | CancelOrders | DisableStrategy)
    return not is_pause and not leaves_position(action)


def is_partial(close: ClosePosition) -> bool:
    """Say whether it leaves part of the position: sent twice, it would leave twice as much."""
    percent = close.percent
    return close.quantity is not None or (percent is not None and not (percent.is_finite() and percent == 100))


def only_reduces(action: Action, view: View) -> bool | None:
    """Say whether it can neither raise the worst case on either side nor take protection away; None if not known."""
    match action:
        case ClosePosition() | Flatten() | FlattenEverything() | CloseStrategy():
            return True
        case CancelOrder() | CancelOrders():
            lost = unprotects(action, view)
            return None if lost is None else not lost.is_any
        case PlaceOrder() | ChangeOrder() | ReplaceOrder():
            return _order_reduces(action, view)
        case ProtectPosition():
            return _bracket_reduces(action, view)
        case DisableStrategy():
            return None if view.positions is None else not _may_hold_anything(view)
        case ReversePosition() | StartStrategy() | EnableStrategy():  # pragma: no branch  # the set is closed
            return False


def risk_direction(action: Action, view: View) -> RiskDirection | None:
    """Name what it does to the risk; None where positions or orders were not read."""
    match action:
        case ClosePosition() | Flatten() | FlattenEverything() | CloseStrategy():
            is_part = isinstance(action, ClosePosition) and is_partial(action)
            return RiskDirection.REDUCES if is_part else RiskDirection.CLOSES
        case CancelOrder() | CancelOrders():
            return _direction_of_cancel(action, view)
        case ProtectPosition():
            return _direction_of_bracket(action, view)
        case StartStrategy() | EnableStrategy():
            return RiskDirection.OPENS
        case DisableStrategy():
            return _direction_of_pause(action, view)
        case (
            PlaceOrder() | ChangeOrder() | ReplaceOrder() | ReversePosition()
        ):  # pragma: no branch  # the set is closed
            return _direction_of_order(action, view)


def _order_reduces(action: OrderAsked, view: View) -> bool | None:
    """Asked of an order that is new, changed or put in another's place."""
    order, lost = resulting_order(action, view), unprotects(action, view)
    if order is None or lost is None:
        return None
    if view.positions is None or view.orders is None:
        return None
    if lost.is_any or not is_whole_number(order.quantity):
        return False
    old = view.order(action.order_id) if isinstance(action, ChangeOrder) else None
    if old is not None and isinstance(action, ChangeOrder) and _only_shrinks(action, old):
        return True
    return _stays_within(action, order, order.quantity - (old.filled if old else 0), view)


def _stays_within(action: OrderAsked, order: PlaceOrder, may_fill: int, view: View) -> bool:
    """An order that brings an ATM strategy or flattens first opens; so does one that could pass through flat."""
    net = view.net_position(order.instrument) or 0
    if order.flatten_first or order.atm_strategy or net * order.action.sign >= 0 or may_fill > abs(net):
        return False
    return _is_not_beyond(action, view)


def _bracket_reduces(protect: ProtectPosition, view: View) -> bool | None:
    """Around a position that is held, at its size: one exit of the two fills, and no stop is lost or moves away."""
    net, lost = view.net_position(protect.instrument), unprotects(protect, view)
    if net is None or lost is None:
        return None
    return bool(bracket_of(protect, view)) and not lost.is_any and _is_not_beyond(protect, view)


def _is_not_beyond(action: OrderAsked | ProtectPosition, view: View) -> bool:
    now, after = worst_case_now(action, view), worst_case_after(action, view)
    return now is not None and after is not None and not after.is_beyond(now)


def _may_hold_anything(view: View) -> bool:
    """An order of unknown outcome may have opened a position that is not listed yet."""
    return bool(view.pending) or any(position.quantity for position in view.positions or ())


def _only_shrinks(change: ChangeOrder, order: Order) -> bool:
    prices_stay = change.limit_price is None and change.stop_price is None
    return prices_stay and change.quantity is not None and change.quantity < order.quantity


def _direction_of_cancel(action: CancelOrder | CancelOrders, view: View) -> RiskDirection | None:
    lost, gone = unprotects(action, view), cancelled_by(action, view)
    if lost is None or gone is None:
        return None
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    return RiskDirection.REDUCES if _reach_shrinks(gone, view) else RiskDirection.NEUTRAL


def _reach_shrinks(gone: tuple[Order, ...], view: View) -> bool:
    for instrument in {order.instrument for order in gone}:
        net, pending = view.net_position(instrument) or 0, view.pending_orders(instrument)
        orders = view.open_orders(instrument) or ()
        left = [order for order in orders if order not in gone]
        if worst_case(net, orders, pending).is_beyond(worst_case(net, left, pending)):
            return True
    return False


def _direction_of_bracket(protect: ProtectPosition, view: View) -> RiskDirection | None:
    """On a flat account CrossTrade would place it all the same, and either of its orders would open."""
    reduces, lost = only_reduces(protect, view), unprotects(protect, view)
    if reduces is None or lost is None:
        return None
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    if not reduces:
        return RiskDirection.OPENS
    return RiskDirection.REDUCES if protect.stop_loss_price is None else RiskDirection.PROTECTS


def _direction_of_pause(pause: DisableStrategy, view: View) -> RiskDirection | None:
    reduces = only_reduces(pause, view)
    if reduces is None:
        return None
    return RiskDirection.NEUTRAL if reduces else RiskDirection.UNPROTECTS


def _direction_of_order(action: SendsOrder, view: View) -> RiskDirection | None:
    order, reduces, lost = resulting_order(action, view), only_reduces(action, view), unprotects(action, view)
    if order is None or reduces is None or lost is None:
        return None
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    net = view.net_position(order.instrument) or 0
    if reduces:
        return _direction_of_reducing(order, net)
    adds = net * order.action.sign > 0 and not order.flatten_first
    return RiskDirection.ADDS if adds else RiskDirection.OPENS


def _direction_of_reducing(order: PlaceOrder, net: int) -> RiskDirection:
    if net * order.action.sign >= 0:
        return RiskDirection.REDUCES
    if order.order_type.needs_stop_price:
        return RiskDirection.PROTECTS
    return RiskDirection.CLOSES if order.quantity == abs(net) else RiskDirection.REDUCES
