"""The request budget: changed by one at a time, over processes and restarts, in a file of their own."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from ct_mcp.errors import StoreFailed
from ct_mcp.store.rate_limit_file import FILE_NAME, BucketState, Change, RateLimitFile
from ct_mcp.store.sqlite import SqliteStore


def started_at(now: datetime, tokens: float = 0.0) -> Change[float]:
    """One more than there was, from so many on."""

    def more(state: BucketState | None) -> tuple[BucketState, float]:
        found = tokens if state is None else state.tokens
        return BucketState(found + 1, now), found

    return more


def as_it_is(state: BucketState | None) -> tuple[BucketState, BucketState]:
    """The state that there is, unchanged."""
    assert state is not None
    return state, state


async def test_a_bucket_begins_unknown_and_is_kept_to_the_last_bit(folder: Path, now: datetime) -> None:
    later = now + timedelta(microseconds=1)
    budget = RateLimitFile(folder)
    assert await budget.change("a", lambda state: (BucketState(0.1 + 0.2, later), state)) is None
    await budget.close()
    again = RateLimitFile(folder)
    assert await again.change("a", as_it_is) == BucketState(0.1 + 0.2, later)
    assert await again.change("b", lambda state: (BucketState(0.0, now), state)) is None
    await again.close()


async def test_no_change_is_lost_where_many_change_at_once(folder: Path, now: datetime) -> None:
    both = [RateLimitFile(folder, busy_timeout_seconds=5) for _ in range(2)]
    found: list[float] = []

    async def change(budget: RateLimitFile) -> None:
        found.append(await budget.change("a", started_at(now)))

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(change, both[number % 2])
    assert sorted(found) == [float(number) for number in range(40)]
    for budget in both:
        await budget.close()


async def test_a_change_that_fails_changes_nothing(folder: Path, now: datetime) -> None:
    budget = RateLimitFile(folder)
    await budget.change("a", started_at(now))
    with pytest.raises(ZeroDivisionError):
        await budget.change("a", lambda state: (BucketState(9.0, now), 1 / 0))
    assert await budget.change("a", started_at(now)) == 1.0
    await budget.close()


async def test_whoever_waits_too_long_for_another_process_is_told(folder: Path, now: datetime) -> None:
    budget = RateLimitFile(folder, busy_timeout_seconds=0.02)
    await budget.change("a", started_at(now))
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="another program holds it"):
            await budget.change("a", started_at(now))
        other.execute("ROLLBACK")
        assert await budget.change("a", started_at(now)) == 1.0
    await budget.close()


@pytest.mark.parametrize(("tokens", "at"), [("many", "2026-11-23T15:30:00.000000+00:00"), (1.0, "noon")])
async def test_a_bucket_that_nobody_of_us_wrote_is_not_believed(
    folder: Path, now: datetime, tokens: object, at: str
) -> None:
    budget = RateLimitFile(folder)
    await budget.change("a", started_at(now))
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("UPDATE meters SET tokens = ?, at = ?", (tokens, at))
    with pytest.raises(StoreFailed, match="the request budget a cannot be read"):
        await budget.change("a", started_at(now))
    await budget.close()


async def test_the_file_of_the_budget_is_not_the_journals(folder: Path, now: datetime) -> None:
    store = SqliteStore(folder)
    budget = RateLimitFile(folder)
    await budget.change("a", started_at(now))
    assert await store.halt() is None
    await store.close()
    files = await to_thread.run_sync(lambda: list(folder.iterdir()))
    assert {path.name for path in files if path.suffix == ".sqlite3"} == {"budget.sqlite3", "ct-mcp.sqlite3"}
    await budget.close()
