"""Clients in the same process: a transport for httpx, and a WebSocket with the interface of `websockets`.

Both lose connections as a network would: a fault that cuts the connection becomes the error that the library raises
for it over a real socket.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
import httpx
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response as HandshakeResponse

from ct_mcp.simulator.fault_responses import ConnectionLost, NoResponse
from ct_mcp.simulator.faults import AnyFault, Fault
from ct_mcp.simulator.stream.hub import StreamHub
from ct_mcp.simulator.stream.outbox import ConnectionEnd
from ct_mcp.simulator.stream.session import StreamSession

_NORMAL_CODES = (1000, 1001)
_HTTPX_ERRORS: dict[AnyFault, tuple[type[httpx.TransportError], str]] = {
    Fault.CONNECT_REFUSED: (httpx.ConnectError, "All connection attempts failed"),
    Fault.READ_TIMEOUT_AFTER_ACCEPT: (httpx.ReadTimeout, "The read operation timed out"),
    Fault.REQUEST_LOST_BEFORE_ACCEPT: (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
    Fault.ANSWER_LOST_AFTER_ACCEPT: (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
}


class InProcessTransport(httpx.AsyncBaseTransport):
    """`httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://simulator")`.

    A connection that the simulator cuts becomes `ConnectError`, `ReadTimeout` (at once) or `RemoteProtocolError`.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Send requests to an application."""
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: A fault has cut the connection.
        """
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionLost as lost:
            kind, text = _HTTPX_ERRORS[lost.fault]
            raise kind(text, request=request) from None


class InProcessSocket:
    """`async with simulator.connect() as socket: await socket.send(text); text = await socket.recv()`."""

    def __init__(self, session: StreamSession, tasks: TaskGroup) -> None:
        """Talk to a session of the service; `tasks` is the group in which messages are handled."""
        self._session, self._tasks = session, tasks

    async def send(self, message: str | bytes) -> None:
        """Send one message; it is handled from the next checkpoint on.

        Raises:
            ConnectionClosed: The connection has ended.
        """
        await self._session.outbox.room()
        if self._session.outbox.closing is not None:
            raise self._closed(self._session.outbox.closing)
        self._tasks.start_soon(self._session.receive, message)

    async def recv(self) -> str:
        """Wait for one frame.

        Raises:
            ConnectionClosed: The connection has ended, and everything before its end has been received.
        """
        text = await self._session.outbox.next()
        if text is None:
            raise self._closed(self._session.outbox.closing or ConnectionEnd(None))
        return text

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from this side; what was sent before is still handled."""
        await checkpoint()
        self._session.outbox.close(ConnectionEnd(code, reason))

    async def __aiter__(self) -> AsyncIterator[str]:
        """Receive until the connection is closed normally."""
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    @staticmethod
    def _closed(closing: ConnectionEnd) -> ConnectionClosed:
        if closing.code is None:
            return ConnectionClosedError(None, None, None)
        kind = ConnectionClosedOK if closing.code in _NORMAL_CODES else ConnectionClosedError
        frame = Close(closing.code, closing.reason)
        return kind(frame, frame, rcvd_then_sent=True)


@asynccontextmanager
async def connect(hub: StreamHub, authorization: str) -> AsyncIterator[InProcessSocket]:
    """Connect, and disconnect at the end of the block; calls that have arrived are finished all the same.

    Raises:
        InvalidStatus: The handshake is refused.
        ConnectionResetError: The handshake is cut off.
    """
    refusal = await hub.refusal(authorization)
    if isinstance(refusal, NoResponse):
        raise ConnectionResetError("Connection reset by peer")
    if refusal is not None:
        headers, status = Headers(refusal.headers.items()), HTTPStatus(refusal.status_code)
        raise InvalidStatus(HandshakeResponse(status, status.phrase, headers, bytes(refusal.body)))
    session, failure = hub.open(), None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.keep_awake)
            try:
                yield InProcessSocket(session, tasks)
            except Exception as error:  # noqa: BLE001 - raised again outside of the group, which would wrap it
                failure = error
            await session.wait_idle()
            tasks.cancel_scope.cancel()
    finally:
        session.outbox.close(ConnectionEnd(1000))
        hub.leave(session)
    if failure is not None:
        raise failure
