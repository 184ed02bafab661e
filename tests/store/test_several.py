"""Several threads and several processes on one file."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from ct_mcp.domain.ticket import Approval, Ticket
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore

RACER = Path(__file__).with_name("racer.py")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs rights and limits as POSIX has them")


@contextmanager
def racers(number: int, *arguments: object) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have loaded everything and wait for the word."""
    command = [sys.executable, str(RACER), *map(str, arguments)]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") for _ in range(number)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        yield racers
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate(timeout=30)


def run(racers: list[subprocess.Popen[str]]) -> list[str]:
    """Let all go at once; return what each said."""
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60) for racer in racers]
    assert [error for _, error in said] == [""] * len(racers)
    return [output for output, _ in said]


async def test_threads_that_race_for_a_ticket_spend_it_once(
    folder: Path, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    stores = [SqliteStore(folder) for _ in range(8)]
    spent: list[str] = []

    async def spend(store: SqliteStore, ticket_id: str) -> None:
        if await store.spend_ticket(ticket_id, now):
            spent.append(ticket_id)

    for number in range(10):
        await stores[0].open_ticket(make_ticket(number, Approval.NONE), now)
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            for store in stores:
                tasks.start_soon(spend, store, f"ticket-{number}")
    for store in stores:
        await store.close()
    assert sorted(spent) == [f"ticket-{number}" for number in range(10)]


async def test_threads_that_propose_the_same_get_one_ticket(
    folder: Path, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    stores = [SqliteStore(folder) for _ in range(8)]
    got: set[str] = set()

    async def propose(store: SqliteStore, ticket_id: str) -> None:
        got.add((await store.open_ticket(make_ticket(ticket_id=ticket_id), now)).ticket_id)

    async with anyio.create_task_group() as tasks:
        for number, store in enumerate(stores):
            tasks.start_soon(propose, store, f"from {number}")
    assert len(got) == len(await stores[0].open_tickets(now)) == 1
    for store in stores:
        await store.close()


async def test_processes_that_race_for_tickets_spend_each_once(
    folder: Path, store: SqliteStore, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    for number in range(50):
        await store.open_ticket(make_ticket(number, Approval.NONE), now)
    with racers(3, "spend", folder, 50) as others:
        said = await to_thread.run_sync(run, others)
    assert sorted(int(line) for output in said for line in output.split()) == list(range(50))


async def test_the_chain_stays_whole_when_processes_write_into_a_new_file_at_once(
    folder: Path, store: SqliteStore
) -> None:
    with racers(3, "append", folder, 100) as others:
        await to_thread.run_sync(run, others)
    found = await store.verify()
    assert (found.ok, found.count) == (True, 300)
    assert len({entry.summary for entry in await store.entries(300)}) == 300


async def test_a_process_killed_between_begin_and_commit_leaves_a_sound_file(
    folder: Path, store: SqliteStore, now: datetime
) -> None:
    await store.append(NewEntry(EntryKind.ASKED, "before"), now)
    with racers(1, "die", folder) as (victim,):
        assert victim.stdin is not None
        assert victim.stdout is not None
        victim.stdin.write("go\n")
        victim.stdin.flush()
        assert victim.stdout.readline() == "begun\n"
        victim.kill()
        victim.wait(timeout=30)
    await store.append(NewEntry(EntryKind.ASKED, "after"), now)
    assert [entry.summary for entry in await store.entries(9)] == ["after", "before"]
    assert (await store.verify()).ok


@posix
def test_a_folder_that_may_not_be_written_is_said() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with racers(1, "refused", folder) as others:
            (said,) = run(others)
    assert said.startswith("JOURNAL_UNAVAILABLE: ")
    assert "Permission denied" in said
    assert "the person must mend the state folder (disk space, rights)" in said


@posix
async def test_a_disk_that_takes_no_more_is_said_and_leaves_a_sound_file(folder: Path, store: SqliteStore) -> None:
    with racers(1, "fill", folder) as others:
        (said,) = await to_thread.run_sync(run, others)
    assert said.startswith("JOURNAL_UNAVAILABLE: ")
    found = await store.verify()
    assert found.ok
    assert 0 < found.count < 100
