"""The screen that a person reads, drawn by rich: colours at a terminal, plain text elsewhere, ASCII where needed.

Only commands that talk to a person import it; the server never does. Nothing shown is read as markup, and every line
loses its control characters here, whoever wrote it, so that no word can repaint the terminal.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.control import Control
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from ct_mcp.text import BLANK_LETTERS

_INDENT = "    "
_NARROWEST, _WIDEST = 40, 100
_STYLES = {"bold": "bold", "quiet": "dim", "good": "green", "bad": "red", "person": "yellow", "quoted": "cyan"}
_CLEAR_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


@dataclass(frozen=True, slots=True)
class Marks:
    """The few signs beyond letters."""

    good: str
    bad: str
    bar: str
    more: str
    line: str


DRAWN = Marks("✓", "✗", "│", "…", "─")
TYPED = Marks("ok:", "no:", "|", "...", "-")


class Screen:
    """Writes for a person. ``live`` may rewrite its last line; ``colours`` may be off all the same."""

    def __init__(self, out: TextIO, *, live: bool = False, colours: bool = False, width: int = 80) -> None:
        self._live = live
        # One column stays free: some terminals break a line that fills the last one.
        self._width = min(max(width, _NARROWEST), _WIDEST) - 1
        self._console = _Console(
            file=out,
            width=self._width,
            force_terminal=live,
            color_system="standard" if colours else None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._waiting = False
        self.marks = TYPED

    @classmethod
    def on(cls, out: TextIO, environ: Mapping[str, str], *, windows: bool = sys.platform == "win32") -> "Screen":
        """Choose by what this output is and by what the environment asks for."""
        live = out.isatty() and environ.get("TERM") != "dumb"
        colours = live and not environ.get("NO_COLOR")
        screen = cls(out, live=live, colours=colours, width=shutil.get_terminal_size().columns)
        # The older Windows console shows a box for each sign that its one font lacks.
        if _can_write(out, DRAWN) and not (windows and "WT_SESSION" not in environ):
            screen.marks = DRAWN
        return screen

    @classmethod
    def on_stdout(cls) -> "Screen":
        """Write to the standard output of this process."""
        return cls.on(sys.stdout, os.environ)

    def say(self, text: str = "", style: str = "", *, label: str = "") -> None:
        """Write a paragraph, broken at the width of the screen; further lines stand below the text, not the label."""
        lines = self._wrapped(text, self._width - cell_len(label))
        for start, line in zip((label, *[" " * cell_len(label)] * len(lines)), lines, strict=False):
            self.verbatim(f"{start}{line}".rstrip(), style)

    def verbatim(self, line: str, style: str = "") -> None:
        """Write one line, never broken, so that it can be copied."""
        self._print(Text(_visible(line), _STYLES.get(style, "")), unbroken=True)

    def detail(self, text: str, style: str = "") -> None:
        """Write what belongs to a step."""
        self.say(text, style, label=_INDENT)

    def quote(self, lines: Iterable[str], style: str = "quoted", *, rows: int = 2) -> None:
        """Write what somebody else said, marked as theirs, and no more than so many rows of each of its lines."""
        bar = f"{_INDENT}{self.marks.bar} "
        for line in lines:
            for part in self._shortened(line, self._width - cell_len(bar), rows):
                self._print(Text.assemble((bar, _STYLES.get(style, "")), part), unbroken=True)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows in columns, each as wide as its widest cell; what does not fit is broken within its column."""
        grid = Table.grid(padding=(0, 2))
        for row in rows:
            grid.add_row(*(Text(_visible(cell)) for cell in row))
        self._print(Padding(grid, (0, 0, 0, len(_INDENT))))

    @contextmanager
    def panel(self, *, title: str, foot: str, style: str = "") -> Iterator[None]:
        """Write whatever the block writes between two rules, with a title and a foot in them.

        Nothing stands at the sides, so that what is to be typed can be copied.
        """
        self._rule(title, style)
        self.say()
        yield
        self.say()
        self._rule(foot, style)

    def _rule(self, text: str, style: str) -> None:
        drawn = _STYLES.get(style, "")
        self._print(Rule(Text(_visible(text), drawn), characters=self.marks.line, style=drawn))

    def good(self, text: str) -> None:
        """Write what was found to be so."""
        self.say(text, "good", label=f"{_INDENT}{self.marks.good} ")

    def bad(self, text: str) -> None:
        """Write what was not to be."""
        self.say(text, "bad", label=f"{_INDENT}{self.marks.bad} ")

    def ring(self) -> None:
        """Ring the bell: the person may be looking elsewhere."""
        self._console.bell()

    def wait(self, text: str) -> None:
        """Show that something is on its way, until the next line; nothing where a line cannot be rewritten."""
        if self._live:
            waiting = Text(f"{_INDENT}{text} {self.marks.more}", _STYLES["quiet"])
            self._console.print(waiting, end="", soft_wrap=True)
            self._waiting = True

    def _print(self, what: RenderableType, *, unbroken: bool = False) -> None:
        if self._waiting:
            self._console.control(_CLEAR_LINE)
            self._waiting = False
        self._console.print(what, soft_wrap=unbroken)

    def _wrapped(self, text: str, room: int) -> list[str]:
        """The lines of a paragraph by the cells that their letters take, of which some take two."""
        return [line.plain.rstrip() for line in Text(_visible(text)).wrap(self._console, room)]

    def _shortened(self, line: str, room: int, rows: int) -> list[str]:
        if cell_len(line) <= room:
            return [_visible(line)]
        first, *further = self._wrapped(line, room - 2)
        lines = [first, *(f"  {part}" for part in further)]
        if len(lines) <= rows:
            return lines
        last = Text(lines[rows - 1])
        last.truncate(room - cell_len(self.marks.more) - 1)
        return [*lines[: rows - 1], f"{last.plain} {self.marks.more}"]


class _Console(Console):
    """A console that leaves it to the command line what a reader that has gone away means."""

    def on_broken_pipe(self) -> NoReturn:
        """Let the error pass on."""
        raise  # noqa: PLE0704  # rich calls this while it handles the error


def _visible(text: str) -> str:
    """The text without what a terminal would obey or hide: control, format and private characters, blank letters."""
    plain = text.replace("\t", " ")
    return "".join(one for one in plain if unicodedata.category(one)[0] != "C" and one not in BLANK_LETTERS)


def _can_write(out: TextIO, marks: Marks) -> bool:
    try:
        "".join((marks.good, marks.bad, marks.bar, marks.more, marks.line)).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
