"""Entries that nobody finds: asked for every few seconds for a minute, then once a minute, out of what others leave.

An order whose answer was lost may never have come, and nothing but the person ends the wait for it. Two that were asked
for every other second, by three requests that go first, left nobody else any.

It stands alone, since the watch over the exits knows enough.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ct_mcp.domain.passing import has_passed

Key = tuple[str, int]
_EVERY_SECONDS = 4.0
_LOST_AFTER_SECONDS = 60.0
"""What has not reached NinjaTrader by then hardly will."""
_LOST_EVERY_SECONDS = 60.0


@dataclass(slots=True)
class Unseen:
    """Since when each was asked for in vain, and when it was last asked for."""

    _since: dict[Key, datetime] = field(default_factory=dict)
    _asked_at: dict[Key, datetime] = field(default_factory=dict)

    def missed(self, key: Key, now: datetime) -> None:
        """It was asked for, and not found."""
        self._since.setdefault(key, now)
        self._asked_at[key] = now

    def seen(self, key: Key) -> None:
        """It was found."""
        self._since.pop(key, None)
        self._asked_at.pop(key, None)

    def is_missed(self, key: Key) -> bool:
        """Say whether it was not found when it was last asked for."""
        return key in self._since

    def is_lost(self, key: Key, now: datetime) -> bool:
        """Say whether it was not found for so long that it hardly comes any more."""
        return key in self._since and has_passed(self._since[key], _LOST_AFTER_SECONDS, now)

    def rests(self, key: Key, now: datetime) -> bool:
        """Say whether it is not asked for yet."""
        every = _LOST_EVERY_SECONDS if self.is_lost(key, now) else _EVERY_SECONDS
        return key in self._asked_at and not has_passed(self._asked_at[key], every, now)
