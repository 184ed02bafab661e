"""What each link's reading means, and the one thing that a person does about it. Pure."""

from collections.abc import Sequence
from datetime import datetime

from ct_mcp.cli.check_report import Finding
from ct_mcp.crosstrade.answer_watch import Sample
from ct_mcp.crosstrade.budget import Allowance
from ct_mcp.domain.account import Account
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadReply, BudgetExhausted, CtMcpError, RateLimited
from ct_mcp.server.answers.status import Link
from ct_mcp.server.links import broker_links, upstream_links
from ct_mcp.server.present import aged, price, theirs
from ct_mcp.server.standing import Standing

CLOCK_TOLERANCE_SECONDS = 5.0
DATA, CLOCK, BUDGET, STREAM = "market data", "clock", "request budget", "stream"

_NOT_REACHED = "not looked at: a link before it does not hold"
_AGAIN = "then run ct-mcp check again"
_STEPS = {
    "CrossTrade": f"see that this computer reaches the address above, {_AGAIN}",
    "token": f"set CROSSTRADE_TOKEN to the token of CrossTrade's My Account page, {_AGAIN}",
    "plan": f"choose a plan at CrossTrade that includes the API, {_AGAIN}",
    "add-on": f"start NinjaTrader 8 and connect the CrossTrade add-on in it, {_AGAIN}",
}
_WAIT = f"wait a minute, {_AGAIN}"
_NEWER = "run ct-mcp check again; if this stays, look for a newer version of ct-mcp"
_DATA_STEP = "run ct-mcp check again; if this stays, connect a feed with futures data in NinjaTrader"
_CLOCK_STEP = f"let this computer set its clock by the internet, {_AGAIN}"
_BUDGET_STEP = "stop what else uses this token, or let it ask less often"
_FOLDER_STEP = f"let the state folder be written to, {_AGAIN}: without it nothing is sent"
# NinjaTrader has these of its own, and they are connected only while it replays or tests.
_OF_REPLAYS = frozenset({"playback101", "backtest"})


def chain_findings(failure: CtMcpError | None) -> list[Finding]:
    """From CrossTrade to NinjaTrader, by what reading the accounts said."""
    links = upstream_links(failure)
    code = failure.code if failure else ""
    return [Finding(link, _chain_step(link, failure) if code and link.why.startswith(code) else "") for link in links]


def _chain_step(link: Link, failure: CtMcpError | None) -> str:
    match failure:
        case RateLimited() | BudgetExhausted():
            return _WAIT
        case BadReply():
            return _NEWER
        case _:
            return _STEPS[link.name]


def not_reached(name: str) -> Finding:
    """A link behind the break."""
    return Finding(Link(name, "unknown", _NOT_REACHED))


def broker_findings(accounts: Sequence[Account]) -> list[Finding]:
    """The connection of each account."""
    links = broker_links([Standing(account, None, "") for account in accounts])
    return [_broker(account, link) for account, link in zip(accounts, links, strict=True)]


def _broker(account: Account, link: Link) -> Finding:
    if link.state != "broken":
        return Finding(link)
    if account.name.casefold() in _OF_REPLAYS:
        return Finding(Link(link.name, "off", f"{link.why}, as usual while nothing is replayed"))
    return Finding(link, f"connect {theirs(account.name)} in NinjaTrader's Control Center, {_AGAIN}")


def data_finding(quote: Quote | CtMcpError, now: datetime, oldest_seconds: float) -> Finding:
    """Whether prices arrive; an old one is as it should be while the market is closed."""
    if isinstance(quote, CtMcpError):
        return Finding(Link(DATA, "broken", f"{quote.code}: {quote.what}"), _DATA_STEP)
    shown = next((value for value in (quote.last, quote.bid, quote.ask) if value is not None), None)
    if shown is None:
        return Finding(Link(DATA, "broken", f"{quote.instrument} has no price"), _DATA_STEP)
    seconds = quote.age_seconds(now)
    why = f"{quote.instrument} {price(shown)}, {aged(seconds)}"
    if quote.is_market_open is False:
        return Finding(Link(DATA, "ok", f"{why}; the market is closed"))
    if seconds is None or seconds > oldest_seconds:
        return Finding(Link(DATA, "broken", f"{why}; orders need one of {oldest_seconds:g} s at most"), _DATA_STEP)
    return Finding(Link(DATA, "ok", why))


def clock_finding(sample: Sample | None) -> Finding:
    """Our clock against theirs: the age of every figure is the difference of the two."""
    if sample is None:
        return Finding(Link(CLOCK, "unknown", "their answers do not say what time it is there"))
    ahead = sample.ahead_seconds
    if ahead == 0.0:
        return Finding(Link(CLOCK, "ok", "agrees with theirs"))
    why = f"ours is at least {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} theirs"
    if abs(ahead) <= CLOCK_TOLERANCE_SECONDS:
        return Finding(Link(CLOCK, "ok", why))
    return Finding(Link(CLOCK, "broken", f"{why}; {CLOCK_TOLERANCE_SECONDS:g} s are tolerable"), _CLOCK_STEP)


def budget_finding(allowance: Allowance, slowed: int) -> Finding:
    """What is left after the check; being slowed down although we keep to it means that somebody else asks as well."""
    left = f"{allowance.requests_left} requests left after this check, {allowance.per_second:g} more each second"
    if slowed:
        return Finding(Link(BUDGET, "broken", f"CrossTrade slowed us down ({slowed} times HTTP 429)"), _BUDGET_STEP)
    if allowance.note:
        return Finding(Link(BUDGET, "broken", f"{left}; {allowance.note}"), _FOLDER_STEP)
    return Finding(Link(BUDGET, "ok", left))


def stream_finding(*, is_on: bool) -> Finding:
    """Whether a server would open the stream. It is not tried: there is one per token, and another may be using it."""
    if is_on:
        return Finding(Link(STREAM, "unknown", "on; not tried here, since it would end the stream of another program"))
    return Finding(Link(STREAM, "off", "switched off in the settings: everything is read by request"))


def list_finding(name: str, read: Sequence[object] | CtMcpError) -> Finding:
    """Whether a list of their routes could be read."""
    if isinstance(read, CtMcpError):
        return Finding(Link(name, "broken", f"{read.code}: {read.what}"), _NEWER)
    return Finding(Link(name, "ok", f"lists {len(read)} routes"))
