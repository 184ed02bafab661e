"""Rules on strategies: what one is started with, and what no rule of ours can hold."""

from decimal import Decimal

from ct_mcp.domain.action import Action, EnableStrategy
from ct_mcp.domain.strategy import ParameterValue, StartStrategy
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.values import is_whole_number, plain, written
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed

NO_START = NotApplicable("starts no strategy")


def strategy_is_started_with_readable_values(action: Action, _view: View, _policy: Policy) -> Finding:
    """Bars are counted, numbers are finite, and no parameter is given twice: only one of the two would count."""
    if not isinstance(action, StartStrategy):
        return NO_START
    if not is_whole_number(action.period):
        return Denial("PERIOD_INVALID", f"period={plain(repr(action.period))}, at least=1, whole")
    names = [name for name, _ in action.parameters]
    odd = [plain(name) for name, value in action.parameters if names.count(name) > 1 or not _is_finite(value)]
    if odd:
        return Denial("PARAMETER_INVALID", f"given twice or no finite number: {', '.join(dict.fromkeys(odd))}")
    return Passed(f"period={action.period}, parameters={len(names)}")


def what_a_strategy_sends_is_its_own(action: Action, _view: View, _policy: Policy) -> Finding:
    """Not even a halt stops what it sends once it trades; that is said, and not left to be found out."""
    if not isinstance(action, StartStrategy | EnableStrategy):
        return NotApplicable("lets no strategy trade")
    unheld = "no limit of ours holds what the strategy sends by itself: not its size, its value or its loss"
    if isinstance(action, EnableStrategy):
        unheld += "; its instrument, contract month and session were not looked at"
    return Passed("its orders do not pass through here", unheld)


def _is_finite(value: ParameterValue) -> bool:
    return not isinstance(value, Decimal) or (value.is_finite() and len(written(value)) <= 40)
