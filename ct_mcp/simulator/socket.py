"""`/ws/stream` over a real socket: the handshake, and texts carried between a session and its client."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup
from starlette.websockets import WebSocket, WebSocketDisconnect

from ct_mcp.simulator.faults import Disturbance
from ct_mcp.simulator.misbehaviour import CUT
from ct_mcp.simulator.stream.hub import Hub
from ct_mcp.simulator.stream.session import Session


def socket_of(hub: Hub) -> Callable[[WebSocket], Awaitable[None]]:
    """Make the handler of the route."""

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


async def _carry(hub: Hub, session: Session, websocket: WebSocket) -> None:
    """Carry texts both ways until one side ends; what was asked for is finished all the same."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.tick)
        with anyio.CancelScope() as reading:
            tasks.start_soon(_write, session, websocket, reading)
            await _read(session, websocket, tasks)
        hub.leave(session)
        await session.idle()
        tasks.cancel_scope.cancel()


async def _read(session: Session, websocket: WebSocket, tasks: TaskGroup) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await session.outbox.room()
        text = message.get("text")
        tasks.start_soon(session.received, message.get("bytes", b"") if text is None else text)


async def _write(session: Session, websocket: WebSocket, reading: anyio.CancelScope) -> None:
    try:
        while (text := await session.outbox.next()) is not None:
            await websocket.send_text(text)
        await _end(session, websocket)
    except WebSocketDisconnect:
        pass
    finally:
        reading.cancel()


async def _end(session: Session, websocket: WebSocket) -> None:
    """Close with what the session says, or leave a note that the connection is to be torn down."""
    closing = session.outbox.closing
    if closing is not None and closing.code is not None:
        await websocket.close(closing.code, closing.reason)
    else:
        websocket.scope[CUT] = Disturbance.SOCKET_CUT
