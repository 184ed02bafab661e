"""Reads that are made side by side: how many at once, what fails alone, and what is never made."""

from inspect import CORO_CLOSED, getcoroutinestate

import anyio
import pytest

from ct_mcp.desk.side_by_side import MOST_AT_ONCE, SideBySide
from ct_mcp.errors import BudgetExhausted, Unavailable


async def test_no_more_are_under_way_than_the_service_takes() -> None:
    under_way, most = 0, 0

    async def read() -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.wait_all_tasks_blocked()
        under_way -= 1
        return "read"

    async with SideBySide([]) as ask:
        readings = [ask.read("it", read()) for _ in range(2 * MOST_AT_ONCE)]
    assert [reading.required() for reading in readings] == ["read"] * 2 * MOST_AT_ONCE
    assert most == MOST_AT_ONCE


async def test_what_fails_is_named_and_keeps_nothing_else_from_being_read() -> None:
    async def fails() -> str:
        raise Unavailable("no answer")

    async def works() -> str:
        return "read"

    failures: list[str] = []
    async with SideBySide(failures) as ask:
        lost, found = ask.read("orders", fails()), ask.read("positions", works())
    assert (lost.value, found.value) == (None, "read")
    assert failures == ["orders could not be read: UPSTREAM_UNAVAILABLE: no answer"]
    with pytest.raises(Unavailable):
        lost.required()


async def test_what_is_no_failure_of_a_read_is_raised_as_it_is() -> None:
    async def refused() -> str:
        raise BudgetExhausted("empty")

    with pytest.raises(BudgetExhausted, match="empty"):
        async with SideBySide([]) as ask:
            ask.read("orders", refused())


async def test_a_block_that_fails_makes_no_read() -> None:
    made: list[str] = []

    async def read() -> None:
        made.append("read")

    async def fails_after_asking() -> None:
        async with SideBySide([]) as ask:
            ask.read("it", read())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails_after_asking()
    assert made == []


async def test_what_has_not_begun_when_it_is_cancelled_is_never_made() -> None:
    made: list[int] = []

    async def read(which: int) -> None:
        made.append(which)
        await anyio.sleep_forever()

    reads = [read(which) for which in range(MOST_AT_ONCE + 2)]
    with anyio.CancelScope() as waiting:
        async with SideBySide([]) as ask:
            for each in reads:
                ask.read("it", each)
            waiting.cancel()
    assert waiting.cancelled_caught
    assert {getcoroutinestate(each) for each in reads} == {CORO_CLOSED}, "none is left that was never awaited"
    assert len(made) <= MOST_AT_ONCE
