"""The request budget in PostgreSQL: one bucket for all machines, whatever their clocks say."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from ct_mcp.crosstrade.rate_limit import CAPACITY, Rank
from ct_mcp.desk.request_budget import SharedBudget
from ct_mcp.errors import StoreFailed
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.rate_limit_file import BucketState
from ct_mcp.store.rate_limit_table import RateLimitTable
from tests.postgres import free_port

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.fixture
async def tables(trader: PostgresUrl) -> AsyncIterator[list[RateLimitTable]]:
    """The same buckets, as two machines see them."""
    tables = [RateLimitTable(trader, lambda: datetime.now(UTC)) for _ in range(2)]
    yield tables
    for table in tables:
        await table.close()


def one_less(state: BucketState | None) -> tuple[BucketState, float]:
    tokens = (10.0 if state is None else state.tokens) - 1
    return BucketState(tokens, NOW), tokens


async def test_what_one_machine_takes_is_gone_for_the_other(tables: list[RateLimitTable]) -> None:
    first, second = tables
    assert [await table.change("a", one_less) for table in (first, second, second, first)] == [9, 8, 7, 6]
    assert await second.change("another", one_less) == 9


async def test_however_many_take_at_once_each_gets_one_of_its_own(tables: list[RateLimitTable]) -> None:
    taken: list[float] = []

    async def take(table: RateLimitTable) -> None:
        for _ in range(25):
            taken.append(await table.change("a", one_less))

    async with anyio.create_task_group() as tasks:
        for table in tables:
            tasks.start_soon(take, table)
    assert sorted(taken) == [float(left) for left in range(-40, 10)]


async def test_a_fraction_of_a_token_is_kept_exactly(tables: list[RateLimitTable]) -> None:
    odd = BucketState(0.1 + 0.2, NOW + timedelta(microseconds=1))
    await tables[0].change("a", lambda _: (odd, None))
    assert await tables[1].change("a", lambda state: (odd, state)) == odd


@pytest.mark.parametrize("off", [timedelta(seconds=-120), timedelta(seconds=120)])
async def test_by_clocks_that_differ_nothing_refills_twice(trader: PostgresUrl, off: timedelta) -> None:
    """Two machines whose clocks stand take in turn: all together get what one alone would."""
    began = datetime.now(UTC)
    tables = [RateLimitTable(trader, lambda: began), RateLimitTable(trader, lambda: began + off)]
    budgets = [SharedBudget(table, "token", table.now) for table in tables]
    let_go = 0
    try:
        for turn in range(60):
            let_go += await budgets[turn % 2].wait(NOW, rank=Rank.EXIT) == 0
        apart = abs(
            tables[0].now() - tables[1].now()
        ).total_seconds()  # as they asked the database, one after the other
    finally:
        for budget in budgets:
            await budget.close()
    assert CAPACITY <= let_go <= CAPACITY + 1 + 3 * apart


async def test_without_the_database_a_machine_goes_on_alone_and_says_so(trader: PostgresUrl) -> None:
    table = RateLimitTable(replace(trader, port=free_port()), lambda: datetime.now(UTC))
    with pytest.raises(StoreFailed, match="it cannot be reached"):
        await table.change("a", one_less)
    budget = SharedBudget(table, "token", table.now)
    assert await budget.wait(NOW, rank=Rank.EXIT) == 0
    assert "not shared with other processes, so a third of the rate" in (await budget.snapshot(NOW)).note
    await budget.close()
