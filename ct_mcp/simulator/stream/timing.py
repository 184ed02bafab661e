"""When something that comes again and again is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_LONGEST_ARREARS = timedelta(minutes=10)


@dataclass(slots=True)
class Timer:
    """Strikes at `at` and then every so often; after a long jump of the clock it starts again at its end."""

    at: datetime
    every: timedelta

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until`."""
        if until - self.at >= _LONGEST_ARREARS:
            self.at = until
        return self.at if self.at <= until else None

    def strikes(self, now: datetime) -> bool:
        """Say whether it is due, and wind it up again."""
        if now < self.at:
            return False
        self.at += self.every
        return True
