"""A process that runs watches as ``ct-mcp watch`` does, which a test can kill, or put to sleep, at a named place.

The first line of stdin says in JSON what it is over. Each line after that is one look more; the end of stdin ends it.
Its clock is a file that the test writes. At its place it says "stopped" on stderr, and stops: for good, or as SIGSTOP
stops a process, which goes on at SIGCONT.
"""

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.store.journal import Entry, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.resilience.stopping_server import first_line, furnish


def say(what: str) -> None:
    """Tell the test."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


class SleepingStore(SqliteStore):
    """A store at whose place the process stops: before a call, or after it (``after append_intent``)."""

    place, is_put_to_sleep, is_over = "", False, False

    async def add_watch_part(self, *given: Any) -> bool:
        """Make the ticket of a send, unless it is where to stop."""
        await self._stop_at("before add_watch_part")
        made = await super().add_watch_part(*given)
        await self._stop_at("after add_watch_part")
        return made

    async def append_intent(
        self, entry: NewEntry, now: datetime, seen: int | None, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Write an intent, unless it is where to stop."""
        await self._stop_at("before append_intent")
        written = await super().append_intent(entry, now, seen, holder=holder)
        await self._stop_at("after append_intent")
        return written

    async def check_turn(self, ticket_id: str, holder: Holder, now: datetime) -> None:
        """Look before the wire, unless it is where to stop."""
        await self._stop_at("before check_turn")
        await super().check_turn(ticket_id, holder, now)

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write what came back, unless it is where to stop."""
        await self._stop_at(f"before {entry.kind}")
        written = await super().append(entry, now)
        await self._stop_at(f"after {entry.kind}")
        return written

    async def turn_watch(self, *given: Any) -> bool:
        """Note what a watch has come to, unless it is where to stop."""
        await self._stop_at("before turn_watch")
        return await super().turn_watch(*given)

    async def _stop_at(self, place: str) -> None:
        if place != self.place or self.is_over:
            return
        self.is_over = True
        say("stopped")
        if self.is_put_to_sleep and sys.platform != "win32":
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        await anyio.sleep_forever()


async def main() -> None:
    """Look at each line."""
    told = json.loads(first_line())
    store = SleepingStore(Path(told["folder"]))
    store.place, store.is_put_to_sleep = told["place"], told["sleeps"]
    furniture = furnish(told["url"], told["token"], store, CLOCK)
    while await to_thread.run_sync(sys.stdin.readline):
        await furniture.desk.exit_watch.look()
        say("looked")
    await furniture.desk.exit_watch.let_go()
    await furniture.close()


def CLOCK() -> datetime:  # noqa: N802  # it stands for one
    """What the test has written."""
    return datetime.fromisoformat(Path(os.environ["CLOCK"]).read_text(encoding="utf-8"))


if __name__ == "__main__":
    anyio.run(main)
