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

from ct_mcp.cli.runtime import Runtime, settings_for
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import is_at_terminal
from ct_mcp.config.settings import Settings

if TYPE_CHECKING:
    from socket import socket

OPENS_FOR = timedelta(minutes=5)
_COMES_WITHIN_SECONDS = 20.0


def run(chosen: argparse.Namespace) -> int:
    """Serve the console until Ctrl-C; 2 without a terminal."""
    if not is_at_terminal():
        needs = f"ct-mcp {chosen.command} needs a terminal that a person types at"
        print(f"{needs}; whoever opens it can approve", file=sys.stderr)
        return 2
    from ct_mcp.net.asgi import listen

    settings, screen = settings_for(chosen), Screen.on_stdout()
    try:
        listener = listen(chosen.port)
    except OSError as error:
        print(f"port {chosen.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 2
    try:
        anyio.run(_console, settings, chosen, listener, screen)
    except KeyboardInterrupt:
        screen.say()
        screen.say("The console has ended; its page shows nothing new any more.")
    return 0


async def _console(settings: Settings, chosen: argparse.Namespace, listener: "socket", screen: Screen) -> None:
    from ct_mcp.net.asgi import serve
    from ct_mcp.web.app import web_app
    from ct_mcp.web.sessions import SessionStore

    async with _reached(settings, demo=chosen.demo) as (reached, notice):
        runtime = Runtime(reached)
        desk = runtime.build_desk()
        keys = SessionStore(desk.clock)
        try:
            pages = partial(web_app, desk, runtime.store, keys, notice=notice)
            async with serve(pages, listener) as authority:
                token = keys.issue(None, desk.clock() + OPENS_FOR)
                url = f"http://{authority}/open/{token}"
                if await opened(url, keys.has_come(token), settings, screen, wanted=not chosen.no_browser):
                    screen.say("The console is open in your browser.", "good")
                screen.say("The console is served on this machine alone, until Ctrl-C.")
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await runtime.close()


async def opened(url: str, has_come: anyio.Event, settings: Settings, screen: Screen, *, wanted: bool) -> bool:
    """Open the browser at an address that works once; where it does not come, show the address, and why."""
    if why := await _not_opened(url, has_come, settings, wanted=wanted):
        _show_address(url, why, screen)
    return not why


async def _not_opened(url: str, has_come: anyio.Event, settings: Settings, *, wanted: bool) -> str:
    """Open the browser; says why it did not come, and nothing where it did."""
    from ct_mcp.web.browser import browse, shown, signpost, why_no_browser

    if why := why_no_browser(os.environ) if wanted else "--no-browser was given":
        return why
    async with signpost(settings.state_dir / "pages", url) as file:
        return "" if await shown(file, browse, has_come, _COMES_WITHIN_SECONDS) else "no browser has come"


def _show_address(url: str, why: str, screen: Screen) -> None:
    minutes = OPENS_FOR.seconds // 60
    screen.say(f"No browser was opened: {why}. Open this yourself; it works once, within {minutes} minutes:")
    screen.say()
    screen.verbatim(f"  {url}")
    screen.say()


@asynccontextmanager
async def _reached(settings: Settings, *, demo: bool) -> AsyncIterator[tuple[Settings, str]]:
    """Reach the service; in a demo the simulator of a server that runs, or else one of our own. Gives a notice too."""
    if not demo:
        yield settings, ""
        return
    from ct_mcp.cli.demo_endpoint import find, simulated

    if found := await find(settings):
        yield found, "A demo: everything here is the simulator of the server that runs with --demo."
        return
    async with simulated(settings) as own:
        yield own, "A demo: no server runs with --demo, so these accounts are a simulator of the console's own."
