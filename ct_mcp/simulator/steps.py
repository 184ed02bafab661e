"""Calls that take their time: they do one thing, wait, and do another.

Such a call is a generator. It yields the seconds that it wants to wait, and is sent the moment
at which it goes on: whoever drives it decides what waiting is.
"""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[float, datetime, T]

_PATIENCE_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.05


def waited(seconds: float, now: datetime) -> Steps[datetime]:
    """Wait, and tell the moment; without seconds nothing passes."""
    return (yield seconds) if seconds > 0 else now


def awaited(is_so: Callable[[], bool], now: datetime) -> Steps[datetime]:
    """Wait until something is so, but for no more than five seconds, and tell the moment. It may still not be so."""
    for _ in range(round(_PATIENCE_SECONDS / _LOOK_EVERY_SECONDS)):
        if is_so():
            break
        now = yield _LOOK_EVERY_SECONDS
    return now
