"""The store in PostgreSQL, shared by all machines of one trader: transactions, and failures told in plain words.

How it works; the numbers stand again at the blocks that do it.

 1. One connection for each process, used by one thread at a time. A call that fails in any way closes it, which rolls
    back whatever was begun, and the next call opens it anew.
 2. Who writes takes its turn first, a lock that lasts as long as the transaction. So writes come one after the other,
    as in a file, each decides on what stands, and none has to be undone. A process that stops in its turn loses it, and
    its transaction with it, after a few seconds.
 3. What failed before its end was told to the database has not happened, and is run once more where the connection had
    been idle (the database was restarted meanwhile), or where two were in each other's way. It is no write to the
    market. Where the end was told and no answer came, nobody knows whether it has happened: that is a failure, and the
    caller sends nothing.
 4. Times are given by whoever calls. So that two machines mean the same by them, a machine whose clock is not the
    database's writes nothing.

Import it late: nothing on the way to the answer of ``initialize`` may load psycopg.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar, TypeVarTuple

from psycopg import ClientCursor, Connection, Error, connect
from psycopg.conninfo import make_conninfo

from ct_mcp.errors import StoreFailed
from ct_mcp.store.postgres_failures import (
    NOT_SET_UP,
    OLD_SERVER,
    ONLY_READS,
    as_evidence,
    describe_failure,
    wrong_version,
)
from ct_mcp.store.postgres_schema import STEPS
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sql import Rows, SqlConnection
from ct_mcp.store.sql_store import SqlStore

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CLOCKS_MAY_DIFFER = timedelta(seconds=5)
OLDEST_SERVER = 140000
_TRIES = 3
_SEES_ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TAKES_ITS_TURN = "BEGIN; SELECT at, version FROM take_turn()"
_SET_UP = """
SELECT set_config('search_path', quote_ident(current_user) || ', pg_temp', false),
    set_config('ct_mcp.service', %s, false), set_config('TimeZone', 'UTC', false),
    set_config('synchronous_commit', 'on', false),
    set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false), current_setting('transaction_read_only')
"""
_VERSION = "SELECT version FROM schema_version"
_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take; ``held_seconds`` is what a process that stops may hold up all others."""

    connect_seconds: int = 3
    lock_seconds: float = 5.0
    statement_seconds: float = 10.0
    held_seconds: float = 5.0


