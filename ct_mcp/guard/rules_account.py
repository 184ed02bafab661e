"""Rules on who may trade: account, mode, arming, connection, halt, the day's loss."""

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.action import Action, FlattenEverything, ProtectPosition
from ct_mcp.guard.direction import only_reduces, sends_orders
from ct_mcp.guard.policy import Denial, Mode, Policy, View
from ct_mcp.guard.values import as_argument, plain, stamped, written
from ct_mcp.guard.verdict import EXIT, Finding, NotApplicable, Passed, on_opening


def account_is_the_one_named(action: Action, view: View, _policy: Policy) -> Finding:
    """A look-alike is another account."""
    if view.account is None:
        return Denial("ACCOUNT_UNKNOWN", f"no report for account={plain(action.account)}")
    is_one_of_several = isinstance(action, FlattenEverything) and view.account.name in action.accounts
    if view.account.name != action.account and not is_one_of_several:
        names = f"asked for={plain(action.account)}, reported={plain(view.account.name)}"
        return Denial("ACCOUNT_MISMATCH", names)
    return Passed(f"account={plain(action.account)}")


def account_may_trade_in_this_mode(action: Action, view: View, policy: Policy) -> Finding:
    """In sim a kind that is not known counts as live; in live every account must be named by the operator."""
    figures = f"mode={policy.mode}, account={plain(action.account)}, kind={view.kind}"
    match policy.mode:
        case Mode.READ_ONLY:
            return Denial("MODE_READ_ONLY", figures)
        case Mode.SIM:
            return Passed(figures) if view.kind is AccountKind.SIMULATED else Denial("ACCOUNT_NOT_SIMULATED", figures)
        case Mode.LIVE:  # pragma: no branch  # the set is closed
            named = set(action.accounts if isinstance(action, FlattenEverything) else [action.account])
            return Passed(figures) if named <= set(policy.accounts) else Denial("ACCOUNT_NOT_NAMED", figures)


def account_is_armed(action: Action, view: View, policy: Policy) -> Finding:
    """Only the person arms, for a time, at a terminal. An exit waits for nothing but its approval."""
    if policy.mode is not Mode.LIVE:
        return NotApplicable("arming belongs to live mode")
    if not sends_orders(action) or (isinstance(action, ProtectPosition) and only_reduces(action, view)):
        return EXIT
    until = view.armed_until
    if until is not None and until > view.now:
        return Passed(f"armed until={stamped(until)}")
    last = "never" if until is None else stamped(until)
    command = f"ct-mcp arm {as_argument(action.account)} --for 8h"
    how = f"only the person can arm it, at a terminal of their own: {command}"
    return Denial("ACCOUNT_NOT_ARMED", f"armed until={last}; {how}")


def account_is_connected(action: Action, view: View, _policy: Policy) -> Finding:
    """An exit is tried even so."""
    if not sends_orders(action):
        return EXIT
    status = None if view.account is None else view.account.connection_status
    if status is None:
        return Passed("connection=unknown", "the service did not say whether the account is connected")
    figures = f"connection={plain(status)}"
    return Passed(figures) if status.casefold() == "connected" else Denial("ACCOUNT_DISCONNECTED", figures)


@on_opening
def trading_is_not_halted(_action: Action, view: View, _policy: Policy) -> Finding:
    """Only the person lifts a halt; what reduces or leaves goes on."""
    if view.halt is None:
        return Passed("not halted")
    halt = view.halt
    who_and_why = f"by={plain(halt.by)}, at={stamped(halt.at)}, reason={plain(halt.reason, 200)}"
    how = "exits still work; only the person lifts it, at a terminal of their own: ct-mcp resume"
    return Denial("TRADING_HALTED", f"{who_and_why}; {how}")


@on_opening
def day_loss_is_within_limit(_action: Action, view: View, policy: Policy) -> Finding:
    """Once reached it stays reached until the session rolls, however the day goes on."""
    pnl = None if view.account is None else view.account.balances.day_pnl
    figures = f"day P&L={written(pnl)}, maximum loss={written(policy.limits.max_day_loss)}"
    if view.day_loss_reached:
        return Denial("DAY_LOSS_REACHED", f"reached earlier in this session, {figures}")
    if pnl is None or not pnl.is_finite():
        return Denial("DAY_PNL_UNKNOWN", figures)
    return Denial("DAY_LOSS_REACHED", figures) if pnl <= -policy.limits.max_day_loss else Passed(figures)
