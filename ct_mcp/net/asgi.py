"""Serve an ASGI application on a socket of this machine, inside the event loop that runs: uvicorn, embedded once."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ct_mcp.net.connections import MOST_CONNECTIONS, Listener

LOOPBACK = "127.0.0.1"
REQUEST_WITHIN_SECONDS = 10.0
"""How long a connection may say nothing, or not all of a request's headers."""
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that prove who the server is."""

    certificate: str
    key: str


def listen(port: int = 0, address: str = LOOPBACK, most: int = MOST_CONNECTIONS) -> socket.socket:
    """Open a socket at an address of this machine; port 0 is any free one. It takes ``most`` connections at once.

    Raises:
        OSError: The address is not of this machine, or another program has the port.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.limit(most)
    if sys.platform == "win32":
        # There, without this, another program could listen on the very same port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def authority_of(listener: socket.socket) -> str:
    """Give the ``Host`` by which this socket is reached: ``127.0.0.1:49152``, ``[::1]:49152``."""
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@asynccontextmanager
async def serve(build: Callable[[str], ASGIApp], listener: socket.socket, tls: Tls | None = None) -> AsyncIterator[str]:
    """Serve what ``build`` makes for an authority while the block runs; gives the authority, ``127.0.0.1:49152``.

    At the end of the block what is being answered has a second to finish, whoever is cancelled meanwhile.
    """
    authority = authority_of(listener)
    config = _config(build(authority), tls)
    config.listener = listener if isinstance(listener, Listener) else None
    server, finished = _Server(config), anyio.Event()

    async def run() -> None:
        try:
            with anyio.CancelScope(shield=True):
                await server.serve(sockets=[listener])
        finally:
            finished.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield authority
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await finished.wait()


class _TimedConnection(H11Protocol):
    """Ends a connection that does not ask for anything: uvicorn waits for ever for the first request, or for its rest.

    The time runs from the moment at which nothing is being answered, and ends with the last line of a request's
    headers, not with its first letter.
    """

    config: "_Config"
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._time()

    def data_received(self, data: bytes) -> None:
        """Read; the time ends where this was the rest of a request's headers."""
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop()
        super().connection_lost(exc)

    def _time(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
            if self.config.listener is not None:
                self.config.listener.hear(self.transport.get_extra_info("peername"))
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_WITHIN_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """Leaves the signals to the program that it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Config(uvicorn.Config):
    """Knows the listener, which its connections tell that they were heard of."""

    listener: Listener | None = None


def _config(app: ASGIApp, tls: Tls | None) -> _Config:
    return _Config(
        app,
        # The parser in C that uvicorn prefers trims headers, and does not exist everywhere.
        http=_TimedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
