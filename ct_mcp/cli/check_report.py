"""What a check found: what each link's reading means and the one thing to do about it, the drift, the exit code.

The findings are pure; the report is shown to a person, or written for scripts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from ct_mcp import __version__
from ct_mcp.cli.screen import Screen
from ct_mcp.crosstrade.diagnostics import ClockSample, Drift, RouteDifference
from ct_mcp.crosstrade.rate_limit import Allowance
from ct_mcp.domain.account import Account
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadReply, BudgetExhausted, CtMcpError, RateLimited
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LinkState
from ct_mcp.server.account_queries import TradingStatus
from ct_mcp.server.format import sanitize_name
from ct_mcp.server.links import Link, broker_links, upstream_links
from ct_mcp.text import aged, command, count, format_price, redact_secrets, sanitize

ALL_WELL, BROKEN, DRIFTED = 0, 1, 3
CLOCK_TOLERANCE_SECONDS = 5.0
DATA, CLOCK, BUDGET, STREAM = "market data", "clock", "request budget", "stream"

_NOT_REACHED = "not looked at: a link before it does not hold"
_CHECK = command("check")
_AGAIN = f"then run {_CHECK} again"
_STEPS = {
    "CrossTrade": f"see that this computer reaches the address above, {_AGAIN}",
    "token": f"set CROSSTRADE_TOKEN to the token of CrossTrade's My Account page, or keep it with {command('login')}, "
    f"{_AGAIN}",
    "plan": f"choose a plan at CrossTrade that includes the API, {_AGAIN}",
    "add-on": f"start NinjaTrader 8 and connect the CrossTrade add-on in it, {_AGAIN}",
}
_WAIT = f"wait a minute, {_AGAIN}"
_NEWER = f"run {_CHECK} again; if this stays, look for a newer version of ct-mcp"
_DATA_STEP = f"run {_CHECK} again; if this stays, connect a feed with futures data in NinjaTrader"
CLOCK_STEP = f"let this computer and NinjaTrader's set their clocks by the internet, {_AGAIN}"
_BUDGET_STEP = "stop what else uses this token, or let it ask less often"
_FOLDER_STEP = f"let the state folder, or the shared store, be written to, {_AGAIN}: without it nothing is sent"
# NinjaTrader has these of its own, and they are connected only while it replays or tests.
_OF_REPLAYS = frozenset({"playback101", "backtest"})


@dataclass(frozen=True, slots=True)
class LinkFinding:
    """One link; ``next_step`` is empty where there is nothing to do."""

    link: Link
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All that was found; ``drift`` is None where no list of routes could be read."""

    base_url: str
    findings: tuple[LinkFinding, ...]
    drift: Drift | None
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[LinkFinding, ...]:
        """The links about which there is something to do."""
        return tuple(finding for finding in self.findings if finding.next_step)

    @property
    def exit_code(self) -> int:
        """For scripts. A broken link comes before drift, which may then be known in part only."""
        if self.broken:
            return BROKEN
        return DRIFTED if self.drift and self.drift.differences else ALL_WELL


def chain_findings(failure: CtMcpError | None) -> list[LinkFinding]:
    """Say of each link from CrossTrade to NinjaTrader what reading the accounts told of it."""
    links = upstream_links(failure)
    if failure is None:
        return [LinkFinding(link) for link in links]
    broken_at = next(
        (link for state in (LinkState.BROKEN, LinkState.UNKNOWN) for link in links if link.state is state), None
    )
    return [LinkFinding(link, _chain_step(link, failure) if link is broken_at else "") for link in links]


def _chain_step(link: Link, failure: CtMcpError) -> str:
    match failure:
        case RateLimited() | BudgetExhausted():
            return _WAIT
        case BadReply():
            return _NEWER
        case _:
            return _STEPS[link.name]


def not_reached(name: str) -> LinkFinding:
    """Say nothing of a link behind the break."""
    return LinkFinding(Link(name, LinkState.UNKNOWN, _NOT_REACHED))


def broker_findings(accounts: Sequence[Account]) -> list[LinkFinding]:
    """Say how the connection of each account stands."""
    links = broker_links([TradingStatus(account, None, "") for account in accounts])
    return [_broker(account, link) for account, link in zip(accounts, links, strict=True)]


