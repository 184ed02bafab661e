"""MCP over streamable HTTP: one server for all clients of a machine, behind one gate.

A conversation of the 2025 protocol is kept between requests, because a form is a request of ours in the middle of a
call; since 2026 each request stands for itself. The SDK tells the two apart and serves both at one address.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import anyio
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ct_mcp import __version__
from ct_mcp.net.security import Gate, guarded, holds_token
from ct_mcp.server.context import ServerContext
from ct_mcp.server.request_tracker import RequestTracker

MCP_PATH = "/mcp"
HEALTH_PATH = "/health"
HEADERS: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
"""What every answer carries. Nothing allows a page of another origin to read one."""

LARGEST_BODY = 256 * 1024
MOST_CONVERSATIONS = 500
IDLE_SECONDS = 60 * 60.0
GRACE_SECONDS = 3.0
"""How long what is under way may still take to answer, once the server is to end."""


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Where clients reach the server, each as ``127.0.0.1:8421``, and the token that lets them in."""

    authorities: frozenset[str]
    token: str = field(repr=False)
    scheme: str = "http"

    @property
    def gate(self) -> Gate:
        """The gate before the server: programs come, no pages; ``/health`` alone needs no token."""
        return Gate(self.authorities, _offers, self._admits, self.scheme)

    def _admits(self, scope: Scope, headers: Headers) -> Response | None:
        tried = "authorization" in headers
        if (not tried and scope["path"] == HEALTH_PATH) or holds_token(headers, self.token):
            return None
        challenge = 'Bearer realm="ct-mcp"' + (', error="invalid_token"' if tried else "")
        told = "This server wants its own token, which is kept in its state folder: Authorization: Bearer ..."
        return PlainTextResponse(told, 401, {"WWW-Authenticate": challenge})


def _offers(scope: Scope, _: Headers) -> Response | None:
    """Refuse what there is not, even without a token: a client that looks for a sign-in learns that there is none."""
    is_there = scope["type"] == "http" and scope["path"] in (MCP_PATH, HEALTH_PATH)
    return None if is_there else PlainTextResponse(f"There is only {MCP_PATH} and {HEALTH_PATH} here.", 404)


class HttpServer:
    """One MCP server behind HTTP; it opens once, and answers 503 before and after that."""

    def __init__(
        self,
        server: MCPServer[ServerContext],
        context: ServerContext,
        access: HttpAccess,
        *,
        clock: Callable[[], float] = anyio.current_time,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """``clock`` gives seconds, for the uptime; a conversation of which nothing was heard for so long ends."""
        gate = access.gate
        self._server, self._mode, self._clock = server, context.policy.mode, clock
        self._speak: ASGIApp = server.streamable_http_app(
            streamable_http_path=MCP_PATH,
            max_request_body_size=LARGEST_BODY,
            session_idle_timeout=idle_seconds,
            max_sessions=MOST_CONVERSATIONS,
            transport_security=TransportSecuritySettings(
                allowed_hosts=sorted(gate.authorities), allowed_origins=sorted(gate.origins)
            ),
        )
        self._tracker = RequestTracker()
        server.middleware.append(self._tracker.call)
        self._opened_at: float | None = None
        self.app = guarded(self._answer, gate, HEADERS)

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
                    await self._tracker.drain(grace_seconds)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._opened_at is None:
            await PlainTextResponse("The server is starting or ending.", 503)(scope, receive, send)
        elif scope["path"] == HEALTH_PATH:
            await self._health(scope, self._clock() - self._opened_at)(scope, receive, send)
        else:
            await self._tracker.request(self._speak, scope, receive, send)

    def _health(self, scope: Scope, uptime: float) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Only looking.", 405, {"Allow": "GET, HEAD"})
        if "authorization" not in Headers(scope=scope):
            return PlainTextResponse("ok")
        return JSONResponse(
            {"status": "ok", "version": __version__, "uptime_seconds": int(uptime), "mode": self._mode.value}
        )
