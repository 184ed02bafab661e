"""The store in PostgreSQL, shared by all machines of one trader: transactions, and failures told in plain words.

How it works; the numbers stand again at the blocks that do it.

 1. One connection for each process, used by one thread at a time. A call that fails in any way closes it, which rolls
    back whatever was begun, and the next call opens it anew.
 2. Who writes takes its turn first, a lock that lasts as long as the transaction. So writes come one after the other,
    as in a file, each decides on what stands, and none has to be undone. A process that stops in its turn loses it, and
    its transaction with it, after a few seconds; and nobody waits longer for a server, or a cable, that is frozen.
 3. What failed before its end was told to the database has not happened. It is no write to the market, and is run once
    more where the connection had been idle (the database was restarted meanwhile), or where two were in each other's
    way; but not after a pause, since what was asked for then is no longer of its time. Where the end was told and no
    answer came, nobody knows whether it has happened: that is a failure, and the caller sends nothing.
 4. Times are given by whoever calls. So that two machines mean the same by them, a machine whose clock is not the
    database's writes nothing.

Import it late: nothing on the way to the answer of ``initialize`` may load psycopg.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
from threading import Lock, Timer
from time import monotonic
from typing import Any, TypeVar, TypeVarTuple

from psycopg import ClientCursor, Connection, Error, connect
from psycopg.conninfo import make_conninfo

from ct_mcp.errors import StoreDamaged, StoreOutOfReach
from ct_mcp.store.postgres_failures import (
    OLD_SERVER,
    ONLY_READS,
    as_evidence,
    describe_failure,
    not_set_up,
    shut_out,
    wrong_version,
)
from ct_mcp.store.postgres_schema import OF_A_TRADER, Tables
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sql import Rows, SqlConnection
from ct_mcp.store.sql_store import SqlStore

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CLOCKS_MAY_DIFFER = timedelta(seconds=2)
OLDEST_SERVER = 140000
_TRIES = 3
_SEE_ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_TAKE_TURN = "BEGIN; SELECT at, version FROM take_turn()"
_SET_UP = """
SELECT set_config('search_path', quote_ident(coalesce(nullif(%s, ''), current_user)) || ', pg_temp', false),
    set_config('ct_mcp.service', %s, false), set_config('TimeZone', 'UTC', false),
    set_config('synchronous_commit', %s, false), set_config('lock_timeout', %s, false),
    set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
    has_schema_privilege(to_regnamespace(quote_ident(nullif(%s, '')))::oid, 'USAGE'),
    current_setting('transaction_read_only'), clock_timestamp()
"""
_VERSION = "SELECT version FROM schema_version"
_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"


class _Manner(Enum):
    SEES_ONE_MOMENT = auto()
    TAKES_ITS_TURN = auto()
    AT_ONCE = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take; ``held_seconds`` is what a process that stops may hold up all others.

    ``waits_for_disk`` says that what was written outlives a power cut.
    """

    connect_seconds: int = 3
    lock_seconds: float = 5.0
    statement_seconds: float = 5.0
    held_seconds: float = 5.0
    waits_for_disk: bool = True

    @property
    def whole_seconds(self) -> float:
        """How long a transaction may take, whether the server answers or not."""
        return self.lock_seconds + self.statement_seconds


