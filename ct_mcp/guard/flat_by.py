"""When the time to be flat by acts: pure, so that a process that watches nothing else knows whether it is near.

It stands alone, since that process loads no desk for it.

On a day that ends early it comes as long before that end as it comes before the usual one, an hour at most: with
15:10 Chicago, 50 minutes before 16:00, a close at 12:00 makes it 11:10.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from ct_mcp.domain.account import Account
from ct_mcp.domain.market import Session, trading_day
from ct_mcp.guard.context import flat_by_moment
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.holidays import AS_USUAL, CHICAGO, USUAL_CLOSE, DayEnd, end_of_day
from ct_mcp.guard.policy import FlatBy, Mode, Policy
from ct_mcp.text import utc_minute

_LOOKS_FROM = time(6)
"""From this hour on in Chicago the sessions are asked whether they end early; none has ended before."""
_LEAST, _MOST = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class FlatByTime:
    """When it comes today: at ``at``, which is before ``usual`` where the day ends early."""

    at: datetime
    usual: datetime
    end: DayEnd = AS_USUAL

    @property
    def why(self) -> str:
        """Say why it comes earlier than usual, or that nobody here knows whether it should; else empty."""
        if self.at >= self.usual or self.end.closes_at is None:
            return self.end.unknown
        return f"today at {utc_minute(self.at)}: trading ends at {utc_minute(self.end.closes_at)}, {self.end.why}"


def flat_by_time(flat_by: FlatBy, now: datetime, session: Session | None = None) -> FlatByTime:
    """Say when it comes in the trading day of ``now``, by the session of an instrument where that was told.

    Raises:
        KeyError, ValueError, OSError: There is no such time zone.
    """
    usual, end = flat_by_moment(flat_by, now), end_of_day(now, session)
    if end.closes_at is None:
        return FlatByTime(usual, usual, end)
    closes_usually = datetime.combine(trading_day(now), USUAL_CLOSE, CHICAGO)
    before = min(max(closes_usually - usual, _LEAST), _MOST)
    return FlatByTime(min(usual, end.closes_at - before), usual, end)


def flat_by_is_near(policy: Policy, now: datetime) -> bool:
    """Say whether it may act or be warned of in any account now: from six in Chicago on, since a day may end early."""
    return any(is_near(flat_by, policy, now) for flat_by in _all(policy))


def flat_by_warns(policy: Policy, now: datetime) -> bool:
    """Say whether the warning of any is due by the table of holidays, or its time has come."""
    return any(now >= warns_at for flat_by in _all(policy) if (warns_at := _warns_at(flat_by, policy, now)))


def is_near(flat_by: FlatBy, policy: Policy, now: datetime) -> bool:
    """Say whether one may act now. A zone that is not known is no time; the settings refuse it at the start."""
    warns_at = _warns_at(flat_by, policy, now)
    return warns_at is not None and now >= min(warns_at, datetime.combine(trading_day(now), _LOOKS_FROM, CHICAGO))


def _warns_at(flat_by: FlatBy, policy: Policy, now: datetime) -> datetime | None:
    try:
        return flat_by_time(flat_by, now).at - timedelta(minutes=policy.watches.warn_minutes)
    except (KeyError, ValueError, OSError):
        return None


def flat_by_of(account: Account, policy: Policy) -> FlatBy | None:
    """Give the time of an account that may trade; None where there is none."""
    return policy.for_(account.name, None).limits.flat_by if may_be_sent_to(account, policy) else None


def flat_by_acts(account: str, policy: Policy) -> bool:
    """Say whether what is open there is closed at its time; else it is only told."""
    return policy.watches.flat_by_acts and policy.for_(account, None).automation is Automation.PROPOSE


def may_be_sent_to(account: Account, policy: Policy) -> bool:
    """Say whether a setting may act in an account at all, by its kind and the mode."""
    if policy.mode is Mode.LIVE:
        return account.kind.is_simulated or policy.account_named(account.name) is not None
    return policy.mode is Mode.SIM and account.kind.is_simulated


def _all(policy: Policy) -> Iterator[FlatBy]:
    if policy.mode is Mode.READ_ONLY:
        return
    for limits in (policy.limits, *(policy.for_(name, None).limits for name in policy.accounts)):
        if limits.flat_by is not None:
            yield limits.flat_by
