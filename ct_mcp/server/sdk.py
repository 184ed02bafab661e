"""What we need of the MCP SDK beyond its documented interface, each with the reason.

Everything that reaches for an underscore name of `mcp`, or relies on a behaviour that its documentation does not
promise, stands here, and `tests/unit/server/test_sdk.py` has a test for each that fails when the SDK changes. The
dependency is pinned to the minor version for the same reason.

1. Handlers of requests and notifications that `MCPServer` has no decorator for (subscriptions).
2. The connection behind a request: what belongs to one client for as long as it is connected.
3. Running over streams of our own, which bound what a client may leave unanswered, and on which discovery alone does
   not choose the protocol of a connection.
4. Three details of the protocol that the SDK gets wrong, corrected by a middleware (a provisional interface).
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.session import ServerSession
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_PARAMS, JSONRPCRequest, NotificationParams, RequestParams
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

Incoming = ReadStream[SessionMessage | Exception]
"""A stream of what a client sends, as the SDK reads it."""
Outgoing = WriteStream[SessionMessage]
"""A stream of what is sent to a client, as the SDK writes it."""

_Params = TypeVar("_Params", bound=RequestParams)
_LISTS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})
_NAMED = {"tools/call": "tool", "prompts/get": "prompt"}


# 1. Handlers


def add_request_handler(
    server: MCPServer[Any],
    method: str,
    params: type[_Params],
    handler: Callable[[ServerRequestContext[Any, Any], _Params], Awaitable[Any]],
) -> None:
    """Answer a method for which `MCPServer` has no decorator; it is then advertised among the capabilities.

    The SDK makes capabilities of the handlers that its low-level server has, and `MCPServer` keeps that one private.
    """
    server._lowlevel_server.add_request_handler(method, params, handler)


def on_initialized(
    server: MCPServer[Any], handler: Callable[[ServerRequestContext[Any, Any], NotificationParams], Awaitable[None]]
) -> None:
    """Run a handler for each connection of the 2025 protocol, as long as it lasts: the SDK cancels it at the end.

    A handler of a notification runs in a task of its own, which may therefore go on sending.
    """
    server._lowlevel_server.add_notification_handler("notifications/initialized", NotificationParams, handler)


# 2. Connections


def connection_of(session: ServerSession) -> Connection:
    """Give the connection that a request came by. A session stands for one request, and hides it."""
    return session._connection


def on_disconnect(connection: Connection, callback: Callable[[], None]) -> None:
    """Call back when this client is gone, however it went."""
    connection.exit_stack.callback(callback)


# 3. Streams


async def run_over(server: MCPServer[Any], incoming: Incoming, outgoing: Outgoing) -> None:
    """Serve one client over these streams until ``incoming`` ends.

    `MCPServer.run_stdio_async` does the same over streams of its own, which cannot be bounded.
    """
    lowlevel = server._lowlevel_server
    undecided = _Undecided(incoming, lambda request: _discover(lowlevel, request, outgoing))
    await lowlevel.run(undecided, outgoing, lowlevel.create_initialization_options())


async def _discover(lowlevel: Server[Any], request: SessionMessage, outgoing: Outgoing) -> None:
    """Answer one ``server/discover`` as a connection of its own, which ends with its answer."""
    ask, asked = anyio.create_memory_object_stream[SessionMessage | Exception](1)
    await ask.send(request)
    await serve_dual_era_loop(lowlevel, asked, _OneAnswer(outgoing, ask), lifespan_state=None)


class _OneAnswer:
    """Where one request is answered: with that its connection ends, and the stream to the client stays open."""

    def __init__(self, inner: Outgoing, ask: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        self._inner, self._ask = inner, ask

    async def send(self, item: SessionMessage, /) -> None:
        await self._inner.send(item)
        await self._ask.aclose()

    async def aclose(self) -> None:
        await self._ask.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class FilteredInput:
    """What the SDK reads, of which `receive` of a subclass lets through what may go on."""

    def __init__(self, inner: Incoming) -> None:
        self._inner = inner

    @property
    def last_context(self) -> object:
        """The context variables in which the last message was sent."""
        return sender_context(self._inner)

    async def receive(self) -> SessionMessage | Exception:
        """Give the next message."""
        return await self._inner.receive()

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


class _Undecided(FilteredInput):
    """What a client sends, without the discovery that it begins with.

    The first request chooses the protocol of a connection, and the SDK then refuses ``initialize`` after discovery. But
    a client whose discovery was answered late has sent ``initialize`` meanwhile, and some give up when it is refused.
    """

    def __init__(self, inner: Incoming, discover: Callable[[SessionMessage], Awaitable[None]]) -> None:
        super().__init__(inner)
        self._discover, self._is_decided = discover, False

    async def receive(self) -> SessionMessage | Exception:
        while True:
            item = await self._inner.receive()
            if self._is_decided or not isinstance(item, SessionMessage):
                return item
            if not isinstance(item.message, JSONRPCRequest) or item.message.method != "server/discover":
                self._is_decided = isinstance(item.message, JSONRPCRequest)
                return item
            await self._discover(item)


def sender_context(incoming: Incoming) -> object:
    """Give the context variables in which the last message was sent, for a stream that wraps this one.

    The SDK asks every stream for ``last_context`` by name and takes None for an answer; no protocol declares it.
    """
    return getattr(incoming, "last_context", None)


# 4. The protocol


def protocol_middleware(server: Callable[[], MCPServer[Any]]) -> ServerMiddleware[Any]:
    """Correct three details of the protocol for one server, which is asked for its tools and prompts by name.

    An unknown tool or prompt is an error of the protocol and no result; a cursor that we never gave is refused; and
    discovery names the older revisions too, which this server speaks as well.
    """
    known: set[tuple[str, str]] = set()

    async def refuse_unknown(kind: str, name: object) -> None:
        if (kind, name) not in known:
            listed = await (server().list_tools() if kind == "tool" else server().list_prompts())
            known.update((kind, item.name) for item in listed)
        if (kind, name) not in known:
            raise MCPError(INVALID_PARAMS, f"Unknown {kind}: {str(name)[:60]!a}")

    async def correct(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        params = ctx.params or {}
        if kind := _NAMED.get(ctx.method):
            await refuse_unknown(kind, params.get("name"))
        if ctx.method in _LISTS and params.get("cursor"):
            raise MCPError(INVALID_PARAMS, "Invalid cursor: every list of this server has a single page")
        result = await call_next(ctx)
        return _with_older_versions(result) if ctx.method == "server/discover" else result

    return correct


def _with_older_versions(result: HandlerResult) -> HandlerResult:
    """Add them after those that discovery itself belongs to, the newest first."""
    known = result.get("supportedVersions") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(known, list):
        return result
    return {**result, "supportedVersions": [*known, *HANDSHAKE_PROTOCOL_VERSIONS[::-1]]}
