"""A terminal that a program runs at, and what is typed at it when something stands on its screen. POSIX only."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.contract.real_clients.clients import Typed
from tests.processes import at_terminal

ROWS, COLUMNS = 50, 140
_LOOKS_SECONDS = 0.1
_MOVES_SECONDS = 0.7
_GRACE_SECONDS = 5
# What moves the cursor to the right or down stands for blanks and line breaks; everything else only paints.
_TO_THE_RIGHT = re.compile(r"\x1b\[\d*[CG]")
_DOWN = re.compile(r"\x1b\[\d*(?:;\d*)?[BEHf]")
_PAINT = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Z]|\x1b[=>78PcDEHM]|\r|\x08"
)
_WHO_ARE_YOU = {
    "\x1b[6n": "\x1b[1;1R",
    "\x1b[c": "\x1b[?62c",
    "\x1b[0c": "\x1b[?62c",
    "\x1b[>0q": "",
    "\x1b[?u": "\x1b[?0u",
}
"""What programs ask of a terminal before they draw, and what one answers."""


@dataclass
class Terminal:
    """A program at a terminal of its own; ``log`` gets everything that it wrote."""

    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    log: Path
    reactions: Sequence[Typed] = ()
    screen: str = ""
    done: set[int] = field(default_factory=set)

    def __enter__(self) -> "Terminal":
        """Start the program as a session of its own, so that everything it starts can be ended with it."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            at_terminal(*self.command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(self.env),
            cwd=self.folder,
            start_new_session=True,
        )
        os.close(theirs)
        self._log = self.log.open("wb")
        self._seen_at = 0.0
        self._keys: list[tuple[float, str]] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask the program to end, then end it."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            self._signal(sign)
            self.watch(lambda: self.has_ended, _GRACE_SECONDS)
        os.close(self._ours)
        self._log.close()

    @property
    def has_ended(self) -> bool:
        """Whether the program is over."""
        return self._process.poll() is not None

    def watch(self, is_over: Callable[[], bool], seconds: float) -> bool:
        """Read the screen and type at it until something is so, or the program or the time is over."""
        end = time.monotonic() + seconds
        while not is_over():
            if time.monotonic() > end or not self._look():
                return is_over()
        return True

    def _look(self) -> bool:
        """Read what there is; says whether more may come."""
        ready, _, _ = select.select([self._ours], [], [], _LOOKS_SECONDS)
        if ready:
            try:
                read = os.read(self._ours, 65536)
            except OSError:  # the last program has let go of the terminal
                return False
            self._log.write(read)
            self._log.flush()
            text = read.decode(errors="replace")
            for question, answer in _WHO_ARE_YOU.items():
                if question in text and answer:
                    self._type(answer)
            self.screen += _plain(text)
        self._type_what_is_due()
        self._react(settled=not ready)
        return bool(ready) or not self.has_ended

    def _react(self, *, settled: bool) -> None:
        """Type what the first reaction wants, and forget the screen: what stood there was answered.

        It waits until the screen stands still, or for a moment where something on it never does.
        """
        for number, reaction in enumerate(() if self._keys else self.reactions):
            if number in self.done or not (found := reaction.found_in(self.screen)):
                continue
            self._seen_at = self._seen_at or time.monotonic()
            if settled or time.monotonic() - self._seen_at > _MOVES_SECONDS:
                self._answer(number, reaction, found)
            return

    def _answer(self, number: int, reaction: Typed, found: re.Match[str]) -> None:
        if reaction.once:
            self.done.add(number)
        self.screen, self._seen_at = "", 0.0
        # One after the other, as fingers do: what comes in one go counts as pasted.
        now = time.monotonic()
        moments = (now + reaction.pause_seconds * place for place, _ in enumerate(reaction.keys, 1))
        self._keys = [(due, key.format(*found.groups())) for due, key in zip(moments, reaction.keys, strict=True)]

    def _type_what_is_due(self) -> None:
        while self._keys and self._keys[0][0] <= time.monotonic():
            self._type(self._keys.pop(0)[1])

    def _type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def _signal(self, sign: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, sign)
        except ProcessLookupError:
            return


def _plain(text: str) -> str:
    return _PAINT.sub("", _DOWN.sub("\n", _TO_THE_RIGHT.sub(" ", text)))
