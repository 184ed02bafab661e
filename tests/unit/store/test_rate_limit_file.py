"""Meters: changed by one at a time, over processes and restarts, in a file of their own."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from ct_mcp.errors import StoreFailed
from ct_mcp.store.meters import FILE_NAME, Level, Meters


def started_at(now: datetime, tokens: float = 0.0):
    """One more than there was, from so many on."""

    def more(level: Level | None) -> tuple[Level, float]:
        found = tokens if level is None else level.tokens
        return Level(found + 1, now), found

    return more


async def test_a_meter_begins_unknown_and_is_kept_to_the_last_bit(folder: Path, now: datetime) -> None:
    later = now + timedelta(microseconds=1)
    meters = Meters(folder)
    assert await meters.change("a", lambda level: (Level(0.1 + 0.2, later), level)) is None
    await meters.close()
    again = Meters(folder)
    assert await again.change("a", lambda level: (level, level)) == Level(0.1 + 0.2, later)
    assert await again.change("b", lambda level: (Level(0.0, now), level)) is None
    await again.close()


async def test_no_change_is_lost_where_many_change_at_once(folder: Path, now: datetime) -> None:
    both = [Meters(folder, busy_timeout_seconds=5) for _ in range(2)]
    found: list[float] = []

    async def change(meters: Meters) -> None:
        found.append(await meters.change("a", started_at(now)))

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(change, both[number % 2])
    assert sorted(found) == [float(number) for number in range(40)]
    for meters in both:
        await meters.close()


async def test_a_change_that_fails_changes_nothing(folder: Path, now: datetime) -> None:
    meters = Meters(folder)
    await meters.change("a", started_at(now))
    with pytest.raises(ZeroDivisionError):
        await meters.change("a", lambda level: (level, 1 / 0))
    assert await meters.change("a", started_at(now)) == 1.0
    await meters.close()


async def test_whoever_waits_too_long_for_another_process_is_told(folder: Path, now: datetime) -> None:
    meters = Meters(folder, busy_timeout_seconds=0.02)
    await meters.change("a", started_at(now))
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="another program holds it"):
            await meters.change("a", started_at(now))
        other.execute("ROLLBACK")
        assert await meters.change("a", started_at(now)) == 1.0
    await meters.close()


@pytest.mark.parametrize(("tokens", "at"), [("many", "2026-11-23T15:30:00.000000+00:00"), (1.0, "noon")])
async def test_a_meter_that_nobody_of_us_wrote_is_not_believed(folder: Path, now: datetime, tokens, at) -> None:
    meters = Meters(folder)
    await meters.change("a", started_at(now))
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("UPDATE meters SET tokens = ?, at = ?", (tokens, at))
    with pytest.raises(StoreFailed, match="the meter a cannot be read"):
        await meters.change("a", started_at(now))
    await meters.close()


async def test_the_file_of_the_meters_is_not_the_journals(folder: Path, store, now: datetime) -> None:
    meters = Meters(folder)
    await meters.change("a", started_at(now))
    assert await store.halt() is None
    files = await to_thread.run_sync(lambda: list(folder.iterdir()))
    assert {path.name for path in files if path.suffix == ".sqlite3"} == {"budget.sqlite3", "ct-mcp.sqlite3"}
    await meters.close()
