"""``ct-mcp serve``: the MCP server over stdio. It starts and lists its tools with no network and no token."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import FrameType
from typing import TYPE_CHECKING

# Collecting while a thousand classes are made costs a tenth of the start, and finds nothing.
gc.disable()
# httpx comes with a command line of its own that imports rich, Pygments and click wherever they are installed, which
# takes as long as httpx itself. None is how Python is told that a module is not to be had; httpx goes on without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import anyio  # noqa: E402
from mcp.server import MCPServer  # noqa: E402

from ct_mcp.cli.runtime import Runtime, settings_for  # noqa: E402
from ct_mcp.config.settings import Settings  # noqa: E402
from ct_mcp.config.sources import usual_state_dir  # noqa: E402
from ct_mcp.errors import ConfigError  # noqa: E402
from ct_mcp.net.connections import raise_file_limit  # noqa: E402
from ct_mcp.server.app import build_server  # noqa: E402
from ct_mcp.server.context import ServerContext  # noqa: E402
from ct_mcp.server.stdio import serve_stdio  # noqa: E402
from ct_mcp.text import command  # noqa: E402

_OF_A_DEMO = (
    "this is a demo: a simulator stands for CrossTrade and NinjaTrader. All demo servers of a state folder share it, "
    "and its positions and orders are gone when the one that began it ends; tickets, halts and the journal stay"
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ct_mcp.desk.desk import Desk
    from ct_mcp.domain.approval import Ticket
    from ct_mcp.web.pages import Pages


def run(chosen: argparse.Namespace) -> int:
    """Serve until stdin closes; over HTTP, until a signal comes."""
    if chosen.http:
        from ct_mcp.cli import serve_http

        settings = settings_for(chosen)
        _prepare(settings)
        return serve_http.run(settings, chosen)
    try:
        settings = settings_for(chosen)
        _refuse_flags_of_http(chosen)
    except ConfigError as faults:
        return _serve_faults(faults)
    _prepare(settings)
    if sys.stdin.isatty():
        print(f"An MCP client starts this, and speaks JSON to it. To see it work: {command('demo')}", file=sys.stderr)
    anyio.run(_serve, settings, chosen.demo)
    return 0


def _prepare(settings: Settings) -> None:
    _log_to_stderr(settings)
    raise_file_limit()


def _serve_faults(faults: ConfigError) -> int:
    """Start all the same, and answer whatever is asked with the faults: clients show nobody what stands on stderr.

    Raises:
        ConfigError: A person has started it, and reads it.
    """
    if sys.stdin.isatty():
        raise faults
    print(faults.what, file=sys.stderr, flush=True)
    settings = Settings(usual_state_dir())  # nothing of it is used
    _prepare(settings)
    anyio.run(_serve, settings, False, faults.what)  # noqa: FBT003  # as anyio.run passes it
    return 2


def _refuse_flags_of_http(chosen: argparse.Namespace) -> None:
    if (chosen.host, chosen.port, chosen.name, chosen.tls_cert, chosen.tls_key) != (None, None, [], None, None):
        raise ConfigError("--host, --port, --name, --tls-cert and --tls-key belong to --http")


def _log_to_stderr(settings: Settings) -> None:
    """Log to stderr: stdout belongs to the protocol. Libraries may only warn, since they log what is sent whole."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(
        stream=sys.stderr,
        level=max(level, logging.WARNING),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("ct_mcp").setLevel(level)
    for warning in settings.warnings:
        logging.getLogger("ct_mcp").warning("%s", warning)


async def _serve(settings: Settings, demo: bool, faults: str = "") -> None:  # noqa: FBT001  # as anyio.run passes it
    async with AsyncExitStack() as stack:
        answered = anyio.Event()
        runtime = Runtime(await reachable(settings, stack, demo=demo, starts=answered))
        shutdown = ShutdownHandler(runtime)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        context = wire(runtime, tasks, close=shutdown.close, faults=faults)
        context.has_begun = answered.wait  # what reaches a database is loaded after that
        server = build_lightly(context)
        gc.freeze()
        gc.enable()
        with anyio.CancelScope() as work:
            shutdown.on_signals(work.cancel)
            await serve_stdio(server, answered.set)


