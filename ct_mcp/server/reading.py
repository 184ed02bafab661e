"""One tool's reads: what must be read raises, what may be missing is noted, and warnings beside success are heard."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from ct_mcp.errors import CtMcpError, Unavailable
from ct_mcp.live.reads import LiveReads
from ct_mcp.live.view import LiveView

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

LONGEST_READ_SECONDS = 25.0

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Reading:
    """The desk's client for one answer, and the notes that belong beside the answer.

    ``live`` may answer from what is known already; without a view, and for whatever decides, everything is read anew.
    """

    def __init__(self, desk: "Desk", view: LiveView | None = None) -> None:
        self.desk = desk
        self._heard: dict[str, None] = {}
        self.upstream = desk.upstream.heard_by(self.note)
        self.live = LiveReads(view or LiveView(desk.clock), desk.upstream, self.note)

    @property
    def notes(self) -> list[str]:
        """What could not be read and what was warned of, each once, and how old what is known is."""
        age = (self.desk.clock() - self.read_at).total_seconds()
        since = "and it may have changed" if self.live.may_have_changed else "and nothing was heard to change since"
        known = [f"known for {age:.0f} s, {since}"] if age >= 1 else []
        return [*self._heard, *known]

    @property
    def read_at(self) -> datetime:
        """When the oldest of what the live view gave was read; now where it gave nothing."""
        return self.live.as_of or self.desk.clock()

    def note(self, what: str) -> None:
        """Keep something that the assistant must be told."""
        self._heard[what] = None

    async def attempt(self, what: str, read: Awaitable[_T]) -> _T | None:
        """Await an optional read; where it fails, what it would have said is not known, and that is noted."""
        try:
            return await read
        except CtMcpError as error:
            self.note(f"{what} could not be read: {error.code}: {error.what}")
            return None


def in_time(
    seconds: float = LONGEST_READ_SECONDS,
) -> Callable[[Callable[_P, Awaitable[_T]]], Callable[_P, Awaitable[_T]]]:
    """Bound something that only reads: clients give up on a call that lasts, and some then on the whole server."""

    def bounded(read: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
        @wraps(read)
        async def within(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            with anyio.move_on_after(seconds):
                return await read(*args, **kwargs)
            raise Unavailable(f"no answer within {seconds:.0f} s")

        return within

    return bounded
