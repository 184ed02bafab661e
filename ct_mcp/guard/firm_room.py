"""The room that each rule of a funded account leaves: a line for each rule that the account has. Pure.

So does the room of what any account may have: its size over all instruments, and the time to be flat by.
"""

from collections.abc import Iterator
from decimal import Decimal

from ct_mcp.domain.approval import Fact
from ct_mcp.domain.balances import BalanceRecord
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.products import minis
from ct_mcp.guard.context import RiskContext, session_told
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.exposure import all_at_worst
from ct_mcp.guard.firm_policy import Automation, DayLossEnds, FirmRules
from ct_mcp.guard.flat_by import flat_by_time
from ct_mcp.guard.floor_room import FloorRoom, floor_room, risk_of_order, stands_after
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rules.account import how_it_ends
from ct_mcp.guard.rules.firm import highest_gain, news_unknown, scaling_step
from ct_mcp.text import count, format_price, money, plain, signed_money, utc_minute


def firm_lines(context: RiskContext, policy: Policy) -> tuple[str, ...]:
    """Write the room of every rule, whose rules these are, and whether anything is sent at all."""
    firm = policy.firm
    held = firm.preset.label(trading_day(context.now)) if firm is not None and firm.preset else ""
    advised = policy.automation is Automation.ADVISE
    advice = "automation advise: nothing is ever sent, no exit either; what is proposed becomes a plan"
    by = (f"held: {held}; no word of the firm's" if held else "", advice if advised else "")
    return (*filter(None, by), *map(str, _facts(context, policy)), *map(str, _flat_by(context, policy)))


def firm_facts(effect: Effect, context: RiskContext, policy: Policy) -> tuple[Fact, ...]:
    """Give the same beside an order, with the floor once this order was stopped out as well."""
    firm = policy.firm or FirmRules()
    if effect.order is None:
        return ()
    by = () if firm.preset is None else (Fact("Rules", firm.preset.label(trading_day(context.now))),)
    until = _flat_by(context, policy, effect.order.instrument)
    counts = (*_counts(context, policy), *_opposite(firm, context))
    return (*_floor_after(firm, effect, context, policy), *counts, *until, *by)


def _flat_by(context: RiskContext, policy: Policy, instrument: Instrument | None = None) -> Iterator[Fact]:
    """Say until when something may open, and what happens then; a zone that cannot be read is denied elsewhere."""
    flat_by = policy.limits.flat_by
    if flat_by is None:
        return
    try:
        today = flat_by_time(flat_by, context.now, session_told(instrument, context))
    except (KeyError, ValueError, OSError):
        return
    closes = policy.watches.flat_by_acts and policy.automation is Automation.PROPOSE
    acts = "everything is closed then, if a ct-mcp runs" if closes else "nothing is closed for you"
    aside = "; ".join(filter(None, (f"{flat_by.at:%H:%M} {plain(flat_by.zone)}", today.why, acts)))
    yield Fact("Flat by", "PASSED" if context.now >= today.at else utc_minute(today.at), aside)


def _facts(context: RiskContext, policy: Policy) -> Iterator[Fact]:
    firm = policy.firm or FirmRules()
    if firm.drawdown is not None:
        yield _floor(firm, floor_room(firm.drawdown, context, policy))
    yield from _counts(context, policy)
    yield from _opposite(firm, context)
    if firm.require_stop:
        yield Fact("Stop", "required", "on every order that opens")
    if firm.best_day_percent is not None:
        yield _best_day(firm.best_day_percent, context)


def _opposite(firm: FirmRules, context: RiskContext) -> Iterator[Fact]:
    if firm.no_opposite or firm.no_opposite_over_accounts:
        yield Fact("Opposite positions", "none may open", f"held: {_held(context)}{_held_elsewhere(context, firm)}")


def _held(context: RiskContext) -> str:
    held = ", ".join(f"{each.net:+d} {each.instrument}" for each in context.positions or () if each.quantity)
    return "not known" if context.positions is None else held or "nothing is held"


def _held_elsewhere(context: RiskContext, firm: FirmRules) -> str:
    """Say what other accounts hold, where that counts; those that hold nothing are not named."""
    if not firm.no_opposite_over_accounts:
        return ""
    books = (context.elsewhere or {}).items()
    held = [f"{_held(book)} in {plain(name)}" for name, book in books if book.positions is None or book.positions]
    if context.elsewhere is None:
        return "; in other accounts: not known"
    return f"; in {count(len(context.elsewhere), 'other account')}: {', '.join(held) or 'nothing is held'}"


def _floor(firm: FirmRules, room: FloorRoom | None) -> Fact:
    if room is None or firm.drawdown is None:
        return Fact("Drawdown floor", "unknown", "equity, positions or orders are not known")
    at = f"above {money(room.floor.amount)}, {firm.drawdown.kind}"
    aside = f"{at}; {money(room.free)} beside the stops of what is open{_doubt(room)}"
    return Fact("Drawdown floor", money(room.left), aside)


