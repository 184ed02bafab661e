"""One table of one source: reads what is known, and names the place of every fault."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Reader = Callable[[Any], Any]
"""Takes what a source says and gives what we mean; the ValueError it raises says what was expected."""

_BARE_KEY = re.compile(r"\w+")
_LOGIN_OR_QUERY = re.compile(r"(?<=//)[^/]*@|(?<=\?).+", re.DOTALL)
_SECRET_WORDS = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values with the path that faults name: a TOML table, ``--`` for flags, ``CT_MCP_`` for variables."""

    path: str
    values: Mapping[str, Any]
    faults: list[str]

    def read(self, readers: Mapping[str, Reader], tables: Iterable[str] = ()) -> dict[str, Any]:
        """Every value that its reader accepts; ``tables`` are keys of this table that hold tables, read by others."""
        good = {}
        for key, value in self.values.items():
            if key in readers:
                try:
                    good[key] = readers[key](value)
                except ValueError as expected:
                    self.fault(key, f"found {shown(value)}, expected {expected}")
            elif key not in tables:
                self.fault(key, self._unknown(key, [*readers, *tables]))
        return good

    def section(self, name: str) -> "Table":
        """The table under this key; empty where there is none."""
        value = self.values.get(name, {})
        if not isinstance(value, Mapping):
            self.fault(name, f"found {shown(value)}, expected a table")
            value = {}
        return Table(".".join(filter(None, (self.path, _key(name)))), value, self.faults)

    def fault(self, key: str, what: str) -> None:
        """Note what is wrong at one key."""
        self.faults.append(f"{self._place(key)}: {what}")

    def _place(self, key: str) -> str:
        return self._spelled(key) if self.path in ("", "--", "CT_MCP_") else f"[{self.path}] {_key(key)}"

    def _spelled(self, key: str) -> str:
        match self.path:
            case "--":
                return f"--{key.replace('_', '-')}"
            case "CT_MCP_":
                return f"CT_MCP_{key.upper()}"
            case _:
                return _key(key)

    def _unknown(self, key: str, known: list[str]) -> str:
        from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

        if _SECRET_WORDS.search(key):
            return "a token never stands here; set the environment variable CROSSTRADE_TOKEN"
        if near := get_close_matches(key, known, 1):
            return f"unknown key; did you mean {self._spelled(near[0])}?"
        return f"unknown key; known here are {', '.join(map(self._spelled, known))}"


def not_blank(texts: Mapping[str, str | None]) -> dict[str, str]:
    """Only the texts that say something, without the blanks around them."""
    return {name: text.strip() for name, text in texts.items() if text and text.strip()}


def shown(value: object) -> str:
    """A value as a fault repeats it: short, on one line, without anything that may be a login."""
    match value:
        case bool() | Decimal():
            return str(value).lower()[:60]
        case int() | float():
            return str(value) if abs(value) < 2**63 else "a number beyond 64 bits"
        case str():
            return _quoted(_LOGIN_OR_QUERY.sub("***", value))
        case list():
            return f"[{', '.join(map(shown, value[:5]))}{', ...' if len(value) > 5 else ''}]"
        case _:
            return "a table" if isinstance(value, Mapping) else "a date or time"


def _quoted(text: str) -> str:
    return '"' + repr(text[:60])[1:-1] + ("..." if len(text) > 60 else "") + '"'


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) and len(name) <= 60 else _quoted(name)
