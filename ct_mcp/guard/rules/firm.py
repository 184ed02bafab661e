"""Rules of funded accounts, as the operator set them: floor, scaling, opposite positions, profit lock, news.

None of them holds back what only reduces: a rule of a firm is broken by what is open, and never by leaving it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.products import minis, product_of
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.drawdown import floor_words
from ct_mcp.guard.effect import is_urgent
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.exposure import WorstCase, all_at_worst, others_at_worst
from ct_mcp.guard.firm_policy import Automation, FirmRules, IfUnknown, NewsEvent, NewsRule
from ct_mcp.guard.floor_room import FloorRoom, floor_room, risk_of_order, stands_after
from ct_mcp.guard.news_windows import CANCELS_AHEAD, concerns, window_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import (
    EXIT,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    could_not_verify,
    instrument_traded,
    on_opening,
    on_orders_that_open,
    rule,
    warning,
)
from ct_mcp.text import as_argument, command, format_price, plain, utc_minute

_NO_RULE = NotApplicable("the settings have no such rule for this account")


@rule("account-automation", "the account's firm lets what is approved be sent")
def account_may_be_sent_to(effect: Effect, _context: RiskContext, policy: Policy) -> RuleAnswer:
    """Send nothing at all to an account that is only advised on, no exit either: the person places by hand.

    That is no limit that holds an exit back: it is a mode of the account, as read_only is one of all accounts.
    """
    if policy.automation is not Automation.ADVISE:
        return NotApplicable("automation=propose")
    figures = f"automation=advise, account={plain(effect.command.account)}"
    return Denial(DenialCode.ACCOUNT_ADVISE_ONLY, f"{figures}: nothing is ever sent; proposed, it becomes a plan")


@rule("drawdown-floor", "being stopped out leaves equity above the floor")
@on_opening
def stop_outs_leave_equity_above_the_floor(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Hold equity less every stop-out, of what is open and of this, above the floor; not knowing it is a no."""
    firm = policy.firm or FirmRules()
    if firm.drawdown is None:
        return _NO_RULE
    room = floor_room(firm.drawdown, stands_after(effect, context), policy)
    risk = risk_of_order(effect, context, policy)
    if room is None or risk is None:
        return Denial(DenialCode.DRAWDOWN_FLOOR_UNKNOWN, "equity, positions, orders or what this may lose is not known")
    figures = f"equity={format_price(room.equity)}, floor={floor_words(room.floor)} ({firm.drawdown.kind})"
    figures += f", stop-outs of what is open={format_price(room.stop_outs.loss)}, of this={format_price(risk)}"
    figures += firm.by(trading_day(context.now))
    if room.free - risk <= 0:
        return Denial(DenialCode.DRAWDOWN_FLOOR_REACHED, figures)
    if unknown := _unknown_of(room, effect):
        return Denial(DenialCode.DRAWDOWN_FLOOR_UNKNOWN, f"{figures}; {unknown}")
    if room.floor.gaps:
        return Passed(figures, could_not_verify("BALANCES_WITH_GAPS", "; ".join(room.floor.gaps)))
    return Passed(figures)


def _unknown_of(room: FloorRoom, effect: Effect) -> str:
    """Say what has to be told or mended before the room is known; empty where it is."""
    if room.floor.unknown:
        how = command("floor", as_argument(effect.command.account), "AMOUNT")
        return f"only the person can tell it, from the firm's own page, at a terminal of their own: {how}"
    if bare := ", ".join(room.stop_outs.uncounted):
        how = "protect_position places a stop, and get_quote tells what a contract is worth"
        return f"without a known stop: {bare}: {how}"
    return ""


