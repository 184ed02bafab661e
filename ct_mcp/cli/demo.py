"""``ct-mcp demo``: a tour of half a minute. A real MCP client talks over stdio to this server, on a simulator.

It keeps its tickets and journal in a folder that goes with it, and reads neither token nor settings.
"""

import argparse
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client import Transport
from mcp.server import MCPServer

from ct_mcp import __version__
from ct_mcp.cli.client_config import our_program
from ct_mcp.cli.demo_steps import STEPS
from ct_mcp.cli.demo_tour import FormAnswerer, PersonAtTerminal, Tour, TourFailure, walk
from ct_mcp.cli.next_steps import show_next_steps
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import is_at_terminal
from ct_mcp.text import command

START_SECONDS = 30.0
_LAST_LINES = 8
_IMPORTED_FROM = Path(__file__).parents[2]


def our_server(folder: Path) -> StdioServerParameters:
    """Start the server as a client does, with a folder of its own; it inherits neither token nor settings."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "ct_mcp", "serve", "--demo", "--state-dir", str(folder), "--log-level", "warning"],
        cwd=_IMPORTED_FROM,
    )


def run(chosen: argparse.Namespace, server_in: Callable[[Path], StdioServerParameters] = our_server) -> int:
    """Show everything, then how to go on; 1 if any of it did not really happen."""
    logging.getLogger("mcp").addHandler(logging.NullHandler())  # what it has to say stands in our last line
    screen = Screen.on_stdout()
    answerer = FormAnswerer(screen, PersonAtTerminal() if is_at_terminal() and not chosen.yes else None)
    _welcome(screen, answerer, told_to=chosen.yes)
    with TemporaryDirectory(prefix="ct-mcp-demo-", ignore_cleanup_errors=True) as folder:
        log_file = Path(folder, "server.log")
        with log_file.open("w", encoding="utf-8") as log:
            failure = anyio.run(run_tour, stdio_client(server_in(Path(folder)), errlog=log), screen, answerer)
        if failure is not None:
            _report(failure, log_file.read_text(encoding="utf-8", errors="replace"))
            return 1
    show_next_steps(screen, our_program(sys.argv[0]))
    return 0


async def run_tour(server: Transport | MCPServer[Any], screen: Screen, answerer: FormAnswerer) -> TourFailure | None:
    """Connect and walk through all steps; None when every one of them really happened."""
    failure = None
    screen.wait("starting the simulator and the server")
    try:
        with anyio.move_on_after(START_SECONDS) as patience:
            async with Client(server, elicitation_callback=answerer) as client:
                patience.deadline = math.inf  # from here on each call has its own
                failure = await walk(Tour(client, screen, answerer), STEPS)
    except (MCPError, OSError, ExceptionGroup) as error:
        cause = _innermost(error)
        if isinstance(cause, BrokenPipeError):  # nobody reads what we tell any more
            raise cause from error
        return failure or TourFailure("the connection to the server", f"{cause}.")
    if patience.cancelled_caught:
        return TourFailure("the start of the server", f"It gave no answer within {START_SECONDS:.0f} s.")
    return failure


def _welcome(screen: Screen, answerer: FormAnswerer, *, told_to: bool) -> None:
    screen.say(f"ct-mcp {__version__}: a tour on a simulated CrossTrade and NinjaTrader 8", "bold")
    screen.say("No account, no token, no real money. What an assistant would see stands behind the bars.")
    if answerer.person is None:
        why = "--yes was given" if told_to else "There is no terminal to type at"
        screen.say(f"{why}: the demo's own client answers the approval in your place.", "person")


def _report(failure: TourFailure, log: str) -> None:
    """Write the failure and the end of the server's log to stderr."""
    print(f"\n{command('demo')} failed at {failure.step}: {failure.what}", file=sys.stderr)
    if last := log.splitlines()[-_LAST_LINES:]:
        print("The server's log ends with:", *last, sep="\n  ", file=sys.stderr)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
