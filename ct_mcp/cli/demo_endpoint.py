"""The simulator that a demo has in its own process, and how others of its state folder find it.

The servers of one folder share tickets, limits and halts, so they share one market as well: the first has the
simulator, the others reach it, and one of them goes on with a new one at the same address when the first ends.

It stands apart from `demo`, which brings an MCP client along. A client waits for the answer to its handshake, so what
the simulator needs is imported only when it starts; until then its socket keeps whoever connects.
"""

import errno
import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from secrets import randbelow, token_hex

import anyio

from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.files import read_private_file, replace_private_file

_FILE = "simulator.json"
_HOST = "127.0.0.1"
_LOOK_EVERY_SECONDS = 1.0


@asynccontextmanager
async def simulated(settings: Settings, starts: anyio.Event | None = None) -> AsyncIterator[Settings]:
    """Serve a simulator on loopback whose market never closes while the block runs; gives settings that lead to it.

    With ``starts`` it begins to answer once that is set.
    """
    listener = _listening(0)
    assert listener is not None  # noqa: S101  # port 0 is any free one
    reached = replace(settings, base_url=f"http://{_HOST}:{listener.getsockname()[1]}", token=Secret(token_hex(16)))
    with listener:  # closed last: whoever serves it has to take leave of it first
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_simulate, listener, reached, starts)
            yield reached
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def shared(settings: Settings, starts: anyio.Event | None = None) -> AsyncIterator[Settings]:
    """Lead to the simulator of a server that runs with this folder, or else to one of our own that others find."""
    if (found := await find(settings)) is None:
        async with simulated(settings, starts) as own:
            with publish(own):
                yield own
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stand_by, found)
        yield found
        tasks.cancel_scope.cancel()


async def _stand_by(settings: Settings) -> None:
    """Go on at the address of another server's simulator when that server has ended."""
    port = int(settings.base_url.rpartition(":")[2])
    while (listener := _listening(port)) is None:  # noqa: ASYNC110  # another process sets no event here
        await anyio.sleep(_LOOK_EVERY_SECONDS)
    with listener, publish(settings):
        await _simulate(listener, settings)


async def _simulate(listener: socket.socket, settings: Settings, starts: anyio.Event | None = None) -> None:
    if starts is not None:
        await starts.wait()
    from ct_mcp.simulator.server import served
    from ct_mcp.simulator.simulator import Simulator

    token = settings.token.reveal() if settings.token else ""
    # Another seed: ids of orders that a simulator at this address gave before must not come again.
    simulator = Simulator(seed=randbelow(2**31), token=token, market_hours="always")
    async with served(simulator, listener=listener):
        await anyio.sleep_forever()


def _listening(port: int) -> socket.socket | None:
    """Open a socket that names TCP as its protocol, so that asyncio switches Nagle's delay off; None: it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listener


@contextmanager
def publish(settings: Settings) -> Iterator[None]:
    """Keep the simulator's address in the demo's state folder while the block runs; the newest server counts."""
    file = settings.state_dir / _FILE
    address = json.dumps({"base_url": settings.base_url, "token": settings.token.reveal() if settings.token else ""})
    with suppress(OSError):  # a demo whose folder cannot be written has worse to tell than this
        replace_private_file(file, address)
    try:
        yield
    finally:
        with suppress(OSError):
            if read_private_file(file) == address:
                file.unlink()


async def find(settings: Settings) -> Settings | None:
    """Find the simulator of a server that runs now; gives settings that lead to it, None where there is none."""
    try:
        address = json.loads(read_private_file(settings.state_dir / _FILE))
        host, _, port = address["base_url"].removeprefix("http://").rpartition(":")
        await (await anyio.connect_tcp(host, int(port))).aclose()
        return replace(settings, base_url=address["base_url"], token=Secret(address["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
