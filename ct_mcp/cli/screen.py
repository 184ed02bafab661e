"""What a tour is shown on: colours and progress at a terminal, plain text elsewhere, ASCII where that alone is sure."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

_INDENT = "    "
_WIDEST = 100
_CLEAR_LINE = "\r\x1b[2K"
_COLOURS = {"bold": "1", "quiet": "2", "good": "32", "bad": "31", "person": "33", "quoted": "36"}


@dataclass(frozen=True, slots=True)
class Marks:
    """The few signs beyond letters."""

    good: str
    bad: str
    bar: str
    more: str


DRAWN = Marks("✓", "✗", "│", "…")
TYPED = Marks("ok:", "no:", "|", "...")


class Screen:
    """Writes for a person. ``live`` may rewrite its last line; ``colours`` may be off all the same."""

    def __init__(self, out: TextIO, *, live: bool = False, colours: bool = False, width: int = 80) -> None:
        self._out = out
        self._live = live
        self._colours = colours
        self._width = min(max(width, 40), _WIDEST)
        self._waiting = False
        self.marks = TYPED

    @classmethod
    def on(cls, out: TextIO, environ: Mapping[str, str], *, windows: bool = sys.platform == "win32") -> "Screen":
        """Choose by what this output is and by what the environment asks for."""
        live = out.isatty() and environ.get("TERM") != "dumb" and _takes_escapes()
        colours = live and not environ.get("NO_COLOR")
        screen = cls(out, live=live, colours=colours, width=shutil.get_terminal_size().columns)
        # The older Windows console shows a box for each sign that its one font lacks.
        if _can_write(out, DRAWN) and not (windows and "WT_SESSION" not in environ):
            screen.marks = DRAWN
        return screen

    def say(self, text: str = "", style: str = "", *, indent: str = "", hanging: int = 0) -> None:
        """Write a paragraph, broken at the width of the screen."""
        further = indent + " " * hanging
        lines = textwrap.wrap(text, self._width - 1, initial_indent=indent, subsequent_indent=further) or [""]
        for line in lines:
            self.verbatim(line, style)

    def verbatim(self, line: str, style: str = "") -> None:
        """Write one line as it is, so that it can be copied."""
        cleared = _CLEAR_LINE if self._waiting else ""
        self._waiting = False
        print(cleared + self._styled(line, style), file=self._out, flush=True)

    def detail(self, text: str, style: str = "") -> None:
        """Write what belongs to a step."""
        self.say(text, style, indent=_INDENT)

    def quote(self, lines: Iterable[str], style: str = "quoted", *, rows: int = 2) -> None:
        """Write what somebody else said, marked as theirs, and no more than so many rows of each of its lines."""
        bar = f"{_INDENT}{self.marks.bar} "
        for line in lines:
            for part in self._broken(line, self._width - 1 - len(bar), rows):
                self.verbatim(self._styled(bar, style) + part)

    def good(self, text: str) -> None:
        """Write what was found to be so."""
        self._marked(self.marks.good, text, "good")

    def bad(self, text: str) -> None:
        """Write what was not to be."""
        self._marked(self.marks.bad, text, "bad")

    def wait(self, text: str) -> None:
        """Show that something is on its way, until the next line; nothing where a line cannot be rewritten."""
        if self._live:
            print(self._styled(f"{_INDENT}{text} {self.marks.more}", "quiet"), end="", file=self._out, flush=True)
            self._waiting = True

    def _marked(self, mark: str, text: str, style: str) -> None:
        self.say(f"{mark} {text}", style, indent=_INDENT, hanging=len(mark) + 1)

    def _broken(self, line: str, room: int, rows: int) -> list[str]:
        if len(line) <= room:
            return [line]
        return textwrap.wrap(
            line, room, max_lines=rows, placeholder=f" {self.marks.more}", subsequent_indent="  ", tabsize=2
        )

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self._colours and style else text


def _can_write(out: TextIO, marks: Marks) -> bool:
    try:
        "".join((marks.good, marks.bad, marks.bar, marks.more)).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _takes_escapes() -> bool:
    """Windows consoles take escape sequences once they are asked to; elsewhere every terminal does."""
    if sys.platform != "win32":
        return True
    import ctypes

    kernel = ctypes.windll.kernel32
    console, mode = kernel.GetStdHandle(-11), ctypes.c_uint32()
    return bool(kernel.GetConsoleMode(console, ctypes.byref(mode)) and kernel.SetConsoleMode(console, mode.value | 4))
