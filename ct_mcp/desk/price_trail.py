"""The prices that a stream has told of what is held, second by second, for the excursions of round trips. Pure.

What was not heard from the first moment to the last is not answered for. Long trails get coarser, never longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from ct_mcp.crosstrade.stream.events import Event, Gap, QuoteTick
from ct_mcp.domain.instrument import Instrument

MOST_STEPS = 3600
MOST_TRAILS = 20


@dataclass(slots=True)
class _Step:
    began: datetime
    ended: datetime
    low: Decimal
    high: Decimal


@dataclass(slots=True)
class _OneTrail:
    since: datetime
    steps: list[_Step] = field(default_factory=list)

    def take(self, price: Decimal, at: datetime) -> None:
        last = self.steps[-1] if self.steps else None
        if last is not None and at < last.began + timedelta(seconds=1):
            last.ended = max(last.ended, at)
            last.low, last.high = min(last.low, price), max(last.high, price)
            return
        self.steps.append(_Step(at, at, price, price))
        if len(self.steps) > MOST_STEPS:
            pairs = zip(self.steps[::2], self.steps[1::2], strict=False)
            odd = self.steps[-1:] if len(self.steps) % 2 else []
            self.steps = [_joined(one, other) for one, other in pairs] + odd


def _joined(one: _Step, other: _Step) -> _Step:
    return _Step(one.began, other.ended, min(one.low, other.low), max(one.high, other.high))


class PriceTrails:
    """What a stream has told of each instrument since it last was silent."""

    def __init__(self) -> None:
        self._trails: dict[Instrument, _OneTrail] = {}

    def hear(self, event: Event) -> None:
        """Take a price; at a gap of the stream all trails begin anew."""
        match event:
            case Gap():
                self._trails.clear()
            case QuoteTick(last=Decimal() as price):
                trail = self._trails.pop(event.instrument, None) or _OneTrail(event.at)
                self._trails[event.instrument] = trail
                trail.take(price, event.at)
                while len(self._trails) > MOST_TRAILS:
                    del self._trails[next(iter(self._trails))]

    def extremes(self, instrument: Instrument, began: datetime, ended: datetime) -> tuple[Decimal, Decimal] | None:
        """Give the lowest and highest price of a stretch; None where not all of it was heard."""
        trail = self._trails.get(instrument)
        if trail is None or trail.since > began or not trail.steps or trail.steps[-1].ended < ended:
            return None
        touched = [step for step in trail.steps if step.began <= ended and step.ended >= began]
        before = [step for step in trail.steps if step.ended < began][-1:]  # the price that still stood when it began
        return _extremes([*before, *touched])


def _extremes(steps: Iterable[_Step]) -> tuple[Decimal, Decimal] | None:
    found = list(steps)
    return (min(step.low for step in found), max(step.high for step in found)) if found else None
