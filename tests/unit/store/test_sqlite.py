"""The store as the desk sees it: asynchronous, cancellable, late to start."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore


def asked(text: str) -> NewEntry:
    return NewEntry(EntryKind.ASKED, text)


async def summaries(store: SqliteStore) -> list[str]:
    return [entry.summary for entry in await store.entries(100)]


def test_the_words_of_the_journal_load_no_sqlite() -> None:
    program = "import sys, json, ct_mcp.store.journal; print(json.dumps('sqlite3' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) is False


async def test_the_desks_questions_to_the_journal_are_answered(store: SqliteStore, now: datetime) -> None:
    intent = NewEntry(EntryKind.INTENT, "BUY", account="Sim101", ticket_id="t", own_id="o", fingerprint="f", opens=True)
    written = await store.append(intent, now)
    assert await store.unsettled() == (written,)
    assert await store.orders_sent("Sim101", now) == 1
    assert await store.last_intent("f") == (now, False)
    assert await store.entries(5, "Sim101", "t") == (written,)


async def test_verify_finds_what_was_done_to_the_file_behind_our_back(
    store: SqliteStore, folder: Path, now: datetime
) -> None:
    for number in range(3):
        await store.append(asked(f"{number}"), now)
    assert (await store.verify()).ok
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("DROP TRIGGER journal_keeps_its_words")
        connection.execute("UPDATE journal SET at = '1999-01-01' WHERE sequence = 2")
    found = await store.verify()
    assert (found.ok, found.broken_at) == (False, 2)


async def test_the_journal_is_checked_while_a_writer_waits(folder: Path, now: datetime) -> None:
    patient = SqliteStore(folder, busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient.append, asked("second"), now)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(10):
                assert (await patient.verify()).count == 1
            holder.execute("ROLLBACK")
    assert (await patient.verify()).count == 2
    await patient.close()


async def test_a_thousand_calls_at_once_are_all_written(store: SqliteStore, now: datetime) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(store.append, asked(f"{number}"), now)
    found = await store.verify()
    assert (found.ok, found.count) == (True, 1000)


async def test_a_call_cancelled_before_its_turn_writes_nothing(store: SqliteStore, now: datetime) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append(asked("never"), now)
    assert await summaries(store) == []


async def test_a_call_cancelled_while_it_writes_is_written_whole(
    folder: Path, store: SqliteStore, now: datetime
) -> None:
    patient = SqliteStore(folder, busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient.append, asked("in the thread"), now)
            tasks.start_soon(patient.append, asked("in the queue"), now)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            holder.execute("ROLLBACK")
    assert await summaries(store) == ["in the thread", "first"]
    await patient.append(asked("last"), now)
    await patient.close()
    assert (await store.verify()).count == 3


async def test_a_task_killed_from_outside_does_not_let_two_calls_meet(
    folder: Path, store: SqliteStore, now: datetime
) -> None:
    patient = SqliteStore(folder, busy_timeout_seconds=30)
    await patient.append(asked("first"), now)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        killed = asyncio.ensure_future(patient.append(asked("killed"), now))
        await anyio.wait_all_tasks_blocked()
        killed.cancel()
        await asyncio.wait([killed])
        second = asyncio.ensure_future(patient.append(asked("second"), now))
        await anyio.wait_all_tasks_blocked()
        holder.execute("ROLLBACK")
        await second
    await patient.close()
    assert killed.cancelled()
    assert await summaries(store) == ["second", "killed", "first"]
    assert (await store.verify()).ok


async def test_a_failure_reaches_the_caller_and_the_next_call_works(
    folder: Path, store: SqliteStore, now: datetime
) -> None:
    await store.append(asked("first"), now)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed):
            await store.append(asked("in vain"), now)
    await store.append(asked("second"), now)
    assert await summaries(store) == ["second", "first"]


async def test_an_answer_that_comes_after_closing_is_still_written(store: SqliteStore, now: datetime) -> None:
    await store.append(asked("first"), now)
    await store.close()
    await checkpoint()
    await store.append(asked("late"), now)
    assert await summaries(store) == ["late", "first"]
