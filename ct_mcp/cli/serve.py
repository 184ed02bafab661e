"""``ct-mcp serve``: the MCP server over stdio. Starts and lists its tools with no network and no token."""

import argparse
import gc
import logging
import sys
from contextlib import AsyncExitStack

# Collecting while a thousand classes are made costs a tenth of the start, and finds nothing.
gc.disable()

import anyio  # noqa: E402

from ct_mcp.cli.compose import Furnishing, settings_for  # noqa: E402
from ct_mcp.config.settings import Settings  # noqa: E402
from ct_mcp.server.app import build_server  # noqa: E402
from ct_mcp.server.wiring import Wiring  # noqa: E402


def run(chosen: argparse.Namespace) -> int:
    """Serve until stdin closes."""
    settings = settings_for(chosen)
    log_to_stderr(settings)
    anyio.run(_serve, settings, chosen.demo)
    return 0


def log_to_stderr(settings: Settings) -> None:
    """Stdout belongs to the protocol. HTTP libraries log addresses and headers, so they only warn."""
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("httpx", "httpcore", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for warning in settings.warnings:
        logging.getLogger("ct_mcp").warning("%s", warning)


async def _serve(settings: Settings, demo: bool) -> None:  # noqa: FBT001  # as anyio.run passes it
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.embedded import simulated

            settings = await stack.enter_async_context(simulated(settings))
        furnishing = Furnishing(settings)
        wiring = Wiring(furnishing.desk, settings.policy, toolsets=settings.toolsets, close=furnishing.close)
        server = build_server(wiring)
        gc.freeze()
        gc.enable()
        await server.run_stdio_async()
