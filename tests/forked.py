"""Programs of ours that are forked from a process which has imported everything: most of a short one is imports.

A forked one is a process of its own, with its own environment, streams and end: it can be killed, and put to sleep.
Where nothing forks, and where a test has a word for Python itself in the environment, Python is started; but folders
that only stand in PYTHONPATH before ours are looked into by a forked one as well.
"""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryFile
from typing import IO, Any, Self

import ct_mcp

if sys.platform != "win32":  # there is none of it on Windows
    import fcntl
    import termios
    from multiprocessing.context import ForkServerContext
    from multiprocessing.reduction import DupFd

ROOT = Path(__file__).parents[1]
_USUAL = {"PYTHONIOENCODING": "utf-8"}


def run_command(
    *arguments: str, given: str, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run ``ct-mcp`` to its end, with what it finds on stdin.

    Raises:
        subprocess.TimeoutExpired: It does not end in time.
    """
    command = [sys.executable, "-m", "ct_mcp", *arguments]
    if not can_be_forked(environ):
        return subprocess.run(
            command, input=given, capture_output=True, encoding="utf-8", env=environ, timeout=timeout, check=False
        )
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        streams = [_HandedOver(stream.fileno()) for stream in (stdin, stdout, stderr)]
        process = _forks().Process(target=_play, args=("ct_mcp", arguments, dict(environ), streams))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, process.exitcode, _text(stdout), _text(stderr))


class Program:
    """A module that runs as a program of its own, with Ctrl-C as a person has it, used as Popen is."""

    def __init__(self, module: str, arguments: Sequence[str], environ: Mapping[str, str], terminal: int = -1) -> None:
        """Start it with pipes of text, or in the foreground of a terminal."""
        its = (terminal,) * 3 if terminal >= 0 else self._with_pipes()
        started = (module, tuple(arguments), dict(environ), [_HandedOver(number) for number in its], terminal >= 0)
        self._process = _forks().Process(target=_play, args=started)
        self._process.start()
        for number in its if terminal < 0 else ():
            os.close(number)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def _with_pipes(self) -> tuple[int, int, int]:
        (its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr) = (os.pipe() for _ in range(3))
        self.stdin = os.fdopen(stdin, "w", encoding="utf-8")
        self.stdout, self.stderr = os.fdopen(stdout, encoding="utf-8"), os.fdopen(stderr, encoding="utf-8")
        return its_stdin, its_stdout, its_stderr

    @property
    def returncode(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Say the same, as Popen has it."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Close its stdin, read what it still says, and wait for its end."""
        with suppress(OSError):
            self.stdin.close()
        with ThreadPoolExecutor(1) as beside:
            errors = beside.submit(self.stderr.read)
            said = self.stdout.read()
        self.wait(timeout)
        self.__exit__()
        return said, errors.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("stdin", "stdout", "stderr"):
            with suppress(AttributeError, OSError):
                getattr(self, name).close()
        self._process.join()


def start_program(module: str, *arguments: str, **more: str) -> "Program | subprocess.Popen[str]":
    """Start a module as a program, with pipes; one of the tests in the folder above them."""
    environ = {**os.environ, **more}
    if sys.platform != "win32":
        return Program(module, arguments, environ)
    pipe, command = subprocess.PIPE, [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", env=environ, cwd=ROOT)


def can_be_forked(environ: Mapping[str, str]) -> bool:
    """Say whether something forks here, and the environment has no word for Python that others have not."""
    return (
        sys.platform != "win32"
        and _for_python(environ) == _for_python(os.environ) | _USUAL
        and _folders(environ) == _folders_before_ours(environ) + _folders(os.environ)
    )


def _for_python(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("PYTHON") and name != "PYTHONPATH"}


def _folders(environ: Mapping[str, str]) -> list[str]:
    return [folder for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _folders_before_ours(environ: Mapping[str, str]) -> list[str]:
    return _folders(environ)[: len(_folders(environ)) - len(_folders(os.environ))]


@cache
def _forks() -> "ForkServerContext":
    context = get_context("forkserver")
    names = [module.name for module in walk_packages(ct_mcp.__path__, "ct_mcp.")]
    context.set_forkserver_preload([name for name in names if not name.endswith("__main__")])
    return context


class _HandedOver:
    """A stream that is pickled as its number in the other process."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _number_of, (DupFd(self._number),)


def _number_of(handed_over: Any) -> int:
    number: int = handed_over.detach()
    return number


def _play(
    module: str, arguments: tuple[str, ...], environ: Mapping[str, str], streams: list[int], has_terminal: bool = False
) -> None:
    """Be ``python -m MODULE``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if has_terminal:
        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in {*streams} - {0, 1, 2}:
        os.close(stream)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1 if has_terminal else -1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.path[:0] = _folders_before_ours(environ)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode().replace("\r\n", "\n")
