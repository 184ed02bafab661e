"""A state file that cannot be used: nothing is sent, everybody is told why, and the repair that is told works."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from itertools import cycle
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import anyio
import pytest

from ct_mcp.cli.parser import run
from ct_mcp.errors import StoreFailed
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.database import Database, prepare_state_file
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests.resilience.conftest import Succeeded, Successor

BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
BUSY = "another program holds it", "close or wait for the program that holds it"
DAMAGED = "it is damaged", "move the file aside, keep it as evidence, check the account's orders"
FULL = "the disk is full", "the person must free disk space, then try again"
UNUSABLE = "it cannot be used", "the person must mend the state folder (disk space, rights), then try again"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program holds the file, and does not let go."""
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def no_database(file: Path) -> Iterator[None]:
    """Somebody has written over the file."""
    file.write_bytes(b"this is no database any more " * 1000)
    yield


@contextmanager
def torn(file: Path) -> Iterator[None]:
    """A part of the disk has died: all pages but the first hold nonsense."""
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096))
    yield


@contextmanager
def cut_off(file: Path) -> Iterator[None]:
    """The file has lost its end."""
    file.write_bytes(file.read_bytes()[:4096])
    yield


@contextmanager
def no_header(file: Path) -> Iterator[None]:
    """The first bytes of the file are zeros, as a power cut may leave them."""
    file.write_bytes(bytes(100) + file.read_bytes()[100:])
    yield


@contextmanager
def in_the_way(file: Path) -> Iterator[None]:
    """A folder stands where the file should be."""
    file.rename(file.with_suffix(".aside"))
    file.mkdir()
    yield


Breaks = Callable[[Path], AbstractContextManager[None]]


