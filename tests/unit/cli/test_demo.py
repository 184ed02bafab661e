"""``ct-mcp demo`` as the person meets it: the whole story, or a clear word on what did not happen."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters

from ct_mcp import __version__
from ct_mcp.cli import demo
from tests.unit.cli.conftest import Start

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

STORY = (
    "1/9 Connect",
    f"ct-mcp {__version__} lists ",
    "2/9 An account",
    "Sim101  simulated",
    "3/9 A quote",
    "fresh: MES ",
    "4/9 Bars",
    "24 bars of 5 minute",
    "5/9 An order that is too big",
    "DENIED (NOT sent)",
    "QUANTITY_EXCEEDS_MAXIMUM: quantity=50, maximum=5",
    "6/9 An order with its stop and target, and your yes",
    "To send it, type:",
    "FILLED (sent)",
    "7/9 What is held now",
    "LONG  2  MES",
    "8/9 Flat",
    "FLAT (sent)",
    "no open positions",
    "no orders",
    "9/9 The journal",
    "answered; then the way out",
    "All of this happened",
    '"args": ["serve", "--demo"]',
    "ct-mcp approve --demo --watch",
    "CROSSTRADE_TOKEN",
)


def tells(story: tuple[str, ...], shown: str) -> bool:
    """Whether all of it was shown, in this order."""
    return re.search(".*?".join(map(re.escape, story)), shown, re.DOTALL) is not None


def test_with_yes_the_whole_story_happens_and_touches_nothing_of_the_persons(
    ct_mcp: CtMcp, environ: Mapping[str, str], tmp_path: Path
) -> None:
    theirs = {"CT_MCP_STATE_DIR": str(tmp_path / "theirs"), "CT_MCP_CONFIG": str(tmp_path / "no file")}
    shown = ct_mcp("demo", "--yes", CROSSTRADE_TOKEN="${NOT_EXPANDED}", **theirs)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert tells(STORY, shown.stdout)
    assert "--yes was given: the demo's own client answers" in shown.stdout
    assert "The demo's own client answers in your place: " in shown.stdout
    assert shown.stderr == ""
    assert not (tmp_path / "theirs").exists()
    assert list(Path(environ["TMPDIR"]).iterdir()) == []
    assert [file for file in Path(environ["HOME"]).rglob("*") if file.is_file()] == []


def test_without_a_terminal_it_says_who_answers_in_letters_that_every_console_has(ct_mcp: CtMcp) -> None:
    shown = ct_mcp("demo", PYTHONIOENCODING="cp1252")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert tells(("There is no terminal", "| FILLED (sent)", "ok: flat", "All of this happened"), shown.stdout)
    assert shown.stdout.isascii()
    assert "\x1b" not in shown.stdout


def test_the_person_types_the_yes(at_a_terminal: AtATerminal) -> None:
    terminal = at_a_terminal("demo", NO_COLOR="1")
    answer(terminal)
    terminal.until("FILLED (sent)")
    assert terminal.ends() == 0
    assert tells(STORY, terminal.seen)
    assert "in your place" not in terminal.seen
    shown = terminal.seen.partition("All of this happened")[0]
    assert max(len(line.rpartition("\x1b[2K")[2]) for line in shown.splitlines()) < 80


def test_a_wrong_text_sends_nothing_and_a_second_one_ends_it_with_1_and_the_step(at_a_terminal: AtATerminal) -> None:
    terminal = at_a_terminal("demo")
    for _ in range(2):
        terminal.until("Your turn")
        terminal.until("> ")
        terminal.types("yes, please")
        assert "DECLINED (NOT sent)" in terminal.until("no real money can move")
    assert "That was no yes: nothing was sent." in terminal.seen
    assert "expected status 'filled', found 'declined'" in terminal.until("place_order said: DECLINED (NOT sent)")
    assert terminal.ends() == 1
    assert "failed at step 6/9 An order with its stop and target, and your yes" in terminal.seen
    assert "7/9" not in terminal.seen


def answer(terminal: Any) -> None:
    """Read the code off the screen and type it."""
    terminal.until("To send it, type:")
    code = re.sub(r"\x1b\[\d*m", "", terminal.line())
    terminal.until("Your turn")
    terminal.until("> ")
    terminal.types(code)


@pytest.mark.parametrize("at", ["1/9 Connect", "Your turn"])
def test_ctrl_c_ends_it_and_its_server_quietly(at_a_terminal: AtATerminal, environ: Mapping[str, str], at: str) -> None:
    terminal = at_a_terminal("demo")
    terminal.until(at)
    terminal.interrupts()
    assert terminal.ends() == 130
    assert "Traceback" not in terminal.seen
    assert list(Path(environ["TMPDIR"]).iterdir()) == []


def test_a_market_that_does_not_fill_ends_it_with_1(
    started: Start,
    capsys: pytest.CaptureFixture[str],
) -> None:
    simulator = started("simulate", "--port", "0", "--market-hours", "always", "--fault", "no-fill")
    assert simulator.stdout is not None
    url = simulator.stdout.readline().split()[-1]
    token = simulator.stdout.readline().split()[1]

    def server_in(folder: Path) -> StdioServerParameters:
        arguments = ["-m", "ct_mcp", "serve", "--base-url", url, "--state-dir", str(folder), "--mode", "sim"]
        return StdioServerParameters(command=sys.executable, args=arguments, env={"CROSSTRADE_TOKEN": token})

    assert demo.run(argparse.Namespace(yes=True), server_in) == 1
    shown = capsys.readouterr()
    assert (
        "failed at step 6/9 An order with its stop and target, and your yes: expected status 'filled', found 'working'"
        in shown.err
    )
    assert "All of this happened" not in shown.out


@pytest.mark.parametrize(
    ("program", "script", "what"),
    [
        (sys.executable, "raise SystemExit('no reason given')", "no reason given"),
        (os.devnull + "/nothing", "", "nothing"),
    ],
    ids=["ends at once", "does not exist"],
)
def test_a_server_that_does_not_start_ends_it_with_1_and_its_last_words(
    capsys: pytest.CaptureFixture[str], program: str, script: str, what: str
) -> None:
    server = StdioServerParameters(command=program, args=["-c", script])
    assert demo.run(argparse.Namespace(yes=True), lambda _: server) == 1
    shown = capsys.readouterr()
    assert "failed at the connection to the server" in shown.err
    assert what in shown.err
    assert "1/9" not in shown.out
