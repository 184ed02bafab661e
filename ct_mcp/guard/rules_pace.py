"""Rules on how often: orders per minute and day, duplicates, and what was sent with an outcome nobody knows."""

from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    DisableStrategy,
    EnableStrategy,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.direction import is_partial, leaves_position, only_reduces
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.verdict import EXIT, Finding, Passed


def orders_per_minute_are_within_limit(action: Action, view: View, policy: Policy) -> Finding:
    """Cancels count too; closing, flattening, pausing a strategy and protecting never wait."""
    if _never_waits(action, view):
        return EXIT
    figures = f"orders in the last minute={view.orders_last_minute}, maximum={policy.limits.max_orders_per_minute}"
    if view.orders_last_minute >= policy.limits.max_orders_per_minute:
        return Denial("ORDERS_PER_MINUTE_REACHED", figures)
    return Passed(figures)


def orders_per_day_are_within_limit(action: Action, view: View, policy: Policy) -> Finding:
    """A day full of orders can still be cancelled and left."""
    if _never_waits(action, view) or isinstance(action, CancelOrder | CancelOrders):
        return EXIT
    figures = f"orders today={view.orders_today}, maximum={policy.limits.max_orders_per_day}"
    if view.orders_today >= policy.limits.max_orders_per_day:
        return Denial("ORDERS_PER_DAY_REACHED", figures)
    return Passed(figures)


def action_is_no_duplicate(action: Action, view: View, policy: Policy) -> Finding:
    """The same again within the window is a repeated call, not a second wish."""
    if not _adds_up(action):
        return EXIT
    since, window = view.seconds_since_identical, policy.limits.duplicate_window_seconds
    if since is None:
        return Passed(f"nothing identical was sent, window={window:g} s")
    figures = f"identical sent={since:.1f} s ago, window={window:g} s"
    return Denial("DUPLICATE_WITHIN_WINDOW", figures) if since < window else Passed(figures)


def no_identical_action_is_unresolved(action: Action, view: View, _policy: Policy) -> Finding:
    """What may already have happened is not sent again until it was looked up."""
    if not _adds_up(action):
        return EXIT
    if view.identical_is_unknown:
        return Denial("OUTCOME_UNRESOLVED", "an identical action was sent and its outcome is not known")
    return Passed("no identical action of unknown outcome")


def _never_waits(action: Action, view: View) -> bool:
    if isinstance(action, ProtectPosition):
        return bool(only_reduces(action, view))
    return leaves_position(action) or isinstance(action, DisableStrategy)


def _adds_up(action: Action) -> bool:
    """Say whether twice is more than once: true of orders and of partial closes, not of flattening or cancelling.

    Two brackets on their way at once may both be placed, and then one of them opens the other side.
    """
    match action:
        case PlaceOrder() | ChangeOrder() | ReplaceOrder() | ReversePosition() | ProtectPosition():
            return True
        case StartStrategy() | EnableStrategy():
            return True
        case ClosePosition():
            return is_partial(action)
        case _:
            return False