class PostgresDatabase:
    """An `Engine` over the schema of one trader."""

    def __init__(
        self,
        url: PostgresUrl,
        service: str = "",
        clock: Callable[[], datetime] | None = None,
        patience: Patience = Patience(),  # frozen
    ) -> None:
        """Remember where it is; the first call connects. Without a clock, the times that are given are believed."""
        self._url = url
        self._service = service
        self._clock = clock
        self._patience = patience
        self._turn = Lock()
        self._connection: Connection | None = None

    def read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` see one moment of the tables."""
        return self._run(_SEES_ONE_MOMENT, work, *arguments)

    def write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` change the tables, all of it or nothing; it may run more than once, and counts once."""
        return self._run(_TAKES_ITS_TURN, work, *arguments)

    def aside(self) -> "PostgresDatabase":
        """Give another one on the same tables, with a connection of its own."""
        return PostgresDatabase(self._url, self._service, self._clock, self._patience)

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._turn:
            self._close()

    # 1, 3: one connection, and what is run again

    def _run(self, begin: str, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        with self._turn, self._closed_on_failure():
            for _ in range(_TRIES - 1):
                was_idle = self._connection is not None
                try:
                    return self._once(begin, work, *arguments)
                except Error as error:
                    if not self._has_not_happened(error, was_idle=was_idle):
                        raise
                    self._close()
            return self._once(begin, work, *arguments)

    def _once(self, begin: str, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        if self._connection is None:
            self._connection = self._open()
        connection = self._connection
        self._begin(connection, begin)
        result = work(PostgresConnection(connection), *arguments)
        if begin == _SEES_ONE_MOMENT:
            connection.execute("COMMIT")
        else:
            self._commit(connection)
        return result

    def _has_not_happened(self, error: Error, *, was_idle: bool) -> bool:
        """Say whether it is worth another try; what comes from the end of a transaction never gets here."""
        is_broken = self._connection is not None and self._connection.closed
        return (was_idle and is_broken) or error.sqlstate in {_SERIALIZATION_FAILURE, _DEADLOCK}

    def _commit(self, connection: Connection) -> None:
        try:
            ended = connection.execute("COMMIT").statusmessage
        except Error as error:
            what = f"{self._url}: whether it was written is not known, since the answer was lost"
            raise StoreFailed(what, next_step="try again: whatever was written is found then") from error
        if ended != "COMMIT":  # pragma: no cover  # a statement that failed has raised before
            raise StoreFailed(f"{self._url}: it was not written")

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (Error, OSError, UnicodeEncodeError) as error:
            self._close()
            raise describe_failure(error, self._url) from error
        except StoreFailed as failure:
            self._close()
            raise as_evidence(failure, self._url) from failure
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Error):
                connection.close()

    # 2, 4: turns and clocks

    def _begin(self, connection: Connection, begin: str) -> None:
        before = self._clock() if self._clock else None
        cursor = connection.execute(begin.encode())
        if begin == _SEES_ONE_MOMENT:
            return
        cursor.nextset()
        row = cursor.fetchone()
        at, version = row or (None, 0)
        self._need_version(version)
        if self._clock and before and not before - CLOCKS_MAY_DIFFER <= at <= self._clock() + CLOCKS_MAY_DIFFER:
            self._refuse_clock(before - at)

    def _refuse_clock(self, ahead: timedelta) -> None:
        seconds = ahead.total_seconds()
        way = "ahead of" if seconds > 0 else "behind"
        raise StoreFailed(
            f"{self._url}: the clock of this machine is {abs(seconds):.0f} s {way} the database's, so neither can be "
            "believed by the other",
            next_step="the person must set both clocks by the network's time, then try again",
        )

    def _need_version(self, found: int) -> None:
        if found != len(STEPS):
            raise wrong_version(found, self._url)

    def _open(self) -> Connection:
        # What the URL says goes first: whoever wrote it may have to wait longer.
        usual: dict[str, str | int] = {
            "connect_timeout": self._patience.connect_seconds,
            "application_name": "ct-mcp",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": int(self._patience.held_seconds * 1000),
        }
        where = make_conninfo("", **usual | self._url.parameters())
        connection = connect(where, autocommit=True, cursor_factory=ClientCursor)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        if connection.info.server_version < OLDEST_SERVER:
            raise StoreFailed(f"{self._url}: {OLD_SERVER[0]}", next_step=OLD_SERVER[1])
        patience = self._patience
        waits = (patience.lock_seconds, patience.statement_seconds, patience.held_seconds)
        row = connection.execute(_SET_UP, (self._service, *(f"{int(each * 1000)}ms" for each in waits))).fetchone()
        if row is None or row[-1] != "off":
            raise StoreFailed(f"{self._url}: {ONLY_READS[0]}", next_step=ONLY_READS[1])
        found = connection.execute(_VERSION).fetchone()
        if found is None:
            raise StoreFailed(f"{self._url}: {NOT_SET_UP[0]}", next_step=NOT_SET_UP[1])
        self._need_version(found[0])


class PostgresStore(SqlStore):
    """The store of one trader in PostgreSQL."""

    def __init__(
        self,
        url: PostgresUrl,
        *,
        service: str = "",
        clock: Callable[[], datetime] | None = None,
        patience: Patience = Patience(),  # frozen
    ) -> None:
        """Remember where it is; the first call connects. ``service`` is as in `SqliteStore`."""
        super().__init__(PostgresDatabase(url, service, clock, patience))


class PostgresConnection:
    """A connection that is spoken to as SQLite is; see `sql`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        if not parameters:
            return self._connection.execute(sql.encode())
        if isinstance(parameters, Mapping):
            spelled = _spelled(sql, tuple(parameters))
            return self._connection.execute(spelled, {name: _bound(value) for name, value in parameters.items()})
        return self._connection.execute(_spelled(sql, ()), [_bound(value) for value in parameters])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        for each in parameters:
            self.execute(sql, each)


@lru_cache(maxsize=512)
def _spelled(sql: str, names: tuple[str, ...]) -> bytes:
    """Spell the places of parameters as psycopg does; of two names that begin alike the longer goes first."""
    spelled = sql.replace("%", "%%").replace("?", "%s")
    for name in sorted(names, key=len, reverse=True):
        spelled = spelled.replace(f":{name}", f"%({name})s")
    return spelled.encode()


def _bound(value: object) -> object:
    """Give a value as SQLite keeps it: a bool as a number, a member of an enumeration as its text."""
    match value:
        case bool():
            return int(value)
        case str():
            return str(value)
        case _:
            return value
