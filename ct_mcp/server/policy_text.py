"""What this server may do, in words: mode, limits, approvals, and which tools are not listed. It holds no secret."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from importlib.util import find_spec

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.policy import FlatBy, Limits, Mode, Policy
from ct_mcp.server.format import join_lines, sanitize_name
from ct_mcp.text import command, money, span

MODES = {
    Mode.READ_ONLY: "read_only: nothing may trade",
    Mode.SIM: "sim: only simulated accounts may trade",
    Mode.LIVE: "live: only accounts that the settings name may trade, each while the person has armed it",
}
_CHANNELS: dict[Approval, str] = {
    Approval.NONE: "nobody is asked",
    Approval.FORM: "the person types a text that only they were shown, in a form of the client or with {approve}",
    Approval.PAGE: "the person decides in a place of their own: a page in their browser, or {approve}",
    Approval.PAGE_PIN: "the person decides in a place of their own, with their PIN",
}
_READ_ONLY = "not listed, because the mode is read_only; only the operator can change it"
_LEFT_OUT = "not listed, because the operator left it out of the toolsets"
_NO_TRADE = "not listed, because toolset trade is off"
NO_PILLOW = "pictures need Pillow, which is not installed"
INSTALL_PILLOW = (
    "the person installs it where ct-mcp is and starts ct-mcp again from the client: pip install pillow; where the "
    "client starts it by uvx or uv run, --with pillow right behind that; the .mcpb bundle brings it along. "
    "get_bars gives the same bars as text"
)


# Mode, limits and approvals


def policy_text(policy: Policy, today: Callable[[], date]) -> str:
    """Write the whole policy as one page of Markdown; ``today`` tells how old a preset is."""
    named = ", ".join(sanitize_name(name) for name in policy.accounts) or "none"
    return join_lines(
        (
            "# What this server may do",
            "Only the operator can change this, in the settings; no tool can.",
            f"## Mode\n{MODES[policy.mode]}",
            f"accounts named in the settings: {named}" if policy.mode is Mode.LIVE else "",
            "## Limits of every account (beneath every approval; what only reduces is not held back by value)",
            *(f"- {line}" for line in (*all_limit_lines(policy), *_firm_lines(policy, today))),
            "## Approval",
            *(f"- {what}: {approval} ({_channel(approval)})" for what, approval in approvals(policy)),
            f"- a proposal expires after {span(policy.ticket_seconds)}; one call waits at most"
            f" {span(policy.wait_seconds)} for the person, {span(policy.form_seconds)} where a form is shown",
        )
    )


def _channel(approval: Approval) -> str:
    return _CHANNELS[approval].format(approve=command("approve"))


def limit_lines(limits: Limits) -> list[str]:
    """Write every limit that is in force, a line each, as the settings call it."""
    return [_limit(field.name, getattr(limits, field.name)) for field in fields(limits)]


def all_limit_lines(policy: Policy) -> list[str]:
    """Write all limits, those that are narrower somewhere, and what goes on by itself."""
    acts = f"it acts only while ct-mcp runs, which {command('watch')} does without a client"
    at_flat_by = f"flat by: at that time everything is cancelled and flattened; {acts}"
    return [
        *limit_lines(policy.limits),
        *narrower_lines(policy),
        *([at_flat_by] if policy.watches.flat_by_acts else []),
        *_news_lines(policy, acts),
    ]


def _news_lines(policy: Policy, acts: str) -> list[str]:
    """Name the accounts in which what rests is cancelled before a release."""
    news = {name: one.firm.news for name, one in policy.accounts.items() if one.firm is not None and one.firm.news}
    sends = [name for name in news if policy.accounts[name].automation is Automation.PROPOSE]
    named = ", ".join(sanitize_name(name) for name in sends if news[name].no_resting)
    return [f"news in {named}: before a release what rests and would open is cancelled; {acts}"] if named else []


def narrower_lines(policy: Policy) -> list[str]:
    """Write the limits of single accounts and roots that are narrower, a line for each account and root."""
    accounts = [(f"account {sanitize_name(name)}", account.limits) for name, account in policy.accounts.items()]
    roots = [(f"instrument {root}", limits) for root, limits in policy.instruments.items()]
    return [f"{what}: {_limits(limits)}" for what, limits in (*accounts, *roots) if limits]


def firm_lines_of(policy: Policy, today: date) -> list[str]:
    """Say of each account with rules of its firm whose they are, and where nothing is ever sent."""
    lines = []
    for name, account in policy.accounts.items():
        preset = account.firm.preset.label(today) if account.firm and account.firm.preset else ""
        own = "rules of a funded account" if account.firm and not preset else ""
        advised = "automation advise: nothing is ever sent, proposals become plans"
        words = filter(None, (preset, own, advised if account.automation is Automation.ADVISE else ""))
        if said := "; ".join(words):
            lines.append(f"account {sanitize_name(name)}: {said}")
    return lines


def _firm_lines(policy: Policy, today: Callable[[], date]) -> list[str]:
    """The day is asked for only where an account has such rules: it takes the desk, which nothing else here does."""
    named = any(one.firm or one.automation is Automation.ADVISE for one in policy.accounts.values())
    return firm_lines_of(policy, today()) if named else []


def approvals(policy: Policy) -> list[tuple[str, Approval]]:
    """List what is sent after whose yes."""
    general = [
        ("orders in simulated accounts", policy.simulated),
        ("orders in live accounts", policy.live),
        ("exits in simulated accounts", policy.exits_simulated),
        ("exits in live accounts", policy.exits_live),
    ]
    accounts = policy.accounts.items()
    return general + [(f"orders in {sanitize_name(name)}", one.approval) for name, one in accounts if one.approval]


def _limits(limits: Mapping[str, object]) -> str:
    return ", ".join(_limit(name, value) for name, value in limits.items())


def _limit(name: str, value: object) -> str:
    return f"{name.replace('_', ' ')}: {_limit_value(name, value)}"


def _limit_value(name: str, value: object) -> str:
    match value:
        case None:
            return "any" if name == "instruments" else "none"
        case bool():
            return "yes" if value else "no"
        case FlatBy():
            return f"{value.at:%H:%M} {value.zone}"
        case Mapping():
            return ", ".join(f"1 {currency} = {rate:f}" for currency, rate in sorted(value.items())) or "none"
        case frozenset():
            return " ".join(sorted(value)) or "no instrument at all"
        case _:
            return _figure(value)


def _figure(value: object) -> str:
    if isinstance(value, Decimal):
        return money(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


# Toolsets: a tool that may not be used is not listed, so its absence is explained here


def may_trade(chosen: Collection[str], mode: Mode) -> bool:
    """Say whether tools are listed that can reach the market; toolset strategies trades only where trade is on too."""
    return "trade" in chosen and mode is not Mode.READ_ONLY


def unavailable_toolsets(chosen: Collection[str], mode: Mode) -> list[str]:
    """List what is not listed, and why. Reading is always on: what trades must be looked at."""
    whys = {"trade": _trade(chosen, mode), "strategies": _strategies(chosen, mode), "charts": _charts(chosen)}
    return [f"{name}: {why}" for name, why in whys.items() if why]


def incomplete_toolsets(chosen: Collection[str]) -> str:
    """Say for the operator what a toolset of the settings lacks here; empty where there is nothing."""
    return f"toolset charts: {lacks}" if "charts" in chosen and (lacks := why_no_pictures()) else ""


def why_no_pictures() -> str:
    """Say why no picture can be drawn here; empty where it can. Imports nothing."""
    return "" if find_spec("PIL") else f"{NO_PILLOW}: {INSTALL_PILLOW}"


def _trade(chosen: Collection[str], mode: Mode) -> str:
    if may_trade(chosen, mode):
        return ""
    return _READ_ONLY if mode is Mode.READ_ONLY else _LEFT_OUT


def _strategies(chosen: Collection[str], mode: Mode) -> str:
    if "strategies" not in chosen:
        return _LEFT_OUT
    if may_trade(chosen, mode):
        return ""
    return f"what changes one is {_READ_ONLY if mode is Mode.READ_ONLY else _NO_TRADE}; reading them is on"


def _charts(chosen: Collection[str]) -> str:
    return why_no_pictures() if "charts" in chosen else _LEFT_OUT
