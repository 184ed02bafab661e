"""What a trader's team wants, in words: its halt, its policies and who set them, a second person's yes, its silence."""

from collections.abc import Iterator
from datetime import datetime

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import EVERYBODY, TeamLost, TeamPolicy, TeamStanding
from ct_mcp.guard.policy import Mode, Policy, SecondYes, TeamRules
from ct_mcp.text import iso, sanitize, span

LIFTED_BY = "only a risk manager of the team lifts it, at the plane"
_LONGEST = 200


def halted_words(halt: Halt) -> str:
    """Say who of the team halted, when and why, and who alone lifts it."""
    by, reason = sanitize(halt.by, longest=60), sanitize(halt.reason, longest=_LONGEST)
    return f"by {by} of the team at {iso(halt.at)}: {reason}; {LIFTED_BY}"


def halt_words(own: Halt | None, team: Halt | None) -> str:
    """Say of the halts that stand by whom, when and why; empty where trading is not halted."""
    mine = (
        ""
        if own is None
        else f"by {sanitize(own.by, longest=60)} at {iso(own.at)}: {sanitize(own.reason, longest=_LONGEST)}"
    )
    return "; and ".join(filter(None, (mine, "" if team is None else halted_words(team))))


def lost_words(lost: TeamLost, now: datetime) -> str:
    """Say since when it is silent, why, and how long openings go on."""
    heard = "it was never heard" if lost.heard_at is None else f"last heard at {iso(lost.heard_at)}"
    if lost.grace_until is None or lost.is_over(now):
        goes_on = "nothing opens until it answers; exits work"
    else:
        left = span(int((lost.grace_until - now).total_seconds()))
        goes_on = f"openings go on until {iso(lost.grace_until)}, {left} more; exits work always"
    return f"{sanitize(lost.why, longest=_LONGEST)}; {heard}; {goes_on}"


def team_lines(standing: TeamStanding | None, policy: Policy, now: datetime) -> list[str]:
    """Say what the team narrows and by whom, a line each; nothing where it says nothing."""
    if standing is None:
        return []
    lost = [f"the plane does not answer: {lost_words(standing.lost, now)}"] if standing.lost else []
    return [f"team: {line}" for line in (*_halted(standing), *lost, *_policies(standing), *rules_lines(policy.team))]


def _halted(standing: TeamStanding) -> Iterator[str]:
    if standing.halt is not None:
        yield f"HALTED {halted_words(standing.halt)}"


def _policies(standing: TeamStanding) -> Iterator[str]:
    yield from (f"policy {policy.number} {_whom(policy)}" for policy in standing.policies if policy.text.strip())
    if standing.unreadable:
        yield f"nothing opens, since it cannot be held: {sanitize(standing.unreadable, longest=2 * _LONGEST)}"


def _whom(policy: TeamPolicy) -> str:
    whom = "everybody" if policy.trader == EVERYBODY else "you"
    return f"for {whom}, set by {sanitize(policy.by, longest=60)} at {iso(policy.at)}"


def rules_lines(team: TeamRules) -> list[str]:
    """Say what no limit of the settings says: where nothing opens, whose yes is needed as well, the time of grace."""
    lines = []
    if team.mode is not Mode.LIVE:
        lines.append(f"its mode is {team.mode}: nothing else opens, and exits go as before")
    if team.second is not SecondYes.NONE:
        where = "of a live account" if team.second is SecondYes.LIVE else "of every account"
        least = f" that come to {team.second_from} contracts or more" if team.second_from > 1 else ""
        lines.append(f"openings {where}{least} need a second person's yes beside yours")
    if team.grace_seconds:
        lines.append(f"while its plane does not answer, openings go on for {span(int(team.grace_seconds))}")
    return lines
