"""Rules on the exits that go with an entry: they fit it, they are there where they must be, and the day has room."""

from dataclasses import replace
from decimal import Decimal

from ct_mcp.domain.bracket import stop_distance, target_distances
from ct_mcp.domain.commands import PlaceOrder, exits_in_words
from ct_mcp.domain.order import is_whole_number
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.exposure import Book, Leg, reach
from ct_mcp.guard.figures import entry_price, quote_for, rate_of, risk_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.room import day_room
from ct_mcp.guard.rule import (
    NO_ORDER,
    ONLY_REDUCES,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    could_not_verify,
    on_orders,
    rule,
    warning,
)
from ct_mcp.guard.rules.price import no_quote
from ct_mcp.text import format_price, plain

NO_EXITS = NotApplicable("no stop and no target go with it")
EXITS_NOT_TAKEN_ALONG = "EXITS_NOT_TAKEN_ALONG"
"""The code of the remark that what goes with an entry does not go with the order that takes its place."""


@rule("bracket-fits", "the stop and the target fit the order")
def bracket_fits_the_order(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """They go with what opens or adds, for its own contracts, and bring no second pair beside a template's."""
    order = effect.order
    bracket = None if order is None else order.bracket
    if order is None or bracket is None:
        return NO_EXITS
    if order.atm_strategy is not None:
        both = f"ATM strategy={plain(order.atm_strategy)}, stop_loss or take_profit given"
        return Denial(DenialCode.BRACKET_WITH_ATM, f"{both}: the template brings its own")
    if order.flatten_first:
        figures = "flatten_first=true, stop_loss or take_profit given"
        how = "the order is sent even if the close has not worked: close the position first, then place it"
        return Denial(DenialCode.BRACKET_WITH_FLATTEN_FIRST, f"{figures}; {how}")
    before = effect.position_before or 0
    if before * order.action.sign < 0:
        figures = f"position={before:+d}, {order.action} {order.quantity}"
        return Denial(DenialCode.BRACKET_ON_EXIT, f"{figures}: an order that leaves a position gets no stop of its own")
    if is_whole_number(order.quantity) and not bracket.fits(order.quantity):
        sizes = "+".join(str(target.quantity) for target in bracket.take_profit)
        return Denial(DenialCode.BRACKET_QUANTITIES, f"order={order.quantity}, targets={sizes}")
    return Passed(f"for {order.quantity} contracts")


@rule("bracket-covered", "no standing order keeps the stop and the target from being placed")
@on_orders
def exits_only_reduce_beside_what_stands(order: PlaceOrder, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """They are sent as what only reduces: beside orders that could leave as much again they would be denied.

    What had filled by then would stand bare, and be closed. Orders of its own OCO group go as it fills.
    """
    book, sign = Book.of(order.instrument, context), order.action.sign
    if order.bracket is None:
        return NO_EXITS
    if book is None or not is_whole_number(order.quantity) or book.net * sign < 0:
        return NotApplicable("it is not known what stands, or it brings no exits to what is held")
    legs = [leg for leg in book.legs if not (order.oco_id and leg.oco_id == order.oco_id)]
    held = book.net + sign * order.quantity
    before, after = reach(held, legs), reach(held, [*legs, Leg(-sign * order.quantity)])
    leaving = sum(abs(leg.signed) for leg in legs if leg.signed * sign < 0)
    figures = f"position then={held:+d}, its exits={order.quantity}, orders that leave as well={leaving}"
    if after.side(-sign) <= before.side(-sign):
        return Passed(figures)
    why = "together they could turn the position round, so its stop could not be placed once it fills"
    how = "make those orders smaller or cancel them first (change_order, cancel_order), or let one OCO group hold them"
    return Denial(DenialCode.BRACKET_NOT_COVERED, f"{figures}: {why}; {how}")


@rule("bracket-sides", "the stop loses and the target gains")
@on_orders
def exits_stand_on_their_sides(order: PlaceOrder, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Each stands on its own side of the price at which the order is expected to fill."""
    if order.bracket is None:
        return NO_EXITS
    quote = quote_for(order, context)
    entry = entry_price(order, quote)
    if quote is None or entry is None:
        return no_quote(order.instrument)
    tick, figures = quote.contract.tick_size, f"{order.action} at about {format_price(entry)}"
    if (stop := stop_distance(order.bracket, entry, order.action, tick)) is not None:
        figures += f", stop loss {_ticks(stop, tick)} ticks away"
        if stop < tick:
            return Denial(DenialCode.STOP_LOSS_ON_WRONG_SIDE, figures)
    for _, target in target_distances(order.bracket, entry, order.action, tick):
        figures += f", target {_ticks(target, tick)} ticks away"
        if target < tick:
            return Denial(DenialCode.TAKE_PROFIT_ON_WRONG_SIDE, figures)
    return Passed(figures)


def _ticks(distance: Decimal, tick: Decimal) -> str:
    return format_price(distance / tick)


@rule("exits-stay-behind", "an entry is not replaced without its exits being named")
def replaced_entry_keeps_no_exits(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """What was to go with an entry is owed to that order, and not to the one that takes its place."""
    gone = [order for order in effect.cancels or () if order.order_id in context.entries]
    if not gone or not effect.takes_away_first:
        return NotApplicable("takes the place of no entry that is owed exits")
    owed = "; ".join(exits_in_words(context.entries[order.order_id]) for order in gone)
    lost = f"what goes with the old order is not taken along: {owed}"
    return Passed("replaced", warning(EXITS_NOT_TAKEN_ALONG, lost))


@rule("stop-required", "it opens with a stop, where one is required")
def it_opens_with_a_stop(effect: Effect, _context: RiskContext, policy: Policy) -> RuleAnswer:
    """Where the operator demands one, nothing opens bare; whether a template brings a stop nobody can say before."""
    if not policy.protection.require_stop:
        return NotApplicable("the settings require no stop")
    order = effect.order
    if order is None:
        return NO_ORDER
    if effect.only_reduces:
        return ONLY_REDUCES
    if order.bracket is not None and order.bracket.stop_loss is not None:
        return Passed("a stop goes with it")
    if order.atm_strategy is not None:
        return Passed("by its template", could_not_verify("ATM_STOP_UNSEEN", "whether the ATM template brings a stop"))
    how = "place_order with stop_loss brings one; a position that is to be turned is closed first"
    return Denial(DenialCode.STOP_REQUIRED, f"require_stop=true, stop_loss=none; {how}")


@rule("day-room", "being stopped out fits into the day's loss limit")
def stop_out_fits_into_the_day(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny what would break the day's limit if its stop and all stops of what is open and working were hit.

    An order without a stop has no stop-out to reckon with; the other limits hold it. One that is changed counts once.
    """
    if effect.order is None:
        return NO_ORDER
    if effect.only_reduces:
        return ONLY_REDUCES
    others = None if context.orders is None else tuple(row for row in context.orders if row != effect.changes)
    return _fits_into_the_day(effect.order, replace(context, orders=others), policy)


def _fits_into_the_day(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    quote = quote_for(order, context)
    risk, rate = risk_of(order, quote, policy.limits.risk_ticks), rate_of(quote, context, policy)
    if not risk.to_stop or risk.money is None or rate is None:
        return NotApplicable("no stop goes with it")
    room = day_room(context, policy)
    if room is None:
        return NotApplicable("what is left of the day is not known")
    figures = f"stop-out={format_price(risk.money * rate)}, left of the day={format_price(room.left)}"
    figures += f", stop-outs of what is open={format_price(room.open_stop_outs.loss)}"
    if risk.money * rate > room.free:
        return Denial(DenialCode.OPEN_RISK_EXCEEDS_DAY, figures)
    if room.open_stop_outs.uncounted:
        unknown = f"the loss of what stands without a known stop: {', '.join(room.open_stop_outs.uncounted)}"
        return Passed(figures, could_not_verify("STOP_OUTS_UNKNOWN", unknown))
    return Passed(figures)
