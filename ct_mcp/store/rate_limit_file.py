"""Meters that processes share: how full each is, and when it was; in a small file of its own.

It is written with every request, so it does not wait for the disk as the journal does: a process that is killed takes
nothing with it, and a power cut takes at most what was metered in the last moments, and never the journal.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread

from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.database import Database

FILE_NAME = "budget.sqlite3"

_TABLE = """
CREATE TABLE IF NOT EXISTS meters (name TEXT PRIMARY KEY, tokens REAL NOT NULL, at TEXT NOT NULL) WITHOUT ROWID
"""
_FIND = "SELECT tokens, at FROM meters WHERE name = ?"
_KEEP = "INSERT OR REPLACE INTO meters VALUES (?, ?, ?)"

T = TypeVar("T")


class Level(NamedTuple):
    """How full a meter was at a moment."""

    tokens: float
    at: datetime


Change = Callable[[Level | None], tuple[Level, T]]
"""From the level as it is, None at first, to the level as it shall be, and what to tell the caller."""


class Meters:
    """The meters of one state folder. No lock is held longer than one change takes, which is no time."""

    def __init__(self, folder: Path, *, busy_timeout_seconds: float = 0.5) -> None:
        """Remember where the file lives; it is opened, or made, by the first call."""
        self._path = folder / FILE_NAME
        self._database = Database(self._path, busy_timeout_seconds, _passing)
        self._turn = CapacityLimiter(1)

    async def change(self, name: str, change: Change[T]) -> T:
        """Change one meter; nobody else reads or writes between what ``change`` is given and what it gives.

        Raises:
            StoreFailed: The file cannot be used, or another process holds it for too long. Nothing was changed.
        """
        # Fifteen microseconds, where another thread would be ten times that; with every request it is worth it.
        told = self._database.write_at_once(_changed, name, change)
        if told is not None:
            return told[0]
        return await to_thread.run_sync(self._database.write, _changed, name, change, limiter=self._turn)

    async def close(self) -> None:
        """Close the file; a later call opens it again."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)


def _passing(connection: Connection) -> None:
    # NORMAL: the file is never damaged, and waits for the disk once in a thousand changes.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_TABLE)


def _changed(connection: Connection, name: str, change: Change[T]) -> T:
    level, told = change(_found(connection, name))
    connection.execute(_KEEP, (name, level.tokens, time_to_text(level.at)))
    return told


def _found(connection: Connection, name: str) -> Level | None:
    row = connection.execute(_FIND, (name,)).fetchone()
    if row is None:
        return None
    try:
        return Level(float(row[0]), time_from_text(row[1]))
    except (ValueError, TypeError) as error:
        raise StoreFailed(f"the meter {name} cannot be read: {error}") from error
