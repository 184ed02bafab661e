"""Open an address in the person's browser without showing it to anybody else.

The address holds a one-time token, and the arguments of a program can be read by every program of this machine: the
browser is given a file that only its owner can read, which leads to the address.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from secrets import token_hex
from time import time

import anyio

from ct_mcp.files import create_private_file, make_private_folder

Browse = Callable[[str], Awaitable[bool]]
"""Shows a file to the person, given as its ``file:`` address; False where no browser could be started."""

_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
_TOKENS = frozenset({"CROSSTRADE_TOKEN", "XTRADE_TOKEN"})
_OURS = "CT_MCP_"
_STARTS_WITHIN_SECONDS = 15.0
_LOOK_EVERY_SECONDS = 0.05
_LEFT_OVER_SECONDS = 600.0


def environment_for_others(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is ours alone: the token, and the settings, whose addresses of databases hold passwords.

    Every program hands its environment on to whatever it starts.
    """
    return {name: value for name, value in environ.items() if name not in _TOKENS and not name.startswith(_OURS)}


def why_no_browser(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Say why a browser cannot be opened from here; nothing where it can."""
    if chosen := environ.get("BROWSER"):
        return "BROWSER=none says so" if chosen == "none" else ""
    if environ.get("SSH_CONNECTION") and not environ.get("DISPLAY"):
        return "this machine is reached over SSH"
    if platform not in ("win32", "darwin") and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "there is no display here: neither DISPLAY nor WAYLAND_DISPLAY is set"
    return ""


async def browse(address: str) -> bool:
    """Show a file in the browser that the person chose."""
    try:
        starter = _started(address)
    except OSError:
        return False
    with anyio.move_on_after(_STARTS_WITHIN_SECONDS):
        while starter.poll() is None:  # noqa: ASYNC110  # another program, which tells nobody when it ends
            await anyio.sleep(_LOOK_EVERY_SECONDS)
    return not starter.returncode  # some browsers stay in front of whoever started them


def _started(address: str) -> subprocess.Popen[bytes]:
    """Start whatever opens files here. Its output goes nowhere: ours may belong to the protocol."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603  # our own interpreter, with an address of our own
        [sys.executable, "-I", "-c", _OPEN, address],
        stdin=nowhere,
        stdout=nowhere,
        stderr=nowhere,
        env=environment_for_others(os.environ),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        start_new_session=True,
    )


@asynccontextmanager
async def signpost(folder: Path, url: str) -> AsyncIterator[str]:
    """Keep a file that leads to an address, for its owner alone, while the block runs; gives its ``file:`` address."""
    file = _written(folder, _leading_to(url))
    try:
        yield file.as_uri()
    finally:
        file.unlink(missing_ok=True)


def _written(folder: Path, text: str) -> Path:
    make_private_folder(folder)
    for left_over in folder.glob("open-*.html"):  # by a server that was ended at once; what they lead to is gone
        if left_over.stat().st_mtime < time() - _LEFT_OVER_SECONDS:
            left_over.unlink(missing_ok=True)
    file = folder / f"open-{token_hex(8)}.html"
    create_private_file(file, text)
    return file.absolute()


def _leading_to(url: str) -> str:
    """A page of its own, without a template: the way to the pages opens before anything of them is imported."""
    href = escape(url)
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0;url={href}"><title>ct-mcp</title></head>'
        f'<body><p><a href="{href}">Go on to ct-mcp</a></p></body></html>'
    )


async def shown(file: str, browse: Browse, has_come: anyio.Event, within_seconds: float) -> bool:
    """Show a file, and wait until the browser has come by its way, cannot be started, or takes too long."""

    async def start(scope: anyio.CancelScope) -> None:
        if not await browse(file):
            scope.cancel()

    with anyio.move_on_after(within_seconds):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start, tasks.cancel_scope)
            await has_come.wait()
            tasks.cancel_scope.cancel()
    return has_come.is_set()
