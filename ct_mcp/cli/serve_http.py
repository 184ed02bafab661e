"""``ct-mcp serve --http``: one server for all clients of a machine, over streamable HTTP."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import FrameType

import anyio

from ct_mcp.cli.http_settings import HttpAddress, address_of, client_token, open_listener, token_file
from ct_mcp.cli.runtime import Runtime
from ct_mcp.cli.serve import build_lightly, reachable, wire
from ct_mcp.config.settings import Settings
from ct_mcp.net.asgi import serve
from ct_mcp.server.context import ServerContext
from ct_mcp.server.http import MCP_PATH, HttpAccess, HttpServer


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; 0 after that."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    address = address_of(chosen)
    with open_listener(address) as listener:
        port = listener.getsockname()[1]
        access = HttpAccess(address.authorities(port), client_token(settings), address.scheme)
        anyio.run(_serve, settings, chosen.demo, access, listener, address)
    return 0


async def _serve(
    settings: Settings,
    demo: bool,  # noqa: FBT001  # as anyio.run passes it
    access: HttpAccess,
    listener: socket.socket,
    address: HttpAddress,
) -> None:
    leave = _on_signals()
    port = listener.getsockname()[1]
    async with _shared(settings, demo=demo) as context:
        http = HttpServer(build_lightly(context), context, access)
        gc.freeze()
        gc.enable()
        async with serve(lambda _: http.app, listener, address.tls), http.opened():
            print(_how_to_connect(address.url(port) + MCP_PATH, token_file(settings)), file=sys.stderr, flush=True)
            await leave.wait()


@asynccontextmanager
async def _shared(settings: Settings, *, demo: bool) -> AsyncIterator[ServerContext]:
    """Open what all clients share: one desk, one budget, one store. Closed only once nothing uses it any more."""
    async with AsyncExitStack() as stack:
        runtime = Runtime(await reachable(settings, stack, demo=demo))
        stack.push_async_callback(_close, runtime)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        yield wire(runtime, tasks)


async def _close(runtime: Runtime) -> None:
    with anyio.CancelScope(shield=True):
        await runtime.close()


def _on_signals() -> anyio.Event:
    """Set an event when a signal asks the server to end; a second one ends it at once, whatever is under way."""
    leave, loop = anyio.Event(), asyncio.get_running_loop()

    def ask(number: int, _: FrameType | None) -> None:
        if leave.is_set():
            os._exit(128 + number)
        loop.call_soon_threadsafe(leave.set)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, ask)
    return leave


def _how_to_connect(url: str, file: Path) -> str:
    """Say what the person needs to connect a client. The token itself stands nowhere but in its file."""
    read = f"Get-Content '{file}'" if sys.platform == "win32" else f"cat '{file}'"
    return (
        f"ct-mcp serves MCP over HTTP at {url} until Ctrl-C.\n"
        f"Clients need the token that is kept in {file}\n"
        "and send it as the header Authorization: Bearer TOKEN. Claude Code, for example:\n"
        f'  claude mcp add --transport http ct-mcp {url} --header "Authorization: Bearer $({read})"'
    )
