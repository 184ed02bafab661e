"""MCP over stdin and stdout, also for a client that asks faster than it reads, or does not read at all.

The SDK begins every request that it reads. Here only so many are begun as may wait for their answer; what comes on top
is refused, and the refusals that are not read are bounded too. Reading goes on all the while, so that a cancellation,
an answer of the person and the end of stdin are seen at once.
"""

import logging
import os
from threading import Timer
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

MOST_UNANSWERED = 256
_MOST_REFUSALS_UNREAD = 10_000
_LAST_WORDS_SECONDS = 2.0
_TOO_MANY = ErrorData(
    code=-32000,
    message=f"{MOST_UNANSWERED} requests wait for their answer already; this one was not begun, and nothing was sent",
)


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve until stdin closes; a client that does not read its answers cannot keep the process."""
    lowlevel = server._lowlevel_server  # its own run_stdio_async does the same without a bound
    async with stdio_server() as (heard, told), anyio.create_task_group() as tasks:
        crowd = Crowd()
        tasks.start_soon(crowd.refuse, told)
        await lowlevel.run(_Hearing(heard, crowd), _Telling(told, crowd), lowlevel.create_initialization_options())
        # What waits for stdout sits in a blocking write that nothing reaches, and everything else is closed by now.
        last_resort = Timer(_LAST_WORDS_SECONDS, os._exit, (0,))
        last_resort.daemon = True
        last_resort.start()
        tasks.cancel_scope.cancel()


class Crowd:
    """The requests that wait for their answers, and those that were refused because there were too many."""

    def __init__(self) -> None:
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
            case SessionMessage(message=JSONRPCRequest(id=number)):
                if len(self._unanswered) >= MOST_UNANSWERED:
                    self._refuse(number)
                    return False
                self._unanswered.add(number)
            case SessionMessage(message=JSONRPCNotification(method="notifications/cancelled", params=dict(given))):
                self._unanswered.discard(given.get("requestId", ""))
        return True

    def _refuse(self, number: RequestId) -> None:
        try:
            self._refused.send_nowait(number)
        except anyio.WouldBlock:
            if not self._has_dropped:
                logging.getLogger("ct_mcp").error("The client reads no answers: requests are dropped")
            self._has_dropped = True

    async def refuse(self, told: WriteStream[SessionMessage]) -> None:
        """Answer what was refused, as fast as the client reads."""
        with self._refused, self._to_refuse:
            async for number in self._to_refuse:
                await told.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=_TOO_MANY)))

    async def write(self, told: WriteStream[SessionMessage], item: SessionMessage) -> None:
        """Write one message; after the end of stdin only for a moment, since perhaps nobody reads."""
        with anyio.CancelScope(deadline=self._deadline) as scope:
            self._writes.add(scope)
            try:
                await told.send(item)
            finally:
                self._writes.discard(scope)
                if isinstance(item.message, JSONRPCResponse | JSONRPCError):
                    self._unanswered.discard(item.message.id or "")

    def nobody_asks_any_more(self) -> None:
        """Stdin has closed: give what is being written a moment, and no more."""
        self._deadline = anyio.current_time() + _LAST_WORDS_SECONDS
        for scope in self._writes:
            scope.deadline = self._deadline


class _Hearing:
    """What the SDK reads."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], crowd: Crowd) -> None:
        self._inner, self._crowd = inner, crowd

    @property
    def last_context(self) -> object:
        """In what context the message was received."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Give the next message that may go on."""
        while True:
            try:
                item = await self._inner.receive()
            except anyio.EndOfStream:
                self._crowd.nobody_asks_any_more()
                raise
            if self._crowd.admits(item):
                return item

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Telling:
    """Where the SDK writes."""

    def __init__(self, inner: WriteStream[SessionMessage], crowd: Crowd) -> None:
        self._inner, self._crowd = inner, crowd

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message."""
        await self._crowd.write(self._inner, item)

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
