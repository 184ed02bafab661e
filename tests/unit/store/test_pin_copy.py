"""While the shared store is out of reach an exit that asks for the PIN is approved with it, and no guess is gained."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ct_mcp.desk.pin import PinAnswer, pin_is_set, set_pin, try_pin
from ct_mcp.errors import StoreFailed, StoreOutOfReach
from ct_mcp.store import trading_state
from ct_mcp.store.alone import QUIET_FOR_SECONDS, ExitsAlone
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.trading_state import PIN_TRIES, PIN_TRIES_WITHIN, PinLocked, StoredPin
from tests.unit.store.test_alone import Faraway, Passing

PIN, CHEAP, SECOND = "pin-4711", 16, timedelta(seconds=1)
Process = Callable[[], SqlStore]


@pytest.fixture
def faraway(tmp_path: Path) -> Faraway:
    return Faraway(tmp_path / "faraway" / "shared.sqlite3")


@pytest.fixture
def passing() -> Passing:
    return Passing()


@pytest.fixture
def process(faraway: Faraway, folder: Path, passing: Passing, now: datetime) -> Iterator[Process]:
    """Start one process of the machine after another."""
    engines: list[ExitsAlone] = []

    def started() -> SqlStore:
        engines.append(ExitsAlone(faraway, folder, "", lambda: now + 10 * SECOND, passing))
        return SqlStore(engines[-1])

    yield started
    for engine in engines:
        engine.close()


@pytest.fixture
async def terminal(process: Process, now: datetime) -> SqlStore:
    """The person's terminal, where the PIN was set."""
    store = process()
    await set_pin(store, PIN, now, cost=CHEAP)
    return store


@pytest.fixture
async def server(terminal: SqlStore, process: Process) -> SqlStore:
    """Another process, which was never given a PIN."""
    store = process()
    assert await store.halt() is None
    return store


async def parts(store: SqlStore, faraway: Faraway) -> None:
    faraway.is_out = True
    assert await store.halt() is not None


async def goes_back(store: SqlStore, faraway: Faraway, passing: Passing) -> None:
    faraway.is_out = False
    passing.seconds += QUIET_FOR_SECONDS
    assert await store.halt() is None


async def guesses(store: SqlStore, now: datetime, count: int) -> list[PinAnswer]:
    return [await try_pin(store, f"guess-{number}", now + number * SECOND) for number in range(count)]


async def test_the_right_one_is_right_and_any_other_wrong(server: SqlStore, faraway: Faraway, now: datetime) -> None:
    await parts(server, faraway)
    assert await try_pin(server, "another", now) is PinAnswer.WRONG
    assert await try_pin(server, PIN, now) is PinAnswer.RIGHT
    assert [entry.kind for entry in await server.entries(9)] == [EntryKind.PIN_WRONG]


async def test_a_process_that_is_started_meanwhile_knows_it_from_the_one_before(
    server: SqlStore, process: Process, faraway: Faraway, now: datetime
) -> None:
    await parts(server, faraway)
    assert await try_pin(process(), PIN, now) is PinAnswer.RIGHT


@pytest.mark.parametrize("wrong", [1, PIN_TRIES - 1, PIN_TRIES, PIN_TRIES + 1])
async def test_wrong_tries_of_before_count_meanwhile(
    server: SqlStore, faraway: Faraway, now: datetime, wrong: int
) -> None:
    await guesses(server, now, wrong)
    await parts(server, faraway)
    answers = await guesses(server, now + 7 * SECOND, 2)
    left = max(0, PIN_TRIES - wrong)
    assert answers == [PinAnswer.WRONG if number < left else PinAnswer.LOCKED for number in range(2)]


async def test_so_does_a_lock_that_others_have_brought_about(
    server: SqlStore, terminal: SqlStore, faraway: Faraway, now: datetime
) -> None:
    await guesses(terminal, now, PIN_TRIES)
    assert await try_pin(server, PIN, now + 6 * SECOND) is PinAnswer.LOCKED
    await parts(server, faraway)
    assert await try_pin(server, PIN, now + 7 * SECOND) is PinAnswer.LOCKED
    assert await try_pin(server, PIN, now + PIN_TRIES_WITHIN + 5 * SECOND) is PinAnswer.RIGHT


