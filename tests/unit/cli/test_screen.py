"""The screen: the same words everywhere, and never a letter that cannot be shown."""

import io

import pytest
from rich.cells import cell_len

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


HOSTILE = "red \x1b[31m\x1b]0;title\x07 \x9b2J [bold red]markup[/] :boom: \u202e\u200b\u3164\u2800\x00 end"
HARMLESS = "red [31m]0;title 2J [bold red]markup[/] :boom:  end"


def test_no_word_can_repaint_the_terminal_or_act_as_markup() -> None:
    console = Console("utf-8")
    screen = Screen(console, live=True, width=80)
    screen.say(HOSTILE, label=f"{HOSTILE} ")
    screen.verbatim(HOSTILE)
    screen.quote([HOSTILE], rows=9)
    screen.table([(HOSTILE, HOSTILE)])
    with screen.panel(title=HOSTILE, foot=HOSTILE):
        screen.say(HOSTILE, label="  ")
    shown = console.shows()
    assert not {"\x1b", "\x07", "\x9b", "\x00", "\u202e", "\u200b", "\u3164", "\u2800"} & set(shown)
    assert shown.count("[bold red]markup[/]") + shown.count(":boom:") >= 12
    assert HARMLESS in shown.splitlines()


def test_letters_that_take_two_cells_are_counted_as_two() -> None:
    out = io.StringIO()
    screen = Screen(out, width=40)
    screen.say("日本" * 40, label="    ")
    screen.quote(["日本 " * 40], rows=3)
    screen.table([("日本", "日本 " * 40)])
    assert max(map(cell_len, out.getvalue().splitlines())) < 40


def test_further_lines_of_a_paragraph_stand_below_its_text() -> None:
    out = io.StringIO()
    Screen(out, width=60).say("word " * 20, label="  label  ")
    first, *further = out.getvalue().splitlines()
    assert first.startswith("  label  word")
    assert further
    assert all(line.startswith(" " * 9 + "word") for line in further)


def test_what_the_person_is_to_decide_stands_between_two_rules_and_can_be_copied() -> None:
    console = Console("utf-8")
    screen = Screen.on(console, {}, windows=False)
    with screen.panel(title="A proposal", foot="Expires in 87 s", style="bad"):
        screen.say("BUY 1 MES", label="  ")
        screen.say()
        screen.verbatim("  To send it, type:  K7QM")
    head, _, *lines, _, foot = console.shows().splitlines()
    assert lines == ["  BUY 1 MES", "", "  To send it, type:  K7QM"]
    assert "A proposal" in head
    assert "Expires in 87 s" in foot


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    out = io.StringIO()
    Screen(out).table([("kind", "LIVE"), ("connection", "Connected")])
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "    kind        LIVE",
        "    connection  Connected",
    ]


def test_a_reader_that_has_gone_away_is_told_to_the_caller() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Screen(Gone()).say("to nobody")
