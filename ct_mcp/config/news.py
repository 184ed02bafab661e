"""The calendar of news that the operator keeps: a dated file, read at the start, with every faulty line named.

    # covers until 2026-12-31
    time,zone,name,roots
    2026-12-09 14:00,America/New_York,FOMC,
    2026-12-04 08:30,America/New_York,NFP,ES NQ GC

The first line says up to which day the file is complete. Nothing after that day counts as a day without news.
"""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ct_mcp.config.faults import shown
from ct_mcp.config.sources import untrusted
from ct_mcp.config.values import root
from ct_mcp.guard.firm_policy import NewsCalendar, NewsEvent

_COVERS = re.compile(r"#\s*covers until (\d{4}-\d{2}-\d{2})\s*", re.ASCII)
_HEADER = ["time", "zone", "name", "roots"]
_LARGEST = 1_000_000
# A slip, and at the ends of what there is neither a zone nor a window of minutes can be reckoned.
_YEARS = range(2000, 2101)


def read_calendar(file: Path, faults: list[str]) -> NewsCalendar | None:
    """Read a calendar; None where it has a fault, which is told."""
    try:
        faults_of_others = list(untrusted([file]))
        if file.stat().st_size > _LARGEST:
            faults.append(f"{file}: is larger than a calendar of news can be")
            return None
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{file}: cannot be read as a text file: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        return None
    found = [*faults_of_others, *(f"{file}: {fault}" for fault in _faults_of(lines))]
    faults.extend(found)
    return None if found else NewsCalendar(_covered(lines[0]), tuple(map(_event, lines[2:])))


def _faults_of(lines: list[str]) -> Iterator[str]:
    try:
        _covered(lines[0] if lines else "")
    except ValueError:
        yield 'line 1: expected up to which day it is complete, as "# covers until 2026-12-31"'
    if len(lines) < 2 or [cell.strip() for cell in lines[1].split(",")] != _HEADER:
        yield f"line 2: expected {','.join(_HEADER)}"
        return
    for number, line in enumerate(lines[2:], start=3):
        try:
            _event(line)
        except (ValueError, KeyError, OSError, csv.Error):
            example = "2026-12-09 14:00,America/New_York,FOMC,ES NQ"
            yield f"line {number}: found {shown(line)}, expected time, zone, name and roots, such as {example}"


def _covered(line: str) -> date:
    found = _COVERS.fullmatch(line)
    if found is None:
        raise ValueError
    return date.fromisoformat(found[1])


def _event(line: str) -> NewsEvent:
    """Read one line by itself: a quotation mark that is left open takes no other line with it."""
    at, zone, name, roots = (cell.strip() for row in csv.reader([line]) for cell in row)
    moment = datetime.strptime(at, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(zone))
    if not name or moment.year not in _YEARS:
        raise ValueError
    return NewsEvent(moment.astimezone(UTC), name, frozenset(map(root, roots.split())))
