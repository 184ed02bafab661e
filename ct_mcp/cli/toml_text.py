"""Edit one entry of a TOML text that a person keeps, as Codex reads it: whatever else stands there stays as it is.

The places to cut are not found by reading TOML a second time. Each edit is tried on lines that may be meant, and
counts only where the result, read by `tomllib`, says exactly what was said before and what was wished. A text that no
such edit fits is refused.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ct_mcp.cli.json_text import UnreadableText

_LONGEST_VALUE_LINES = 60


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableText(f"it is not valid TOML: {error}") from None


def entries(text: str, box: str) -> dict[str, Any]:
    """Give the servers that a text names, under the key that its client reads; empty where there are none."""
    found = _read(text).get(box, {})
    if not isinstance(found, dict):
        raise UnreadableText(f"{box} is no table")
    return found


def put(text: str, box: str, name: str, entry: Mapping[str, Any]) -> str:
    """Write an entry into a text; of one that is there only the members that differ are changed."""
    there = entries(text, box).get(name)
    if there is None:
        return _append(text, box, name, entry)
    if not isinstance(there, dict):
        raise UnreadableText(f"{box}.{name} is no table")
    for key, value in entry.items():
        if there.get(key) != value:
            text = _put_member(text, (box, name), key, value)
    return text


def _append(text: str, box: str, name: str, entry: Mapping[str, Any]) -> str:
    newline, wished = _newline(text), _read(text)
    wished.setdefault(box, {})[name] = dict(entry)
    lines = [f"[{box}.{_key(name)}]", *(f"{key} = {_value(value)}" for key, value in entry.items())]
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return _first_that_says(wished, iter([text + gap + newline.join(lines) + newline]))


def _put_member(text: str, path: tuple[str, str], key: str, value: Any) -> str:
    wished = _read(text)
    wished[path[0]][path[1]][key] = value
    return _first_that_says(wished, _with_member(text, f"{key} = {_value(value)}"))


def _with_member(text: str, line: str) -> Iterator[str]:
    """Offer the line in place of each that sets the same key, then behind each header of a table."""
    lines, written = text.splitlines(keepends=True), line + _newline(text)
    key = line.partition(" ")[0]
    for start, first in enumerate(lines):
        if first.lstrip().startswith(key):
            for end in range(start + 1, min(start + _LONGEST_VALUE_LINES, len(lines)) + 1):
                kept = _comment(text, lines, end - 1)
                yield "".join([*lines[:start], f"{line}  {kept}" if kept else written, *lines[end:]])
    for at, header in enumerate(lines, 1):
        if header.lstrip().startswith("["):
            yield "".join([*lines[:at], written, *lines[at:]])


def _comment(text: str, lines: list[str], at: int) -> str:
    """Give the comment that ends a line: what may be left out without anything being said otherwise."""
    line, said = lines[at], _read(text)
    for start in (place for place, sign in enumerate(line) if sign == "#"):
        without = "".join([*lines[:at], line[:start], "\n", *lines[at + 1 :]])
        if _says(without, said):
            return line[start:]
    return ""


def take(text: str, box: str, name: str) -> str:
    """Take the table of an entry out, with what belongs to it; comments behind it stay."""
    wished = _read(text)
    if name not in entries(text, box):
        return text
    del wished[box][name]
    try:
        return _first_that_says(wished, _without_table(text, box, name))
    except UnreadableText:
        if wished[box]:
            raise
        del wished[box]  # it was the only one, and what held it goes with it
        return _first_that_says(wished, _without_table(text, box, name))


def _without_table(text: str, box: str, name: str) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    for start, header in enumerate(lines):
        if not (header.lstrip().startswith("[") and box in header and name in header):
            continue
        for end in range(start + 1, len(lines) + 1):
            is_last = end == len(lines) and start > 0 and not lines[start - 1].strip()
            yield "".join([*lines[: start - is_last], *lines[end:]])


def _first_that_says(wished: Mapping[str, Any], candidates: Iterator[str]) -> str:
    found = next((candidate for candidate in candidates if _says(candidate, wished)), None)
    if found is None:
        raise UnreadableText("the servers are written in a form that cannot be edited without writing it anew")
    return found


def _says(text: str, wished: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wished
    except (ValueError, RecursionError):
        return False


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else json.dumps(name)


def _value(value: Any) -> str:
    """Write texts, numbers and lists of them, whose JSON is TOML as well but for one sign."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
