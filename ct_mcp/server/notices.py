"""The notices that one client was not sent yet: of each thing one a second at most, and the last change never lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from mcp.server.subscriptions import ServerEvent


@dataclass(frozen=True, slots=True)
class Pace:
    """How seldom a client hears of the same thing, and the time that counts for it."""

    every_seconds: float = 1.0
    clock: Callable[[], float] = anyio.current_time
    pause: Callable[[float], Awaitable[None]] = anyio.sleep


class Notices:
    """Told without waiting, and as often as anything happens; bounded by how many things there are to tell of."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due_at: dict[ServerEvent, float] = {}
        self._told_at: dict[ServerEvent, float] = {}
        self._news = anyio.Event()

    def add(self, event: ServerEvent) -> None:
        """Something changed; that it did so more than once before it was told says nothing more."""
        if event not in self._due_at:
            last = self._told_at.get(event)
            self._due_at[event] = self._pace.clock() if last is None else last + self._pace.every_seconds
            self._news.set()

    def forget(self, event: ServerEvent) -> None:
        """It is not to be told of any more."""
        self._due_at.pop(event, None)
        self._told_at.pop(event, None)

    async def next(self) -> ServerEvent:
        """Wait for what has been due for the longest; a change after that is another notice."""
        while True:
            now, event = self._pace.clock(), min(self._due_at, key=self._due_at.__getitem__, default=None)
            if event is not None and self._due_at[event] <= now:
                del self._due_at[event]
                self._told_at[event] = now
                return event
            await self._until_news_or(None if event is None else self._due_at[event] - now)

    async def _until_news_or(self, seconds: float | None) -> None:
        self._news = anyio.Event()
        if seconds is None:
            await self._news.wait()
            return
        async with anyio.create_task_group() as waiting:

            async def until_news() -> None:
                await self._news.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_news)
            await self._pace.pause(seconds)
            waiting.cancel_scope.cancel()
