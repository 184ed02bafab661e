"""Another process on the same store: ``python other_process.py COMMAND FOLDER_OR_URL ...``.

It says "ready" and waits for a line.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import anyio

from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table
from ct_mcp.store.database import Database
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.postgres import PostgresDatabase, PostgresStore
from ct_mcp.store.postgres_url import parse_postgres_url
from ct_mcp.store.sql import Engine, SqlConnection
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore

NOW = datetime.fromisoformat("2026-11-23T15:30:00+00:00")


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def wait_for_the_word(said: str = "ready") -> None:
    """Tell the test where we are, and stop until it answers."""
    say(said)
    sys.stdin.readline()


def open_store(place: str) -> SqlStore:
    """Open the store of a folder, or of a trader in a database."""
    if place.startswith("postgresql:"):
        return PostgresStore(parse_postgres_url(place))
    return SqliteStore(Path(place))


async def spend(place: str, count: str) -> None:
    """Try to spend every ticket and say which were ours."""
    store = open_store(place)
    for number in range(int(count)):
        if await store.spend_ticket(f"ticket-{number}", NOW):
            say(str(number))
    await store.close()


async def append(place: str, count: str) -> None:
    """Write entries as fast as they go."""
    store = open_store(place)
    for number in range(int(count)):
        await store.append(NewEntry(EntryKind.ASKED, f"{os.getpid()} asks {number}"), NOW)
    await store.close()


async def die(place: str) -> None:
    """Write an entry and wait, the transaction still open, to be killed."""
    is_database = place.startswith("postgresql:")
    engine: Engine = (
        PostgresDatabase(parse_postgres_url(place)) if is_database else Database(Path(place) / FILE_NAME, 5)
    )
    engine.write(_append_and_wait)


def _append_and_wait(connection: SqlConnection) -> None:
    journal_table.append(connection, NewEntry(EntryKind.ASKED, "never committed"), NOW)
    wait_for_the_word("begun")


async def refused(place: str) -> None:
    """Try to write without the rights of the superuser, and say what came of it."""
    if os.geteuid() == 0:
        os.setuid(65534)
    await _say_what_fails(open_store(place), "x")


async def fill(place: str) -> None:
    """Write until no file may grow any more, and say what came of it."""
    import resource  # noqa: PLC0415  # does not exist on Windows

    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    await _say_what_fails(open_store(place), "x" * 10_000)


async def _say_what_fails(store: SqlStore, text: str) -> None:
    try:
        for _ in range(100):
            await store.append(NewEntry(EntryKind.ASKED, text), NOW)
    except StoreFailed as failure:
        say(str(failure))


COMMANDS: dict[str, Callable[..., Awaitable[None]]] = {
    each.__name__: each for each in (spend, append, die, refused, fill)
}

if __name__ == "__main__":
    wait_for_the_word()
    anyio.run(COMMANDS[sys.argv[1]], *sys.argv[2:])
