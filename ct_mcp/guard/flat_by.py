"""When the time to be flat by acts: pure, so that a process that watches nothing else knows whether it is near.

It stands alone, since that process loads no desk for it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from ct_mcp.domain.account import Account
from ct_mcp.guard.context import flat_by_moment
from ct_mcp.guard.policy import FlatBy, Mode, Policy


def flat_by_is_near(policy: Policy, now: datetime) -> bool:
    """Say whether it acts in any account now: from its warning on, until the session rolls."""
    return any(is_near(flat_by, policy, now) for flat_by in _all(policy))


def is_near(flat_by: FlatBy, policy: Policy, now: datetime) -> bool:
    """Say whether one acts now. A zone that is not known is no time; the settings refuse it at the start."""
    try:
        return now >= flat_by_moment(flat_by, now) - timedelta(minutes=policy.watches.warn_minutes)
    except (KeyError, ValueError, OSError):
        return False


def flat_by_of(account: Account, policy: Policy) -> FlatBy | None:
    """Give the time of an account that may trade; None where there is none, or where it does not act."""
    if not policy.watches.flat_by_acts or not _may_trade(account, policy):
        return None
    return policy.for_(account.name, None).limits.flat_by


def _may_trade(account: Account, policy: Policy) -> bool:
    if policy.mode is Mode.LIVE:
        return account.kind.is_simulated or policy.account_named(account.name) is not None
    return policy.mode is Mode.SIM and account.kind.is_simulated


def _all(policy: Policy) -> Iterator[FlatBy]:
    if not policy.watches.flat_by_acts or policy.mode is Mode.READ_ONLY:
        return
    for limits in (policy.limits, *(policy.for_(name, None).limits for name in policy.accounts)):
        if limits.flat_by is not None:
            yield limits.flat_by
