"""One request budget over everything that has the same token, and what is left when the others cannot be asked."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from ct_mcp.crosstrade.rate_limit import CAPACITY, RESERVE, Rank
from ct_mcp.desk.request_budget import TRY_AGAIN_AFTER, SharedBudget
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.rate_limit_file import FILE_NAME, RateLimitFile

TOKEN = "the-token-of-somebody"
READS = int(CAPACITY - RESERVE)
Make = Callable[..., SharedBudget]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder."""
    return tmp_path / "state"


@pytest.fixture
async def make(folder: Path, clock: ManualClock) -> AsyncIterator[Make]:
    """Make the budget of one process after the other, all on the same folder."""
    made: list[SharedBudget] = []

    def one(
        token: str = TOKEN, clock: Callable[[], datetime] = clock, busy_timeout_seconds: float = 0.02
    ) -> SharedBudget:
        made.append(SharedBudget(RateLimitFile(folder, busy_timeout_seconds=busy_timeout_seconds), token, clock))
        return made[-1]

    yield one
    for budget in made:
        await budget.close()


async def taken(budget: SharedBudget, clock: ManualClock, rank: Rank = Rank.USUAL) -> int:
    """How many requests leave at once."""
    for number in range(100):
        if await budget.wait(clock(), rank=rank):
            return number
    raise AssertionError("the budget has no bottom")


async def test_what_one_process_takes_another_has_no_more(make: Make, clock: ManualClock) -> None:
    first, second = make(), make()
    assert [await first.wait(clock(), rank=Rank.USUAL) for _ in range(10)] == [0.0] * 10
    assert await taken(second, clock) == READS - 10
    assert await taken(first, clock) == 0


async def test_many_that_ask_at_once_get_what_there_is_and_no_more(make: Make, clock: ManualClock) -> None:
    # A busy machine may keep them waiting for each other; given up, each would go on with a third of its own.
    budgets, waits = [make(busy_timeout_seconds=30) for _ in range(3)], []

    async def ask(budget: SharedBudget) -> None:
        waits.append(await budget.wait(clock(), rank=Rank.USUAL))

    async with anyio.create_task_group() as tasks:
        for number in range(45):
            tasks.start_soon(ask, budgets[number % 3])
    assert waits.count(0.0) == READS
    assert all(wait > 0 for wait in sorted(waits)[READS:])


async def test_an_exit_leaves_while_the_reads_of_every_process_wait(make: Make, clock: ManualClock) -> None:
    reader, exits = make(), make()
    await taken(reader, clock)
    assert await taken(exits, clock, Rank.EXIT) == RESERVE
    while await exits.wait(clock(), rank=Rank.EXIT):
        assert await reader.wait(clock(), rank=Rank.USUAL) > 0, "the exit that waits goes before any read"
        clock.advance(0.1)


async def test_a_refusal_makes_every_process_wait(make: Make, clock: ManualClock) -> None:
    first, second = make(), make()
    await first.penalise(clock(), 1.5)
    assert await second.wait(clock(), rank=Rank.EXIT) == 1.5
    clock.advance(1.5)
    assert await second.wait(clock(), rank=Rank.EXIT) == 0.0


async def test_a_pause_is_one_for_every_process_and_keeps_no_exit_of_any(make: Make, clock: ManualClock) -> None:
    first, second = make(), make()
    await first.penalise(clock(), 300.0)
    assert (await second.snapshot(clock())).paused_seconds == 300.0
    assert await second.wait(clock(), rank=Rank.USUAL) > 300.0
    assert await second.wait(clock(), rank=Rank.EXIT) == 2.0
    assert await second.wait(clock(), rank=Rank.EXIT, waited=2.0) == 0.0


async def test_a_process_that_starts_anew_finds_what_is_left(make: Make, clock: ManualClock) -> None:
    await taken(make(), clock)
    again = make()
    assert (await again.snapshot(clock())).requests_left == 0
    assert await again.wait(clock(), rank=Rank.USUAL) > 0