@rule("account-minis", "the account stays within its contracts")
@on_opening
def account_stays_within_its_minis(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Count all instruments together, in mini equivalents: each as far as it can come to stand on its larger side."""
    maximum = policy.limits.max_account_minis
    if maximum is None or effect.order is None:
        return NotApplicable("no limit over the account is set")
    counted = minis_after(effect, context)
    if counted is None:
        return Denial(DenialCode.POSITION_UNKNOWN, "no report of all positions and orders of the account")
    total, parts = counted
    figures = f"minis after={format_price(total)}, maximum={format_price(maximum)}, {parts}"
    return Denial(DenialCode.ACCOUNT_MINIS_EXCEED_MAXIMUM, figures) if total > maximum else Passed(figures)


def minis_after(effect: Effect, context: RiskContext) -> tuple[Decimal, str] | None:
    """Count the account in mini equivalents once all has filled, and name the parts; None where a part is not known."""
    if effect.order is None:
        return None
    named = effect.order.instrument
    ends = [(named, effect.after), *others_at_worst(named, context)]
    counted = [(instrument, worst.largest) for instrument, worst in ends if worst is not None]
    if len(counted) < len(ends):
        return None
    total = sum((minis(instrument.root, largest) for instrument, largest in counted), Decimal(0))
    return total, ", ".join(f"{instrument}={largest}" for instrument, largest in counted)


@rule("firm-scaling", "the account stays within its scaling plan")
@on_opening
def account_stays_within_its_scaling(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Count the whole account in mini equivalents against the step of the balance at the end of the last day."""
    firm = policy.firm or FirmRules()
    if not firm.scaling or effect.order is None:
        return _NO_RULE
    counted, step, basis = minis_after(effect, context), *scaling_step(firm, context)
    if counted is None:
        return Denial(DenialCode.POSITION_UNKNOWN, "no report of all positions and orders of the account")
    total, parts = counted
    figures = f"minis after={format_price(total)}, maximum={format_price(step)} ({basis}), {parts}"
    figures += firm.by(trading_day(context.now))
    return Denial(DenialCode.ACCOUNT_SCALING_EXCEEDED, figures) if total > step else Passed(figures)


def scaling_step(firm: FirmRules, context: RiskContext) -> tuple[Decimal, str]:
    """Give the contracts of today's step, and of which balance it is; the lowest step where that is not known."""
    balance = opening_balance(context)
    reached = [step.minis for step in firm.scaling if balance is not None and step.balance <= balance]
    lowest = min(firm.scaling, key=lambda step: step.balance).minis
    if balance is None:
        return lowest, "the lowest step, since the balance at the end of the last day is not known"
    return max(reached, default=lowest), f"by the balance at the end of the last day, {format_price(balance)}"


def opening_balance(context: RiskContext) -> Decimal | None:
    """Give the balance at which the last trading day ended: a step of a scaling plan rises only with the next one."""
    balances = None if context.account is None else context.account.balances
    if balances is None or balances.cash_value is None or balances.realized_pnl is None:
        return None
    opening = balances.cash_value - balances.realized_pnl
    return opening if opening.is_finite() else None


@rule("no-opposite", "nothing stands the other way in the same product")
@on_orders_that_open
def nothing_stands_the_other_way(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny what may come to stand against another month or size of its product, or against a group that was set."""
    firm = policy.firm or FirmRules()
    if not firm.no_opposite and not firm.no_opposite_over_accounts:
        return _NO_RULE
    if context.positions is None or context.orders is None:
        return Denial(DenialCode.POSITION_UNKNOWN, "no report of all positions and orders of the account")
    against = _against(order, others_at_worst(order.instrument, context), firm)
    if against is None:
        return Denial(DenialCode.POSITION_UNKNOWN, "no report of positions and orders in the same product")
    figures = f"{order.action} {order.instrument}, against it={', '.join(against) or 'none'}"
    figures += firm.by(trading_day(context.now))
    return Denial(DenialCode.OPPOSITE_POSITION, figures) if against else Passed(figures)


@rule("no-opposite-elsewhere", "nothing stands the other way in another account")
@on_opening
def nothing_stands_the_other_way_elsewhere(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny what may come to stand against the same product in any other account; one that is not known is a no.

    A part of a position may always be closed: whether that could turn it is for the rules of its own account.
    """
    firm, order = policy.firm or FirmRules(), effect.order
    if not firm.no_opposite_over_accounts or order is None:
        return _NO_RULE
    if is_urgent(effect.command):
        return EXIT
    if context.elsewhere is None:
        return Denial(DenialCode.POSITION_UNKNOWN, "no report of what other accounts hold")
    against, unknown = [], []
    for name, book in context.elsewhere.items():
        is_read = book.positions is not None and book.orders is not None
        found = _against(order, all_at_worst(book), firm) if is_read else None
        unknown += [plain(name)] if found is None else []
        against += [f"{each} in {plain(name)}" for each in found or ()]
    figures = f"{order.action} {order.instrument}, against it={', '.join(against) or 'none'}"
    figures += f", other accounts={len(context.elsewhere)}{firm.by(trading_day(context.now))}"
    if against:
        return Denial(DenialCode.OPPOSITE_POSITION, figures)
    if unknown:
        how = "connect it, or look with get_positions until it is"
        return Denial(
            DenialCode.POSITION_UNKNOWN, f"what is held and works in {', '.join(unknown)} is not known; {how}"
        )
    return Passed(figures)


def _against(
    order: PlaceOrder, ends: Iterable[tuple[Instrument, WorstCase | None]], firm: FirmRules
) -> list[str] | None:
    """Name what may come to stand against an order in its product or groups; None where that of one is not known."""
    kin, side = _kin_of(order.instrument, firm), -order.action.sign
    mine = [(other, worst) for other, worst in ends if product_of(other.root) in kin]
    if any(worst is None for _, worst in mine):
        return None
    found = [(other, 0 if worst is None else worst.side(side)) for other, worst in mine]
    return [f"{side * contracts:+d} {other}" for other, contracts in found if contracts]


def _kin_of(instrument: Instrument, firm: FirmRules) -> frozenset[str]:
    """Name the products that may not stand against it: its own in every size, and those of its groups."""
    own = product_of(instrument.root)
    groups = (set(map(product_of, group)) for group in firm.opposite_groups)
    return frozenset({own}.union(*(group for group in groups if own in group)))


@rule("profit-lock", "the day's gain has not reached the profit lock")
@on_opening
def day_gain_is_below_the_lock(_effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Once reached it stays reached until the session rolls: a gain is kept by not trading on."""
    firm = policy.firm or FirmRules()
    if firm.profit_lock is None:
        return _NO_RULE
    pnl = None if context.account is None else context.account.balances.day_pnl
    best = highest_gain(context)
    figures = f"day P&L={format_price(pnl)}, highest seen={format_price(best)}"
    figures += f", profit lock={format_price(firm.profit_lock)}{firm.by(trading_day(context.now))}"
    if pnl is None or not pnl.is_finite():
        return Denial(DenialCode.DAY_PNL_UNKNOWN, figures)
    is_reached = max(pnl, pnl if best is None else best) >= firm.profit_lock
    return Denial(DenialCode.PROFIT_LOCK_REACHED, figures) if is_reached else Passed(figures)


def highest_gain(context: RiskContext) -> Decimal | None:
    """Give the highest gain of this trading day that is on record; None where none is."""
    today = None if context.record is None else context.record.on(trading_day(context.now))
    if today is None or today.highest is None or today.opening is None:
        return None
    return today.highest - today.opening


@rule("news", "no release is near")
@on_opening
def no_release_is_near(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny around a release of the calendar; one that has run out is never taken for a day without news."""
    firm = policy.firm or FirmRules()
    instrument = instrument_traded(effect)
    if firm.news is None or instrument is None:
        return _NO_RULE
    if unknown := news_unknown(firm.news, context.now):
        if firm.news.if_unknown is IfUnknown.DENY:
            return Denial(DenialCode.NEWS_UNKNOWN, f"{unknown}; news_unknown=deny")
        return Passed(unknown, warning("NEWS_UNKNOWN", f"whether a release is near is not known: {unknown}"))
    near = [event for event in events_of(firm.news, instrument) if is_near(event, firm.news, context.now)]
    window = f"before={_minutes(firm.news.before)}, after={_minutes(firm.news.after)}"
    window += f", resting orders=none, from {CANCELS_AHEAD.seconds} s earlier on" if firm.news.no_resting else ""
    if not near:
        return Passed(f"none, {window}{firm.by(trading_day(context.now))}")
    named = ", ".join(f"{plain(event.name)} at {utc_minute(event.at)}" for event in near)
    return Denial(DenialCode.NEWS_WINDOW, f"{named}, {window}{firm.by(trading_day(context.now))}")


def news_unknown(news: NewsRule, now: datetime) -> str:
    """Say why nobody can tell whether there is news; empty where the calendar covers this day."""
    if news.calendar is None:
        return "no calendar of news is set (news_file)"
    until = news.calendar.covers_until
    return f"the calendar of news covers days until {until} only" if trading_day(now) > until else ""


def events_of(news: NewsRule, instrument: Instrument) -> list[NewsEvent]:
    """Give the releases that concern an instrument, in whatever size it is traded."""
    events = () if news.calendar is None else news.calendar.events
    return [event for event in events if concerns(event, instrument)]


def is_near(event: NewsEvent, news: NewsRule, now: datetime) -> bool:
    """Say whether this moment lies in its window, both ends included."""
    window = window_of(event, news)
    return window.begins_at <= now <= window.ends_at


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} min"
