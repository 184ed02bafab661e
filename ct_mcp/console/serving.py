"""The pages behind a real socket, on loopback alone, inside whatever event loop is running."""

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"


class _QuietServer(uvicorn.Server):
    """Leaves the signals to the program that it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def served(build: Callable[[str], ASGIApp], listener: socket.socket) -> AsyncIterator[str]:
    """Serve what ``build`` makes for an authority while the block runs; gives the authority, ``127.0.0.1:49152``."""
    authority = f"{HOST}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        build(authority),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server, finished = _QuietServer(config), anyio.Event()

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            await server.serve(sockets=[listener])
        finished.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield authority
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await finished.wait()


def listening(port: int = 0) -> socket.socket:
    """A socket of this machine for this machine; port 0 is any free one.

    Raises:
        OSError: Another program has the port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":
        # There, without this, another program could listen on the very same port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener
