"""The policy as the person would read it: mode, limits, approvals. It holds no secret."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

from ct_mcp.domain.ticket import Approval
from ct_mcp.guard.policy import FlatBy, Limits, Mode, Policy
from ct_mcp.server.present import lines, money, span, theirs

MODES = {
    Mode.READ_ONLY: "read_only: nothing may trade",
    Mode.SIM: "sim: only simulated accounts may trade",
    Mode.LIVE: "live: only accounts that the settings name may trade, each while the person has armed it",
}
_CHANNELS = {
    Approval.NONE: "nobody is asked",
    Approval.FORM: "the person types a text that only they were shown, in a form of the client or with ct-mcp approve",
    Approval.PAGE: "the person decides in a place of their own: a page in their browser, or ct-mcp approve",
    Approval.PAGE_PIN: "the person decides in a place of their own, with their PIN",
}


def limit_lines(limits: Limits) -> list[str]:
    """Every limit that is in force, a line each, in the words of the settings."""
    return [_line(field.name, getattr(limits, field.name)) for field in fields(limits)]


def narrower_lines(policy: Policy) -> list[str]:
    """Where one account or one root is held shorter."""
    accounts = [(f"account {theirs(name)}", account.limits) for name, account in policy.accounts.items()]
    roots = [(f"instrument {root}", limits) for root, limits in policy.instruments.items()]
    return [f"{what}: {_in_words(limits)}" for what, limits in (*accounts, *roots) if limits]


def approvals(policy: Policy) -> list[tuple[str, Approval]]:
    """What is sent after whose yes."""
    general = [
        ("orders in simulated accounts", policy.simulated),
        ("orders in live accounts", policy.live),
        ("exits in simulated accounts", policy.exits_simulated),
        ("exits in live accounts", policy.exits_live),
    ]
    named = [(f"orders in {theirs(name)}", one.approval) for name, one in policy.accounts.items() if one.approval]
    return general + named


def policy_text(policy: Policy) -> str:
    """All of it as one page."""
    named = ", ".join(theirs(name) or "" for name in policy.accounts) or "none"
    return lines(
        (
            "# What this server may do",
            "Only the operator can change this, in the settings; no tool can.",
            f"## Mode\n{MODES[policy.mode]}",
            f"accounts named in the settings: {named}" if policy.mode is Mode.LIVE else "",
            "## Limits of every account (beneath every approval; what only reduces is not held back by value)",
            *(f"- {line}" for line in (*limit_lines(policy.limits), *narrower_lines(policy))),
            "## Approval",
            *(f"- {what}: {approval} ({_CHANNELS[approval]})" for what, approval in approvals(policy)),
            f"- a proposal lapses after {span(policy.ticket_seconds)}; one call waits at most"
            f" {span(policy.wait_seconds)} for the person",
        )
    )


def _line(name: str, value: object) -> str:
    return f"{name.replace('_', ' ')}: {_worded(name, value)}"


def _in_words(limits: Mapping[str, object]) -> str:
    return ", ".join(_line(name, value) for name, value in limits.items())


def _worded(name: str, value: object) -> str:
    match value:
        case None:
            return "any" if name == "instruments" else "none"
        case bool():
            return "yes" if value else "no"
        case FlatBy():
            return f"{value.at:%H:%M} {value.zone}"
        case frozenset():
            return " ".join(sorted(value)) or "no instrument at all"
        case _:
            return (
                money(value) if isinstance(value, Decimal) else f"{value:g}" if isinstance(value, float) else str(value)
            )
