"""Rules on the position: turning, protecting and leaving it, and what is on its way out of it already."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps

from ct_mcp.domain.commands import (
    ChangeOrder,
    ClosePosition,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import OtherInstrument
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import OrderAction, OrderType, is_price
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.figures import market_for, quote_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.protection import leaving
from ct_mcp.guard.rule import Check, Denial, NotApplicable, Passed, RuleAnswer, if_quoted, rule, warning
from ct_mcp.guard.rules.price import age_of, no_quote, stale
from ct_mcp.text import format_price

# A stop that the market has passed by the time it is placed is refused, and the old one is gone by then.
STOP_CLEARANCE_TICKS = 4
EXITS_MAY_STAY = "EXITS_MAY_STAY"
"""The code of the remark that old exits may stand beside a position that is turned round."""
CLOSE_NOT_COVERED = "CLOSE_NOT_COVERED"
"""The code of the remark that orders which stand could turn what a part leaves."""
NO_BRACKET = NotApplicable("places no bracket")
NO_POSITION_MEANT = NotApplicable("neither turns nor protects a position")

BracketCheck = Callable[[ProtectPosition, RiskContext, Policy], RuleAnswer]


def on_brackets(check: BracketCheck) -> Check:
    """Apply a check to every bracket."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        return check(effect.command, context, policy) if isinstance(effect.command, ProtectPosition) else NO_BRACKET

    return checked


