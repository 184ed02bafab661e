"""Rules on turning a position round and on the bracket around one: it is held, and what is placed will stand."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps

from ct_mcp.domain.action import Action, ProtectPosition, ReversePosition
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.figures import quote_of
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.protection import added_to_reversed
from ct_mcp.guard.rules_price import age_of, market_for, no_quote
from ct_mcp.guard.stops import leaving
from ct_mcp.guard.values import is_price, written
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, Rule

# A stop that the market has passed by the time it is placed is refused, and the old one is gone by then.
STOP_CLEARANCE_TICKS = 4
NO_BRACKET = NotApplicable("places no bracket")
NO_POSITION_MEANT = NotApplicable("neither turns nor protects a position")

BracketRule = Callable[[ProtectPosition, View, Policy], Finding]


def on_brackets(check: BracketRule) -> Rule:
    """Apply a rule to every bracket."""

    @wraps(check)
    def rule(action: Action, view: View, policy: Policy) -> Finding:
        return check(action, view, policy) if isinstance(action, ProtectPosition) else NO_BRACKET

    return rule


def position_to_turn_or_protect_is_held(action: Action, view: View, _policy: Policy) -> Finding:
    """Around no position a bracket opens one; one that an order of unknown outcome may have closed is not known."""
    if not isinstance(action, ReversePosition | ProtectPosition):
        return NO_POSITION_MEANT
    net, pending = view.net_position(action.instrument), view.pending_orders(action.instrument)
    if net is None or view.orders is None:
        return Denial("POSITION_UNKNOWN", f"no report of positions and orders in {action.instrument}")
    unknown = ", ".join(f"{order.signed_quantity:+d}" for order in pending)
    figures = f"held={net:+d} {action.instrument}" + (f", of unknown outcome={unknown}" if unknown else "")
    reach = worst_case(net, (), pending)
    if reach.most_short <= 0 <= reach.most_long:
        return Denial("POSITION_UNKNOWN" if unknown else "POSITION_FLAT", figures)
    return Passed(figures, _exits_that_would_add(action, view) if isinstance(action, ReversePosition) else "")


@on_brackets
def bracket_has_a_price(protect: ProtectPosition, _view: View, _policy: Policy) -> Finding:
    """Without one it would only cancel."""
    prices = f"take_profit_price={_given(protect.take_profit_price)}, stop_loss_price={_given(protect.stop_loss_price)}"
    is_empty = protect.take_profit_price is None and protect.stop_loss_price is None
    return Denial("BRACKET_EMPTY", prices) if is_empty else Passed(prices)


@on_brackets
def bracket_is_placed_on_a_fresh_quote(protect: ProtectPosition, view: View, policy: Policy) -> Finding:
    """The orders that stand go first, so whether the new ones can stand must be seen before."""
    quote = quote_of(protect.instrument, view)
    if quote is None:
        return no_quote(protect.instrument)
    figures, is_fresh = age_of(quote, view, policy)
    return Passed(figures) if is_fresh else Denial("QUOTE_STALE", figures)


@on_brackets
def stop_loss_stands_clear_of_the_market(protect: ProtectPosition, view: View, _policy: Policy) -> Finding:
    """On the side where the position loses, and not so near that the market may pass it before it stands."""
    stop, market = protect.stop_loss_price, _market_of(protect, view)
    if stop is None or not is_price(stop):
        return NotApplicable("no stop loss with a readable price")
    if isinstance(market, Denial | NotApplicable):
        return market
    clearance = market.contract.ticks((stop - market.price) * market.leaving.sign)
    figures = f"{market.leaving} stop loss={written(stop)}, {market}, clearance={written(clearance)} ticks"
    if clearance <= 0:
        return Denial("STOP_LOSS_ON_WRONG_SIDE", figures)
    figures += f", minimum={STOP_CLEARANCE_TICKS}"
    return Denial("STOP_LOSS_TOO_NEAR", figures) if clearance < STOP_CLEARANCE_TICKS else Passed(figures)


@on_brackets
def take_profit_stands_on_its_side(protect: ProtectPosition, view: View, _policy: Policy) -> Finding:
    """At or through the market it would leave at once, and is no target."""
    target, market = protect.take_profit_price, _market_of(protect, view)
    if target is None or not is_price(target):
        return NotApplicable("no take profit with a readable price")
    if isinstance(market, Denial | NotApplicable):
        return market
    figures = f"{market.leaving} take profit={written(target)}, {market}"
    is_beyond = (market.price - target) * market.leaving.sign > 0
    return Passed(figures) if is_beyond else Denial("TAKE_PROFIT_ON_WRONG_SIDE", figures)


@dataclass(frozen=True, slots=True)
class _Market:
    """What the exits of a position would trade against."""

    leaving: OrderAction
    name: str
    price: Decimal
    contract: Contract

    def __str__(self) -> str:
        return f"{self.name}={written(self.price)}"


def _market_of(protect: ProtectPosition, view: View) -> _Market | Denial | NotApplicable:
    net, quote = view.net_position(protect.instrument), quote_of(protect.instrument, view)
    if not net:
        return NotApplicable("no position is known to protect")
    if quote is None:
        return no_quote(protect.instrument)
    name, price = market_for(leaving(net), quote)
    return no_quote(protect.instrument) if price is None else _Market(leaving(net), name, price, quote.contract)


def _exits_that_would_add(reverse: ReversePosition, view: View) -> str:
    exits = added_to_reversed(reverse, view) or ()
    if not exits:
        return ""
    words = "whether CrossTrade cancels the orders that leave the old position"
    return f"{words}: {len(exits)} stand, are counted as staying, and would then add to the new one"


def _given(price: Decimal | None) -> str:
    return "none" if price is None else written(price)
