"""``ct-mcp journal export``: the journal for a spreadsheet or a program, every entry with its hash."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TextIO

from ct_mcp.cli.screen import Screen
from ct_mcp.store.codec import canonical, time_to_text
from ct_mcp.store.journal import Entry
from ct_mcp.store.journal_table import JournalQuery
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import harmless_cell

_NAMES = tuple("assistants_words" if field.name == "reason" else field.name for field in fields(Entry))


@dataclass(frozen=True, slots=True)
class Export:
    """How it is written, and where to; without an output to the terminal or pipe."""

    format: str
    output: str | None
    force: bool


async def export(store: SqlStore, _: Screen, how: Export, query: JournalQuery) -> int:
    """Write the entries: 0 written, 1 not."""
    entries = await store.search(query)
    return written(how, f"{len(entries)} entries", lambda out, end: _WRITERS[how.format](entries, out, end))


def written(how: Export, what: str, write: Callable[[TextIO, str], None]) -> int:
    """Write a file, or to stdout, and say on stderr what: 0 written, 1 not."""
    try:
        with _opened(how) as out:
            write(out, "\n" if how.output is None else "\r\n")
    except FileExistsError:
        print(f"{how.output} is there already; --force overwrites it", file=sys.stderr)
        return 1
    except OSError as error:
        if how.output is None:
            raise
        print(f"{how.output} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{what} written", file=sys.stderr)
    return 0


def _opened(how: Export) -> TextIO | nullcontext[TextIO]:
    if how.output is None:
        return nullcontext(sys.stdout)
    # The mark at the start is how a spreadsheet knows UTF-8 when it sees it.
    encoding = "utf-8-sig" if how.format == "csv" else "utf-8"
    return Path(how.output).open("w" if how.force else "x", encoding=encoding, newline="")


def _csv(entries: Sequence[Entry], out: TextIO, line_end: str) -> None:
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerow(_NAMES)
    writer.writerows([harmless_cell(value) for value in _values(entry)] for entry in entries)


def _jsonl(entries: Sequence[Entry], out: TextIO, _line_end: str) -> None:
    for entry in entries:
        row = dict(zip(_NAMES, _values(entry), strict=True)) | {"detail": entry.detail, "opens": entry.opens}
        out.write(json.dumps(row) + "\n")


def _values(entry: Entry) -> list[str | int | None]:
    written = {"at": time_to_text(entry.at), "kind": entry.kind.value, "detail": canonical(entry.detail)}
    return [written.get(field.name, getattr(entry, field.name)) for field in fields(Entry)]


_WRITERS: dict[str, Callable[[Sequence[Entry], TextIO, str], None]] = {"csv": _csv, "jsonl": _jsonl}
