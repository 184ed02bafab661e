"""A cable between a program and a server, that a test cuts, silences, or lets lose an answer."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread


class Cable:
    """Listens on a port of its own, and carries what comes there to the server, and back."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._carries = Event()
        self._carries.set()
        self._is_down = False
        self._swallows = False
        self.loses_answer_to = b""
        self.cuts_before = b""
        self.lets_through = 0
        """So many of what is lost or cut go through before."""
        Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        """Where a program connects to."""
        port: int = self._listener.getsockname()[1]
        return port

    def cut(self) -> None:
        """Break what is connected; who connects again gets through."""
        ends, self._ends = self._ends, []
        _break(*ends)

    def pull(self) -> None:
        """Break what is connected, and let nobody through any more."""
        self._is_down = True
        self.cut()

    def plug(self) -> None:
        """Let everybody through again."""
        self._is_down = False

    def silence(self) -> None:
        """Carry nothing any more, without a word to either side."""
        self._carries.clear()

    def speak(self) -> None:
        """Carry on with what was held back."""
        self._carries.set()

    def close(self) -> None:
        """Break everything for good."""
        self._listener.close()
        self._carries.set()
        self.cut()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_down:
                    near.close()
                    continue
                far = socket.create_connection(self._server)
                self._ends += [near, far]
                Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._carries.wait()
                if asks and self._is_met(self.cuts_before, data):
                    self.cuts_before = b""
                    break
                if asks and self._is_met(self.loses_answer_to, data):
                    self.loses_answer_to, self._swallows = b"", True
                elif not asks and self._swallows:
                    self._swallows = False
                    break
                target.sendall(data)
        _break(source, target)

    def _is_met(self, word: bytes, data: bytes) -> bool:
        if not word or word not in data:
            return False
        self.lets_through -= 1
        return self.lets_through < 0


def _break(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def cable_to(host: str, port: int) -> Iterator[Cable]:
    """A cable to a server, for a while."""
    cable = Cable(host, port)
    try:
        yield cable
    finally:
        cable.close()
