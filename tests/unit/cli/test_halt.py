"""``ct-mcp halt`` and ``ct-mcp resume``: who halts, and that only a person who sees why lifts it."""

import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.approval import Halt
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
PIN = "pin-4711"
BY_THE_GUARD = Halt("guard", BEFORE, "3 denials within 60 s, 3 halt trading: NOTIONAL_EXCEEDS_MAXIMUM")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder that the server and the person's terminal share."""
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """The store as the server sees it."""
    store = SqliteStore(folder)
    yield store
    await store.close()


async def test_halting_halts_with_the_persons_reason(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    terminal = at_a_terminal("halt", "--reason", "news at\u202e ten", "--state-dir", str(folder))
    terminal.until("Trading is halted")
    terminal.until("ct-mcp resume")
    assert terminal.ends() == 0
    halt = await store.halt()
    assert halt is not None
    assert (halt.by, halt.reason) == ("the person", "news at ten")


async def test_the_first_halt_stands_and_is_told(at_a_terminal: AtATerminal, folder: Path, store: SqliteStore) -> None:
    await store.set_halt(BY_THE_GUARD)
    terminal = at_a_terminal("halt", "--state-dir", str(folder))
    terminal.until("Trading was halted before, by guard")
    assert terminal.ends() == 0
    assert await store.halt() == BY_THE_GUARD


async def test_resuming_shows_who_halted_when_and_why_and_wants_the_word(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.set_halt(BY_THE_GUARD)
    lost = NewEntry(EntryKind.INTENT, "SIM  Sim101  BUY 1 MES", "Sim101", ticket_id="t-1", own_id="o-1")
    await store.append(lost, BEFORE)
    terminal = at_a_terminal("resume", "--state-dir", str(folder))
    terminal.until("Trading is halted by guard")
    terminal.until("2026-01-01 00:00 UTC")
    terminal.until("3 denials within 60 s")
    terminal.until("nobody knows what became of it")
    terminal.until("BUY 1 MES")
    terminal.until("> ")
    assert await store.halt() == BY_THE_GUARD
    terminal.types("resume")
    terminal.until("Trading goes on")
    assert terminal.ends() == 0
    assert await store.halt() is None
    assert (await store.entries(1))[0].detail["by"] == "the person"


@pytest.mark.parametrize("typed", ["", "yes", "RESUME", "resume it"])
async def test_any_other_word_leaves_it_halted(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore, typed: str
) -> None:
    await store.set_halt(BY_THE_GUARD)
    terminal = at_a_terminal("resume", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(typed)
    terminal.until("Still halted.")
    assert terminal.ends() == 1
    assert await store.halt() == BY_THE_GUARD


async def test_where_a_pin_is_set_the_word_alone_resumes_nothing(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.set_halt(BY_THE_GUARD)
    await set_pin(store, PIN, BEFORE)
    for typed, answered, code in (("0000", "Still halted.", 1), (PIN, "Trading goes on", 0)):
        terminal = at_a_terminal("resume", "--state-dir", str(folder))
        terminal.until("> ")
        terminal.types("resume")
        terminal.until("PIN: ")
        terminal.types(typed)
        terminal.until(answered)
        assert terminal.ends() == code
        assert typed not in terminal.seen
    assert await store.halt() is None


async def test_a_halt_that_came_in_place_of_the_one_shown_is_not_lifted(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.set_halt(BY_THE_GUARD)
    terminal = at_a_terminal("resume", "--state-dir", str(folder))
    terminal.until("> ")
    await store.clear_halt("the person", BEFORE)
    newer = Halt("guard", BEFORE, "2 proposals declined")
    await store.set_halt(newer)
    terminal.types("resume")
    terminal.until("no longer the halt that you were shown")
    assert terminal.ends() == 1
    assert await store.halt() == newer


def test_what_is_not_halted_need_not_be_resumed(at_a_terminal: AtATerminal, folder: Path) -> None:
    terminal = at_a_terminal("resume", "--state-dir", str(folder))
    terminal.until("Trading is not halted.")
    assert terminal.ends() == 0


@pytest.mark.parametrize("given", ["", "resume\n"])
async def test_a_pipe_resumes_nothing(ct_mcp: CtMcp, folder: Path, store: SqliteStore, given: str) -> None:
    await store.set_halt(BY_THE_GUARD)
    ended = ct_mcp("resume", "--state-dir", str(folder), given=given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "ct-mcp resume needs a terminal" in ended.stderr
    assert await store.halt() == BY_THE_GUARD


async def test_a_pipe_halts_nothing(ct_mcp: CtMcp, folder: Path, store: SqliteStore) -> None:
    ended = ct_mcp("halt", "--state-dir", str(folder))
    assert ended.returncode == 2
    assert await store.halt() is None


LATELY = NewEntry(EntryKind.PROPOSED, "SIM  Sim101  BUY 1 MES", "Sim101", ticket_id="t-1")


async def test_halting_names_the_server_that_it_does_not_reach(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    demo = SqliteStore(folder / "demo")
    await demo.append(LATELY, datetime.now(UTC))
    terminal = at_a_terminal("halt", "--state-dir", str(folder))
    terminal.until("A demo server is not halted by this: ct-mcp halt --demo --state-dir")
    assert terminal.ends() == 0
    assert await demo.halt() is None
    await demo.close()


@pytest.mark.parametrize("at", [BEFORE, None], ids=["not for long", "never"])
async def test_a_folder_that_nobody_used_lately_is_not_mentioned(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore, at: datetime | None
) -> None:
    demo = SqliteStore(folder / "demo")
    if at is not None:
        await demo.append(LATELY, at)
    await demo.close()
    terminal = at_a_terminal("halt", "--state-dir", str(folder))
    assert terminal.ends() == 0
    assert "demo" not in terminal.seen
