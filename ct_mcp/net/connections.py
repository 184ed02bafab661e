"""How many connections a listener takes, and how many files the process may have open for them.

A program that connects and says nothing costs a file each time. Once a process has no files left it cannot even reach
CrossTrade, so that no exit leaves. So each listener has an upper end well below that.
"""

import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

MOST_CONNECTIONS = 64
"""What the pages of one person may hold at once."""

# What a process keeps for itself: its libraries, the store, the stream, and the way to CrossTrade.
_OWN_FILES = 64
# Files are shared by at most so many: pages, console or MCP over HTTP, and room for what nobody thought of.
_SHARES = 4
_FEWEST_CONNECTIONS = 8
SECONDS_TO_SPEAK = 1.0
# Where the system names no upper end, macOS refuses more than this.
_MANY_FILES = 10_240


def raise_file_limit() -> int:
    """Let the process open as many files as the system allows it, and say how many; a shell mostly gives it less."""
    if sys.platform == "win32":
        return _MANY_FILES
    import resource  # noqa: PLC0415  # POSIX alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


class Listener(socket.socket):
    """A listening socket that takes ``most`` connections at once.

    Beyond that the eldest that has asked for nothing yet makes room, after its first second; where there is none, the
    new one is closed at once. So whoever only connects keeps nobody else out. It also counts those whose TLS handshake
    is not finished. On Windows the event loop accepts by itself: there files do not run out, and what says nothing is
    cut off by its deadline.
    """

    most = MOST_CONNECTIONS

    def limit(self, most: int) -> None:
        """Take so many connections at once, or fewer where the process has not the files for them."""
        self.most = min(most, max(_FEWEST_CONNECTIONS, (raise_file_limit() - _OWN_FILES) // _SHARES))
        self._held: dict[socket.socket, _Held] = {}

    def hear(self, peer: object) -> None:
        """Note that the connection from this address has asked for something."""
        for held in self._held.values():
            held.is_silent = held.is_silent and held.peer != peer

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        Raises:
            ConnectionAbortedError: There were enough, and it was closed; the event loop goes on.
        """
        connection, address = super().accept()
        self._held = {each: held for each, held in self._held.items() if each.fileno() >= 0}
        if len(self._held) >= self.most and not self._makes_room():
            connection.close()
            raise ConnectionAbortedError
        self._held[connection] = _Held(address)
        return connection, address

    def _makes_room(self) -> bool:
        """End the eldest that said nothing; the event loop, which reads its end then, closes it."""
        for connection, held in self._held.items():
            if held.is_silent and monotonic() - held.since >= SECONDS_TO_SPEAK:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                del self._held[connection]
                return True
        return False


@dataclass(slots=True)
class _Held:
    """A connection that is open: who is at its other end, since when, and whether they have asked for anything."""

    peer: object
    since: float = field(default_factory=monotonic)
    is_silent: bool = True
