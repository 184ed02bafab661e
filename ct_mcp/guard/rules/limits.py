"""Rules on value, risk, pace and time: money, orders per minute and day, repeats, the session, flat by."""

from collections.abc import Iterable
from datetime import UTC, timedelta
from decimal import Decimal

from ct_mcp.domain.commands import CancelOrder, CancelOrders, DisableStrategy, PlaceOrder
from ct_mcp.domain.market import Contract
from ct_mcp.guard.context import PendingOrder, RiskContext, may_rest, session_is_open, session_told
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import leaves_position, may_open, repeat_does_harm
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.figures import contract_currency, notional, quote_for, rate_of, risk_of
from ct_mcp.guard.flat_by import flat_by_time
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import (
    EXIT,
    NO_ORDER,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    assumption,
    could_not_verify,
    instrument_traded,
    on_opening,
    on_orders_that_open,
    rule,
)
from ct_mcp.text import command, format_price, plain, utc_minute

RISK_WITHOUT_STOP = "RISK_WITHOUT_STOP"
"""The code of the remark on how a risk was reckoned."""

_RISK_MAY_GROW_TO = Decimal("1.25")


@rule("orders-per-minute", "orders per minute are within the limit")
def orders_per_minute_are_within_limit(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Hold the pace of a minute: cancels count; closing, flattening, pausing and protecting never wait."""
    if _never_waits(effect):
        return EXIT
    figures = f"orders in the last minute={context.orders_last_minute}, maximum={policy.limits.max_orders_per_minute}"
    if context.minute_began_at is not None:
        free = context.minute_began_at + timedelta(minutes=1)
        figures += f", free again from {free.astimezone(UTC):%H:%M:%S}Z"
    if context.orders_last_minute >= policy.limits.max_orders_per_minute:
        return Denial(DenialCode.ORDERS_PER_MINUTE_REACHED, figures)
    return Passed(figures)


@rule("orders-per-day", "orders per day are within the limit")
def orders_per_day_are_within_limit(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Hold the pace of a day; a day full of orders can still be cancelled and left."""
    if _never_waits(effect) or isinstance(effect.command, CancelOrder | CancelOrders):
        return EXIT
    figures = f"orders today={context.orders_today}, maximum={policy.limits.max_orders_per_day}"
    if context.orders_today >= policy.limits.max_orders_per_day:
        return Denial(DenialCode.ORDERS_PER_DAY_REACHED, figures)
    return Passed(figures)


@rule("no-duplicate", "it is no repeated call")
def action_is_no_duplicate(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny the same again within the window: it is a repeated call, not a second wish."""
    if not _adds_up(effect):
        return EXIT
    since, window = context.seconds_since_identical, policy.limits.duplicate_window_seconds
    if since is None:
        return Passed(f"nothing identical was sent, window={window:g} s")
    figures = f"identical sent={since:.1f} s ago, window={window:g} s{_all_goes(effect)}"
    return Denial(DenialCode.DUPLICATE_WITHIN_WINDOW, figures) if since < window else Passed(figures)


@rule("no-unresolved-twin", "nothing of the kind is unresolved")
def no_twin_is_unresolved(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny what may already have happened until it was looked up: the same, and all that opens on the same side.

    A wish that is asked for again comes in other words: with another type, price, time in force or group.
    """
    if not _adds_up(effect):
        return EXIT
    if context.identical_is_unknown:
        return Denial(DenialCode.OUTCOME_UNRESOLVED, "an identical action was sent and its outcome is not known")
    if _may_have_started(effect, context):
        where = str(effect.instrument or "an instrument that is not known")
        figures = f"a strategy was started or let trade in {where}, and its outcome is not known"
        known = "until it is known no other starts and nothing opens there; look with get_strategies"
        settle = f"what stays unknown the person settles: {command('journal', 'settle')}"
        return Denial(DenialCode.OUTCOME_UNRESOLVED, f"{figures}; {known}; {settle}")
    beside = _unresolved_beside(effect, context)
    unknown, filled = ([each for each in beside if each.is_filled is is_filled] for is_filled in (False, True))
    if unknown:
        known = "until it is known nothing opens on that side there, whatever its type, price or group"
        how = command("journal", "settle")
        settle = f"look with get_orders and get_positions; what stays unknown the person settles: {how}"
        return Denial(DenialCode.OUTCOME_UNRESOLVED, f"sent, outcome not known={_each(unknown)}; {known}; {settle}")
    if filled:
        shown = "until they do nothing opens on that side there, whatever its type, price or group"
        wait = "that is a matter of seconds: look with get_positions, and ask again"
        return Denial(
            DenialCode.OUTCOME_UNRESOLVED, f"filled, not shown by the positions yet={_each(filled)}; {shown}; {wait}"
        )
    return Passed("nothing of the kind is of unknown outcome")


def _adds_up(effect: Effect) -> bool:
    """Say whether a repeat leaves or opens more: a close of so many as well, where no more are held by now."""
    return effect.adds_up or (leaves_position(effect.command) and repeat_does_harm(effect.command))


def _all_goes(effect: Effect) -> str:
    """Say how what is held leaves all the same."""
    return "; a close of all of it, or a flatten, is no repeat of it" if leaves_position(effect.command) else ""


def _each(sent: Iterable[PendingOrder]) -> str:
    return ", ".join(f"{each.signed_quantity:+d} {each.instrument}" for each in sent)


def _may_have_started(effect: Effect, context: RiskContext) -> bool:
    """Say whether a strategy may trade, unseen, where another is to start or an order to open."""
    opens = effect.starts or (effect.order is not None and not effect.leads_to_flat)
    there = any(None in (at, effect.instrument) or at == effect.instrument for at in context.strategy_starts)
    return may_open(effect) and opens and there


def _unresolved_beside(effect: Effect, context: RiskContext) -> list[PendingOrder]:
    """Give what is of unknown outcome in the instrument, on a side on which the command may open.

    What is sent to leave a position, or is a stop behind one, is not held back, only asked about where it could turn
    it round: a bracket of unknown outcome must be mended at once.
    """
    leaves = bool(effect.may_fill) and all(fill.leaves for fill in effect.may_fill)
    if effect.instrument is None or leaves or _protects(effect) or effect.only_reduces or not effect.sends_orders:
        return []
    signs = {leg.action.sign for leg in effect.legs or ()} or {1, -1}
    pending = context.pending_orders(effect.instrument)
    return [sent for sent in pending if any(sent.signed_quantity * sign > 0 for sign in signs)]


def _protects(effect: Effect) -> bool:
    stop = effect.order is not None and effect.order.order_type.needs_stop_price
    return stop and effect.leads_to_flat


def _never_waits(effect: Effect) -> bool:
    if effect.sends_orders:
        return bool(effect.only_reduces)
    return effect.is_exit or isinstance(effect.command, DisableStrategy)


@rule("contract-facts", "the contract is worth what it was worth before")
@on_orders_that_open
def contract_is_worth_what_it_was(order: PlaceOrder, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny an opening where tick and point value have changed within a session: nobody knows which of them is right."""
    quote, before = quote_for(order, context), context.contract_before
    if quote is None or before is None:
        return NotApplicable("no contract to compare")
    first, now = _worth(before), _worth(quote.contract)
    return (
        Passed(now) if first == now else Denial(DenialCode.CONTRACT_FACTS_CHANGED, f"first today: {first}; now: {now}")
    )


def _worth(contract: Contract) -> str:
    sizes = (("tick", contract.tick_size), ("tick value", contract.tick_value), ("point value", contract.point_value))
    return ", ".join(f"{name}={format_price(size)}" for name, size in sizes)


@rule("currency", "its money can be held against the account's")
@on_orders_that_open
def money_is_in_the_accounts_currency(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny an opening whose value and risk are in another currency that no rate is set for: nothing is compared."""
    quote = quote_for(order, context)
    if quote is None:
        return NotApplicable("no quote to reckon with")
    theirs, ours = contract_currency(quote), None if context.account is None else context.account.currency
    figures = f"contract currency={theirs or 'unknown'}, account currency={plain(ours or 'unknown')}"
    rate = rate_of(quote, context, policy)
    if rate is None:
        return Denial(
            DenialCode.CURRENCY_NOT_CONVERTED, f"{figures}; only the operator can set a rate, in [limits] rates"
        )
    if rate == 1:
        return Passed(figures)
    counted = f"value and risk are {theirs}, and 1 {theirs} counts as {format_price(rate)} {plain(ours or '')}"
    return Passed(figures, assumption("CONVERTED", counted))


NOT_COMPARED = NotApplicable("not in the account's currency")


@rule("value-limit", "the order's value is within its limit")
@on_orders_that_open
def notional_is_within_limit(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Hold its value; an order without a limit price is priced as if it slipped by the distance of its risk."""
    quote, maximum = quote_for(order, context), policy.limits.max_order_notional
    worth, rate = notional(order, quote, policy.limits.risk_ticks), rate_of(quote, context, policy)
    if worth is None:
        return Denial(DenialCode.NOTIONAL_UNKNOWN, f"notional=unknown, maximum={format_price(maximum)}")
    if rate is None:
        return NOT_COMPARED
    figures = f"notional={format_price(worth * rate)}, maximum={format_price(maximum)}"
    return Denial(DenialCode.NOTIONAL_EXCEEDS_MAXIMUM, figures) if worth * rate > maximum else Passed(figures)


@rule("risk-limit", "the order's risk is within its limit")
@on_orders_that_open
def risk_is_within_limit(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """To the stop that goes with the order; without one it is held to lose a distance that is set for it.

    A size that was reckoned from a risk holds while the market moves a little, and no longer.
    """
    maximum, quote = policy.limits.max_order_risk, quote_for(order, context)
    risk, rate = risk_of(order, quote, policy.limits.risk_ticks), rate_of(quote, context, policy)
    if risk.money is None:
        return Denial(DenialCode.RISK_UNKNOWN, f"risk=unknown {risk.basis}, maximum={format_price(maximum)}")
    if rate is None:
        return NOT_COMPARED
    figures = f"risk={format_price(risk.money * rate)} {risk.basis}, maximum={format_price(maximum)}"
    if risk.money * rate > maximum:
        return Denial(DenialCode.RISK_EXCEEDS_MAXIMUM, figures)
    if order.risk is not None and risk.money * rate > order.risk * _RISK_MAY_GROW_TO:
        named = f"{figures}, named={format_price(order.risk)}; the same call reckons the size anew"
        return Denial(DenialCode.RISK_EXCEEDS_NAMED, named)
    if risk.to_stop:
        return Passed(figures)
    reckoned = f"no stop stands with this order, so its risk is taken over {risk.ticks} ticks"
    reckoned += ", and is not held against what the day has left"
    return Passed(figures, assumption(RISK_WITHOUT_STOP, reckoned))


@rule("session-open", "the session is open, or the order may wait")
@on_opening
def session_is_open_or_order_may_wait(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """While the session is closed a good-till-cancelled order with a price may wait; a DAY order's day is unclear."""
    instrument, order = instrument_traded(effect), effect.order
    if instrument is None:
        return NO_ORDER
    if not policy.limits.require_open_session:
        return NotApplicable("the policy does not require an open session")
    is_open = session_is_open(instrument, context)
    if context.session is None or is_open is None:
        return Denial(DenialCode.SESSION_UNKNOWN, f"no current report of the session of {instrument}")
    opens_at = context.session.opens_at
    figures = f"state={plain(context.session.state)}"
    if is_open:
        return Passed(figures)
    figures += f", opens at={'unknown' if opens_at is None else utc_minute(opens_at)}"
    if order is None:
        return Denial(DenialCode.SESSION_CLOSED, figures)
    figures += f", {order.order_type} {order.time_in_force}"
    return Passed(figures) if may_rest(order, context) else Denial(DenialCode.SESSION_CLOSED, figures)


@rule("flat-by", "the time to be flat by has not passed")
@on_opening
def time_to_be_flat_by_has_not_passed(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """From then until the session rolls at 17:00 Chicago nothing opens or adds; earlier where the day ends early."""
    flat_by = policy.limits.flat_by
    if flat_by is None:
        return NotApplicable("no time to be flat by is set")
    figures = f"flat by={flat_by.at:%H:%M} {plain(flat_by.zone)}, now={utc_minute(context.now)}"
    try:
        today = flat_by_time(flat_by, context.now, session_told(instrument_traded(effect), context))
    except (KeyError, ValueError, OSError):
        return Denial(DenialCode.FLAT_BY_UNREADABLE, figures)
    figures += f"; {today.why}" if today.why else ""
    if context.now >= today.at:
        return Denial(DenialCode.FLAT_BY_PASSED, figures)
    unknown = today.end.unknown
    return Passed(figures, could_not_verify("HOLIDAYS_UNKNOWN", f"flat by: {unknown}") if unknown else None)
