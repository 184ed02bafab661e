"""The windows around releases in which an account opens nothing; and whether a setting is about to act. Pure.

Where the account may have no resting orders in them either, a window begins a little before its minutes do: what rests
has to be gone by then, and nothing may be placed that would have to go at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.products import product_of
from ct_mcp.guard.firm_policy import NewsEvent, NewsRule
from ct_mcp.guard.flat_by import flat_by_is_near, flat_by_warns
from ct_mcp.guard.policy import Mode, Policy

CANCELS_AHEAD = timedelta(seconds=30)
"""So long before the minutes of a window what rests is cancelled."""
_WARNED_AT_LEAST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NewsWindow:
    """Nothing opens from ``begins_at`` to ``ends_at``, both included, in what ``events`` concern."""

    begins_at: datetime
    ends_at: datetime
    events: tuple[NewsEvent, ...]

    def concerns(self, instrument: Instrument) -> bool:
        """Say whether any of its releases is about an instrument, in whatever size that is traded."""
        return any(concerns(event, instrument) for event in self.events)


def concerns(event: NewsEvent, instrument: Instrument) -> bool:
    """Say whether a release is about an instrument; one without roots is about all."""
    return not event.roots or product_of(instrument.root) in map(product_of, event.roots)


def window_of(event: NewsEvent, news: NewsRule) -> NewsWindow:
    """Give the window around one release."""
    ahead = CANCELS_AHEAD if news.no_resting else timedelta(0)
    return NewsWindow(event.at - news.before - ahead, event.at + news.after, (event,))


def windows_near(news: NewsRule, now: datetime, warned: timedelta) -> list[NewsWindow]:
    """Give the windows that have begun or are about to; releases of one moment share theirs."""
    found: dict[datetime, NewsWindow] = {}
    for event in () if news.calendar is None else news.calendar.events:
        window = window_of(event, news)
        if window.begins_at - warned <= now <= window.ends_at:
            before = found.get(window.begins_at)
            events = (*(before.events if before else ()), event)
            found[window.begins_at] = NewsWindow(window.begins_at, window.ends_at, events)
    return [found[begin] for begin in sorted(found)]


def warned_ahead(policy: Policy) -> timedelta:
    """Say how long before a window its watch is made and warns; never so late that it could come after its begin."""
    return max(_WARNED_AT_LEAST, timedelta(minutes=policy.watches.warn_minutes))


def settings_act(policy: Policy, now: datetime) -> bool:
    """Say whether a setting may act in any account now: a time to be flat by, or a release that is near."""
    return flat_by_is_near(policy, now) or any(_near(policy, now))


def settings_warn(policy: Policy, now: datetime) -> bool:
    """Say whether the warning of a setting is due, or its time has come."""
    return flat_by_warns(policy, now) or any(_near(policy, now))


def _near(policy: Policy, now: datetime) -> Iterator[bool]:
    warned = warned_ahead(policy)
    for account in () if policy.mode is Mode.READ_ONLY else policy.accounts.values():
        if account.firm is not None and account.firm.news is not None:
            yield bool(windows_near(account.firm.news, now, warned))
