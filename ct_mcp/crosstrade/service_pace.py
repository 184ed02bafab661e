"""How fast the service answers just now, and whether it wants to be asked less. No sleeping and no clock.

It slows down before it refuses: to somebody who hurries, or asks for many things at once, reads that took half a second
take five. So the usual time of an answer is learnt from those that were quick, and where two of the last three took far
longer, or one was refused for being too many, reads go one after the other and nothing is asked that need not be, for a
while. Writes are never held up by it. It stands alone, since it has no connection and can be tried without one.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

FAR_LONGER = 3.0
SLOW_SECONDS = 1.5
"""What is faster is not slow, however fast answers were before."""
HELD_UP_SECONDS = 30.0
_LEARNT_FROM = 40


@dataclass(slots=True)
class ServicePace:
    """What answers took lately; times are of one clock that nobody can set, in seconds."""

    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=_LEARNT_FROM))
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    _slow_until: float | None = None
    _refused_until: float | None = None

    def took(self, seconds: float, now: float) -> None:
        """Take note of what one read took to be answered, or to be given up."""
        self._last.append(seconds)
        if seconds <= self._longest:
            self._usual.append(seconds)
        if len(self._last) > 1 and sorted(self._last)[-2] > self._longest:
            self._slow_until = now + HELD_UP_SECONDS
        elif seconds <= self._longest and median(self._last) <= self._longest:
            self._slow_until = None

    def refused(self, now: float) -> None:
        """They answered that it was too many."""
        self._refused_until = now + HELD_UP_SECONDS

    def why(self, now: float) -> str:
        """Say why it is to be asked less just now; empty where it is not."""
        if self._refused_until is not None and now < self._refused_until:
            return "it refused requests for being too many"
        if self._slow_until is not None and now < self._slow_until:
            return f"it answers slowly: the last reads took {', '.join(f'{each:.1f}' for each in self._last)} s"
        return ""

    @property
    def _longest(self) -> float:
        """What an answer may take and not be slow."""
        return max(SLOW_SECONDS, FAR_LONGER * median(self._usual)) if self._usual else SLOW_SECONDS