async def test_another_token_has_a_budget_of_its_own_and_no_token_is_on_disk(
    make: Make, clock: ManualClock, folder: Path
) -> None:
    await taken(make(), clock)
    assert await taken(make("another-token"), clock) == READS
    held = b"".join(path.read_bytes() for path in folder.iterdir())  # noqa: ASYNC240  # a few small files
    assert TOKEN.encode() not in held
    assert b"another-token" not in held


async def test_two_that_ask_in_the_wrong_order_refill_nothing_twice(make: Make, clock: ManualClock) -> None:
    """The time that counts is the one within the transaction, not the one of the question."""
    first, second = make(), make()
    early = clock()
    clock.advance(60)
    await taken(first, clock)
    for _ in range(20):
        assert await second.wait(early, rank=Rank.USUAL) > 0
        assert await first.wait(clock(), rank=Rank.USUAL) > 0


async def test_a_clock_set_back_does_not_stop_the_budget(make: Make, clock: ManualClock) -> None:
    await taken(make(), clock)
    late = ManualClock(clock() - timedelta(hours=3))
    second = make(clock=late)
    assert await second.wait(late(), rank=Rank.USUAL) > 0
    late.advance(1.0)
    assert await second.wait(late(), rank=Rank.USUAL) == 0.0


def make_unusable(folder: Path) -> None:
    """Put something into the place of the file that is no file."""
    for path in folder.glob("budget.sqlite3*"):
        path.unlink()
    (folder / FILE_NAME).mkdir(parents=True)


async def test_without_the_folder_a_process_goes_on_with_a_third_and_says_so(
    make: Make, clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_unusable(folder)
    budget = make()
    assert await taken(budget, clock) == READS // 3
    told = await budget.snapshot(clock())
    assert (told.requests_left, told.requests_left_for_exits, told.per_second) == (0, 2, 0.97)
    assert told.note.startswith("not shared with other processes, so a third of the rate: state file ")
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, f"the request budget is {told.note}")


async def test_who_loses_the_others_takes_no_more_than_was_left(make: Make, clock: ManualClock, folder: Path) -> None:
    budget = make()
    await taken(budget, clock)
    await taken(budget, clock, Rank.EXIT)
    await budget.close()
    make_unusable(folder)
    assert await taken(budget, clock, Rank.EXIT) == 0
    clock.advance(3.0)
    assert await taken(budget, clock, Rank.EXIT) == 2


async def test_who_finds_the_others_again_pays_for_what_it_has_sent_and_says_so(
    make: Make, clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    make_unusable(folder)
    budget = make()
    await taken(budget, clock, Rank.EXIT)
    (folder / FILE_NAME).rmdir()
    assert (await budget.snapshot(clock())).note, "it does not try again with every request"
    clock.advance(TRY_AGAIN_AFTER.total_seconds())
    told = await budget.snapshot(clock())
    assert (told.note, told.requests_left_for_exits) == ("", int(CAPACITY - 6 + 5 * 2.9 / 3))
    assert "shared with other processes again" in caplog.records[-1].getMessage()


async def test_a_file_that_stays_unusable_is_said_once(
    make: Make, clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_unusable(folder)
    budget = make()
    for _ in range(3):
        await budget.wait(clock(), rank=Rank.EXIT)
        clock.advance(TRY_AGAIN_AFTER.total_seconds())
    assert len(caplog.records) == 1


async def test_a_process_that_holds_the_file_too_long_stops_nobody(
    make: Make, clock: ManualClock, folder: Path
) -> None:
    budget = make()
    await budget.wait(clock(), rank=Rank.USUAL)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await budget.wait(clock(), rank=Rank.USUAL) == 0.0
        await budget.penalise(clock(), 2.0)
        other.execute("ROLLBACK")
    clock.advance(TRY_AGAIN_AFTER.total_seconds())
    assert (await make().snapshot(clock())).note == ""
    assert (await budget.snapshot(clock())).note == ""
