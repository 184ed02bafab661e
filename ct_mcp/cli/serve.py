"""``ct-mcp serve``: the MCP server over stdio. Starts and lists its tools with no network and no token."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import FrameType
from typing import TYPE_CHECKING

# Collecting while a thousand classes are made costs a tenth of the start, and finds nothing.
gc.disable()

import anyio  # noqa: E402

from ct_mcp.cli.approval_pages import ApprovalPages  # noqa: E402
from ct_mcp.cli.compose import Furnishing, settings_for  # noqa: E402
from ct_mcp.config.settings import Settings  # noqa: E402
from ct_mcp.errors import ConfigError  # noqa: E402
from ct_mcp.server.app import build_server  # noqa: E402
from ct_mcp.server.stdio import serve_stdio  # noqa: E402
from ct_mcp.server.wiring import Wiring  # noqa: E402

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk


def run(chosen: argparse.Namespace) -> int:
    """Serve until stdin closes; over HTTP, until a signal comes."""
    settings = settings_for(chosen)
    log_to_stderr(settings)
    if chosen.http:
        from ct_mcp.cli import serve_http

        return serve_http.run(settings, chosen)
    _nothing_is_meant_for_http(chosen)
    if sys.stdin.isatty():
        print("An MCP client starts this, and speaks JSON to it. To see it work: ct-mcp demo", file=sys.stderr)
    anyio.run(_serve, settings, chosen.demo)
    return 0


def _nothing_is_meant_for_http(chosen: argparse.Namespace) -> None:
    if (chosen.host, chosen.port, chosen.name, chosen.tls_cert, chosen.tls_key) != (None, None, [], None, None):
        raise ConfigError("--host, --port, --name, --tls-cert and --tls-key belong to --http")


def log_to_stderr(settings: Settings) -> None:
    """Stdout belongs to the protocol. Libraries log what is sent, headers and all, so they may only warn."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(
        stream=sys.stderr,
        level=max(level, logging.WARNING),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("ct_mcp").setLevel(level)
    for warning in settings.warnings:
        logging.getLogger("ct_mcp").warning("%s", warning)


async def _serve(settings: Settings, demo: bool) -> None:  # noqa: FBT001  # as anyio.run passes it
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.embedded import simulated
            from ct_mcp.cli.meeting import announced

            settings = await stack.enter_async_context(simulated(settings))
            stack.enter_context(announced(settings))
        furnishing = Furnishing(settings)
        departure = Departure(furnishing)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        pages = ApprovalPages(furnishing, tasks)

        def furnish() -> "Desk":
            tasks.start_soon(furnishing.feed)
            return furnishing.desk()

        wiring = Wiring(
            furnish, settings.policy, toolsets=settings.toolsets, close=departure.close, open_page=pages.open
        )
        server = build_server(wiring.fed_by(lambda: furnishing.live))
        gc.freeze()
        gc.enable()
        with anyio.CancelScope() as work:
            departure.on_signals(work.cancel)
            await serve_stdio(server)


class Departure:
    """Leaves on Ctrl-C and SIGTERM.

    The SDK's reader sits in a blocking read that no cancelling reaches, so the process would stay until the client
    closes stdin. What is being sent is finished first; a second signal does not wait for it.
    """

    def __init__(self, furnishing: Furnishing) -> None:
        self._furnishing = furnishing
        self._signal = 0

    def on_signals(self, cancel: Callable[[], None]) -> None:
        """From now on a signal cancels the work in hand; where there can be none, it ends the process at once."""
        loop = asyncio.get_running_loop()

        def leave(number: int, _: FrameType | None) -> None:
            if self._signal or not self._furnishing.is_used:
                os._exit(128 + number)
            self._signal = number
            loop.call_soon_threadsafe(cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)

    async def close(self) -> None:
        """Close what was opened; after a signal this is the end."""
        with anyio.CancelScope(shield=True):
            await self._furnishing.close()
        if self._signal:
            os._exit(128 + self._signal)