class PostgresDatabase:
    """An `Engine` over the schema of one trader, or over other tables that are named."""

    def __init__(
        self,
        url: PostgresUrl,
        service: str = "",
        clock: Callable[[], datetime] | None = None,
        patience: Patience = Patience(),  # frozen
        tables: Tables = OF_A_TRADER,
    ) -> None:
        """Remember where it is; the first call connects. Without a clock, the times that are given are believed."""
        self._url = url
        self._service = service
        self._clock = clock
        self._patience = patience
        self._tables = tables
        self._turn = Lock()
        self._connection: Connection | None = None
        self.clock_behind = timedelta()

    def read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` see one moment of the tables."""
        return self._run(_Manner.SEES_ONE_MOMENT, work, *arguments)

    def write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` change the tables, all of it or nothing; it may run more than once, and counts once."""
        return self._run(_Manner.TAKES_ITS_TURN, work, *arguments)

    def at_once(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let each statement of ``work`` be by itself, and take no turn; one that is run again may count twice."""
        return self._run(_Manner.AT_ONCE, work, *arguments)

    def aside(self) -> "PostgresDatabase":
        """Give another one on the same tables, with a connection of its own, and time."""
        patience = replace(self._patience, statement_seconds=3600)
        return PostgresDatabase(self._url, self._service, self._clock, patience, self._tables)

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._turn:
            self._close()

    # 1, 3: one connection, and what is run again

    def _run(self, manner: _Manner, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        with self._turn, self._closed_on_failure():
            began = monotonic()
            for _ in range(_TRIES - 1):
                was_idle = self._connection is not None
                try:
                    return self._once(manner, work, *arguments)
                except Error as error:
                    is_late = monotonic() - began > self._patience.whole_seconds
                    if is_late or not self._has_not_happened(error, was_idle=was_idle):
                        raise
                    self._close()
            return self._once(manner, work, *arguments)

    def _once(self, manner: _Manner, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        if self._connection is None:
            self._connection = self._open()
        connection = self._connection
        with _no_longer_than(self._patience.whole_seconds, connection):
            if manner is _Manner.TAKES_ITS_TURN:
                self._take_turn(connection)
            with_first = _SEE_ONE_MOMENT if manner is _Manner.SEES_ONE_MOMENT else ""
            result = work(PostgresConnection(connection, with_first), *arguments)
            if manner is _Manner.TAKES_ITS_TURN:
                self._commit(connection)
            elif manner is _Manner.SEES_ONE_MOMENT:
                connection.execute("COMMIT")
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
            raise StoreOutOfReach(what, next_step="try again: whatever was written is found then") from error
        if ended != "COMMIT":  # pragma: no cover  # a statement that failed has raised before
            raise StoreOutOfReach(f"{self._url}: it was not written")

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (Error, OSError, UnicodeEncodeError) as error:
            self._close()
            raise describe_failure(error, self._url, self._tables) from error
        except StoreDamaged as damage:
            self._close()
            raise as_evidence(damage, self._url) from damage
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Error):
                connection.close()

    # 2, 4: turns and clocks

    def _take_turn(self, connection: Connection) -> None:
        before = self._clock() if self._clock else None
        cursor = connection.execute(_TAKE_TURN)
        cursor.nextset()
        at, version = cursor.fetchone() or (None, 0)
        self.need_version(version)
        if self._clock and before:
            self.compare_clocks(before, at, self._clock())

    def compare_clocks(self, before: datetime, at: datetime, after: datetime) -> None:
        """Refuse what the database said of the time between two looks at our own clock, if that is another."""
        if not before - CLOCKS_MAY_DIFFER <= at <= after + CLOCKS_MAY_DIFFER:
            self._refuse_clock(before - at)

    def _refuse_clock(self, ahead: timedelta) -> None:
        seconds = ahead.total_seconds()
        way = "ahead of" if seconds > 0 else "behind"
        raise StoreOutOfReach(
            f"{self._url}: the clock of this machine is {abs(seconds):.0f} s {way} the database's, so neither can be "
            "believed by the other",
            next_step="the person must set both clocks by the network's time, then try again",
        )

    def need_version(self, found: int) -> None:
        """Refuse tables of another version than ours."""
        if found != self._tables.version:
            raise wrong_version(found, self._url, self._tables)

    def _open(self) -> Connection:
        connection = open_connection(self._url, self._patience)
        try:
            with _no_longer_than(self._patience.whole_seconds, connection):
                self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        if connection.info.server_version < OLDEST_SERVER:
            raise StoreOutOfReach(f"{self._url}: {OLD_SERVER[0]}", next_step=OLD_SERVER[1])
        patience, schema = self._patience, self._tables.schema
        waits = (patience.lock_seconds, patience.statement_seconds, patience.held_seconds)
        settings = (self._service, "on" if patience.waits_for_disk else "off", *(f"{int(at * 1000)}ms" for at in waits))
        before = self._clock() if self._clock else None
        row = connection.execute(_SET_UP, (schema, *settings, schema)).fetchone()
        *_, is_let_in, is_read_only, at = row or (None, "on", None)
        if before:
            self.clock_behind = at - before
        if is_read_only != "off":
            raise StoreOutOfReach(f"{self._url}: {ONLY_READS[0]}", next_step=ONLY_READS[1])
        if schema and not is_let_in:
            raise shut_out(self._url, self._tables, is_there=is_let_in is not None)
        found = connection.execute(_VERSION).fetchone()
        if found is None:
            raise not_set_up(self._url, self._tables)
        self.need_version(found[0])


def open_connection(url: PostgresUrl, patience: Patience) -> Connection:
    """Connect, and notice within seconds where the other end is gone."""
    # What the URL says goes first: whoever wrote it may have to wait longer.
    usual: dict[str, str | int] = {
        "connect_timeout": patience.connect_seconds,
        "application_name": "ct-mcp",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience.held_seconds * 1000),
    }
    where = make_conninfo("", **usual | url.parameters())
    return connect(where, autocommit=True, cursor_factory=ClientCursor)


@contextmanager
def _no_longer_than(seconds: float, connection: Connection) -> Iterator[None]:
    """Break the connection off after a while: a server that is frozen, or a cable that is, answers to no timeout."""
    deadline = Timer(seconds, _break_off, (connection,))
    deadline.daemon = True
    deadline.start()
    try:
        yield
    finally:
        deadline.cancel()
        deadline.join()


def _break_off(connection: Connection) -> None:
    """Wake whoever waits for an answer: psycopg allows nobody else to close what is in use."""
    with suppress(Error, OSError), socket.socket(fileno=connection.fileno()) as wire:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        finally:
            wire.detach()


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

    def __init__(self, connection: Connection, with_first: str = "") -> None:
        """Send ``with_first``, a statement that ends in ``;``, along with the first: one word on the wire, not two."""
        self._connection = connection
        self._with_first = with_first

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Run a statement."""
        with_first, self._with_first = self._with_first, ""
        if isinstance(parameters, Mapping):
            spelled = _spelled(with_first + sql, tuple(parameters))
            cursor = self._connection.execute(spelled, {name: _bound(value) for name, value in parameters.items()})
        elif parameters:
            cursor = self._connection.execute(_spelled(with_first + sql, ()), [_bound(value) for value in parameters])
        else:
            cursor = self._connection.execute((with_first + sql).encode())
        if with_first:
            cursor.nextset()
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        """Run a statement once for each of these."""
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
