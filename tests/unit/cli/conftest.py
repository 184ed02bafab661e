"""The command line as a person meets it: started as a process, with pipes or at a terminal."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.forked import Program, can_be_forked, run_command
from tests.processes import at_terminal, interruptible

LIMIT_SECONDS = 60.0
_OURS = ("CT_MCP_", "CROSSTRADE_", "XTRADE_", "NO_COLOR", "COLUMNS", "LINES")

Run = Callable[..., subprocess.CompletedProcess[str]]
Started = Program | subprocess.Popen[str]
Start = Callable[..., Started]


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """The environment without anything of ours in it, with a home of its own, and where no window opens."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    for name in ("home", "temp"):
        (tmp_path / name).mkdir()
    homes = {name: str(tmp_path / "home") for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    temps = {name: str(tmp_path / "temp") for name in ("TMPDIR", "TEMP", "TMP")}
    dropped = {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "UV"}
    kept = {name: value for name, value in theirs.items() if name not in dropped}
    return kept | homes | temps | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "BROWSER": "none"}


@pytest.fixture
def ct_mcp(environ: Mapping[str, str]) -> Run:
    """Run a command to its end, ``ct_mcp("--version")``; without ``input`` there is nothing on stdin."""

    def run(*arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, given=given, environ={**environ, **more}, timeout=LIMIT_SECONDS)

    return run


@pytest.fixture
def started(environ: Mapping[str, str]) -> Iterator[Start]:
    """Start a command that stays, ``started("simulate", "--port", "0")``; it is ended with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **more: _kept(stack, begin(*arguments, environ={**environ, **more}))


@pytest.fixture
def really_started(environ: Mapping[str, str]) -> Iterator[Start]:
    """Start a command that stays as a client does, in a Python of its own: where its start and its end are tested."""
    with ExitStack() as stack:
        yield lambda *arguments, **more: _kept(stack, begin_really(*arguments, environ={**environ, **more}))


def _kept(stack: ExitStack, process: Started) -> Started:
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def begin(*arguments: str, environ: Mapping[str, str]) -> Started:
    """Start a command that stays, with pipes: forked where that can be."""
    forked = can_be_forked(environ)
    return Program("ct_mcp", arguments, environ) if forked else begin_really(*arguments, environ=environ)


def begin_really(*arguments: str, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a command that stays, with pipes, in a Python of its own."""
    pipe, words = subprocess.PIPE, interruptible(*command(*arguments))
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", env=environ)


def command(*arguments: str) -> list[str]:
    """The words that start ct-mcp."""
    return [sys.executable, "-m", "ct_mcp", *arguments]


@dataclass
class Terminal:
    """A person's terminal with a command running in it."""

    process: Program | subprocess.Popen[bytes]
    handle: int
    seen: str = ""
    _read_to: int = field(default=0)

    def until(self, text: str) -> str:
        """Wait for words that were not waited for before; gives what came up to their end."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while (found := self.seen.find(text, self._read_to)) < 0:
            assert self._more(deadline), f"waited for {text!r}, saw:\n{self.seen}"
        before, self._read_to = self._read_to, found + len(text)
        return self.seen[before : self._read_to]

    def line(self) -> str:
        """The rest of the line that was last waited for."""
        return self.until("\n").strip()

    def types(self, text: str) -> None:
        """Type something and press Enter."""
        os.write(self.handle, f"{text}\n".encode())

    def interrupts(self) -> None:
        """Press Ctrl-C."""
        os.write(self.handle, b"\x03")

    def ends(self) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while self._more(deadline):
            pass
        return self.process.wait(LIMIT_SECONDS)

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.handle], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self.handle, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            return False
        self.seen += chunk.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(chunk)


@pytest.fixture
def at_a_terminal(environ: Mapping[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start a command at a terminal of 24 rows and 80 columns, ``at_a_terminal("demo")``."""
    if sys.platform == "win32":
        pytest.skip("a console cannot be played here: try `ct-mcp demo` and `ct-mcp approve` by hand")
    import pty  # noqa: PLC0415  # not there on Windows
    import termios  # noqa: PLC0415

    with ExitStack() as stack:

        def start(*arguments: str, **more: str) -> Terminal:
            handle, inner = pty.openpty()
            stack.callback(os.close, handle)
            termios.tcsetwinsize(inner, (24, 80))
            chosen = {**environ, **more}
            process: Program | subprocess.Popen[bytes] = (
                Program("ct_mcp", arguments, chosen, inner)
                if can_be_forked(chosen)
                else subprocess.Popen(
                    at_terminal(*command(*arguments)),
                    stdin=inner,
                    stdout=inner,
                    stderr=inner,
                    env=chosen,
                    start_new_session=True,
                )
            )
            os.close(inner)
            stack.enter_context(process)
            stack.callback(_ended, process)
            return Terminal(process, handle)

        yield start


def _ended(process: Program | subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
