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
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.order import Order
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.exposure import resulting_order, worst_case, worst_case_after, worst_case_now
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
        case PlaceOrder():
            return _order_reduces(action, action, action.quantity, view)
        case ChangeOrder():
            return _change_reduces(action, view)
        case ReplaceOrder() | ReversePosition() | ProtectPosition() | StartStrategy() | EnableStrategy():
            return False
        case DisableStrategy():  # pragma: no branch  # the set is closed
            return False


def risk_direction(action: Action, view: View) -> RiskDirection | None:
    """Name what it does to the risk; None where positions or orders were not read."""
    match action:
        case Flatten() | FlattenEverything() | CloseStrategy():
            return RiskDirection.CLOSES
        case ClosePosition():
            return RiskDirection.REDUCES if is_partial(action) else RiskDirection.CLOSES
        case CancelOrder() | CancelOrders():
            return _direction_of_cancel(action, view)
        case PlaceOrder() | ChangeOrder():
            return _direction_of_order(action, view)
        case ReplaceOrder() | ReversePosition() | ProtectPosition() | StartStrategy() | EnableStrategy():
            return RiskDirection.OPENS
        case DisableStrategy():  # pragma: no branch  # the set is closed
            return RiskDirection.UNPROTECTS


def _order_reduces(action: PlaceOrder | ChangeOrder, order: PlaceOrder, may_fill: int, view: View) -> bool | None:
    """An order that brings an ATM strategy or flattens first opens; so does one that could pass through flat."""
    net = view.net_position(order.instrument)
    if net is None or view.orders is None:
        return None
    if order.flatten_first or order.atm_strategy or not is_whole_number(order.quantity):
        return False
    if net * order.action.sign >= 0 or may_fill > abs(net):
        return False
    now, after = worst_case_now(action, view), worst_case_after(action, view)
    return now is not None and after is not None and not after.is_beyond(now)


def _change_reduces(change: ChangeOrder, view: View) -> bool | None:
    order, changed, lost = view.order(change.order_id), resulting_order(change, view), unprotects(change, view)
    if order is None or changed is None or lost is None:
        return None
    if lost.is_any or not is_whole_number(changed.quantity):
        return False
    if _only_shrinks(change, order):
        return True
    return _order_reduces(change, changed, changed.quantity - order.filled, view)


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


def _direction_of_order(action: PlaceOrder | ChangeOrder, view: View) -> RiskDirection | None:
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
