"""How long ago something was, by a clock that may be set back.

It stands alone, since every room that waits asks it. A time that lies ahead was written before the clock was set back
(or by another machine, whose clock is ahead by little). Taken as it is, what waits would wait until the clock is there
again, for hours; so by how far it lies ahead counts as passed.
"""

from datetime import datetime


def seconds_since(at: datetime, now: datetime) -> float:
    """Seconds between the two; of a clock that was set back, by how far."""
    return abs((now - at).total_seconds())


def has_passed(at: datetime, seconds: float, now: datetime) -> bool:
    """Say whether so many seconds have passed since."""
    return seconds_since(at, now) >= seconds