async def test_wrong_tries_of_meanwhile_count_afterwards_on_every_machine_and_once(
    server: SqlStore, terminal: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    await guesses(server, now, 2)
    await parts(server, faraway)
    await guesses(server, now + 2 * SECOND, 2)
    await goes_back(server, faraway, passing)
    await parts(server, faraway)
    await goes_back(server, faraway, passing)
    assert await guesses(terminal, now + 5 * SECOND, 2) == [PinAnswer.WRONG, PinAnswer.LOCKED]


async def test_the_right_one_forgives_also_where_the_file_is_opened_anew(
    server: SqlStore, faraway: Faraway, now: datetime
) -> None:
    await guesses(server, now, PIN_TRIES - 1)
    await parts(server, faraway)
    assert await try_pin(server, PIN, now + 5 * SECOND) is PinAnswer.RIGHT
    await server.close()
    assert await guesses(server, now + 6 * SECOND, PIN_TRIES) == [PinAnswer.WRONG] * PIN_TRIES


@pytest.mark.parametrize("seen_by", ["a review", "going back", "a try"])
async def test_one_that_was_changed_takes_its_place_when_it_is_next_seen(
    server: SqlStore, terminal: SqlStore, faraway: Faraway, passing: Passing, now: datetime, seen_by: str
) -> None:
    if seen_by == "going back":
        await parts(server, faraway)
    faraway.is_out = False
    await set_pin(terminal, "another-one", now, cost=CHEAP)
    match seen_by:
        case "a review":
            await server.recall("Sim101", "f", now)
        case "a try":
            assert await try_pin(server, PIN, now) is PinAnswer.WRONG
        case _:
            await goes_back(server, faraway, passing)
    await parts(server, faraway)
    assert await try_pin(server, PIN, now) is PinAnswer.WRONG
    assert await try_pin(server, "another-one", now) is PinAnswer.RIGHT


async def test_it_is_changed_by_nobody_meanwhile(server: SqlStore, faraway: Faraway, now: datetime) -> None:
    await parts(server, faraway)
    with pytest.raises(StoreFailed, match="would have to hold over all machines"):
        await set_pin(server, "another-one", now, cost=CHEAP)
    assert await try_pin(server, PIN, now) is PinAnswer.RIGHT


async def test_where_none_is_set_that_is_known(process: Process, faraway: Faraway, now: datetime) -> None:
    store = process()
    assert await store.halt() is None
    await parts(store, faraway)
    assert not await pin_is_set(store)
    assert await try_pin(store, PIN, now) is PinAnswer.NOT_SET


async def test_where_it_was_never_seen_nobody_is_told_that_there_is_none(
    process: Process, faraway: Faraway, now: datetime
) -> None:
    store = process()
    await parts(store, faraway)
    for call in (store.pin(), store.count_pin_try(now)):
        with pytest.raises(
            StoreOutOfReach, match=r"whether there is a PIN, and which, is not known.*NinjaTrader itself"
        ):
            await call


async def test_the_same_moment_counts_as_often_as_it_was_tried(faraway: Faraway, now: datetime) -> None:
    """Two guesses side by side are two, wherever they were made."""
    write, read = faraway.inner.write, faraway.inner.read
    write(trading_state.copy_pin, StoredPin(b"salt", CHEAP, 8, 1, b"digest"))
    write(trading_state.count_pin_try, now)
    for _ in range(2):
        write(trading_state.add_pin_tries, (now, now, now + SECOND))
    assert read(trading_state.pin_tries, now) == (now, now, now + SECOND)
    write(trading_state.add_pin_tries, tuple(now + number * SECOND for number in range(9)))
    assert len(read(trading_state.pin_tries, now)) == PIN_TRIES
    assert isinstance(write(trading_state.count_pin_try, now + 9 * SECOND), PinLocked)