def table_findings(policy: Policy, accounts: Sequence[Account]) -> list[LinkFinding]:
    """Find tables of the settings for accounts that are not there: what they say holds for nothing."""
    unmatched = policy.unmatched(account.name for account in accounts)
    return [
        LinkFinding(
            Link("settings", LinkState.BROKEN, f'[accounts."{sanitize(name, longest=80)}"] matches no account'),
            "spell it as NinjaTrader does, or take the table out",
        )
        for name in unmatched
    ]


def _broker(account: Account, link: Link) -> LinkFinding:
    if link.state is not LinkState.BROKEN:
        return LinkFinding(link)
    if account.name.casefold() in _OF_REPLAYS:
        return LinkFinding(Link(link.name, LinkState.OFF, f"{link.why}, as usual while nothing is replayed"))
    return LinkFinding(link, f"connect {sanitize_name(account.name)} in NinjaTrader's Control Center, {_AGAIN}")


def data_finding(quote: Quote | CtMcpError, now: datetime, oldest_seconds: float) -> LinkFinding:
    """Say whether prices arrive; an old one is as it should be while the market is closed."""
    if isinstance(quote, CtMcpError):
        return LinkFinding(Link(DATA, LinkState.BROKEN, f"{quote.code}: {quote.what}"), _DATA_STEP)
    shown = next((value for value in (quote.last, quote.bid, quote.ask) if value is not None), None)
    if shown is None:
        return LinkFinding(Link(DATA, LinkState.BROKEN, f"{quote.instrument} has no price"), _DATA_STEP)
    seconds = quote.age_seconds(now)
    why = f"{quote.instrument} {format_price(shown)}, {aged(seconds)}"
    if quote.is_market_open is False:
        return LinkFinding(Link(DATA, LinkState.OK, f"{why}; the market is closed"))
    if seconds is None or seconds > oldest_seconds:
        return LinkFinding(
            Link(DATA, LinkState.BROKEN, f"{why}; orders need one of {oldest_seconds:g} s at most"), _DATA_STEP
        )
    return LinkFinding(Link(DATA, LinkState.OK, why))


def clock_finding(sample: ClockSample | None) -> LinkFinding:
    """Compare our clock with theirs: the age of every figure is the difference of the two."""
    if sample is None:
        return LinkFinding(Link(CLOCK, LinkState.UNKNOWN, "their answers do not say what time it is there"))
    ahead = sample.ahead_seconds
    if ahead == 0.0:
        return LinkFinding(Link(CLOCK, LinkState.OK, "agrees with theirs"))
    why = f"ours is at least {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} theirs"
    if abs(ahead) <= CLOCK_TOLERANCE_SECONDS:
        return LinkFinding(Link(CLOCK, LinkState.OK, why))
    return LinkFinding(Link(CLOCK, LinkState.BROKEN, f"{why}; {CLOCK_TOLERANCE_SECONDS:g} s are tolerable"), CLOCK_STEP)


def budget_finding(allowance: Allowance, slowed: int) -> LinkFinding:
    """Say what is left after the check; being slowed down although we keep to it means that somebody else asks too."""
    left = f"{allowance.requests_left} requests left after this check, {allowance.per_second:g} more each second"
    if slowed:
        return LinkFinding(
            Link(BUDGET, LinkState.BROKEN, f"CrossTrade slowed us down ({slowed} times HTTP 429)"), _BUDGET_STEP
        )
    if allowance.note:
        return LinkFinding(Link(BUDGET, LinkState.BROKEN, f"{left}; {allowance.note}"), _FOLDER_STEP)
    return LinkFinding(Link(BUDGET, LinkState.OK, left))


def stream_finding(*, is_on: bool, is_ours: bool = False) -> LinkFinding:
    """Say who has the stream; it is not tried, since there is one per token, and another program may use it."""
    if is_on and is_ours:
        return LinkFinding(Link(STREAM, LinkState.OK, "a ct-mcp server of yours has it; others read by request"))
    if is_on:
        return LinkFinding(
            Link(STREAM, LinkState.UNKNOWN, "on; not tried here, since it would end the stream of another program")
        )
    return LinkFinding(Link(STREAM, LinkState.OFF, "switched off in the settings: everything is read by request"))


def list_finding(name: str, read: Sequence[object] | CtMcpError) -> LinkFinding:
    """Say whether a list of their routes could be read."""
    if isinstance(read, CtMcpError):
        return LinkFinding(Link(name, LinkState.BROKEN, f"{read.code}: {read.what}"), _NEWER)
    return LinkFinding(Link(name, LinkState.OK, f"lists {len(read)} routes"))


