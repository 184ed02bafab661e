"""MCP over streamable HTTP: one server for all clients of a machine, behind one gate.

A conversation of the 2025 protocol is kept between requests, because a form is a request of ours in the middle of a
call; since 2026 each request stands for itself. The SDK tells the two apart and serves both at one address.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ct_mcp import __version__
from ct_mcp.server.flights import Flights
from ct_mcp.server.http_gate import HEALTH_PATH, MCP_PATH, Entrance, gated
from ct_mcp.server.wiring import Wiring

LARGEST_BODY = 256 * 1024
MOST_CONVERSATIONS = 500
IDLE_SECONDS = 60 * 60.0
GRACE_SECONDS = 3.0
"""How long what is under way may still take to answer, once the server is to end."""


class HttpServer:
    """One MCP server behind HTTP; it opens once, and answers 503 before and after that."""

    def __init__(
        self,
        server: MCPServer[Wiring],
        wiring: Wiring,
        entrance: Entrance,
        *,
        clock: Callable[[], float] = anyio.current_time,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """``clock`` gives seconds, for the uptime; a conversation of which nothing was heard for so long ends."""
        self._server, self._mode, self._clock = server, wiring.policy.mode, clock
        self._speak: ASGIApp = server.streamable_http_app(
            streamable_http_path=MCP_PATH,
            max_request_body_size=LARGEST_BODY,
            session_idle_timeout=idle_seconds,
            max_sessions=MOST_CONVERSATIONS,
            transport_security=TransportSecuritySettings(
                allowed_hosts=sorted(entrance.authorities), allowed_origins=sorted(entrance.origins)
            ),
        )
        self._flights = Flights()
        server.middleware.append(self._flights.call)
        self._opened_at: float | None = None
        self.app = gated(self._answer, entrance)

    @asynccontextmanager
    async def opened(self, grace_seconds: float = GRACE_SECONDS) -> AsyncIterator[None]:
        """Answer while the block runs; at its end take nothing new, and finish what is being sent."""
        async with self._server.session_manager.run():
            self._opened_at = self._clock()
            try:
                yield
            finally:
                self._opened_at = None
                with anyio.CancelScope(shield=True):
                    await self._flights.land(grace_seconds)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._opened_at is None:
            await PlainTextResponse("The server is starting or ending.", 503)(scope, receive, send)
        elif scope["path"] == HEALTH_PATH:
            await self._health(scope, self._clock() - self._opened_at)(scope, receive, send)
        else:
            await self._flights.request(self._speak, scope, receive, send)

    def _health(self, scope: Scope, uptime: float) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Only looking.", 405, {"Allow": "GET, HEAD"})
        if "authorization" not in Headers(scope=scope):
            return PlainTextResponse("ok")
        return JSONResponse(
            {"status": "ok", "version": __version__, "uptime_seconds": int(uptime), "mode": self._mode.value}
        )
