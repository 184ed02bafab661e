"""What a rule may answer, and to which actions it applies."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from ct_mcp.domain.action import Action, ChangeOrder, PlaceOrder
from ct_mcp.guard.direction import only_reduces
from ct_mcp.guard.legs import resulting_order
from ct_mcp.guard.policy import Denial, Policy, View


@dataclass(frozen=True, slots=True)
class Passed:
    """A yes with its figures; ``not_checked`` says what it could not look at, where that needs to be said."""

    figures: str
    not_checked: str = ""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The rule has nothing to say of this action."""

    why: str


Finding = Passed | NotApplicable | Denial
Rule = Callable[[Action, View, Policy], Finding]
OrderRule = Callable[[PlaceOrder, View, Policy], Finding]
ExposureRule = Callable[[PlaceOrder | ChangeOrder, View, Policy], Finding]

NO_ORDER = NotApplicable("sends no order")
ONLY_REDUCES = NotApplicable("only reduces")
EXIT = NotApplicable("an exit is never stopped by this")


def on_orders(check: OrderRule) -> Rule:
    """Apply a rule to every new order, and to a changed one as it will stand."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        order = resulting_order(action, view)
        return NO_ORDER if order is None else check(order, view, policy)

    return rule


def on_orders_if_quoted(check: OrderRule) -> Rule:
    """Like `on_orders`, but what only reduces does not wait for a quote."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        order = resulting_order(action, view)
        finding = NO_ORDER if order is None else check(order, view, policy)
        if isinstance(finding, Denial) and finding.code.startswith("QUOTE_") and only_reduces(action, view):
            return Passed("only reduces", finding.figures)
        return finding

    return rule


def on_risk(check: OrderRule) -> Rule:
    """Apply a rule to orders that may open or add; what is only known to reduce when it is known passes it."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        order = resulting_order(action, view)
        if order is None:
            return NO_ORDER
        return ONLY_REDUCES if only_reduces(action, view) else check(order, view, policy)

    return rule


def on_exposure(check: ExposureRule) -> Rule:
    """Like `on_risk`, for a rule that must know whether the order is new or changed."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        if not isinstance(action, PlaceOrder | ChangeOrder):
            return NO_ORDER
        return ONLY_REDUCES if only_reduces(action, view) else check(action, view, policy)

    return rule