class FullStore(SqliteStore):
    """A store whose file cannot grow any more."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._database = Database(folder / FILE_NAME, 0.2, _as_large_as_it_is)


def _as_large_as_it_is(connection: Connection) -> None:
    prepare_state_file(connection)
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")


async def fill(store: SqliteStore, now: datetime) -> None:
    """Write until nothing fits, not even a little."""
    for size in (3000, 300, 1):
        with suppress(StoreFailed):
            for _ in range(1000):
                await store.append(NewEntry(EntryKind.ASKED, "x" * size), now)
    with pytest.raises(StoreFailed, match="the disk is full"):
        await store.append(NewEntry(EntryKind.ASKED, "x"), now)
    await store.close()


def writes(sim: Simulator) -> list[str]:
    """All that arrived and could change something."""
    return [seen.rpc for seen in sim.requests if seen.method != "GET" and seen.rpc != "GetBars"]


async def all_is_told_and_nothing_sent(successor: Successor, sim: Simulator, why: str, next_step: str) -> None:
    """An order, an exit and the status say what is wrong and what to do; reading goes on."""
    before = writes(sim)
    calls: dict[str, dict[str, Any]] = {"place_order": BUY, "flatten": {"account": "Sim101"}}
    for tool, arguments in calls.items():
        told = await successor.call(tool, **arguments)
        assert told["text"].startswith("JOURNAL_UNAVAILABLE: state file "), told["text"]
        assert FILE_NAME in told["text"]
        assert why in told["text"]
        assert "Nothing was sent to the market." in told["text"]
        assert next_step in told["text"]
    assert writes(sim) == before
    assert (await successor.call("get_positions", account="Sim101"))["positions"]


async def the_status_says_it(successor: Successor, why: str, next_step: str) -> None:
    """The journal is a broken link, with what to mend."""
    status = await successor.call("get_status")
    (journal,) = (link for link in status["links"] if link["link"] == "journal")
    assert journal["state"] == "broken"
    assert why in journal["why"]
    assert next_step in status["next_step"]


@pytest.fixture
async def file(succeeded: Succeeded, folder: Path) -> Path:
    """A state file that has seen a trade, and that nobody holds open."""
    async with succeeded() as server:
        assert (await server.call("place_order", **BUY))["status"] == "filled"
    return folder / FILE_NAME


@pytest.mark.parametrize(
    ("broken", "words"),
    [(locked, BUSY), (no_database, DAMAGED), (torn, DAMAGED), (no_header, DAMAGED), (in_the_way, UNUSABLE)],
)
async def test_a_state_file_that_cannot_be_used_sends_nothing_and_says_what_to_do(
    file: Path, succeeded: Succeeded, sim: Simulator, broken: Breaks, words: tuple[str, str]
) -> None:
    with broken(file):
        async with succeeded() as successor:
            await all_is_told_and_nothing_sent(successor, sim, *words)
            if broken is not locked:  # a held file can still be read
                await the_status_says_it(successor, *words)
    assert writes(sim) == ["PlaceOrder"]


async def test_a_file_that_was_locked_serves_again_once_it_is_let_go(
    file: Path, succeeded: Succeeded, sim: Simulator
) -> None:
    async with succeeded() as successor:
        with locked(file):
            assert (await successor.call("flatten", account="Sim101"))["text"].startswith("JOURNAL_UNAVAILABLE")
        assert (await successor.call("flatten", account="Sim101"))["status"] == "flat"


async def test_a_full_disk_sends_nothing_and_says_what_to_do(
    file: Path, succeeded: Succeeded, sim: Simulator, clock: ManualClock
) -> None:
    async with succeeded(FullStore(file.parent)) as successor:
        await fill(FullStore(file.parent), clock())
        await all_is_told_and_nothing_sent(successor, sim, *FULL)


@pytest.mark.parametrize("damaged", [no_database, torn, cut_off, no_header])
async def test_a_damaged_file_that_was_moved_aside_makes_room_for_a_new_one(
    file: Path, succeeded: Succeeded, sim: Simulator, damaged: Breaks
) -> None:
    """As the words say: the file alone is moved, whatever SQLite has left beside it, and nothing else is done."""
    with damaged(file):
        async with succeeded() as successor:
            assert (await successor.call("place_order", **BUY))["text"].startswith("JOURNAL_UNAVAILABLE")
            await anyio.Path(file).rename(file.with_suffix(".damaged"))
            told = await successor.call("place_order", **BUY)
            assert told["status"] == "filled", told["text"]
    store = SqliteStore(file.parent)
    found = await store.verify()
    await store.close()
    assert (found.ok, found.count) == (True, 4), "proposed, intent, accepted, answered"


PAGE = 4096


def put_back(file: Path, content: bytes) -> None:
    """Write the state file anew, with nothing left beside it."""
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    file.write_bytes(content)


async def told_or_done(successor: Successor, sim: Simulator) -> None:
    """An order and an exit: each is sent once and told of, or says that nothing was sent and why."""
    calls: dict[str, dict[str, Any]] = {"place_order": BUY, "flatten": {"account": "Sim101"}}
    for tool, arguments in calls.items():
        before = len(writes(sim))
        told = await successor.call(tool, **arguments)
        if told["text"].startswith("JOURNAL_UNAVAILABLE: state file "):
            assert "Nothing was sent to the market." in told["text"]
            assert len(writes(sim)) == before
        else:
            assert told["status"] in ("filled", "flat", "unknown", "rejected"), told["text"]
            assert len(writes(sim)) == before + 1


@pytest.mark.slow
async def test_of_a_file_with_one_dead_page_nothing_is_misread(
    file: Path, succeeded: Succeeded, sim: Simulator, clock: ManualClock
) -> None:
    """Every second page: that none of any is misread is shown of the store alone, by `unit/store/test_soundness.py`."""
    whole = await anyio.Path(file).read_bytes()
    for begin, rot in zip(range(0, len(whole), 2 * PAGE), cycle((b"\x55", b"\x00", b"\xff"))):
        put_back(file, whole[:begin] + rot * PAGE + whole[begin + PAGE :])
        clock.advance(60)
        async with succeeded() as successor:
            await told_or_done(successor, sim)


async def a_trade_whose_pages_are_in_the_log(succeeded: Succeeded, file: Path) -> tuple[bytes, bytes]:
    """The file and its log while a server runs that has traded: what a power cut would find on the disk."""
    async with succeeded() as server:
        assert (await server.call("place_order", **BUY))["status"] == "filled"
        log = anyio.Path(file.with_name(f"{file.name}-wal"))
        return await anyio.Path(file).read_bytes(), await log.read_bytes()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.999], ids=lambda kept: f"{kept:.1%} of the log")
async def test_a_log_that_never_reached_the_disk_takes_whole_steps_with_it(
    file: Path, succeeded: Succeeded, sim: Simulator, clock: ManualClock, kept: float
) -> None:
    """A disk that lied about what it wrote: what is left is a whole journal, an older one, and is read as that."""
    clock.advance(60)
    content, log = await a_trade_whose_pages_are_in_the_log(succeeded, file)
    put_back(file, content)
    await anyio.Path(file.with_name(f"{file.name}-wal")).write_bytes(log[: int(len(log) * kept)])
    store = SqliteStore(file.parent)
    found = await store.verify()
    await store.close()
    assert found.ok
    clock.advance(60)
    async with succeeded() as successor:
        held = (await successor.call("get_positions", account="Sim101"))["positions"]
        assert [row["quantity"] for row in held] == [2], "what is held is read from the account, not from the journal"
        await told_or_done(successor, sim)


async def test_a_disk_that_fills_up_after_the_order_left_does_not_hide_what_became_of_it(
    file: Path, succeeded: Succeeded, sim: Simulator, clock: ManualClock
) -> None:
    """The intent was written, and nothing more can be: the order stands, is told of, and counts as unknown."""
    clock.advance(60)
    store = FailsAfterTheIntent(file.parent)
    async with succeeded(store) as successor:
        told = await successor.call("place_order", **BUY)
        assert writes(sim).count("PlaceOrder") == 2
        assert told["status"] in ("filled", "unknown"), told["text"]
        again = await successor.call("place_order", **BUY)
        assert again["status"] == "denied" or again["text"].startswith("JOURNAL_UNAVAILABLE"), again["text"]
        assert writes(sim).count("PlaceOrder") == 2


class FailsAfterTheIntent(SqliteStore):
    """A store whose disk is full as soon as an intent was written."""

    is_full = False

    async def append(self, entry: NewEntry, at: datetime) -> Any:
        """Write it, unless an intent was written before."""
        if self.is_full:
            raise StoreFailed(f"state file {FILE_NAME}: the disk is full", next_step=FULL[1])
        self.is_full = entry.kind is EntryKind.INTENT
        return await super().append(entry, at)


@pytest.mark.parametrize(
    "command", [["journal"], ["journal", "verify"], ["journal", "why", "x"], ["journal", "export"]]
)
def test_the_terminal_says_the_same_of_a_damaged_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database any more " * 1000)
    assert run([*command, "--state-dir", str(tmp_path)]) == 1
    said = "".join(capsys.readouterr())
    assert "it is damaged" in said
    assert "move the file aside" in said
