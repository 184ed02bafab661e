"""``ct-mcp pin`` at a terminal: typed twice, never shown, and changed only by who knows it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.desk.pin import PinAnswer, pin_is_set, set_pin, try_pin
from ct_mcp.store.sqlite import SqliteStore

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
PIN = "pin-4711"


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


async def is_the_pin(store: SqliteStore, pin: str) -> bool:
    """Whether this is the PIN that is set."""
    return await try_pin(store, pin, datetime(2026, 6, 1, tzinfo=UTC)) is PinAnswer.RIGHT


async def test_it_is_typed_twice_and_never_shown(at_a_terminal: AtATerminal, folder: Path, store: SqliteStore) -> None:
    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    for asked in ("not shown: ", "Once more: "):
        terminal.until(asked)
        terminal.types(PIN)
    terminal.until("The PIN is set.")
    assert terminal.ends() == 0
    assert PIN not in terminal.seen
    assert await is_the_pin(store, PIN)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [("123", None, "a PIN has 4 to 64 characters"), ("", None, "cannot be a PIN"), (PIN, "other", "not the same")],
)
async def test_what_is_unfit_or_mistyped_sets_nothing(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore, first: str, second: str | None, said: str
) -> None:
    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    terminal.until("not shown: ")
    terminal.types(first)
    if second is not None:
        terminal.until("Once more: ")
        terminal.types(second)
    terminal.until(said)
    assert terminal.ends() == 1
    assert not await pin_is_set(store)


async def test_it_is_changed_only_with_the_one_before(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await set_pin(store, PIN, BEFORE)
    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    terminal.until("The PIN as it is: ")
    terminal.types("0000")
    terminal.until("The PIN is as it was.")
    assert terminal.ends() == 1
    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    for asked, typed in (("The PIN as it is: ", PIN), ("not shown: ", "new-one"), ("Once more: ", "new-one")):
        terminal.until(asked)
        terminal.types(typed)
    terminal.until("The PIN is changed.")
    assert terminal.ends() == 0
    assert not await is_the_pin(store, PIN)
    assert await is_the_pin(store, "new-one")


async def test_a_locked_one_is_not_changed_even_with_the_right_one(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await set_pin(store, PIN, BEFORE)
    for _ in range(5):
        await try_pin(store, "wrong", datetime.now(UTC))
    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    terminal.until("The PIN as it is: ")
    terminal.types(PIN)
    terminal.until("Too many wrong PINs")
    assert terminal.ends() == 1


def test_ctrl_c_ends_it_and_the_terminal_shows_again_what_is_typed(at_a_terminal: AtATerminal, folder: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("a console cannot be played here")
    import termios  # noqa: PLC0415  # not there on Windows

    terminal = at_a_terminal("pin", "--state-dir", str(folder))
    terminal.until("not shown: ")
    hidden = termios.tcgetattr(terminal.handle)[3]
    assert not hidden & termios.ECHO
    for _ in range(60):  # a signal right before Python waits for the line is seen after it: a person presses again
        terminal.interrupts()
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(1)
            break
    assert terminal.process.returncode == 130
    assert termios.tcgetattr(terminal.handle)[3] & termios.ECHO
    terminal.ends()
    assert "Traceback" not in terminal.seen


async def test_a_pipe_sets_nothing(ct_mcp: CtMcp, folder: Path, store: SqliteStore) -> None:
    ended = ct_mcp("pin", "--state-dir", str(folder), given=f"{PIN}\n{PIN}\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "ct-mcp pin needs a terminal" in ended.stderr
    assert not await pin_is_set(store)
