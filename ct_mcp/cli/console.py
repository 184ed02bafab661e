"""``ct-mcp console``: the person's own page, with all that waits, what is held, the journal and the halt.

It can approve, so it starts only where a person types, and its address works once.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ct_mcp.cli.compose import Furnishing, settings_for
from ct_mcp.cli.terminal import somebody_types
from ct_mcp.config.settings import Settings

if TYPE_CHECKING:
    from socket import socket

OPENS_FOR = timedelta(minutes=5)
_COMES_WITHIN_SECONDS = 20.0


def run(chosen: argparse.Namespace) -> int:
    """Serve the console until Ctrl-C; 2 without a terminal."""
    if not somebody_types():
        print("ct-mcp console needs a terminal that a person types at; whoever opens it can approve", file=sys.stderr)
        return 2
    from ct_mcp.console.serving import listening

    settings = settings_for(chosen)
    try:
        listener = listening(chosen.port)
    except OSError as error:
        print(f"port {chosen.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 2
    try:
        anyio.run(_console, settings, chosen, listener)
    except KeyboardInterrupt:
        print("\nThe console has ended; its page shows nothing new any more.")
    return 0


async def _console(settings: Settings, chosen: argparse.Namespace, listener: "socket") -> None:
    from ct_mcp.console.app import console_app
    from ct_mcp.console.keys import Keys
    from ct_mcp.console.serving import served

    async with _reached(settings, demo=chosen.demo) as (reached, notice):
        furnishing = Furnishing(reached)
        desk = furnishing.desk()
        keys = Keys(desk.clock)
        try:
            pages = partial(console_app, desk, furnishing.store, keys, notice=notice)
            async with served(pages, listener) as authority:
                token = keys.issue(None, desk.clock() + OPENS_FOR)
                await _show(f"http://{authority}/open/{token}", keys.has_come(token), settings, chosen)
                print("The console is served on this machine alone, until Ctrl-C.", flush=True)
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await furnishing.close()


async def _show(url: str, has_come: anyio.Event, settings: Settings, chosen: argparse.Namespace) -> None:
    """Open the browser; where that is not wanted or cannot be, tell the person the address."""
    from ct_mcp.console.browser import browse, shown, signpost, why_no_browser

    why = "--no-browser was given" if chosen.no_browser else why_no_browser(os.environ)
    if not why:
        async with signpost(settings.state_dir / "pages", url) as file:
            if await shown(file, browse, has_come, _COMES_WITHIN_SECONDS):
                print("The console is open in your browser.")
                return
        why = "no browser has come"
    minutes = OPENS_FOR.seconds // 60
    print(f"No browser was opened: {why}. Open this yourself; it works once, within {minutes} minutes:\n\n  {url}\n")


@asynccontextmanager
async def _reached(settings: Settings, *, demo: bool) -> AsyncIterator[tuple[Settings, str]]:
    """The service; in a demo the simulator of a server that runs, or else one of our own."""
    if not demo:
        yield settings, ""
        return
    from ct_mcp.cli.embedded import simulated
    from ct_mcp.cli.meeting import met

    if found := await met(settings):
        yield found, "A demo: everything here is the simulator of the server that runs with --demo."
        return
    async with simulated(settings) as own:
        yield own, "A demo: no server runs with --demo, so these accounts are a simulator of the console's own."
