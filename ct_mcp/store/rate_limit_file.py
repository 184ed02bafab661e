"""The request budget on disk: how full each bucket is, shared by all processes, in a small file of its own.

It is written with every request, so it does not wait for the disk as the journal does: a process that is killed takes
nothing with it, and a power cut takes at most what was counted in the last seconds, and never the journal.
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

# A bucket is a meter here: processes of older versions share the file.
_TABLE = """
CREATE TABLE IF NOT EXISTS meters (name TEXT PRIMARY KEY, tokens REAL NOT NULL, at TEXT NOT NULL) WITHOUT ROWID
"""
_FIND = "SELECT tokens, at FROM meters WHERE name = ?"
_KEEP = "INSERT OR REPLACE INTO meters VALUES (?, ?, ?)"

T = TypeVar("T")


class BucketState(NamedTuple):
    """How full a bucket was at a moment."""

    tokens: float
    at: datetime


Change = Callable[[BucketState | None], tuple[BucketState, T]]
"""From the state as it is, None at first, to the state as it shall be, and what to tell the caller."""


class RateLimitFile:
    """The buckets of one state folder. No lock is held longer than one change takes, which is no time."""

    def __init__(self, folder: Path, *, busy_timeout_seconds: float = 0.5) -> None:
        """Remember where the file lives; it is opened, or made, by the first call."""
        self._path = folder / FILE_NAME
        self._database = Database(self._path, busy_timeout_seconds, _prepare)
        self._turn = CapacityLimiter(1)

    async def change(self, name: str, change: Change[T]) -> T:
        """Change one bucket; nobody else reads or writes between what ``change`` is given and what it gives.

        Raises:
            StoreFailed: The file cannot be used, or another process holds it for too long. Nothing was changed.
        """
        # Fifteen microseconds, where another thread would be ten times that; with every request it is worth it.
        changed = self._database.try_write(_change, name, change)
        if changed is not None:
            return changed[0]
        return await to_thread.run_sync(self._database.write, _change, name, change, limiter=self._turn)

    async def close(self) -> None:
        """Close the file; a later call opens it again."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)


def _prepare(connection: Connection) -> None:
    # NORMAL: the file is never damaged, and waits for the disk once in a thousand changes.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_TABLE)


def _change(connection: Connection, name: str, change: Change[T]) -> T:
    state, result = change(_find(connection, name))
    connection.execute(_KEEP, (name, state.tokens, time_to_text(state.at)))
    return result


def _find(connection: Connection, name: str) -> BucketState | None:
    row = connection.execute(_FIND, (name,)).fetchone()
    if row is None:
        return None
    try:
        return BucketState(float(row[0]), time_from_text(row[1]))
    except (ValueError, TypeError) as error:
        what = f"the request budget {name} cannot be read: {error}"
        raise StoreFailed(what, next_step=f"the person must remove {FILE_NAME}; it holds nothing else") from error
