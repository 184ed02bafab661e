"""The store as the desk sees it: asynchronous, cancellable, late to start, shared by threads and processes."""

import asyncio
import json
import os
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
from anyio.lowlevel import checkpoint

from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from tests.forked import ROOT, Program, start_program
from tests.unit.store.conftest import Place

# Coverage loads sqlite3 in a process it measures, and saves at its end, where one without rights may not write.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}


def asked(text: str) -> NewEntry:
    return NewEntry(EntryKind.ASKED, text)


async def summaries(store: SqlStore) -> list[str]:
    return [entry.summary for entry in await store.entries(100)]


def test_the_entries_of_the_journal_load_nothing_that_the_first_answer_can_do_without() -> None:
    program = "import sys, json, ct_mcp.store.journal; print(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=UNMEASURED)
    loaded = set(json.loads(done.stdout))
    assert "ct_mcp.store.journal" in loaded
    assert not loaded & {"sqlite3", "pydantic", "ct_mcp.store.ticket_codec"}


async def test_the_desks_questions_to_the_journal_are_answered(store: SqlStore, now: datetime) -> None:
    intent = NewEntry(EntryKind.INTENT, "BUY", account="Sim101", ticket_id="t", own_id="o", fingerprint="f", opens=True)
    written = await store.append(intent, now)
    assert await store.unsettled() == (written,)
    assert await store.orders_sent("Sim101", now) == 1
    assert (await store.recall("Sim101", "f", now)).last_identical == (now, False)
    assert await store.entries(5, "Sim101", "t") == (written,)


async def test_verify_finds_what_was_done_to_the_file_behind_our_back(
    store: SqlStore, place: Place, now: datetime
) -> None:
    for number in range(3):
        await store.append(asked(f"{number}"), now)
    assert (await store.verify()).ok
    place.tamper("UPDATE journal SET at = '1999-01-01' WHERE sequence = 2")
    found = await store.verify()
    assert (found.ok, found.broken_at) == (False, 2)


async def test_the_journal_is_checked_while_a_writer_waits(place: Place, now: datetime) -> None:
    patient = place.open(busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with place.held() as let_go:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient.append, asked("second"), now)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(60):
                assert (await patient.verify()).count == 1
            let_go()
    assert (await patient.verify()).count == 2
    await patient.close()


async def test_two_hundred_calls_at_once_are_all_written(store: SqlStore, now: datetime) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(store.append, asked(f"{number}"), now)
    found = await store.verify()
    assert (found.ok, found.count) == (True, 200)


async def test_a_call_cancelled_before_its_turn_writes_nothing(store: SqlStore, now: datetime) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append(asked("never"), now)
    assert await summaries(store) == []


async def test_a_call_cancelled_while_it_writes_is_written_whole(place: Place, store: SqlStore, now: datetime) -> None:
    patient = place.open(busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with place.held() as let_go:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient.append, asked("in the thread"), now)
            tasks.start_soon(patient.append, asked("in the queue"), now)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            let_go()
    assert await summaries(store) == ["in the thread", "first"]
    await patient.append(asked("last"), now)
    await patient.close()
    assert (await store.verify()).count == 3


