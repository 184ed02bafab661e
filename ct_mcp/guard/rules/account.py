"""Rules on who may trade: account, mode, arming, connection, halt, the day's loss, strategies."""

from decimal import Decimal

from ct_mcp.domain.account import AccountKind, looks_like
from ct_mcp.domain.commands import EnableStrategy
from ct_mcp.domain.order import is_whole_number
from ct_mcp.domain.strategy import ParameterValue, StartStrategy
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.firm_policy import DayLossEnds
from ct_mcp.guard.policy import Mode, Policy, unmatched
from ct_mcp.guard.rule import (
    EXIT,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    could_not_verify,
    on_opening,
    rule,
    warning,
)
from ct_mcp.text import as_argument, command, format_price, plain, utc_minute


@rule("account-named", "the account is the one that was named")
def account_is_the_one_named(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny a look-alike: it is another account."""
    named = effect.command.account
    if context.account is None:
        return Denial(DenialCode.ACCOUNT_UNKNOWN, f"no report for account={plain(named)}")
    if context.account.name != named:
        return Denial(DenialCode.ACCOUNT_MISMATCH, f"asked for={plain(named)}, reported={plain(context.account.name)}")
    return Passed(f"account={plain(named)}")


@rule("account-alike", "no table is meant for it by another spelling")
@on_opening
def account_is_not_taken_for_another(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny openings where a table that matches no account looks like this one: its limits were meant to hold here.

    A team's policy may name accounts of other traders, which are not listed here: they look like none of ours.
    """
    account = effect.command.account
    listed = (account, *context.listed_accounts)
    for tables, whose, who in (
        (policy.accounts, "settings", "the operator"),
        (policy.team.accounts, "team's policy", "a risk manager of the team"),
    ):
        alike = ", ".join(plain(name) for name in unmatched(tables, listed) if looks_like(name, account))
        if alike:
            figures = f"account={plain(account)}, table of the {whose} that matches no account={alike}"
            return Denial(DenialCode.ACCOUNT_TABLE_MISSPELT, f"{figures}; only {who} can mend it")
    return Passed(f"account={plain(account)}")


@rule("account-mode", "the account may trade in this mode")
def account_may_trade_in_this_mode(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """In sim a kind that is not known counts as live; in live every account must be named by the operator."""
    account = effect.command.account
    figures = f"mode={policy.mode}, account={plain(account)}, kind={context.kind}"
    match policy.mode:
        case Mode.READ_ONLY:
            return Denial(DenialCode.MODE_READ_ONLY, figures)
        case Mode.SIM if context.kind is AccountKind.SIMULATED:
            return Passed(figures)
        case Mode.SIM if context.kind is AccountKind.REPLAY:
            if account in policy.accounts:
                return Passed(figures)
            how = f"a replay account: the person allows it by its own table in the settings, [accounts.{account!a}]"
            return Denial(DenialCode.ACCOUNT_IS_REPLAY, f"{figures}; {how}")
        case Mode.SIM:
            return Denial(DenialCode.ACCOUNT_NOT_SIMULATED, figures)
        case Mode.LIVE:  # pragma: no branch  # the set is closed
            return (
                Passed(figures)
                if policy.account_named(account) is not None
                else Denial(DenialCode.ACCOUNT_NOT_NAMED, figures)
            )


@rule("account-armed", "the account is armed")
def account_is_armed(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Only the person arms, for a time, at a terminal. What only reduces, in whatever words, waits for a yes alone."""
    if policy.mode is not Mode.LIVE:
        return NotApplicable("arming belongs to live mode")
    if effect.only_reduces or not effect.sends_orders:
        return EXIT
    until = context.armed_until
    if until is not None and until > context.now:
        return Passed(f"armed until={utc_minute(until)}")
    last = "never" if until is None else utc_minute(until)
    to_arm = command("arm", as_argument(effect.command.account), "--for 8h")
    how = f"only the person can arm it, at a terminal of their own: {to_arm}"
    return Denial(DenialCode.ACCOUNT_NOT_ARMED, f"armed until={last}; {how}")


@rule("account-connected", "the account is connected")
def account_is_connected(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny openings while the account is not connected; an exit is tried even so."""
    if not effect.sends_orders:
        return EXIT
    account = context.account
    if account is None or account.connection_status is None:
        unsaid = "the service did not say whether the account is connected"
        return Passed("connection=unknown", could_not_verify("CONNECTION_UNKNOWN", unsaid))
    figures = f"connection={plain(account.connection_status)}"
    return Passed(figures) if account.is_connected else Denial(DenialCode.ACCOUNT_DISCONNECTED, figures)


@rule("account-status", "the account is enabled")
@on_opening
def account_is_enabled(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Disabled, excluded and liquidation only are its broker's or firm's no; the way out stays open."""
    status = None if context.account is None else context.account.status
    if status is None:
        unsaid = "the service did not say whether the account is enabled"
        return Passed("status=unknown", could_not_verify("ACCOUNT_STATUS_UNKNOWN", unsaid))
    figures = f"status={plain(status)}"
    return Passed(figures) if status.casefold() == "enabled" else Denial(DenialCode.ACCOUNT_NOT_ENABLED, figures)


@rule("not-halted", "trading is not halted")
@on_opening
def trading_is_not_halted(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Only the person lifts a halt; what reduces or leaves goes on."""
    if context.halt is None:
        return Passed("not halted")
    halt = context.halt
    who_and_why = f"by={plain(halt.by)}, at={utc_minute(halt.at)}, reason={plain(halt.reason, 200)}"
    how = f"exits still work; only the person lifts it, at a terminal of their own: {command('resume')}"
    return Denial(DenialCode.TRADING_HALTED, f"{who_and_why}; {how}")


@rule("day-loss", "the day's loss is within its limit")
@on_opening
def day_loss_is_within_limit(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Once reached it stays reached until the session rolls, or for good where that ends the account."""
    pnl = None if context.account is None else context.account.balances.day_pnl
    figures = f"day P&L={format_price(pnl)}, maximum loss={format_price(policy.limits.max_day_loss)}"
    if policy.firm is not None and policy.firm.day_loss_ends is DayLossEnds.ACCOUNT:
        if context.record is None:
            return Denial(DenialCode.DAY_PNL_UNKNOWN, f"whether a day's loss has ended the account, {figures}")
        figures = f"{figures}; {how_it_ends(effect.command.account)}"
        if ended_on := policy.firm.ended_on(context.record):
            return Denial(DenialCode.DAY_LOSS_REACHED, f"reached on {ended_on}, which ended the account; {figures}")
    if context.day_loss_reached:
        return Denial(DenialCode.DAY_LOSS_REACHED, f"reached earlier in this session, {figures}")
    if pnl is None or not pnl.is_finite():
        return Denial(DenialCode.DAY_PNL_UNKNOWN, figures)
    return Denial(DenialCode.DAY_LOSS_REACHED, figures) if pnl <= -policy.limits.max_day_loss else Passed(figures)


def how_it_ends(account: str) -> str:
    """Say what reaching the day's loss does where it ends the account, and who says otherwise, and when."""
    how = command("floor", as_argument(account), "AMOUNT")
    return (
        "reaching it ends the account: nothing opens on later days either, until the person, at a terminal of their "
        f"own and after the session has rolled, tells where the floor of a new or reset account stands: {how}"
    )


@rule("own-day-loss", "the day's loss is within the account's own limit")
@on_opening
def day_loss_is_within_the_accounts_own_limit(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Hold the limit that NinjaTrader reports for the account, beside ours; none is reported as 0."""
    balances = None if context.account is None else context.account.balances
    limit, pnl = (None, None) if balances is None else (balances.daily_loss_limit, balances.day_pnl)
    if not limit:
        return NotApplicable("the account has no daily loss limit of its own")
    figures = f"day P&L={format_price(pnl)}, the account's own daily loss limit={format_price(abs(limit))}"
    if pnl is None or not pnl.is_finite():
        return Denial(DenialCode.DAY_PNL_UNKNOWN, figures)
    return Denial(DenialCode.ACCOUNT_DAY_LOSS_REACHED, figures) if pnl <= -abs(limit) else Passed(figures)


@rule("own-week-loss", "the week's loss is within the account's own limit")
@on_opening
def week_loss_is_within_the_accounts_own_limit(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Hold the limit of a week that NinjaTrader reports for the account; none is reported as 0."""
    balances = None if context.account is None else context.account.balances
    limit, pnl = (None, None) if balances is None else (balances.weekly_loss_limit, balances.week_pnl)
    if not limit:
        return NotApplicable("the account has no weekly loss limit of its own")
    figures = f"week P&L={format_price(pnl)}, the account's own weekly loss limit={format_price(abs(limit))}"
    is_known = pnl is not None and pnl.is_finite()
    if pnl is None or not is_known or pnl <= -abs(limit):
        return Denial(DenialCode.ACCOUNT_WEEK_LOSS_REACHED if is_known else DenialCode.DAY_PNL_UNKNOWN, figures)
    return Passed(figures)


NO_START = NotApplicable("starts no strategy")


@rule("strategy-values", "the strategy is started with readable values")
def strategy_is_started_with_readable_values(effect: Effect, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Bars are counted, numbers are finite, and no parameter is given twice: only one of the two would count."""
    start = effect.command
    if not isinstance(start, StartStrategy):
        return NO_START
    if not is_whole_number(start.period):
        return Denial(DenialCode.PERIOD_INVALID, f"period={plain(repr(start.period))}, at least=1, whole")
    names = [name for name, _ in start.parameters]
    odd = [plain(name) for name, value in start.parameters if names.count(name) > 1 or not _is_finite(value)]
    if odd:
        return Denial(DenialCode.PARAMETER_INVALID, f"given twice or no finite number: {', '.join(dict.fromkeys(odd))}")
    return Passed(f"period={start.period}, parameters={len(names)}")


@rule("strategy-own-orders", "what a strategy sends is its own")
def what_a_strategy_sends_is_its_own(effect: Effect, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Not even a halt stops what it sends once it trades; that is said, and not left to be found out."""
    if not isinstance(effect.command, StartStrategy | EnableStrategy):
        return NotApplicable("lets no strategy trade")
    unheld = "no limit of ours holds what the strategy sends by itself: not its size, its value or its loss"
    if isinstance(effect.command, EnableStrategy):
        unheld += "; its instrument, contract month and session were not looked at"
    return Passed("its orders do not pass through here", warning("STRATEGY_UNHELD", unheld))


def _is_finite(value: ParameterValue) -> bool:
    return not isinstance(value, Decimal) or (value.is_finite() and len(format_price(value)) <= 40)
