"""The person's PIN: kept as a digest, and not to be guessed by trying, side by side or after a restart."""

import sqlite3
from pathlib import Path

import anyio
import pytest

from ct_mcp.desk.pin import PinAnswer, pin_is_set, set_pin, try_pin
from ct_mcp.errors import BadRequest
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore

PIN = "pin-4711"
FIVE = [PinAnswer.WRONG] * 5
CHEAP = 16  # what a guess costs decides nothing but the time these tests take


@pytest.fixture
async def with_pin(store: SqliteStore, clock: ManualClock) -> SqliteStore:
    """A store with the PIN set."""
    await set_pin(store, PIN, clock(), cost=CHEAP)
    return store


async def guesses(store: SqliteStore, clock: ManualClock, count: int = 5, seconds: float = 1) -> list[PinAnswer]:
    """So many wrong ones, one after another."""
    answers = []
    for number in range(count):
        answers.append(await try_pin(store, f"guess-{number}", clock()))
        clock.advance(seconds)
    return answers


async def test_the_right_one_is_right_and_any_other_wrong(with_pin: SqliteStore, clock: ManualClock) -> None:
    assert await pin_is_set(with_pin)
    assert await try_pin(with_pin, PIN, clock()) is PinAnswer.RIGHT
    for other in ("", PIN[:-1], f"{PIN} ", PIN.upper()):
        assert await try_pin(with_pin, other, clock()) is PinAnswer.WRONG


@pytest.mark.parametrize("hostile", ["\ud800", "x" * 100_000, "\x00\x00\x00\x00"])
async def test_no_text_makes_it_stumble(with_pin: SqliteStore, clock: ManualClock, hostile: str) -> None:
    assert await try_pin(with_pin, hostile, clock()) is PinAnswer.WRONG


async def test_a_guess_takes_thirty_two_mebibytes(store: SqliteStore, clock: ManualClock) -> None:
    await set_pin(store, PIN, clock())
    kept = await store.pin()
    assert kept is not None
    assert 128 * kept.cost * kept.block_size == 32 * 2**20
    assert await try_pin(store, PIN, clock()) is PinAnswer.RIGHT
    assert await try_pin(store, "another", clock()) is PinAnswer.WRONG


async def test_without_one_nothing_is_right(store: SqliteStore, clock: ManualClock) -> None:
    assert not await pin_is_set(store)
    assert await try_pin(store, "", clock()) is PinAnswer.NOT_SET
    assert await try_pin(store, PIN, clock()) is PinAnswer.NOT_SET


