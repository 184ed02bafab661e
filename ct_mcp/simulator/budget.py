"""The rate limit of the service: a bucket of tokens that fills up again."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many calls at once, and how many a second after that."""

    burst: int = 20
    per_second: float = 3.0


class Bucket:
    """What is left of a rate limit."""

    def __init__(self, limit: RateLimit) -> None:
        """Begin full."""
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at: datetime | None = None

    def take(self, now: datetime) -> float:
        """Take a token and return 0.0, or return the seconds until there is one."""
        if self._at is not None:
            passed = max((now - self._at).total_seconds(), 0.0)
            self._tokens = min(self._limit.burst, self._tokens + passed * self._limit.per_second)
        self._at = now
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._limit.per_second
        self._tokens -= 1
        return 0.0
