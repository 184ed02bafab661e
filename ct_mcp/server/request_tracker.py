"""Track what is under way when a server is to end: calls and the HTTP requests that carry them."""

from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LISTEN = "subscriptions/listen"
_ANSWER_SECONDS = 1.0
_ENDING = "The server is ending. What was being sent was finished first: look for it, and send nothing again unseen."


class RequestTracker:
    """Lets what is under way finish for a while, and cancels the rest.

    Cancelling ends a wait for the person at once, and never reaches into what is being sent to the market. Calls are
    cancelled before the requests that carry them, so that each can still say how it ended; the SDK would otherwise
    wait for seconds on a connection that takes nothing any more.
    """

    def __init__(self) -> None:
        self._calls: dict[anyio.CancelScope, str] = {}
        self._requests: dict[anyio.CancelScope, str] = {}
        self._one_ended = anyio.Event()

    async def call(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Track one call, as a middleware of the server."""
        with anyio.CancelScope() as scope:
            self._calls[scope] = ctx.method
            try:
                return await call_next(ctx)
            finally:
                del self._calls[scope]
                self._one_ended.set()
        if ctx.request_id is None:  # a notification, which nobody waits for
            return None
        raise MCPError(INTERNAL_ERROR, _ENDING)

    async def request(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Track one request; one that is cancelled is still answered properly."""
        begun = complete = False

        async def note_sent(message: Message) -> None:
            nonlocal begun, complete
            await send(message)
            begun, complete = True, message["type"] == "http.response.body" and not message.get("more_body", False)

        with anyio.CancelScope() as tracked:
            self._requests[tracked] = scope["method"]
            try:
                await app(scope, receive, note_sent)
            finally:
                del self._requests[tracked]
                self._one_ended.set()
        if tracked.cancelled_caught and not complete:  # an application may go on after its answer
            await _end_early(scope, receive, send, begun=begun)

    async def drain(self, grace_seconds: float) -> None:
        """Cancel those who only listen, let the others finish for a while, and cancel whatever is left."""
        _cancel(self._calls, _LISTEN)
        _cancel(self._requests, "GET")
        with anyio.move_on_after(grace_seconds):
            await self._wait_until_empty(self._requests)
        _cancel(self._calls)
        await self._wait_until_empty(self._calls)
        with anyio.move_on_after(_ANSWER_SECONDS):
            await self._wait_until_empty(self._requests)
        _cancel(self._requests)
        await self._wait_until_empty(self._requests)

    async def _wait_until_empty(self, tracked: dict[anyio.CancelScope, str]) -> None:
        while tracked:
            self._one_ended = anyio.Event()
            await self._one_ended.wait()


def _cancel(tracked: dict[anyio.CancelScope, str], method: str | None = None) -> None:
    """Cancel all of them, or those of one method."""
    for scope in [scope for scope, its_method in tracked.items() if method in (None, its_method)]:
        scope.cancel()


async def _end_early(scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    if begun:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await PlainTextResponse("The server is ending.", 503)(scope, receive, send)
