"""MCP over stdin and stdout, also for a client that asks faster than it reads, or does not read at all.

The SDK begins every request that it reads. Here only so many are begun as may wait for their answer; what comes on top
is refused, and the refusals that are not read are bounded too. Reading goes on all the while, so that a cancellation,
an answer of the person and the end of stdin are seen at once.

The SDK passes over a line that it cannot read, and its client would wait for ever. Here such a line is answered; and
half a letter, as a client leaves it that cuts a text in the middle of an emoji, is replaced, so that a halt is set.
"""

import json
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
from mcp_types import (
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from ct_mcp.server.sdk import FilteredInput, Incoming, Outgoing, run_over

MOST_UNANSWERED = 256
_MOST_REFUSALS_UNREAD = 10_000
_ENDING_SECONDS = 2.0
_TOO_MANY = ErrorData(
    code=-32000,
    message=f"{MOST_UNANSWERED} requests wait for their answer already; this one was not begun, and nothing was sent",
)
_UNREADABLE = ErrorData(
    code=PARSE_ERROR,
    message="this message cannot be read as JSON-RPC; nothing of it was begun, and nothing was sent. Look for a number "
    "of very many digits or for broken JSON, then send it again",
)
_MOST_DIGITS_OF_AN_ID = 18


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
        self._refused: MemoryObjectSendStream[JSONRPCError]
        self._to_refuse: MemoryObjectReceiveStream[JSONRPCError]
        self._refused, self._to_refuse = anyio.create_memory_object_stream(_MOST_REFUSALS_UNREAD)
        self._has_dropped = False

    def admits(self, item: SessionMessage | Exception) -> bool:
        """Say whether it may go on to the SDK: everything but a request too many."""
        match item:
            case SessionMessage(message=JSONRPCRequest(id=request_id)):
                if len(self._unanswered) >= MOST_UNANSWERED:
                    self.refuse(request_id, _TOO_MANY)
                    return False
                self._unanswered.add(request_id)
            case SessionMessage(message=JSONRPCNotification(method="notifications/cancelled", params=dict(params))):
                self._unanswered.discard(params.get("requestId", ""))
        return True

    def refuse(self, request_id: RequestId | None, why: ErrorData) -> None:
        """Let a request be answered that is not begun; without waiting, since the client may read nothing."""
        try:
            self._refused.send_nowait(JSONRPCError(jsonrpc="2.0", id=request_id, error=why))
        except anyio.WouldBlock:
            if not self._has_dropped:
                logging.getLogger("ct_mcp").error("The client reads no answers: requests are dropped")
            self._has_dropped = True

    async def send_refusals(self, outgoing: Outgoing) -> None:
        """Answer what was refused, as fast as the client reads."""
        with self._refused, self._to_refuse:
            async for refusal in self._to_refuse:
                await outgoing.send(SessionMessage(refusal))

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
    """What the SDK reads: every message that can be read and that the limiter admits."""

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
            if isinstance(item, Exception):
                line = _line_of(item)
                item = _without_half_letters(line) or item
            if isinstance(item, Exception):
                if line.strip():
                    self._limiter.refuse(_id_in(line), _UNREADABLE)
            elif self._limiter.admits(item):
                return item


def _line_of(error: Exception) -> str:
    """Give what the SDK could not read: the line, or the message in it that lacks something; else no text."""
    flaws = error.errors(include_url=False, include_context=False) if isinstance(error, ValidationError) else []
    for flaw in flaws:
        if flaw["type"] == "json_invalid":
            return str(flaw["input"])
        if flaw["type"] == "missing" and len(flaw["loc"]) == 2:
            return json.dumps(flaw["input"])
    return "?"


def _without_half_letters(line: str) -> SessionMessage | None:
    """Read a line again with a mark in place of each half letter; None where that does not help.

    What is no UTF-8 is replaced likewise, by the SDK itself.
    """
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return SessionMessage(jsonrpc_message_adapter.validate_json(whole, by_name=False)) if whole != text else None
    except (ValueError, RecursionError):
        return None


def _id_in(line: str) -> RequestId | None:
    """Find the id of a request; that of an answer is of no use, since the client would take it for one of its own."""
    try:
        told = json.loads(line, parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS_OF_AN_ID else None)
    except (ValueError, RecursionError):
        return None
    found = told.get("id") if isinstance(told, dict) and "method" in told else None
    return found if isinstance(found, str) or type(found) is int else None


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
