"""What time it is: handed in, so that a run of the simulator can be repeated."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Tell the real time, for a simulator that somebody watches."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, start: datetime) -> None:
        """Stand at `start`, an aware time."""
        self._now = start.astimezone(UTC)
        self._watchers: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        """Tell the time, in UTC."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move forward and tell the new time."""
        return self.move_to(self._now + timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> datetime:
        """Jump to an aware time that is not in the past of this clock."""
        if moment < self._now:
            raise ValueError(f"the clock stands at {self._now}, {moment} is in its past")
        self._now = moment.astimezone(UTC)
        for watcher in list(self._watchers):
            watcher()
        return self._now

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call somebody whenever the clock has moved; what pushes by itself needs that."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Call somebody no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
