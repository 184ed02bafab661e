"""One tool's reads: what must be read raises, what may be missing is noted, and warnings beside success are heard."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import anyio

from ct_mcp.desk.desk import Desk
from ct_mcp.errors import CtMcpError, Unavailable

LONGEST_READ_SECONDS = 25.0

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Reading:
    """The desk's client for one answer, and the notes that belong beside the answer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._heard: dict[str, None] = {}
        self.upstream = desk.upstream.heard_by(self.note)

    @property
    def notes(self) -> list[str]:
        """What could not be read and what was warned of, each once."""
        return list(self._heard)

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
