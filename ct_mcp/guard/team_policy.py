"""What a team wants of a trader, narrowed into what the trader's own settings allow. Pure, and it widens nothing.

1. Of two policies of a team, that for everybody and that for one trader, the stricter holds in everything (`both`).
2. The trader's own policy is narrowed by the result (`narrowed`). What only holds for one account or root is narrowed
   where that is named, by `Policy.for_` and `Policy.approval_for`, since a table of the team's must name no account
   that the trader's own settings do not: there a name is a permission.
3. All of it holds for what opens or adds, and for nothing else: mode and automation of a team have a rule of their own
   (`guard/rules/team.py`), and the approval of exits is the trader's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from ct_mcp.guard.firm_policy import Automation, both_rules
from ct_mcp.guard.policy import (
    AccountPolicy,
    FlatBy,
    LimitOverrides,
    Mode,
    Policy,
    SecondYes,
    TeamRules,
    is_earlier,
    stricter,
    strictest,
)

_MODES, _SECONDS = list(Mode), list(SecondYes)


def both(one: TeamRules, other: TeamRules) -> TeamRules:
    """Give the rules that are as strict as either in everything; which of the two comes first does not matter."""
    names = sorted({*one.accounts, *other.accounts})
    return TeamRules(
        mode=min(one.mode, other.mode, key=_MODES.index),
        limits=both_limits(one.limits, other.limits),
        simulated=strictest(one.simulated, other.simulated),
        live=strictest(one.live, other.live),
        ticket_seconds=_least(one.ticket_seconds, other.ticket_seconds),
        require_stop=one.require_stop or other.require_stop,
        accounts={name: _both_accounts(one.account_named(name), other.account_named(name)) for name in names},
        instruments={
            root: both_limits(one.instruments.get(root, {}), other.instruments.get(root, {}))
            for root in sorted({*one.instruments, *other.instruments})
        },
        second=max(one.second, other.second, key=_SECONDS.index),
        second_from=min((each.second_from for each in (one, other) if each.second is not SecondYes.NONE), default=1),
        grace_seconds=_least(one.grace_seconds, other.grace_seconds),
        numbers=tuple(sorted({*one.numbers, *other.numbers})),
    )


def both_limits(one: LimitOverrides, other: LimitOverrides) -> LimitOverrides:
    """Give the stricter of each limit, and those that only one of them has."""
    shared = {name: stricter(name, value, other[name]) for name, value in one.items() if name in other}
    return {**one, **other, **shared}


def _both_accounts(one: AccountPolicy, other: AccountPolicy) -> AccountPolicy:
    advises = Automation.ADVISE in (one.automation, other.automation)
    given = [each for each in (one.approval, other.approval) if each is not None]
    return AccountPolicy(
        approval=strictest(*given) if given else None,
        limits=both_limits(one.limits, other.limits),
        automation=Automation.ADVISE if advises else Automation.PROPOSE,
        firm=both_rules(one.firm, other.firm),
    )


def _least(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def narrowed(own: Policy, rules: TeamRules) -> Policy:
    """Narrow a trader's own policy by what the team wants; nothing of it becomes wider."""
    return replace(
        own,
        limits=own.limits.narrowed_by(rules.limits),
        protection=replace(own.protection, require_stop=own.protection.require_stop or rules.require_stop),
        simulated=strictest(own.simulated, rules.simulated),
        live=strictest(own.live, rules.live),
        ticket_seconds=min(own.ticket_seconds, rules.ticket_seconds or own.ticket_seconds),
        team=both(own.team, rules),
    )


def faults_of(own: Policy, rules: Iterable[TeamRules]) -> Iterator[str]:
    """Say what nobody can narrow: two times of day of two zones, of which now one and now the other is the earlier."""
    limits = [*_all_limits(own.accounts, own.instruments)]
    for each in rules:
        limits += [each.limits, *_all_limits(each.accounts, each.instruments)]
    times = dict.fromkeys(filter(None, (own.limits.flat_by, *map(_flat_by, limits))))
    for one, other in combinations(times, 2):
        if not (is_earlier(one, other) or is_earlier(other, one)):
            yield (
                f"flat_by: found {one.at:%H:%M} {one.zone} and {other.at:%H:%M} {other.zone}, and which of them comes "
                "first changes over the year"
            )


def _all_limits(
    accounts: Mapping[str, AccountPolicy], instruments: Mapping[str, LimitOverrides]
) -> Iterator[LimitOverrides]:
    yield from (*(one.limits for one in accounts.values()), *instruments.values())


def _flat_by(limits: LimitOverrides) -> FlatBy | None:
    found = limits.get("flat_by")
    return found if isinstance(found, FlatBy) else None
