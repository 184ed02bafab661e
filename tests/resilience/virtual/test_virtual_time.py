"""Time that jumps to the next timer, and the order of what is ready drawn from a seed."""

import asyncio
import gc
from random import Random

import anyio
import pytest
from virtual_time import StandsStill, nothing_collected, play


def test_hours_pass_in_no_time_and_in_their_order() -> None:
    seen = []

    async def waits(seconds: float) -> None:
        await anyio.sleep(seconds)
        seen.append((seconds, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(waits(7200.5), waits(3.25), waits(60))

    play(main, Random(1))

    assert seen == [(3.25, 3.25), (60, 60.0), (7200.5, 7200.5)]


def test_a_seed_is_an_order_and_other_seeds_are_other_orders() -> None:
    def order(seed: int) -> str:
        seen: list[str] = []

        async def one(name: str) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(name)

        async def main() -> None:
            await asyncio.gather(*map(one, "abcd"))

        play(main, Random(seed))
        return "".join(seen)

    assert order(1) == order(1)
    assert len({order(seed) for seed in range(20)}) > 10


def test_a_time_limit_is_virtual_too() -> None:
    async def main() -> float:
        with anyio.move_on_after(30):
            await anyio.sleep_forever()
        return asyncio.get_running_loop().time()

    assert play(main, Random(1)) == 30.0


def test_what_waits_for_nothing_is_named_and_not_waited_for() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StandsStill, match="no timer is set"):
        play(main, Random(1))


def test_a_task_that_is_left_behind_is_ended() -> None:
    ended = []

    async def left() -> None:
        try:
            await anyio.sleep(1000)
        finally:
            ended.append(True)

    async def main() -> "asyncio.Task[None]":
        task = asyncio.create_task(left())
        await asyncio.sleep(1)
        return task

    assert play(main, Random(1)).cancelled()
    assert ended == [True]


def test_what_fails_beside_the_play_is_not_passed_over() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        play(main, Random(1))


def test_what_an_episode_leaves_ends_with_it_and_never_in_the_middle_of_one() -> None:
    ended, as_is_collected_by_itself = list[str](), 3 * gc.get_threshold()[0]

    class Circle:
        def __init__(self, name: str) -> None:
            self.name, self.itself = name, self

        def __del__(self) -> None:
            ended.append(self.name)

    async def main() -> None:
        Circle("in the play")
        assert [[] for _ in range(as_is_collected_by_itself)]

    with nothing_collected():
        Circle("while it is made")
        play(main, Random(1))
        assert [[] for _ in range(as_is_collected_by_itself)]
        assert not ended

    assert sorted(ended) == ["in the play", "while it is made"]
    assert gc.isenabled()


async def _cancelled_together() -> list[int]:
    ended = list[int]()

    async def waits(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(number)

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(waits, number)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    return ended


def test_what_is_cancelled_together_ends_in_an_order_that_no_address_tells() -> None:
    """A set of tasks gives them by where they lie, and what was made before moves that."""
    made, orders = list[object](), list[list[int]]()
    for many in (0, 977, 12_345):
        made += [{} for _ in range(many)]
        orders.append(play(_cancelled_together, Random(7)))
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(50))
