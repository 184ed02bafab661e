"""Rules on when: the trading session and the time to be flat by."""

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.session import flat_by_moment, may_rest, session_is_open
from ct_mcp.guard.values import plain, stamped
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, on_risk


@on_risk
def session_is_open_or_order_may_wait(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """While the session is closed a good-till-cancelled order with a price may wait; a DAY order's day is unclear."""
    if not policy.limits.require_open_session:
        return NotApplicable("the policy does not require an open session")
    is_open = session_is_open(order, view)
    if view.session is None or is_open is None:
        return Denial("SESSION_UNKNOWN", f"no current report of the session of {order.instrument}")
    opens_at = view.session.opens_at
    figures = f"state={plain(view.session.state)}"
    if is_open:
        return Passed(figures)
    figures += f", opens at={'unknown' if opens_at is None else stamped(opens_at)}, {order.order_type}"
    figures += f" {order.time_in_force}"
    return Passed(figures) if may_rest(order, view) else Denial("SESSION_CLOSED", figures)


@on_risk
def time_to_be_flat_by_has_not_passed(_order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """From then until the session rolls at 17:00 Chicago nothing opens or adds."""
    flat_by = policy.limits.flat_by
    if flat_by is None:
        return NotApplicable("no time to be flat by is set")
    figures = f"flat by={flat_by.at:%H:%M} {plain(flat_by.zone)}, now={stamped(view.now)}"
    try:
        moment = flat_by_moment(flat_by, view.now)
    except (KeyError, ValueError, OSError):
        return Denial("FLAT_BY_UNREADABLE", figures)
    return Denial("FLAT_BY_PASSED", figures) if view.now >= moment else Passed(figures)
