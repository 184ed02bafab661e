"""One SQLite file: opened, one transaction at a time, its failures told in plain words."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from threading import Lock
from time import monotonic, sleep
from typing import TypeVar, TypeVarTuple

from ct_mcp.errors import StoreFailed, StoreRefused
from ct_mcp.files import create_private_file, find_changeable_by_others, make_it_yours
from ct_mcp.store.codec import MOVE_ASIDE
from ct_mcp.store.schema import migrate
from ct_mcp.store.soundness import refuse_what_is_damaged

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# FULL: what was committed has reached the disk. The fullfsync is what that takes on macOS; elsewhere it means nothing.
_PRAGMAS = ("PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON")
# The second is what takes the moment that is seen, and so the only one that could have to wait.
_BEGIN_READING = ("BEGIN", "SELECT 1 FROM sqlite_schema LIMIT 1")


def prepare_state_file(connection: Connection, service: str = "") -> None:
    """Prepare the file of what must outlive a power cut, with the tables of our version, as one service sees them.

    Whoever may send, and so names a service, uses none that is damaged; the person's terminal still reads from it.
    """
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    migrate(connection, service)
    if service:
        refuse_what_is_damaged(connection)


class Database:
    """One connection, used by one thread at a time.

    A call that fails in any way closes the connection. That rolls back whatever was begun, and the next call opens
    the file anew: there is no other road back to a sound state, so this one is well trodden. A file that somebody has
    moved away goes on under its new name, and others no longer see what is written there: it is opened anew as well.
    """

    def __init__(
        self,
        path: Path,
        busy_timeout_seconds: float,
        prepare: Callable[[Connection], None] = prepare_state_file,
        in_place_of_another: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Remember the file; the first call opens it, and lets ``prepare`` make what it needs.

        ``in_place_of_another`` is told of what stands where another file was moved away, before it is used.
        """
        self._path = path
        self._prepare = prepare
        self._in_place_of_another = in_place_of_another
        self._opened: tuple[int, int] | None = None
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

    def try_write(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> tuple[T] | None:
        """Write where nobody is in the way and the file is open; None, and nothing done, where `write` would wait.

        For what takes microseconds and is not worth a thread of its own.
        """
        return self._try(("BEGIN IMMEDIATE",), work, *arguments)

    def try_read(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> tuple[T] | None:
        """Read where nobody is in the way and the file is open; None where `read` would wait."""
        return self._try(_BEGIN_READING, work, *arguments)

    def _try(self, begin: Sequence[str], work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> tuple[T] | None:
        if not self._turn.acquire(blocking=False):
            return None
        try:
            if self._connection is None or self._was_moved() or not self._begin_now(self._connection, begin):
                return None
            with self._closed_on_failure():
                result = work(self._connection, *arguments)
                self._connection.execute("COMMIT")
            return (result,)
        finally:
            self._turn.release()

    def aside(self) -> "Database":
        """Give another one on the same file, with a connection of its own."""
        return Database(self._path, self._busy_timeout_seconds, self._prepare, self._in_place_of_another)

    def close(self) -> None:
        """Close the file; a later call opens it again, so that a late answer is still written."""
        with self._turn:
            self._close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._turn, self._closed_on_failure():
            connection = self._open_now()
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")

    def _open_now(self) -> Connection:
        """Give what is open, of the file that stands there now."""
        was_moved = self._was_moved()
        if was_moved:
            self._close()
        if self._connection is None:
            self._connection = _open(self._path, self._busy_timeout_seconds, self._prepare)
            if was_moved:
                self._in_place_of_another(self._connection)
            self._opened = _identity(self._path)
        return self._connection

    def _was_moved(self) -> bool:
        """Say whether another file, or none, stands where the one stood that was opened last."""
        return self._opened is not None and _identity(self._path, self._opened) != self._opened

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
            self._close()
            raise describe_failure(error, self._path) from error
        except BaseException:
            self._close()
            raise

    def _begin_now(self, connection: Connection, begin: Sequence[str]) -> bool:
        """Begin, or say that it cannot be now; what is wrong beyond that, `write` or `read` will find and say."""
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                for statement in begin:
                    connection.execute(statement)
            except sqlite3.Error:
                connection.rollback()
                raise
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout_seconds * 1000)}")
            return True
        return False

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _identity(path: Path, unknown: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Tell files apart that stand under one name; None where there is none, ``unknown`` where nobody can look."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return unknown
    return found.st_dev, found.st_ino


def _open(path: Path, busy_timeout_seconds: float, prepare: Callable[[Connection], None]) -> Connection:
    # Only ever a new file: closing a second handle on an open one would drop this process's locks on it (POSIX).
    with suppress(FileExistsError):
        create_private_file(path)
    _refuse_what_others_may_change(path)
    connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False)
    try:
        _switch_to_wal(connection, monotonic() + busy_timeout_seconds)
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_what_others_may_change(path: Path) -> None:
    # SQLite reads what stands beside the file as if it stood in it.
    beside = (path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))
    found = find_changeable_by_others((path.parent, path, *beside))
    if found is not None:
        raise StoreFailed(
            f"state file {path}: other users of this machine own {found} or may change it, so it cannot be trusted",
            next_step=f"the person must {make_it_yours(found)}, or name another state folder",
        )


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


_HELD = (
    "another program holds it",
    "close or wait for the program that holds it (a backup, a database viewer), then try again",
)
_FAILURES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_FULL: ("the disk is full", "the person must free disk space, then try again"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", MOVE_ASIDE),
    sqlite3.SQLITE_NOTADB: ("it is damaged or no file of ours", MOVE_ASIDE),
    sqlite3.SQLITE_ERROR: ("it cannot be used, and does not hold what we made", MOVE_ASIDE),
}
"""What is wrong, and what the person can do, by the kind of failure; of any other the person must look themselves."""


def describe_failure(error: sqlite3.Error | OSError | UnicodeEncodeError, path: Path) -> StoreFailed:
    """Say what is wrong with the file and what the person can do."""
    # The low byte is the kind of failure, the rest its particulars.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_CONSTRAINT:
        return StoreRefused(f"state file {path}: it refuses what does not go with what it holds ({error})")
    what, next_step = _FAILURES.get(kind, ("it cannot be used", ""))
    return StoreFailed(f"state file {path}: {what} ({error})", next_step=next_step)