def _floor_after(firm: FirmRules, effect: Effect, context: RiskContext, policy: Policy) -> Iterator[Fact]:
    if firm.drawdown is None:
        return
    room = floor_room(firm.drawdown, stands_after(effect, context), policy)
    risk = risk_of_order(effect, context, policy)
    if room is None or risk is None:
        yield Fact("Floor", "unknown", "equity or what this may lose is not known")
        return
    aside = f"left above {money(room.floor.amount)} once this and all that is open was stopped out{_doubt(room)}"
    yield Fact("Floor", money(room.free - risk), aside)


def _doubt(room: FloorRoom) -> str:
    unknown = f"; the floor may be higher: {room.floor.unknown}" if room.floor.unknown else ""
    gaps = f"; {'; '.join(room.floor.gaps)}" if room.floor.gaps else ""
    bare = ", ".join(room.stop_outs.uncounted)
    return f"{unknown}{gaps}{f'; not counted, without a known stop: {bare}' if bare else ''}"


def _counts(context: RiskContext, policy: Policy) -> Iterator[Fact]:
    """The rules that count something down: contracts, the day's gain, the time to the next release."""
    firm = policy.firm or FirmRules()
    if firm.day_loss_ends is DayLossEnds.ACCOUNT:
        yield _day_loss(firm, context, policy)
    if firm.scaling:
        step, basis = scaling_step(firm, context)
        yield Fact("Contracts", _minis_left(step, context), f"of {format_price(step)} minis, {basis}")
    if (most := policy.limits.max_account_minis) is not None:
        yield Fact("Account size", _minis_left(most, context), f"of {format_price(most)} minis")
    if firm.profit_lock is not None:
        yield _profit_lock(firm.profit_lock, context)
    if firm.news is not None:
        yield _news(firm, context, policy)


def _day_loss(firm: FirmRules, context: RiskContext, policy: Policy) -> Fact:
    how = how_it_ends(context.account.name if context.account else "ACCOUNT")
    if context.record is None:
        return Fact("Day's loss", "unknown", f"whether it has ended the account; {how}")
    if ended_on := firm.ended_on(context.record):
        return Fact("Account", f"ENDED on {ended_on}", f"by the loss of that day; {how}")
    return Fact("Day's loss", "ends the account", f"at {money(policy.limits.max_day_loss)}; {how}")


def _minis_left(most: Decimal, context: RiskContext) -> str:
    """Count what may still come to be held, with all that works and is of unknown outcome."""
    if context.positions is None or context.orders is None:
        return "unknown"
    ends = all_at_worst(context)
    if any(worst is None for _, worst in ends):
        return "unknown"
    taken = sum((minis(at.root, worst.largest) for at, worst in ends if worst is not None), Decimal(0))
    return f"{format_price(max(Decimal(0), most - taken))} left"


def _profit_lock(lock: Decimal, context: RiskContext) -> Fact:
    pnl = None if context.account is None else context.account.balances.day_pnl
    if pnl is None:
        return Fact("Profit lock", "unknown", "the day's P&L is not known")
    best = max(pnl, highest_gain(context) or pnl)
    if best >= lock:
        reached = f"{signed_money(best)} of {money(lock)}: only exits until the session rolls"
        return Fact("Profit lock", "REACHED", reached)
    return Fact("Profit lock", money(lock - pnl), f"to the gain of {money(lock)} at which nothing more opens")


def _news(firm: FirmRules, context: RiskContext, policy: Policy) -> Fact:
    news = firm.news
    if news is None or (unknown := news_unknown(news, context.now)):
        return Fact("News", "UNKNOWN", f"{unknown if news else ''}; that is no day without news")
    events = () if news.calendar is None else news.calendar.events
    ahead = sorted((each for each in events if each.at + news.after >= context.now), key=lambda each: each.at)
    window = f"nothing opens {news.before.seconds // 60} min before to {news.after.seconds // 60} min after"
    if news.no_resting:
        sent = policy.automation is Automation.PROPOSE
        how = "cancelled, if a ct-mcp runs" if sent else "yours to cancel"
        window += f"; what rests and opens is {how}"
    if not ahead:
        until = "" if news.calendar is None else f" until {news.calendar.covers_until}"
        return Fact("News", "none ahead", f"in the calendar, which covers days{until}")
    return Fact("News", f"{plain(ahead[0].name)} at {utc_minute(ahead[0].at)}", window)


def _best_day(most: Decimal, context: RiskContext) -> Fact:
    """Share of the best day in all that was gained, over the days on record; a rule of payouts, not of orders."""
    days = (context.record or BalanceRecord()).days
    gains = [day.gain for day in days if day.gain is not None]
    total, best = sum(gains, Decimal(0)), max(gains, default=Decimal(0))
    over = f"over {count(len(gains), 'day')} on record; at most {format_price(most)} %, not enforced"
    if total <= 0 or best <= 0:
        return Fact("Best day", "no share", f"nothing was gained {over}")
    return Fact("Best day", f"{best / total * 100:.0f} %", f"{money(best)} of {money(total)} {over}")
