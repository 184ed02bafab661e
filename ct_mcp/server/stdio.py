"""MCP over stdin and stdout, also for a client that asks faster than it reads, or does not read at all.

The SDK begins every request that it reads. Here only so many are begun as may wait for their answer; what comes on top
is refused, and the refusals that are not read are bounded too. Reading goes on all the while, so that a cancellation,
an answer of the person and the end of stdin are seen at once.
"""

import logging
import os
from collections.abc import Callable
from threading import Timer
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

from ct_mcp.server.sdk import FilteredInput, Incoming, Outgoing, run_over

MOST_UNANSWERED = 256
_MOST_REFUSALS_UNREAD = 10_000
_ENDING_SECONDS = 2.0
_TOO_MANY = ErrorData(
    code=-32000,
    message=f"{MOST_UNANSWERED} requests wait for their answer already; this one was not begun, and nothing was sent",
)


def _nothing_to_do() -> None:
    pass


async def serve_stdio(server: MCPServer[Any], answered: Callable[[], None] = _nothing_to_do) -> None:
    """Serve until stdin closes; a client that does not read its answers cannot keep the process.

    ``answered`` is called with each answer: what may wait until then does not keep a client that is just starting us.
    """
    async with stdio_server() as (incoming, outgoing), anyio.create_task_group() as tasks:
        limiter = InflightLimiter(answered)
        tasks.start_soon(limiter.send_refusals, outgoing)
        try:
            await run_over(server, Reader(incoming, limiter), Writer(outgoing, limiter))
        finally:
            # What waits for stdout is in a blocking write that no cancelling reaches, and everything else is closed.
            last_resort = Timer(_ENDING_SECONDS, os._exit, (0,))
            last_resort.daemon = True
            last_resort.start()
            tasks.cancel_scope.cancel()


class InflightLimiter:
    """The requests that wait for their answers, and those that were refused because there were too many."""

    def __init__(self, answered: Callable[[], None] = _nothing_to_do) -> None:
        self._answered = answered
        self._unanswered: set[RequestId] = set()
        self._writes: set[anyio.CancelScope] = set()
        self._deadline = float("inf")
        self._refused: MemoryObjectSendStream[RequestId]
        self._to_refuse: MemoryObjectReceiveStream[RequestId]
        self._refused, self._to_refuse = anyio.create_memory_object_stream(_MOST_REFUSALS_UNREAD)
        self._has_dropped = False

    def admits(self, item: SessionMessage | Exception) -> bool:
        """Say whether it may go on to the SDK: everything but a request too many."""
        match item:
            case SessionMessage(message=JSONRPCRequest(id=request_id)):
                if len(self._unanswered) >= MOST_UNANSWERED:
                    self._refuse(request_id)
                    return False
                self._unanswered.add(request_id)
            case SessionMessage(message=JSONRPCNotification(method="notifications/cancelled", params=dict(params))):
                self._unanswered.discard(params.get("requestId", ""))
        return True

    def _refuse(self, request_id: RequestId) -> None:
        try:
            self._refused.send_nowait(request_id)
        except anyio.WouldBlock:
            if not self._has_dropped:
                logging.getLogger("ct_mcp").error("The client reads no answers: requests are dropped")
            self._has_dropped = True

    async def send_refusals(self, outgoing: Outgoing) -> None:
        """Answer what was refused, as fast as the client reads."""
        with self._refused, self._to_refuse:
            async for request_id in self._to_refuse:
                await outgoing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=_TOO_MANY)))

    async def write(self, outgoing: Outgoing, item: SessionMessage) -> None:
        """Write one message; after the end of stdin only for a moment, since perhaps nobody reads."""
        with anyio.CancelScope(deadline=self._deadline) as scope:
            self._writes.add(scope)
            try:
                await outgoing.send(item)
            finally:
                self._writes.discard(scope)
                if isinstance(item.message, JSONRPCResponse | JSONRPCError):
                    self._unanswered.discard(item.message.id or "")
                    self._answered()

    def end_of_input(self) -> None:
        """Give what is being written a moment, and no more: stdin has closed."""
        self._deadline = anyio.current_time() + _ENDING_SECONDS
        for scope in self._writes:
            scope.deadline = self._deadline


class Reader(FilteredInput):
    """What the SDK reads: every message that the limiter admits."""

    def __init__(self, inner: Incoming, limiter: InflightLimiter) -> None:
        super().__init__(inner)
        self._limiter = limiter

    async def receive(self) -> SessionMessage | Exception:
        """Give the next message that may go on."""
        while True:
            try:
                item = await self._inner.receive()
            except anyio.EndOfStream:
                self._limiter.end_of_input()
                raise
            if self._limiter.admits(item):
                return item


class Writer:
    """Where the SDK writes; each message passes the limiter."""

    def __init__(self, inner: Outgoing, limiter: InflightLimiter) -> None:
        self._inner, self._limiter = inner, limiter

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message."""
        await self._limiter.write(self._inner, item)

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
