"""A socket into the same process, with the methods and the errors of a connection of `websockets`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response as HandshakeResponse

from ct_mcp.simulator.misbehaviour import Silence
from ct_mcp.simulator.stream.hub import Hub
from ct_mcp.simulator.stream.outbox import Closing
from ct_mcp.simulator.stream.session import Session

_FINE = (1000, 1001)


class InProcessSocket:
    """`async with simulator.connect() as socket: await socket.send(text); text = await socket.recv()`."""

    def __init__(self, session: Session, tasks: TaskGroup) -> None:
        """Take the other end, and the group in which what is sent is worked on."""
        self._session, self._tasks = session, tasks

    async def send(self, message: str | bytes) -> None:
        """Send one message; it is taken at the next checkpoint.

        Raises:
            ConnectionClosed: The connection has ended.
        """
        await self._session.outbox.room()
        if self._session.outbox.closing is not None:
            raise self._lost(self._session.outbox.closing)
        self._tasks.start_soon(self._session.received, message)

    async def recv(self) -> str:
        """Wait for one frame.

        Raises:
            ConnectionClosed: The connection has ended, and everything before its end has been received.
        """
        text = await self._session.outbox.next()
        if text is None:
            raise self._lost(self._session.outbox.closing or Closing(None))
        return text

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection from this side; what was sent before is taken."""
        await checkpoint()
        self._session.outbox.close(Closing(code, reason))

    async def __aiter__(self) -> AsyncIterator[str]:
        """Receive until the connection ends well."""
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    @staticmethod
    def _lost(closing: Closing) -> ConnectionClosed:
        if closing.code is None:
            return ConnectionClosedError(None, None, None)
        kind = ConnectionClosedOK if closing.code in _FINE else ConnectionClosedError
        frame = Close(closing.code, closing.reason)
        return kind(frame, frame, rcvd_then_sent=True)


@asynccontextmanager
async def connected(hub: Hub, authorization: str) -> AsyncIterator[InProcessSocket]:
    """Connect, and leave at the end of the block; what was asked for is finished all the same.

    Raises:
        InvalidStatus: The handshake is refused.
        ConnectionResetError: The handshake is cut off.
    """
    refusal = await hub.refusal(authorization)
    if isinstance(refusal, Silence):
        raise ConnectionResetError("Connection reset by peer")
    if refusal is not None:
        headers, status = Headers(refusal.headers.items()), HTTPStatus(refusal.status_code)
        raise InvalidStatus(HandshakeResponse(status, status.phrase, headers, bytes(refusal.body)))
    session, failure = hub.open(), None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.tick)
            try:
                yield InProcessSocket(session, tasks)
            except Exception as error:  # noqa: BLE001 - raised again outside of the group, which would wrap it
                failure = error
            await session.idle()
            tasks.cancel_scope.cancel()
    finally:
        session.outbox.close(Closing(1000))
        hub.leave(session)
    if failure is not None:
        raise failure
