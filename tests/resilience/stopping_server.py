"""Our server over stdio, put together so that a test can kill it at a named place.

The first line of stdin says in JSON what to serve; what follows is the client. The clock stands where that line puts
it, and nothing but the guard keeps an order waiting. At its place the server says "stopped" on stderr and goes no
further.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.stdio import serve_stdio
from ct_mcp.store.journal import Entry, NewEntry
from ct_mcp.store.sqlite import SqliteStore

POLICY = Policy(limits=Limits(max_orders_per_minute=1000, max_orders_per_day=1000), simulated=Approval.NONE)
TOOLSETS = frozenset({"read", "trade", "strategies"})

T = TypeVar("T")


class Unmetered:
    """A budget that keeps nobody waiting."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Let it go."""
        return 0.0

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Pass over it."""

    async def snapshot(self, now: datetime) -> Allowance:
        """Say that all is left."""
        return allowance(TokenBucket(), now)


class Stopping:
    """A store that stops before or after it writes an entry of some kind: ``before intent``, or ``before intent 2``."""

    def __init__(self, inner: SqliteStore, place: str) -> None:
        name, _, nth = place.rpartition(" ")
        self._inner = inner
        self._place, self._left = (name, int(nth)) if nth.isdecimal() else (place, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write one entry at the end of the journal, unless it is where to stop."""
        return await self._written(entry, self._inner.append(entry, now))

    async def append_intent(
        self, entry: NewEntry, now: datetime, seen: int | None, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Write an intent, unless it is where to stop."""
        appended = self._inner.append_intent(entry, now, seen, holder=holder)
        return await self._written(entry, appended)

    async def _written(self, entry: NewEntry, write: Awaitable[T]) -> T:
        await self._stop_at(f"before {entry.kind}")
        written = await write
        await self._stop_at(f"after {entry.kind}")
        return written

    async def _stop_at(self, place: str) -> None:
        self._left -= place == self._place
        if place == self._place and not self._left:
            sys.stderr.write("stopped\n")
            sys.stderr.flush()
            await anyio.sleep_forever()


async def passed(seconds: float) -> None:
    """Let nothing pass: the clock stands, and the simulator fills at once."""


@dataclass(frozen=True)
class Furniture:
    """A desk over the served simulator and the state folder of the test, and what it opens."""

    desk: Desk
    client: CrossTrade
    store: SqliteStore

    async def close(self) -> None:
        """Close what was opened."""
        await self.client.__aexit__(None, None, None)
        await self.store.close()


def furnish(url: str, token: str, store: SqliteStore, clock: Callable[[], datetime], place: str = "") -> Furniture:
    """Put a desk together that stops at this place."""
    client = CrossTrade(url, token, clock=clock, budget=Unmetered(), sleep=passed)
    return Furniture(Desk(client, Stopping(store, place), POLICY, clock=clock, pause=passed), client, store)


def first_line() -> bytes:
    """Read it and not a byte more: what is read ahead is lost to the SDK, which reads the same pipe by itself."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def main() -> None:
    """Serve until stdin closes."""
    told = json.loads(first_line())
    now = datetime.fromisoformat(told["now"])

    def desk() -> Desk:
        store = SqliteStore(Path(told["folder"]))
        return furnish(told["url"], told["token"], store, lambda: now, told["place"]).desk

    anyio.run(serve_stdio, build_server(ServerContext(desk, POLICY, toolsets=TOOLSETS)))


if __name__ == "__main__":
    main()
