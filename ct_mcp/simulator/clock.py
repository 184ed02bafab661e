"""Time in the simulator: a clock that is passed in, and the schedule of what is due.

A run depends on its seed and its clock alone, so that it can be repeated.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

Clock = Callable[[], datetime]
ScheduledStep = Callable[[datetime], None]


def wall_clock() -> datetime:
    """Return the real time, in UTC."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start: datetime) -> None:
        """Start at `start`, an aware time."""
        self._now = start.astimezone(UTC)
        self._watchers: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        """Return the time, in UTC."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move forward and return the new time."""
        return self.move_to(self._now + timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> datetime:
        """Move to an aware time, call the watchers, and return the new time.

        Raises:
            ValueError: The time is before the one that the clock shows.
        """
        if moment < self._now:
            raise ValueError(f"the clock stands at {self._now}, {moment} is in its past")
        self._now = moment.astimezone(UTC)
        for watcher in list(self._watchers):
            watcher()
        return self._now

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever the clock has moved."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Stop calling `watcher`."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)


class Schedule:
    """Steps in the order of time; of two at the same moment, the one that was added first runs first."""

    def __init__(self) -> None:
        """Start empty."""
        self._steps: list[tuple[datetime, int, ScheduledStep]] = []
        self._count = 0

    def at(self, moment: datetime, step: ScheduledStep) -> None:
        """Add a step that is due at a moment."""
        self._count += 1
        heappush(self._steps, (moment, self._count, step))

    def after(self, now: datetime, seconds: float, step: ScheduledStep) -> None:
        """Add a step that is due so many seconds from now."""
        self.at(now + timedelta(seconds=seconds), step)

    def due(self, now: datetime) -> datetime | None:
        """Return when the next step is due; None if that is after `now`."""
        return self._steps[0][0] if self._steps and self._steps[0][0] <= now else None

    def run_next(self) -> None:
        """Run the next step and remove it."""
        moment, _, step = heappop(self._steps)
        step(moment)
