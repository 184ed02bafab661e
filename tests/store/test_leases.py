"""Leases: one holder at a time, taken over once it is dead, never fought over."""

from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from ct_mcp.store.sqlite import SqliteStore

TTL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


async def test_a_free_lease_is_taken_by_the_first_and_refused_to_the_second(store: SqliteStore, now: datetime) -> None:
    assert await store.lease_holder("stream", now) is None
    assert await store.take_lease("stream", "a", now, TTL)
    assert not await store.take_lease("stream", "b", now, TTL)
    assert await store.lease_holder("stream", now) == "a"
    assert await store.take_lease("another", "b", now, TTL)


async def test_who_holds_it_may_take_it_again(store: SqliteStore, now: datetime) -> None:
    assert await store.take_lease("stream", "a", now, TTL)
    assert await store.take_lease("stream", "a", now + 10 * SECOND, TTL)
    assert await store.lease_holder("stream", now + 20 * SECOND) == "a"


async def test_a_lease_that_is_renewed_outlives_its_time(store: SqliteStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.renew_lease("stream", "a", now + 14 * SECOND, TTL)
    assert await store.lease_holder("stream", now + 28 * SECOND) == "a"
    assert not await store.take_lease("stream", "b", now + 28 * SECOND, TTL)


async def test_the_lease_of_a_dead_holder_is_taken_over_at_its_end_and_not_before(
    store: SqliteStore, now: datetime
) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert not await store.take_lease("stream", "b", now + TTL - SECOND, TTL)
    assert await store.take_lease("stream", "b", now + TTL, TTL)
    assert not await store.take_lease("stream", "c", now + TTL, TTL)


async def test_who_comes_back_late_has_lost_it_and_does_not_fight(store: SqliteStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    await store.take_lease("stream", "b", now + TTL, TTL)
    assert not await store.renew_lease("stream", "a", now + TTL, TTL)
    assert not await store.release_lease("stream", "a")
    assert await store.lease_holder("stream", now + TTL) == "b"


async def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_took_it(store: SqliteStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert not await store.renew_lease("stream", "a", now + TTL, TTL)
    assert not await store.renew_lease("never taken", "a", now, TTL)


async def test_a_lease_given_back_is_free_at_once(store: SqliteStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.release_lease("stream", "a")
    assert not await store.release_lease("stream", "a")
    assert await store.take_lease("stream", "b", now, TTL)


@pytest.mark.parametrize(("back", "holder"), [(SECOND, "a"), (timedelta(hours=1), None)])
async def test_a_clock_that_was_set_back_does_not_keep_a_dead_holders_lease(
    store: SqliteStore, now: datetime, back: timedelta, holder: str | None
) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.lease_holder("stream", now - back) == holder


async def test_of_many_that_take_it_at_once_one_has_it(folder: Path, now: datetime) -> None:
    stores = [SqliteStore(folder) for _ in range(4)]
    got: list[tuple[datetime, int]] = []

    async def take(number: int, moment: datetime) -> None:
        if await stores[number].take_lease("stream", f"{number} at {moment}", moment, TTL):
            got.append((moment, number))

    for moment in (now, now + TTL):
        async with anyio.create_task_group() as tasks:
            for number in range(len(stores)):
                tasks.start_soon(take, number, moment)
    assert [moment for moment, _ in got] == [now, now + TTL]
    assert await stores[0].lease_holder("stream", now + TTL) == f"{got[1][1]} at {now + TTL}"
    for store in stores:
        await store.close()
