"""A process that is spoken to in lines over stdin and stdout, and ended when the block that holds it is left."""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Timer
from types import TracebackType
from typing import Self

SERVERS = Path(__file__).parent / "servers"
LONGEST_LIFE_SECONDS = 170.0
_OF_THE_OPERATOR = ("CROSSTRADE_", "XTRADE_", "CT_MCP_", "PYTHON")


class Child:
    """One process. It is killed if it outlives any benchmark, so that a silent one cannot stop the run."""

    longest_life_seconds = LONGEST_LIFE_SECONDS

    def __init__(self, command: Sequence[str], home: Path) -> None:
        """Start it, meeting neither a token nor the settings of whoever runs the benchmark."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_OPERATOR)}
        environ |= {"XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self.started_at = time.perf_counter()
        self._process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=self._complaints, env=environ)
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        self._last_resort = Timer(self.longest_life_seconds, self._process.kill)
        self._last_resort.daemon = True
        self._last_resort.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # it may be gone, with a line half written
            self._to.close()
        try:
            self._process.wait(timeout=10)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._last_resort.cancel()
        self._from.close()
        self._complaints.close()

    def kill(self) -> None:
        """End it in the middle of whatever it does: SIGKILL, on Windows TerminateProcess."""
        self._process.kill()
        self._process.wait()

    def say(self, line: bytes) -> None:
        """Write one line."""
        self._to.write(line + b"\n")
        self._to.flush()

    def hear(self) -> bytes:
        """Read one line.

        Raises:
            RuntimeError: The process has ended; with the last that it wrote to stderr.
        """
        line = self._from.readline()
        if not line:
            self._complaints.seek(0)
            last_words = self._complaints.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{self._process.args!r} has ended: {last_words}")
        return line

    def cpu_seconds(self) -> float | None:
        """Processor time of all its threads so far, on Linux."""
        if sys.platform != "linux":
            return None
        # The kernel's name for the CPU clock of another process, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def resident_mib(self) -> float | None:
        """Memory that it holds now, on Linux."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return None
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def script(name: str, *arguments: str) -> list[str]:
    """The command that runs one of the servers beside this file."""
    return [sys.executable, str(SERVERS / name), *arguments]


def installed(*arguments: str) -> list[str]:
    """The command that a client runs: ``ct-mcp`` of this environment."""
    beside = Path(sys.executable).with_name("ct-mcp.exe" if sys.platform == "win32" else "ct-mcp")
    return [*([str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "ct_mcp"]), *arguments]
