"""``ct-mcp serve --http``: one server for all clients of a machine, over streamable HTTP."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import anyio
import uvicorn
from starlette.types import ASGIApp

from ct_mcp.cli.approval_pages import ApprovalPages
from ct_mcp.cli.compose import Furnishing
from ct_mcp.cli.http_place import Place, Tls, listening, place_of
from ct_mcp.cli.http_token import kept_token, token_file
from ct_mcp.config.settings import Settings
from ct_mcp.server.app import build_server
from ct_mcp.server.http import HttpServer
from ct_mcp.server.http_gate import MCP_PATH, Entrance
from ct_mcp.server.wiring import Wiring

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; 0 after that."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    place = place_of(chosen)
    with listening(place) as listener:
        port = listener.getsockname()[1]
        entrance = Entrance(place.authorities(port), kept_token(settings), place.scheme)
        anyio.run(_serve, settings, chosen.demo, entrance, listener, place)
    return 0


async def _serve(
    settings: Settings,
    demo: bool,  # noqa: FBT001  # as anyio.run passes it
    entrance: Entrance,
    listener: socket.socket,
    place: Place,
) -> None:
    leave = _on_signals()
    port = listener.getsockname()[1]
    async with _wired(settings, demo=demo) as wiring:
        http = HttpServer(build_server(wiring), wiring, entrance)
        gc.freeze()
        gc.enable()
        async with _listened(http.app, listener, place.tls), http.opened():
            print(_told(place.url(port) + MCP_PATH, token_file(settings)), file=sys.stderr, flush=True)
            await leave.wait()


@asynccontextmanager
async def _wired(settings: Settings, *, demo: bool) -> AsyncIterator[Wiring]:
    """What all clients share: one desk, one budget, one store. Closed only once nothing uses it any more."""
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.embedded import simulated
            from ct_mcp.cli.meeting import announced

            settings = await stack.enter_async_context(simulated(settings))
            stack.enter_context(announced(settings))
        furnishing = Furnishing(settings)
        stack.push_async_callback(_closed, furnishing)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        pages = ApprovalPages(furnishing, tasks)

        def furnish() -> "Desk":
            tasks.start_soon(furnishing.feed)
            return furnishing.desk()

        wiring = Wiring(furnish, settings.policy, toolsets=settings.toolsets, open_page=pages.open)
        yield wiring.fed_by(lambda: furnishing.live)


async def _closed(furnishing: Furnishing) -> None:
    with anyio.CancelScope(shield=True):
        await furnishing.close()


def _on_signals() -> anyio.Event:
    """The moment when the server is to end; a second signal ends it at once, whatever is under way."""
    leave, loop = anyio.Event(), asyncio.get_running_loop()

    def ask(number: int, _: FrameType | None) -> None:
        if leave.is_set():
            os._exit(128 + number)
        loop.call_soon_threadsafe(leave.set)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, ask)
    return leave


class _Listener(uvicorn.Server):
    """Leaves the signals to us, who finish what is being sent first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def _listened(app: ASGIApp, listener: socket.socket, tls: Tls | None) -> AsyncIterator[None]:
    """Take connections while the block runs."""
    config = uvicorn.Config(
        app,
        # The parser in C that uvicorn prefers trims headers, and does not exist everywhere.
        http="h11",
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
    server, finished = _Listener(config), anyio.Event()

    async def take() -> None:
        with anyio.CancelScope(shield=True):
            await server.serve(sockets=[listener])
        finished.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        try:
            yield
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await finished.wait()


def _told(url: str, file: Path) -> str:
    """What the person needs to connect a client. The token itself stands nowhere but in its file."""
    read = f"Get-Content '{file}'" if sys.platform == "win32" else f"cat '{file}'"
    return (
        f"ct-mcp serves MCP over HTTP at {url} until Ctrl-C.\n"
        f"Clients need the token that is kept in {file}\n"
        "and send it as the header Authorization: Bearer TOKEN. Claude Code, for example:\n"
        f'  claude mcp add --transport http ct-mcp {url} --header "Authorization: Bearer $({read})"'
    )