async def reachable(
    settings: Settings, stack: AsyncExitStack, *, demo: bool, starts: anyio.Event | None = None
) -> Settings:
    """Give the settings that lead to the service: in a demo to a simulator, which lives as long as ``stack``.

    With ``starts`` a simulator of our own begins to answer once that is set.
    """
    if not demo:
        return settings
    from ct_mcp.cli.demo_endpoint import shared

    return await stack.enter_async_context(shared(settings, starts))


def wire(
    runtime: Runtime, tasks: "TaskGroup", close: Callable[[], Awaitable[None]] | None = None, faults: str = ""
) -> ServerContext:
    """Connect a server's handlers to the desk, which the first of them builds; ``close`` ends what it opened."""

    def build_desk() -> "Desk":
        tasks.start_soon(runtime.feed)
        return runtime.build_desk()

    settings, pages = runtime.settings, ApprovalPages(runtime, tasks)
    context = ServerContext(build_desk, settings.policy, toolsets=settings.toolsets, close=close, open_page=pages.open)
    context.faults, context.has_team = faults, settings.team_at is not None
    if not faults:
        context.owes_exits, context.keeps_book = runtime.owes_exits, runtime.keeps_book
        context.report = runtime.report if context.has_team else None
    if settings.demo:
        context.notes = (_OF_A_DEMO,)
    return context.fed_by(lambda: runtime.live)


def build_lightly(context: ServerContext) -> MCPServer[ServerContext]:
    """Build the server without rich, which the SDK imports wherever it finds it, for logs that are set up already."""
    rich = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        return build_server(context)
    finally:
        if rich is None:
            del sys.modules["rich"]
        else:
            sys.modules["rich"] = rich


class ShutdownHandler:
    """Ends the process on Ctrl-C and SIGTERM.

    The SDK's reader sits in a blocking read that no cancelling reaches, so the process would stay until the client
    closes stdin. What is being sent is finished first; a second signal does not wait for it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._signal = 0

    def on_signals(self, cancel: Callable[[], None]) -> None:
        """From now on a signal cancels the work in hand; where there can be none, it ends the process at once."""
        loop = asyncio.get_running_loop()

        def leave(number: int, _: FrameType | None) -> None:
            if self._signal or not self._runtime.is_used:
                os._exit(128 + number)
            self._signal = number
            loop.call_soon_threadsafe(cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)

    async def close(self) -> None:
        """Close what was opened; after a signal this is the end."""
        with anyio.CancelScope(shield=True):
            await self._runtime.close()
        if self._signal:
            os._exit(128 + self._signal)


class ApprovalPages:
    """Opens approval pages in the person's browser; nothing of them is imported before the first ticket needs one."""

    def __init__(self, runtime: Runtime, tasks: "TaskGroup") -> None:
        self._runtime = runtime
        self._tasks = tasks
        self._pages: Pages | None = None
        self._warned = False

    async def open(self, ticket: "Ticket", within_seconds: float) -> bool:
        """Open the page of a ticket once; where that cannot be, say why on stderr, once."""
        from ct_mcp.web.browser import why_no_browser

        if why := why_no_browser(os.environ):
            self._warn(f"No browser can be opened: {why}")
            return False
        if not await self._built().open(ticket, within_seconds):
            self._warn("No browser has come to the approval page")
            return False
        return True

    def _built(self) -> "Pages":
        if self._pages is None:
            from ct_mcp.web.browser import browse
            from ct_mcp.web.pages import Pages

            folder = self._runtime.settings.state_dir / "pages"
            self._pages = Pages(self._runtime.build_desk(), self._runtime.store, browse, folder, self._tasks)
        return self._pages

    def _warn(self, what: str) -> None:
        if not self._warned:
            how = command("approve", "--watch")
            logging.getLogger("ct_mcp").warning("%s. Approve in a terminal: %s", what, how)
        self._warned = True