def hide_secrets(report: CheckReport, secrets: Sequence[str]) -> CheckReport:
    """Hide the token wherever somebody else's words may have brought it."""
    drift = report.drift and replace(
        report.drift,
        differences=tuple(
            replace(each, name=redact_secrets(each.name, secrets), theirs=redact_secrets(each.theirs, secrets))
            for each in report.drift.differences
        ),
    )
    return replace(
        report,
        findings=tuple(_hidden(finding, secrets) for finding in report.findings),
        drift=drift,
        notes=tuple(redact_secrets(note, secrets) for note in report.notes),
    )


def _hidden(finding: LinkFinding, secrets: Sequence[str]) -> LinkFinding:
    link = finding.link
    shown = Link(redact_secrets(link.name, secrets), link.state, redact_secrets(link.why, secrets))
    return LinkFinding(shown, redact_secrets(finding.next_step, secrets))


def as_json(report: CheckReport) -> dict[str, object]:
    """Write the report for scripts."""
    return {
        "exit_code": report.exit_code,
        "base_url": report.base_url,
        "links": [
            {"link": one.link.name, "state": one.link.state, "why": one.link.why, "next_step": one.next_step}
            for one in report.findings
        ],
        "drift": None if report.drift is None else _drift(report.drift),
        "notes": list(report.notes),
    }


def _drift(drift: Drift) -> dict[str, object]:
    return {
        "differences": [asdict(difference) for difference in drift.differences],
        "compared": dict(drift.compared),
        "routes_of_other_products": drift.elsewhere,
    }


def show_report(report: CheckReport, screen: Screen, *, simulated: bool = False) -> None:
    """Show it all to a person: the links, the routes, and what it comes to."""
    screen.say(f"ct-mcp {__version__}: every link from here to the broker", "bold")
    screen.say("the embedded simulator" if simulated else report.base_url)
    screen.say()
    for finding in report.findings:
        _link(finding, screen)
    for note in report.notes:
        screen.detail(f"note: {note}")
    screen.say()
    _routes(report.drift, screen)
    screen.say()
    _conclude(report, screen)


def _link(finding: LinkFinding, screen: Screen) -> None:
    link = finding.link
    told = f"{link.name}: {link.why}" if link.why else link.name
    if finding.next_step:
        screen.bad(told if link.state is LinkState.BROKEN else f"{link.name}, not known: {link.why}")
        _further("Next: ", f"{finding.next_step}.", screen)
    elif link.state is LinkState.OK:
        screen.good(told)
    else:
        _aside(told, screen)


def _routes(drift: Drift | None, screen: Screen) -> None:
    screen.say("The service's routes against those that this version knows", "bold")
    if drift is None:
        _aside("not compared", screen)
        return
    for difference in drift.differences:
        _difference(difference, screen)
    if not drift.differences:
        screen.good("nothing is missing, new or changed")
    if drift.elsewhere:
        _aside(f"{count(drift.elsewhere, 'route')} of other products, which are not compared", screen)


def _difference(it: RouteDifference, screen: Screen) -> None:
    where = " and ".join(it.seen_in)
    screen.bad(f"{it.kind}, by {where}: {it.name or it.theirs}")
    if it.ours:
        assumed = f" (assumed: {it.assumed})" if it.assumed else ""
        _further("ours    ", f"{it.ours}{assumed}", screen)
    if it.theirs and it.name:
        _further("theirs  ", it.theirs, screen)


def _further(what: str, text: str, screen: Screen) -> None:
    """Show more of what was just marked, below its text."""
    screen.say(text, label=f"{' ' * (5 + len(screen.marks.bad))}{what}")


def _aside(text: str, screen: Screen) -> None:
    screen.say(text, "quiet", label="    - ")


def _conclude(report: CheckReport, screen: Screen) -> None:
    drifted = len(report.drift.differences) if report.drift else 0
    differ = f"{count(drifted, 'route')} differ{'s' if drifted == 1 else ''}"
    if broken := len(report.broken):
        order = ", from the top" if broken > 1 else ""
        screen.say(f"{count(broken, 'link')} to mend{order}{f'; {differ}' if drifted else ''}.", "bad")
    elif drifted:
        newer = "What uses them may fail: look for a newer version of ct-mcp."
        screen.say(f"Every link holds, but {differ}. {newer}", "bad")
    else:
        screen.say("All well: every link holds, and the service is as this version knows it.", "good")
