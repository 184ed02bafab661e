"""Serve the simulator over a real socket, in the running event loop."""

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ct_mcp.simulator.fault_responses import ConnectionLost
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator


class _CuttingProtocol(H11Protocol):
    """HTTP that closes the connection without an answer where the application raises `ConnectionLost`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inner, self.app = self.app, self._call

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._inner(scope, receive, send)
        except ConnectionLost as lost:
            if lost.fault is not Fault.READ_TIMEOUT_AFTER_ACCEPT:
                self.transport.close()
            while (await receive())["type"] != "http.disconnect":
                pass


class _CuttingSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is torn down without a close frame where the application raises `ConnectionLost`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inner, self.app = self.app, self._call

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._inner(scope, receive, send)
        except ConnectionLost:
            self.transport.abort()
            while (await receive())["type"] != "websocket.disconnect":
                pass


class _EmbeddedServer(uvicorn.Server):
    """A server that leaves the signals to the program that it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _listener(host: str, port: int) -> socket.socket:
    """Open a listening socket that names TCP as its protocol: else asyncio leaves Nagle's delay on, 40 ms a call."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def served(
    simulator: Simulator, host: str = "127.0.0.1", port: int = 0, listener: socket.socket | None = None
) -> AsyncIterator[str]:
    """Serve while the block runs, and yield the URL, `http://127.0.0.1:49152`. Port 0 is any free one.

    A listening socket that is handed in is served and closed instead.
    """
    config = uvicorn.Config(
        simulator.app,
        http=_CuttingProtocol,
        ws=_CuttingSocket,
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server, finished = _EmbeddedServer(config), anyio.Event()
    listener = listener or _listener(host, port)

    async def run() -> None:
        try:
            with anyio.CancelScope(shield=True):
                await server.serve(sockets=[listener])
        finally:
            finished.set()

    simulator.addon.closing = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            simulator.faults.release()
            simulator.addon.closing.set()
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await finished.wait()


async def serve(simulator: Simulator, host: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; `ready` is called with the URL once connections are accepted."""
    async with served(simulator, host, port) as url:
        ready(url)
        await anyio.sleep_forever()
