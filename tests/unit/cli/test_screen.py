"""The screen: the same words everywhere, and never a letter that cannot be shown."""

import io

import pytest

from ct_mcp.cli.screen import DRAWN, TYPED, Screen

ESCAPE = "\x1b["


class Console(io.TextIOWrapper):
    """A terminal of a given encoding that keeps what was written."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    def shows(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


def tell_something(screen: Screen) -> None:
    screen.say("A heading", "bold")
    screen.wait("waiting")
    screen.quote(["SIM  Sim101"])
    screen.good("it happened")


def test_a_terminal_gets_colours_and_sees_that_it_waits() -> None:
    console = Console("utf-8")
    tell_something(Screen.on(console, {}, windows=False))
    assert f"{ESCAPE}1mA heading{ESCAPE}0m" in console.shows()
    assert f"waiting …{ESCAPE}0m\r{ESCAPE}2K" in console.shows()
    assert "✓ it happened" in console.shows()


def test_colours_can_be_switched_off() -> None:
    console = Console("utf-8")
    tell_something(Screen.on(console, {"NO_COLOR": "1"}, windows=False))
    assert "m" not in {part.lstrip("0123456789")[:1] for part in console.shows().split(ESCAPE)[1:]}
    assert "A heading\n" in console.shows()


@pytest.mark.parametrize("out", [io.StringIO(), Console("utf-8")], ids=["no terminal", "a dumb one"])
def test_elsewhere_there_is_plain_text_and_no_progress(out: io.StringIO | Console) -> None:
    tell_something(Screen.on(out, {"TERM": "dumb"}, windows=False))
    shown = out.shows() if isinstance(out, Console) else out.getvalue()
    assert ESCAPE not in shown
    assert "waiting" not in shown
    assert shown.splitlines()[0] == "A heading"


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_an_encoding_that_lacks_the_signs_gets_letters(encoding: str) -> None:
    console = Console(encoding)
    tell_something(Screen.on(console, {}, windows=False))
    assert "| " in console.shows()
    assert "ok: it happened" in console.shows()


def test_the_older_windows_console_gets_letters_and_the_newer_one_signs() -> None:
    assert Screen.on(Console("utf-8"), {}, windows=True).marks == TYPED
    assert Screen.on(Console("utf-8"), {"WT_SESSION": "1"}, windows=True).marks == DRAWN


def test_no_line_is_wider_than_the_screen_but_what_is_to_be_copied() -> None:
    out = io.StringIO()
    screen = Screen(out, width=60)
    screen.say("word " * 40)
    screen.detail("word " * 40)
    screen.good("word " * 40)
    screen.quote(["word " * 40])
    assert max(map(len, out.getvalue().splitlines())) < 60
    screen.verbatim("word " * 40)
    assert len(out.getvalue().splitlines()[-1]) == 200


def test_a_quoted_line_takes_no_more_rows_than_allowed() -> None:
    out = io.StringIO()
    Screen(out, width=60).quote(["word " * 100, "short"], rows=2)
    first, second, third = out.getvalue().splitlines()
    assert first.startswith("    | word")
    assert second.endswith("...")
    assert third == "    | short"
