"""One SQLite file: opened, one transaction at a time, its failures put in words."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from threading import Lock
from time import monotonic, sleep
from typing import TypeVar, TypeVarTuple

from ct_mcp.errors import StoreFailed
from ct_mcp.store.schema import migrate

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# FULL: what was committed has reached the disk. The fullfsync is what that takes on macOS; elsewhere it means nothing.
_PRAGMAS = ("PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON")


def lasting(connection: Connection) -> None:
    """Prepare the file of what must outlive a power cut, with the tables of our version."""
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    migrate(connection)


class Database:
    """One connection, used by one thread at a time.

    A call that fails in any way closes the connection. That rolls back whatever was begun, and the next call opens
    the file anew: there is no other road back to a sound state, so this one is well trodden.
    """

    def __init__(
        self, path: Path, busy_timeout_seconds: float, prepare: Callable[[Connection], None] = lasting
    ) -> None:
        """Remember the file; the first call opens it, and lets ``prepare`` make what it needs."""
        self._path = path
        self._prepare = prepare
        self._busy_timeout_seconds = busy_timeout_seconds
        self._turn = Lock()
        self._connection: Connection | None = None

    def read(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` see one moment of the file."""
        with self._transaction("BEGIN") as connection:
            return work(connection, *arguments)

    def write(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` change the file, all of it or nothing; on disk when this returns."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            return work(connection, *arguments)

    def write_at_once(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> tuple[T] | None:
        """Like `write` where nobody is in the way and the file is open; None, and nothing done, where it would wait.

        For what takes microseconds and is not worth a thread of its own.
        """
        if not self._turn.acquire(blocking=False):
            return None
        try:
            if self._connection is None or not self._begins_at_once(self._connection):
                return None
            with self._kept_sound():
                told = work(self._connection, *arguments)
                self._connection.execute("COMMIT")
            return (told,)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the file; a later call opens it again, so that a late answer is still written."""
        with self._turn:
            self._drop()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._turn, self._kept_sound():
            connection = self._opened()
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _kept_sound(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
            self._drop()
            raise in_words(error, self._path) from error
        except BaseException:
            self._drop()
            raise

    def _begins_at_once(self, connection: Connection) -> bool:
        """Begin to write, or say that it cannot be now; what is wrong beyond that, `write` will find and say."""
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("BEGIN IMMEDIATE")
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout_seconds * 1000)}")
            return True
        return False

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = _open(self._path, self._busy_timeout_seconds, self._prepare)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _open(path: Path, busy_timeout_seconds: float, prepare: Callable[[Connection], None]) -> Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_for_owner_only(path)
    connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False)
    try:
        _switch_to_wal(connection, monotonic() + busy_timeout_seconds)
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: Connection, deadline: float) -> None:
    # SQLite does not wait its busy timeout here when two processes make the same new file, so we do.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                raise
        sleep(0.005)


def _make_for_owner_only(path: Path) -> None:
    # Only ever a new file: closing a second handle on an open one would drop this process's locks on it (POSIX).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


_BUSY = "close or wait for the program that holds it (a backup, a database viewer), then try again"
_DAMAGED = (
    "the person must move the file aside, keep it as evidence, check the account's orders, and start again; "
    "what else it held is gone with it: a halt, losses of the day, armings and the PIN"
)
_WORDS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: ("another program holds it", _BUSY),
    sqlite3.SQLITE_LOCKED: ("another program holds it", _BUSY),
    sqlite3.SQLITE_FULL: ("the disk is full", "the person must free disk space, then try again"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _DAMAGED),
    sqlite3.SQLITE_NOTADB: ("it is damaged or no file of ours", _DAMAGED),
}


def in_words(error: sqlite3.Error | OSError | UnicodeEncodeError, path: Path) -> StoreFailed:
    """Say what is wrong with the file and what the person can do."""
    # The low byte is the kind of failure, the rest its particulars.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what, next_step = _WORDS.get(kind, ("it cannot be used", ""))
    return StoreFailed(f"state file {path}: {what} ({error})", next_step=next_step)
