"""What is under way when a server is to end: calls and the requests that carry them, each finished or called back."""

from collections.abc import Callable
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LISTENS = "subscriptions/listen"
_LAST_WORDS_SECONDS = 1.0
_ENDING = "The server is ending. What was being sent was finished first: look for it, and send nothing again unseen."


class Flights:
    """Lets what is under way finish for a while, and then calls it back.

    Calling back is cancelling: it ends a wait for the person at once, and never reaches into what is being sent.
    Calls come before the requests that carry them, so that each can still say how it ended; the SDK would otherwise
    wait for seconds on a connection that takes nothing any more.
    """

    def __init__(self) -> None:
        self._calls: dict[anyio.CancelScope, str] = {}
        self._requests: dict[anyio.CancelScope, str] = {}
        self._landed = anyio.Event()

    async def call(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Carry one call, as a middleware of the server."""
        with anyio.CancelScope() as flight:
            self._calls[flight] = ctx.method
            try:
                return await call_next(ctx)
            finally:
                del self._calls[flight]
                self._landed.set()
        if ctx.request_id is None:  # a notice, which nobody waits for
            return None
        raise MCPError(INTERNAL_ERROR, _ENDING)

    async def request(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request; one that is called back is still answered properly."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as flight:
            self._requests[flight] = scope["method"]
            try:
                await app(scope, receive, watched)
            finally:
                del self._requests[flight]
                self._landed.set()
        if flight.cancelled_caught:
            await _end_early(scope, receive, send, begun=begun)

    async def land(self, grace_seconds: float) -> None:
        """Let go of those who listen, let the others finish for a while, and call back whatever is left."""
        _call_back(self._calls, _LISTENS)
        _call_back(self._requests, "GET")
        with anyio.move_on_after(grace_seconds):
            await self._until(lambda: not self._requests)
        _call_back(self._calls)
        await self._until(lambda: not self._calls)
        with anyio.move_on_after(_LAST_WORDS_SECONDS):
            await self._until(lambda: not self._requests)
        _call_back(self._requests)
        await self._until(lambda: not self._requests)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._landed = anyio.Event()
            await self._landed.wait()


def _call_back(flights: dict[anyio.CancelScope, str], only: str | None = None) -> None:
    for flight in [flight for flight, method in flights.items() if only in (None, method)]:
        flight.cancel()


async def _end_early(scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    if begun:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await PlainTextResponse("The server is ending.", 503)(scope, receive, send)
