"""The real store over a SQLite database in memory: the same statements, no file and no thread.

Each call takes a moment of virtual time, so that others come between, and can be made to fail as a disk fails: before
anything is written. What a call returned is kept for whoever opens the store next, as long as the database lives.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar, TypeVarTuple

import anyio

from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table
from ct_mcp.store.database import describe_failure, prepare_state_file
from ct_mcp.store.journal import Entry, Verification
from ct_mcp.store.parts import LEASE_NAME
from ct_mcp.store.sqlite import SqliteStore

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_NOWHERE = Path("memory")
OURS, THEIRS = "ours", "theirs"
"""Two services that share the folder: tickets, halts, losses and unknown outcomes of one are nothing to the other."""


class MemoryDatabase:
    """What outlives every process of an episode: one database, one transaction at a time."""

    def __init__(self) -> None:
        self.connection, self.service = sqlite3.connect(":memory:", isolation_level=None), OURS
        prepare_state_file(self.connection)
        # Constant as long as a statement runs, and so asked for once, as in a file.
        self.connection.create_function("our_service", 0, lambda: self.service, deterministic=True)

    def do(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        """Write in one transaction, all of it or nothing.

        Raises:
            StoreFailed: What was asked for cannot be kept.
        """
        self.connection.execute("BEGIN")
        try:
            result = work(self.connection, *arguments)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            self.connection.execute("ROLLBACK")
            raise describe_failure(error, _NOWHERE) from error
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return result

    def read(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        """Look at it, at once: nobody comes between one statement and the next.

        Raises:
            StoreFailed: It cannot be read.
        """
        try:
            return work(self.connection, *arguments)
        except sqlite3.Error as error:
            raise describe_failure(error, _NOWHERE) from error

    def close(self) -> None:
        """Forget everything."""
        self.connection.close()

    def journal(self) -> tuple[Entry, ...]:
        """The whole journal, oldest first."""
        return self.read(journal_table.newest, -1, None, None)[::-1]


Disk = Callable[[bool], Awaitable[bool]]
"""Waits as long as the disk does, told whether something is written; says whether it fails this time."""


async def sound_disk(_: bool) -> bool:  # noqa: FBT001  # a disk is told nothing else
    """Let others come between, and never fail."""
    await asyncio.sleep(0)
    return False


class MemoryStore(SqliteStore):
    """The store as one process has it open."""

    def __init__(self, database: MemoryDatabase, disk: Disk = sound_disk, service: str = OURS) -> None:
        super().__init__(_NOWHERE)
        self._memory, self._disk, self._service = database, disk, service

    async def verify(self) -> Verification:
        """Check the whole journal."""
        return self._memory.read(journal_table.verify)

    async def close(self) -> None:
        """Close nothing: the next process finds what this one wrote."""

    async def _read(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        await self._waits(writes=False)
        with self._as_ours():
            return self._memory.read(work, *arguments)

    async def _write(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        await self._waits(writes=True)
        with self._as_ours():
            return self._memory.do(work, *arguments)

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        self._memory.service = self._service
        try:
            yield
        finally:
            self._memory.service = OURS

    async def _waits(self, *, writes: bool) -> None:
        """As in a thread: once it has begun, nobody can call it back, and others go on meanwhile."""
        with anyio.CancelScope(shield=True):
            is_full = await self._disk(writes)
        if is_full:
            raise StoreFailed(f"state file {_NOWHERE}: the disk is full", next_step="the person must free disk space")


def epoch_of_exits(connection: Connection) -> int:
    """How often the lease of whoever looks after exits and watches has changed hands."""
    row = connection.execute("SELECT MAX(epoch) FROM lease_epochs WHERE name = ?", (LEASE_NAME,)).fetchone()
    return row[0] or 0


def is_halted(connection: Connection) -> bool:
    """Say whether trading is halted."""
    return connection.execute("SELECT 1 FROM halt").fetchone() is not None


def outstanding_since(connection: Connection, account: str, before: datetime) -> tuple[Entry, ...]:
    """The intents of an account that nobody knows the outcome of, and that are older than a moment."""
    entries = journal_table.outstanding(connection, account).entries
    return tuple(entry for entry in entries if entry.at < before)