async def test_a_task_killed_from_outside_does_not_let_two_calls_meet(
    place: Place, store: SqlStore, now: datetime
) -> None:
    patient = place.open(busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with place.held() as let_go:
        killed = asyncio.ensure_future(patient.append(asked("killed"), now))
        await anyio.wait_all_tasks_blocked()
        killed.cancel()
        await asyncio.wait([killed])
        second = asyncio.ensure_future(patient.append(asked("second"), now))
        await anyio.wait_all_tasks_blocked()
        let_go()
        await second
    await patient.close()
    assert killed.cancelled()
    assert await summaries(store) == ["second", "killed", "first"]
    assert (await store.verify()).ok


async def test_a_failure_reaches_the_caller_and_the_next_call_works(
    place: Place, store: SqlStore, now: datetime
) -> None:
    await store.append(asked("first"), now)
    with place.held(), pytest.raises(StoreFailed):
        await store.append(asked("in vain"), now)
    await store.append(asked("second"), now)
    assert await summaries(store) == ["second", "first"]


async def test_an_answer_that_comes_after_closing_is_still_written(store: SqlStore, now: datetime) -> None:
    await store.append(asked("first"), now)
    await store.close()
    await checkpoint()
    await store.append(asked("late"), now)
    assert await summaries(store) == ["late", "first"]


RACER = "tests.unit.store.other_process"
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs rights and limits as POSIX has them")


Racer = Program | subprocess.Popen[str]


@contextmanager
def racers(number: int, *arguments: object, has_rights: bool = True) -> Iterator[list[Racer]]:
    """Processes that have loaded everything and wait for the word; one that gives up rights is a Python of its own."""
    words = [str(argument) for argument in arguments]
    racers = [start_program(RACER, *words) if has_rights else _unmeasured(words) for _ in range(number)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        yield racers
    finally:
        for racer in racers:
            racer.kill()
            with racer:  # closes its pipes, and waits
                pass


def _unmeasured(words: list[str]) -> subprocess.Popen[str]:
    pipe, command = subprocess.PIPE, [sys.executable, "-m", RACER, *words]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", env=UNMEASURED, cwd=ROOT)


def run(racers: list[Racer]) -> list[str]:
    """Let all go at once; return what each said."""
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60) for racer in racers]
    assert [error for _, error in said] == [""] * len(racers)
    return [output for output, _ in said]


async def test_threads_that_race_for_a_ticket_spend_it_once(
    place: Place, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    stores = [place.open() for _ in range(8)]
    spent: list[str] = []

    async def spend(store: SqlStore, ticket_id: str) -> None:
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
    place: Place, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    stores = [place.open() for _ in range(8)]
    got: set[str] = set()

    async def propose(store: SqlStore, ticket_id: str) -> None:
        got.add((await store.open_ticket(make_ticket(ticket_id=ticket_id), now)).ticket_id)

    async with anyio.create_task_group() as tasks:
        for number, store in enumerate(stores):
            tasks.start_soon(propose, store, f"from {number}")
    assert len(got) == len(await stores[0].open_tickets(now)) == 1
    for store in stores:
        await store.close()


async def test_processes_that_race_for_tickets_spend_each_once(
    place: Place, store: SqlStore, now: datetime, make_ticket: Callable[..., Ticket]
) -> None:
    for number in range(50):
        await store.open_ticket(make_ticket(number, Approval.NONE), now)
    with racers(3, "spend", place.named, 50) as others:
        said = await to_thread.run_sync(run, others)
    assert sorted(int(line) for output in said for line in output.split()) == list(range(50))


async def test_the_chain_stays_whole_when_processes_write_into_a_new_file_at_once(
    place: Place, store: SqlStore
) -> None:
    with racers(3, "append", place.named, 100) as others:
        await to_thread.run_sync(run, others)
    found = await store.verify()
    assert (found.ok, found.count) == (True, 300)
    assert len({entry.summary for entry in await store.entries(300)}) == 300


async def test_a_process_killed_between_begin_and_commit_leaves_a_sound_file(
    place: Place, store: SqlStore, now: datetime
) -> None:
    await store.append(NewEntry(EntryKind.ASKED, "before"), now)
    with racers(1, "die", place.named) as (victim,):
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
        with racers(1, "refused", folder, has_rights=False) as others:
            (said,) = run(others)
    assert said.startswith("JOURNAL_UNAVAILABLE: ")
    assert "Permission denied" in said
    assert "the person must mend the state folder (disk space, rights)" in said


@posix
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_disk_that_takes_no_more_is_said_and_leaves_a_sound_file(place: Place, store: SqlStore) -> None:
    with racers(1, "fill", place.named, has_rights=False) as others:
        (said,) = await to_thread.run_sync(run, others)
    assert said.startswith("JOURNAL_UNAVAILABLE: ")
    found = await store.verify()
    assert found.ok
    assert 0 < found.count < 100
