"""Who makes calls: what the methods of the client, which are written in several modules, need of it."""

from collections.abc import Callable
from datetime import date
from typing import Protocol, TypeVar

from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.live import Live
from ct_mcp.crosstrade.wire_row import Reply

_T = TypeVar("_T")


class Caller(Protocol):
    """The client, or a view of it."""

    @property
    def _live(self) -> Live: ...

    async def _ask(self, call: Call, read: Callable[[Reply], _T]) -> _T: ...

    async def _send(self, call: Call, read: Callable[[Reply], _T]) -> _T: ...

    def _today(self) -> date: ...
