"""The request budget in PostgreSQL: how full each bucket is, shared by the machines of one trader.

It is written with every request, so it takes no turn and one word to the database: the bucket is replaced where it is
still as it was known, and read again where it is not. It has a connection of its own, since no request is to wait for
the journal, and does not wait for the disk.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.postgres import Patience, PostgresDatabase
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.rate_limit_file import BucketState, Change
from ct_mcp.store.sql import SqlConnection

T = TypeVar("T")

_FIND = "SELECT tokens, at FROM meters WHERE name = ?"
_BEGIN = "INSERT INTO meters VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_REPLACE = "UPDATE meters SET tokens = ?, at = ? WHERE name = ? AND tokens = ? AND at = ?"
_TRIES = 100
# A request that waits for its budget waits for this; whoever is not answered goes on alone, at a third of the rate.
_PATIENCE = Patience(connect_seconds=2, lock_seconds=1.0, statement_seconds=1.0, held_seconds=2.0, waits_for_disk=False)


class RateLimitTable:
    """The buckets of one trader."""

    def __init__(self, url: PostgresUrl, clock: Callable[[], datetime]) -> None:
        """Remember where it is; the first call connects."""
        self._database = PostgresDatabase(url, clock=clock, patience=_PATIENCE)
        self._clock = clock
        self._known: dict[str, BucketState] = {}
        self._turn = CapacityLimiter(1)

    def now(self) -> datetime:
        """Tell the time of the database, as far as it is known: by clocks that differ a bucket would refill twice."""
        return self._clock() + self._database.clock_behind

    async def change(self, name: str, change: Change[T]) -> T:
        """Change one bucket; nobody else changes it between what ``change`` is given and what it gives.

        ``change`` may be asked more than once.

        Raises:
            StoreFailed: The database cannot be used. Nothing was changed, or at most one request more was counted.
        """
        return await to_thread.run_sync(self._database.at_once, self._change, name, change, limiter=self._turn)

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)

    def _change(self, connection: SqlConnection, name: str, change: Change[T]) -> T:
        before = self._known.get(name) or _find(connection, name)
        for _ in range(_TRIES):
            after, result = change(before)
            if _has_replaced(connection, name, before, after):
                self._known[name] = after
                return result
            before = _find(connection, name)
        raise StoreFailed(f"the request budget {name} is changed by others again and again")  # pragma: no cover


def _has_replaced(connection: SqlConnection, name: str, before: BucketState | None, after: BucketState) -> bool:
    now = (after.tokens, time_to_text(after.at))
    if before is None:
        return connection.execute(_BEGIN, (name, *now)).rowcount == 1
    was = (before.tokens, time_to_text(before.at))
    return connection.execute(_REPLACE, (*now, name, *was)).rowcount == 1


def _find(connection: SqlConnection, name: str) -> BucketState | None:
    row = connection.execute(_FIND, (name,)).fetchone()
    return None if row is None else BucketState(row[0], time_from_text(row[1]))
