"""What is due, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

Step = Callable[[datetime], None]


class Timetable:
    """Steps in the order of time; of two at the same moment, the one that was put down first."""

    def __init__(self) -> None:
        """Begin with nothing due."""
        self._steps: list[tuple[datetime, int, Step]] = []
        self._count = 0

    def at(self, moment: datetime, step: Step) -> None:
        """Put a step down."""
        self._count += 1
        heappush(self._steps, (moment, self._count, step))

    def after(self, now: datetime, seconds: float, step: Step) -> None:
        """Put a step down that is due so many seconds from now."""
        self.at(now + timedelta(seconds=seconds), step)

    def due(self, now: datetime) -> datetime | None:
        """Tell when the next step is due that is due by now."""
        return self._steps[0][0] if self._steps and self._steps[0][0] <= now else None

    def run_next(self) -> None:
        """Take the next step."""
        moment, _, step = heappop(self._steps)
        step(moment)
