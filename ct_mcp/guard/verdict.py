"""What a rule may answer, and to which actions it applies."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from ct_mcp.domain.action import Action, PlaceOrder, ProtectPosition, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.direction import only_reduces, sends_orders
from ct_mcp.guard.legs import Prices, SendsOrder, instrument_traded, prices_of, resulting_order
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
PriceRule = Callable[[Prices, View, Policy], Finding]
InstrumentRule = Callable[[Instrument, View, Policy], Finding]
ExposureRule = Callable[[SendsOrder, View, Policy], Finding]

NO_ORDER = NotApplicable("sends no order")
ONLY_REDUCES = NotApplicable("only reduces")
EXIT = NotApplicable("an exit is never stopped by this")


def on_orders(check: OrderRule) -> Rule:
    """Apply a rule to every new order, to a changed one as it will stand, and to the new position of a reverse."""

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
        return NO_ORDER if order is None else _unless_it_reduces(check(order, view, policy), action, view)

    return rule


def on_prices_if_quoted(check: PriceRule) -> Rule:
    """Apply a rule to the prices of every order and bracket; what only reduces does not wait for a quote."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        prices = prices_of(action, view)
        return NO_ORDER if prices is None else _unless_it_reduces(check(prices, view, policy), action, view)

    return rule


def on_instruments(check: InstrumentRule) -> Rule:
    """Apply a rule to the instrument that an order or a strategy trades; what is held may always be protected."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        instrument = instrument_traded(action, view)
        return NO_ORDER if instrument is None else check(instrument, view, policy)

    return rule


def on_opening(check: Rule) -> Rule:
    """Apply a rule to whatever sends orders, a strategy and a bracket as well, unless it is known to only reduce."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        if not sends_orders(action):
            return NO_ORDER
        return ONLY_REDUCES if only_reduces(action, view) else check(action, view, policy)

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
    """Like `on_risk`, for a rule that must know where the order comes from."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        if not isinstance(action, SendsOrder):
            return NO_ORDER
        return ONLY_REDUCES if only_reduces(action, view) else check(action, view, policy)

    return rule


def _unless_it_reduces(finding: Finding, action: Action, view: View) -> Finding:
    """What takes an order away first waits for a quote all the same: refused, it would leave nothing."""
    takes_away = isinstance(action, ReplaceOrder | ProtectPosition)
    if not isinstance(finding, Denial) or not finding.code.startswith("QUOTE_"):
        return finding
    return Passed("only reduces", finding.figures) if not takes_away and only_reduces(action, view) else finding
