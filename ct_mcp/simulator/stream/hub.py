"""The WebSocket at `/ws/stream`: one connection at a time, because a person may have one session."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
from anyio.abc import TaskGroup
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.fault_responses import CUT, FAULTS_BEFORE_ACCEPT, fault_response
from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.gateway import Gateway, RateLimitBucket
from ct_mcp.simulator.orders import OrderEvent
from ct_mcp.simulator.stream.assumptions import StreamAssumptions
from ct_mcp.simulator.stream.outbox import session_elsewhere
from ct_mcp.simulator.stream.session import STREAM_PATH, StreamSession

_WAKE_EVERY_SECONDS = 0.05


class StreamHub:
    """Opens connections, and lets time pass for the one that is open."""

    def __init__(self, gateway: Gateway, assumptions: StreamAssumptions) -> None:
        """Start without a connection."""
        self.session: StreamSession | None = None
        self._gateway, self._assumptions, self._addon = gateway, assumptions, gateway.addon
        limit = assumptions.subscription_limit
        self._subscription_bucket = RateLimitBucket(limit) if limit else None

    async def refusal(self, authorization: str) -> Response | None:
        """Return the answer to a handshake that is refused; a slow handshake waits here."""
        self._addon.wake()
        faults = self._addon.faults
        if faults.take(StreamFault.SOCKET_SLOW):
            await faults.hold()
        fault = faults.first_due(FAULTS_BEFORE_ACCEPT, STREAM_PATH)
        if fault is None and faults.take(StreamFault.SOCKET_REFUSED):
            fault = Fault.TEMPORARILY_DISABLED
        return self._gateway.authenticate(authorization) or (fault_response(fault) if fault else None)

    def open(self) -> StreamSession:
        """Open a session; the one before it ends."""
        self._addon.wake()
        if self.session is not None:
            self.session.outbox.close(session_elsewhere(self._assumptions))
            self.leave(self.session)
        self.session = StreamSession(self._gateway, self._assumptions, self._subscription_bucket)
        if isinstance(self._addon.clock, ManualClock):
            self._addon.clock.watch(self._addon.wake)
        return self.session

    def leave(self, session: StreamSession) -> None:
        """Drop a session that is over."""
        if session is not self.session:
            return
        self.session = None
        if isinstance(self._addon.clock, ManualClock):
            self._addon.clock.unwatch(self._addon.wake)

    async def keep_awake(self) -> None:
        """Wake the add-on by the wall clock; with a manual clock, return at once: it wakes the add-on when it moves."""
        while not isinstance(self._addon.clock, ManualClock):
            await anyio.sleep(_WAKE_EVERY_SECONDS)
            self._addon.wake()

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which something is to be pushed."""
        session = self._open_session()
        return session.next_at(until) if session else None

    def tick(self) -> None:
        """Push what is due now."""
        if session := self._open_session():
            session.tick()

    def report(self, event: OrderEvent) -> None:
        """Push an event of an order that has just happened."""
        if session := self._open_session():
            session.report(event)

    def _open_session(self) -> StreamSession | None:
        return self.session if self.session and self.session.outbox.closing is None else None


def websocket_handler(hub: StreamHub) -> Callable[[WebSocket], Awaitable[None]]:
    """Build the handler of the route: the handshake, and texts carried between a session and its client."""

    async def handle(websocket: WebSocket) -> None:
        refusal = await hub.refusal(websocket.headers.get("authorization", ""))
        if refusal is not None:
            await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        session = hub.open()
        try:
            await _carry(hub, session, websocket)
        finally:
            hub.leave(session)

    return handle


async def _carry(hub: StreamHub, session: StreamSession, websocket: WebSocket) -> None:
    """Carry texts both ways until one side ends; calls that have arrived are finished all the same."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.keep_awake)
        with anyio.CancelScope() as reading:
            tasks.start_soon(_write, session, websocket, reading)
            await _read(session, websocket, tasks)
        hub.leave(session)
        await session.wait_idle()
        tasks.cancel_scope.cancel()


async def _read(session: StreamSession, websocket: WebSocket, tasks: TaskGroup) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await session.outbox.room()
        text = message.get("text")
        tasks.start_soon(session.receive, message.get("bytes", b"") if text is None else text)


async def _write(session: StreamSession, websocket: WebSocket, reading: anyio.CancelScope) -> None:
    try:
        while (text := await session.outbox.next()) is not None:
            await websocket.send_text(text)
        await _end(session, websocket)
    except WebSocketDisconnect:
        pass
    finally:
        reading.cancel()


async def _end(session: StreamSession, websocket: WebSocket) -> None:
    """Close as the session demands, or leave a note that the connection is to be torn down."""
    closing = session.outbox.closing
    if closing is not None and closing.code is not None:
        await websocket.close(closing.code, closing.reason)
    else:
        websocket.scope[CUT] = StreamFault.SOCKET_CUT
