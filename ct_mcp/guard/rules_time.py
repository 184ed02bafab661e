"""Rules on when: the trading session and the time to be flat by."""

from ct_mcp.domain.action import Action
from ct_mcp.guard.legs import instrument_traded, resulting_order
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.session import flat_by_moment, may_rest, session_is_open
from ct_mcp.guard.values import plain, stamped
from ct_mcp.guard.verdict import NO_ORDER, Finding, NotApplicable, Passed, on_opening


@on_opening
def session_is_open_or_order_may_wait(action: Action, view: View, policy: Policy) -> Finding:
    """While the session is closed a good-till-cancelled order with a price may wait; a DAY order's day is unclear."""
    instrument, order = instrument_traded(action, view), resulting_order(action, view)
    if instrument is None:
        return NO_ORDER
    if not policy.limits.require_open_session:
        return NotApplicable("the policy does not require an open session")
    is_open = session_is_open(instrument, view)
    if view.session is None or is_open is None:
        return Denial("SESSION_UNKNOWN", f"no current report of the session of {instrument}")
    opens_at = view.session.opens_at
    figures = f"state={plain(view.session.state)}"
    if is_open:
        return Passed(figures)
    figures += f", opens at={'unknown' if opens_at is None else stamped(opens_at)}"
    if order is None:
        return Denial("SESSION_CLOSED", figures)
    figures += f", {order.order_type} {order.time_in_force}"
    return Passed(figures) if may_rest(order, view) else Denial("SESSION_CLOSED", figures)


@on_opening
def time_to_be_flat_by_has_not_passed(_action: Action, view: View, policy: Policy) -> Finding:
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
