"""An event loop whose time is virtual: where nothing can run, the clock jumps to the next timer.

Which of several callbacks that are ready runs first is drawn from a seed. So a run depends on its seed alone, and hours
of it pass in the time that its work takes. Nothing in it may wait for a file, a socket or a thread, and nothing may be
done in the order of where things lie in memory: anyio cancels the tasks of a scope as its set gives them, so in an
episode it keeps them in the order in which they came.
"""

import asyncio
import gc
import selectors
from asyncio import Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from anyio._backends import _asyncio as backend

T = TypeVar("T")

# So many callbacks in a row without a moment passing: somebody waits by going in circles.
_MOST_AT_ONE_MOMENT = 200_000


class StandsStill(RuntimeError):
    """Nothing will ever happen again: everybody waits, and no timer is set; or somebody goes in circles."""


class _Shuffled(deque[Handle]):
    """Ready callbacks, in the order that chance takes them."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._random = rng.random

    def popleft(self) -> Handle:
        if (count := len(self)) > 1:
            drawn = int(self._random() * count)
            self[0], self[drawn] = self[drawn], self[0]
        return super().popleft()


class _NoFiles(selectors.SelectSelector):
    """Waits for no file: it lets the time pass until the next timer."""

    def __init__(self, passes: Callable[[float | None], None]) -> None:
        super().__init__()
        self._passes = passes

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._passes(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for one episode. ``time()`` begins at zero."""

    _ready: deque[Handle]
    _scheduled: list[TimerHandle]

    def __init__(self, rng: Random) -> None:
        self._now, self._in_a_row = 0.0, 0
        super().__init__(_NoFiles(self._let_pass))
        self._ready = _Shuffled(rng)

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self._now

    def _let_pass(self, timeout: float | None) -> None:
        if timeout == 0:
            self._in_a_row += 1
            if self._in_a_row > _MOST_AT_ONE_MOMENT:
                raise StandsStill(f"callbacks go in circles at {self._now:.3f} s")
            return
        if timeout is None:
            raise StandsStill(f"nothing is ready and no timer is set at {self._now:.3f} s")
        self._in_a_row = 0
        # To the timer itself: what is added up in pieces never quite meets it.
        self._now = max(self._now, self._scheduled[0].when())


class _InOrder(dict[Any, None]):
    """What anyio asks of a set of tasks or scopes."""

    def add(self, each: Any) -> None:
        self[each] = None

    def remove(self, each: Any) -> None:
        del self[each]

    def discard(self, each: Any) -> None:
        self.pop(each, None)


@contextmanager
def cancelled_in_order() -> Iterator[None]:
    """Cancel tasks in the order in which they were begun."""
    begins = backend.CancelScope.__init__

    def begins_in_order(scope: Any, *arguments: Any, **named: Any) -> None:
        begins(scope, *arguments, **named)
        scope._tasks, scope._child_scopes = _InOrder(), _InOrder()

    setattr(backend.CancelScope, "__init__", begins_in_order)  # noqa: B010  # no type knows of it
    try:
        yield
    finally:
        setattr(backend.CancelScope, "__init__", begins)  # noqa: B010


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Collect no garbage meanwhile, and all of it afterwards: what is collected runs code, and no seed says when.

    It goes around a whole episode as well, so that what one leaves ends in none that is made after it.
    """
    is_outermost = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_outermost:
            gc.collect()
            gc.enable()


def play(main: Callable[[], Coroutine[Any, Any, T]], rng: Random) -> T:
    """Run one coroutine to its end on a loop of its own; what it leaves behind is cancelled.

    Raises:
        StandsStill: It never comes to an end.
    """
    loop = VirtualLoop(rng)
    broken: list[Mapping[str, Any]] = []
    loop.set_exception_handler(lambda _, context: broken.append(context))
    with nothing_collected(), cancelled_in_order():
        try:
            asyncio.set_event_loop(loop)
            result = loop.run_until_complete(main())
            _end_tasks(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    if broken:
        first = broken[0]
        raise RuntimeError(f"{first['message']}: {first.get('exception')!r}") from first.get("exception")
    return result


def _end_tasks(loop: VirtualLoop) -> None:
    """Cancel what is left, in the order in which it was begun, until it ends."""
    while left := sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name().rjust(20)):
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=1))