@pytest.mark.parametrize("unfit", ["", "123", "x" * 65, " 1234", "1234 ", "12\n34", "12\u202e34", "\ud800234"])
async def test_what_cannot_be_a_pin_is_refused_without_repeating_it(
    store: SqliteStore, clock: ManualClock, unfit: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        await set_pin(store, unfit, clock(), cost=CHEAP)
    assert not unfit or unfit not in str(refused.value)
    assert not await pin_is_set(store)


@pytest.mark.parametrize("fit", ["1234", "x" * 64, "päss wörd", "四桁の数"])
async def test_four_to_sixty_four_characters_of_any_script_will_do(
    store: SqliteStore, clock: ManualClock, fit: str
) -> None:
    await set_pin(store, fit, clock(), cost=CHEAP)
    assert await try_pin(store, fit, clock()) is PinAnswer.RIGHT


async def test_letters_composed_in_another_way_are_the_same_letters(store: SqliteStore, clock: ManualClock) -> None:
    await set_pin(store, "caf\u00e9", clock(), cost=CHEAP)
    assert await try_pin(store, "cafe\u0301", clock()) is PinAnswer.RIGHT


async def test_five_wrong_ones_lock_it_for_a_quarter_of_an_hour(with_pin: SqliteStore, clock: ManualClock) -> None:
    assert await guesses(with_pin, clock, seconds=0) == FIVE
    clock.advance(15 * 60 - 1)
    assert await try_pin(with_pin, PIN, clock()) is PinAnswer.LOCKED
    clock.advance(1)
    assert await try_pin(with_pin, PIN, clock()) is PinAnswer.RIGHT


async def test_trying_while_it_is_locked_does_not_prolong_the_lock(with_pin: SqliteStore, clock: ManualClock) -> None:
    await guesses(with_pin, clock, seconds=0)
    clock.advance(14 * 60)
    assert await guesses(with_pin, clock, seconds=0) == [PinAnswer.LOCKED] * 5
    clock.advance(60)
    assert await try_pin(with_pin, PIN, clock()) is PinAnswer.RIGHT


async def test_after_a_lock_one_more_wrong_one_locks_it_again_if_it_comes_soon(
    with_pin: SqliteStore, clock: ManualClock
) -> None:
    await guesses(with_pin, clock, seconds=0)
    clock.advance(15 * 60)
    assert await guesses(with_pin, clock, 2, seconds=0) == [PinAnswer.WRONG, PinAnswer.LOCKED]


async def test_wrong_ones_far_apart_lock_nothing(with_pin: SqliteStore, clock: ManualClock) -> None:
    assert await guesses(with_pin, clock, 8, seconds=4 * 60) == [PinAnswer.WRONG] * 8


async def test_a_right_one_forgives_those_before_it(with_pin: SqliteStore, clock: ManualClock) -> None:
    for _ in range(3):
        await guesses(with_pin, clock, 4)
        assert await try_pin(with_pin, PIN, clock()) is PinAnswer.RIGHT


async def test_a_clock_that_is_set_back_unlocks_nothing(with_pin: SqliteStore, clock: ManualClock) -> None:
    before = clock()
    clock.advance(3600)
    await guesses(with_pin, clock)
    assert await try_pin(with_pin, PIN, before) is PinAnswer.LOCKED


async def test_guesses_side_by_side_get_no_more_tries_over_several_processes(
    with_pin: SqliteStore, clock: ManualClock, tmp_path: Path
) -> None:
    stores = [SqliteStore(tmp_path / "state") for _ in range(3)]
    answers: list[PinAnswer] = []

    async def guess(store: SqliteStore, number: int) -> None:
        answers.append(await try_pin(store, f"guess-{number}", clock()))

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(guess, stores[number % 3], number)
    assert sorted(answers) == [PinAnswer.LOCKED] * 7 + FIVE
    for store in stores:
        await store.close()


async def test_the_lock_outlives_the_process(with_pin: SqliteStore, clock: ManualClock, tmp_path: Path) -> None:
    await guesses(with_pin, clock)
    await with_pin.close()
    again = SqliteStore(tmp_path / "state")
    assert await try_pin(again, PIN, clock()) is PinAnswer.LOCKED
    await again.close()


async def test_setting_and_wrong_tries_are_journalled_and_the_pin_is_nowhere(
    with_pin: SqliteStore, clock: ManualClock, tmp_path: Path
) -> None:
    await guesses(with_pin, clock)
    await try_pin(with_pin, PIN, clock())
    await set_pin(with_pin, "another-one", clock(), cost=CHEAP)
    entries = await with_pin.entries(20)
    wrong = [EntryKind.PIN_WRONG] * 6
    assert [entry.kind for entry in entries] == [EntryKind.PIN_SET, *wrong, EntryKind.PIN_SET]
    assert (entries[0].summary, entries[1].detail) == ("PIN changed by the person", {"what": "locked"})
    await with_pin.close()
    with sqlite3.connect(tmp_path / "state" / FILE_NAME) as file:
        dump = "\n".join(file.iterdump())
    file.close()
    assert not any(secret in dump for secret in (PIN, "another-one", "guess-"))


async def test_the_same_pin_is_kept_as_something_else_each_time(with_pin: SqliteStore, clock: ManualClock) -> None:
    before = await with_pin.pin()
    await set_pin(with_pin, PIN, clock(), cost=CHEAP)
    after = await with_pin.pin()
    assert before is not None
    assert after is not None
    assert before.digest != after.digest
    assert before.salt != after.salt
