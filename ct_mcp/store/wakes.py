"""Wake-ups: whoever waits for what another process does looks at once where that is told, and else after a while.

It stands alone, since a wake-up says nothing: who is woken looks for itself, and everything holds if none ever comes.
"""

from collections.abc import Awaitable, Callable

import anyio


class Wakes:
    """Wakes whoever waits in this process; ``hear`` are called at each wake-up, and return at once."""

    def __init__(self) -> None:
        self._woken = anyio.Event()
        self.hear: list[Callable[[], None]] = []

    def wake(self) -> None:
        """Wake everybody who waits now."""
        self._woken.set()
        self._woken = anyio.Event()
        for hear in tuple(self.hear):
            hear()

    async def pause(self, seconds: float, pause: Callable[[float], Awaitable[object]] = anyio.sleep) -> None:
        """Pause so long, or until the next wake-up."""
        woken = self._woken
        async with anyio.create_task_group() as waiting:

            async def until_woken() -> None:
                await woken.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_woken)
            await pause(seconds)
            waiting.cancel_scope.cancel()