@rule("exit-once", "no exit that is on its way is sent again")
def exit_is_not_on_its_way(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Two exits for one position turn it round; what the first one leaves may still be closed.

    The first leg of a reverse, and of an order that flattens first, is an exit as well.
    A bracket is placed when the orders of the instrument are cancelled, and an exit at the market is one of them.
    """
    if isinstance(effect.command, ProtectPosition):
        return _no_exit_is_cancelled(effect)
    if not (effect.on_the_way or effect.follows_whole_exit):
        return NotApplicable("no exit is on its way")
    sent = [f"{order.signed_quantity:+d} {order.instrument}" for order in effect.on_the_way]
    figures = f"on its way={', '.join(sent) or 'an exit of all that was held, not seen to be done yet'}"
    left = _not_covered(effect, context) if effect.is_exit else ()
    how = f"what it does not cover: {'; '.join(left)}" if left else "look with get_positions until it has filled"
    return Denial(DenialCode.EXIT_ON_ITS_WAY, f"{figures}; {how}")


def _not_covered(effect: Effect, context: RiskContext) -> list[str]:
    """Give the calls that leave what the exits on their way do not."""
    left = []
    for instrument in dict.fromkeys(order.instrument for order in effect.on_the_way):
        net = context.net_position(instrument) or 0
        rest = net + sum(order.signed_quantity for order in effect.on_the_way if order.instrument == instrument)
        if net * rest > 0:
            left.append(f"close_position of {instrument} with quantity {abs(rest)}")
    held = (position.instrument for position in context.positions or () if position.quantity)
    others = {instrument for instrument in held if not isinstance(instrument, OtherInstrument)}
    others -= {order.instrument for order in effect.on_the_way} | set(context.whole_exits)
    if effect.instrument is None and None not in context.whole_exits:
        left += [f"flatten of {instrument}" for instrument in sorted(others)]
    return left


def _no_exit_is_cancelled(effect: Effect) -> RuleAnswer:
    held = effect.position_before or 0
    exits = [
        f"{order.action} {order.remaining} {order.instrument}"
        for order in effect.cancels or ()
        if order.order_type is OrderType.MARKET and order.action.sign * held < 0 and order.remaining
    ]
    if not exits:
        return Passed("cancels no exit that is on its way")
    how = "the bracket would cancel it: wait until it has filled, or cancel it first"
    return Denial(DenialCode.EXIT_ON_ITS_WAY, f"on its way={', '.join(exits)}; {how}")


@rule("close-covered", "no standing order can turn what a partial close leaves")
def partial_close_leaves_no_orders_behind(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Where orders stand that leave as much again, it may turn the position round, and is judged as an opening.

    An order that takes a part, or all of it, is no close, and is judged as an order in any case: it is warned of.
    """
    close = effect.command
    if isinstance(close, PlaceOrder | ChangeOrder | ReplaceOrder) and effect.order is not None:
        return _left_by_an_order(effect.order, effect, context)
    if not isinstance(close, ClosePosition) or not effect.adds_up:
        return NotApplicable("no partial close")
    if effect.only_reduces is None:
        unread = f"no report of positions and orders in {close.instrument}"
        return Denial(DenialCode.POSITION_UNKNOWN, f"{unread}; closing all of it needs no report")
    if effect.only_reduces:
        return Passed("only reduces")
    way = "close all of it instead, or make those orders smaller first (change_order)"
    return Passed(_what_leaves(close, effect, context), warning(CLOSE_NOT_COVERED, f"{_TURN}; {way}"))


_ORDERS_DOUBTED = (
    "it is NOT KNOWN whether a stop or another exit stands already: the list of orders is empty, and no second list "
    "could be read; beside one that stands, this could turn the position round"
)
_TURN = "the orders that stand could turn the position round"


def _what_leaves(command: ClosePosition | PlaceOrder, effect: Effect, context: RiskContext) -> str:
    orders = context.open_orders(command.instrument) or ()
    standing = sum(order.remaining for order in orders if order.action is leaving(effect.position_before or 0))
    return f"held={effect.position_before:+d}, after={effect.position_after:+d}, orders that leave it={standing}"


def _left_by_an_order(order: PlaceOrder, effect: Effect, context: RiskContext) -> RuleAnswer:
    """Beside orders that leave the position as well it ends elsewhere than the question says, at worst so far."""
    before, after, sign = effect.position_before, effect.position_after, order.action.sign
    if not before or after is None or before * sign > 0 or order.flatten_first:
        return NotApplicable("leaves no position")
    figures = _what_leaves(order, effect, context)
    worst = None if effect.after is None else effect.after.side(sign)
    if context.orders_doubted:
        return Passed(figures, warning(CLOSE_NOT_COVERED, _ORDERS_DOUBTED))
    if effect.before is None or worst is None or worst <= max(effect.before.side(sign), after * sign):
        return Passed(figures)
    smaller = "make those orders smaller as well (change_order)" if after * before > 0 else "cancel those as well"
    said = f"once this fills, {_TURN}, to {worst * sign:+d} at worst; {smaller}"
    return Passed(figures, warning(CLOSE_NOT_COVERED, said))


@rule("position-held", "the position is held")
def position_to_turn_or_protect_is_held(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Around no position a bracket opens one; one that an order of unknown outcome may have closed is not known."""
    command = effect.command
    if not isinstance(command, ReversePosition | ProtectPosition):
        return NO_POSITION_MEANT
    net, pending = context.net_position(command.instrument), context.pending_orders(command.instrument)
    if net is None or context.orders is None:
        return Denial(DenialCode.POSITION_UNKNOWN, f"no report of positions and orders in {command.instrument}")
    unknown = "".join(f", {order.why}={order.signed_quantity:+d}" for order in pending)
    figures = f"held={net:+d} {command.instrument}{unknown}"
    reach = worst_case(net, (), pending)
    if reach.most_short <= 0 <= reach.most_long:
        return Denial(DenialCode.POSITION_UNKNOWN if unknown else DenialCode.POSITION_FLAT, figures)
    if isinstance(command, ProtectPosition):
        adds = _ORDERS_DOUBTED if context.orders_doubted else _fills_before_the_bracket(effect, net)
        return Passed(figures, warning(CLOSE_NOT_COVERED, adds) if adds else None)
    adds = _exits_that_would_add(command, context)
    return Passed(figures, warning(EXITS_MAY_STAY, adds) if adds else None)


@rule("bracket-price", "the bracket has a price")
@on_brackets
def bracket_has_a_price(protect: ProtectPosition, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Without one it would only cancel."""
    prices = f"take_profit={_given(protect.take_profit_price)}, stop_loss={_given(protect.stop_loss_price)}"
    is_empty = protect.take_profit_price is None and protect.stop_loss_price is None
    return Denial(DenialCode.BRACKET_EMPTY, prices) if is_empty else Passed(prices)


@rule("bracket-quote", "the bracket is placed on a fresh quote")
@if_quoted
@on_brackets
def bracket_is_placed_on_a_fresh_quote(protect: ProtectPosition, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny a bracket on an old quote: what stands goes first, so the new orders must be sure to stand."""
    quote = quote_of(protect.instrument, context)
    if quote is None:
        return no_quote(protect.instrument)
    figures, is_fresh = age_of(quote, context, policy)
    return Passed(figures) if is_fresh else stale(figures, context)


@rule("stop-clearance", "the stop loss stands clear of the market")
@if_quoted
@on_brackets
def stop_loss_stands_clear_of_the_market(protect: ProtectPosition, context: RiskContext, policy: Policy) -> RuleAnswer:
    """On the side where the position loses, and not so near that the market may pass it before it stands."""
    stop, market = protect.stop_loss_price, _market_of(protect, context, policy)
    if stop is None or not is_price(stop):
        return NotApplicable("no stop loss with a readable price")
    if isinstance(market, Denial | NotApplicable):
        return market
    clearance = market.contract.ticks((stop - market.price) * market.leaving.sign)
    figures = f"{market.leaving} stop loss={format_price(stop)}, {market}, clearance={format_price(clearance)} ticks"
    if clearance <= 0:
        return Denial(DenialCode.STOP_LOSS_ON_WRONG_SIDE, figures)
    figures += f", minimum={STOP_CLEARANCE_TICKS}"
    return Denial(DenialCode.STOP_LOSS_TOO_NEAR, figures) if clearance < STOP_CLEARANCE_TICKS else Passed(figures)


@rule("target-side", "the take profit stands on its side of the market")
@if_quoted
@on_brackets
def take_profit_stands_on_its_side(protect: ProtectPosition, context: RiskContext, policy: Policy) -> RuleAnswer:
    """At or through the market it would leave at once, and is no target."""
    target, market = protect.take_profit_price, _market_of(protect, context, policy)
    if target is None or not is_price(target):
        return NotApplicable("no take profit with a readable price")
    if isinstance(market, Denial | NotApplicable):
        return market
    figures = f"{market.leaving} take profit={format_price(target)}, {market}"
    is_beyond = (market.price - target) * market.leaving.sign > 0
    return Passed(figures) if is_beyond else Denial(DenialCode.TAKE_PROFIT_ON_WRONG_SIDE, figures)


@dataclass(frozen=True, slots=True)
class _Market:
    """What the exits of a position would trade against."""

    leaving: OrderAction
    name: str
    price: Decimal
    contract: Contract

    def __str__(self) -> str:
        return f"{self.name}={format_price(self.price)}"


def _market_of(protect: ProtectPosition, context: RiskContext, policy: Policy) -> _Market | Denial | NotApplicable:
    """Give what the market is; an old quote does not say on which side of it a price stands."""
    net, quote = context.net_position(protect.instrument), quote_of(protect.instrument, context)
    if not net:
        return NotApplicable("no position is known to protect")
    if quote is None:
        return no_quote(protect.instrument)
    age, is_fresh = age_of(quote, context, policy)
    if not is_fresh:
        return Denial(DenialCode.QUOTE_STALE, age)
    name, price = market_for(leaving(net), quote)
    return no_quote(protect.instrument) if price is None else _Market(leaving(net), name, price, quote.contract)


def _exits_that_would_add(reverse: ReversePosition, context: RiskContext) -> str:
    """Give the exits of the old direction: should CrossTrade leave them standing, they add to the new position."""
    net = context.net_position(reverse.instrument) or 0
    exits = [order for order in context.open_orders(reverse.instrument) or () if order.action is leaving(net)]
    if not exits:
        return ""
    stand = f"{len(exits)} {'order' if len(exits) == 1 else 'orders'} that would leave the old position"
    return f"whether CrossTrade cancels {stand} is not known; left standing, they would add to the new one"


def _fills_before_the_bracket(effect: Effect, net: int) -> str:
    """Say how far an order that is to go may lead, if it turns the position before it is cancelled."""
    side = leaving(net).sign
    if effect.before is None or effect.after is None or effect.after.side(side) <= effect.before.side(side):
        return ""
    worst = f"with the bracket to {effect.after.side(side) * side:+d} at worst"
    return f"an order that this cancels may fill before it is cancelled: {_TURN}, {worst}; cancel it first"


def _given(price: Decimal | None) -> str:
    return "none" if price is None else format_price(price)
