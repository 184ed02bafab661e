"""How a handler reaches the desk: built on the first call, since listing tools needs no network, token or disk."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from ct_mcp.domain.ticket import Ticket
from ct_mcp.guard.policy import Policy
from ct_mcp.live.view import LiveView
from ct_mcp.server.reading import Reading

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

ToolContext = Context["Wiring", Any]
OpenPage = Callable[[Ticket], Awaitable[bool]]
"""Opens the approval page of a ticket in the person's browser, once; says whether the browser came to it."""


class Wiring:
    """What all handlers of one server share."""

    def __init__(
        self,
        furnish: Callable[[], "Desk"],
        policy: Policy,
        *,
        toolsets: frozenset[str] = frozenset({"read", "trade"}),
        close: Callable[[], Awaitable[None]] | None = None,
        open_page: OpenPage | None = None,
    ) -> None:
        """``furnish`` builds the desk when the first handler needs it; ``close`` lets go of what it opened.

        Without ``open_page`` no browser is ever opened, and the terminal is the way.
        """
        self._furnish = furnish
        self._close = close
        self._live: Callable[[], LiveView] | None = None
        self.open_page = open_page
        self.policy = policy
        self.toolsets = toolsets
        self.forms_never_shown: set[str] = set()

    @cached_property
    def desk(self) -> "Desk":
        """The one desk of this process."""
        return self._furnish()

    def fed_by(self, live: Callable[[], LiveView]) -> "Wiring":
        """Let a stream feed what is known; without one everything is read by request."""
        self._live = live
        return self

    @cached_property
    def live(self) -> LiveView:
        """What is known between two reads. What we send ends what was known of that account at once."""
        view = self._live() if self._live else LiveView(self.desk.clock)
        self.desk.on_sent.append(view.sent)
        return view

    async def close(self) -> None:
        """Let go of connections and files, if any were opened."""
        if self._close is not None and "desk" in self.__dict__:
            await self._close()

    @asynccontextmanager
    async def lifespan(self, _: MCPServer["Wiring"]) -> AsyncIterator["Wiring"]:
        """Live as long as the server runs."""
        try:
            yield self
        finally:
            await self.close()


def wiring_of(ctx: ToolContext) -> Wiring:
    """What the server was built with."""
    return ctx.request_context.lifespan_context


def desk_of(ctx: ToolContext) -> "Desk":
    """The desk, for a handler."""
    return wiring_of(ctx).desk


def reading_of(ctx: ToolContext) -> Reading:
    """The reads of one answer, for a handler."""
    return reading_in(wiring_of(ctx))


def reading_in(wiring: Wiring) -> Reading:
    """The reads of one answer that is only shown, served from the live view where it knows."""
    return Reading(wiring.desk, wiring.live)
