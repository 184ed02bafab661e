"""When the simulator of an episode wakes to push: at each moment at which something can happen, and at no other.

By the wall clock it wakes twenty times a second, which is most of what an episode with a stream would cost. What fills
does so at whole seconds or a moment after it was accepted, and all else is scheduled; so nothing is heard later.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from virtual_world import replaced

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.clock import Schedule, ScheduledStep
from ct_mcp.simulator.stream.hub import StreamHub

_ONE_SECOND = timedelta(seconds=1)
_JUST_AFTER = timedelta(microseconds=2)  # a moment in seconds is rounded when it becomes a time
_set_at = Schedule.at
_listening: dict[Schedule, set[asyncio.Event]] = {}


def woken_where_it_counts() -> AbstractContextManager[None]:
    """Let the simulators wake so as long as an episode is played."""
    return replaced({(StreamHub, "keep_awake"): _keep_awake, (Schedule, "at"): _at})


def _at(self: Schedule, moment: datetime, step: ScheduledStep) -> None:
    """Add a step, and let who waits for the next one look again."""
    _set_at(self, moment, step)
    for news in _listening.get(self, ()):
        news.set()


async def _keep_awake(self: StreamHub) -> None:
    """Wake the add-on as long as the connection is there."""
    addon, news, loop = self._addon, asyncio.Event(), asyncio.get_running_loop()
    listening = _listening.setdefault(addon.exchange.schedule, set())
    listening.add(news)
    try:
        while True:
            due = min(_moments(self, addon)) + _JUST_AFTER
            timer = loop.call_later((due - addon.clock()).total_seconds(), news.set)
            await news.wait()
            timer.cancel()
            news.clear()
            addon.wake()
    finally:
        listening.discard(news)
        if not listening:
            _listening.pop(addon.exchange.schedule, None)


def _moments(hub: StreamHub, addon: AddOn) -> Iterator[datetime]:
    """The next moments at which something can happen; within a second, since faults come unannounced."""
    now, exchange = addon.now, addon.exchange
    soon = now + _ONE_SECOND
    yield soon
    yield exchange.schedule.due(soon) or soon
    yield hub.next_at(soon) or soon
    for order in exchange._open:
        if order.matches_from is not None and order.is_live:
            yield soon.replace(microsecond=0)
            if order.matches_from > now:
                yield order.matches_from
