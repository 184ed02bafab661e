"""The flags that lead a command to the folder of one server, and the same command to the folder of another.

It stands alone, since the parser needs it before anything that takes time to import.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ct_mcp.errors import ConfigError
from ct_mcp.text import commands_carry

if TYPE_CHECKING:
    from ct_mcp.store.sql_store import SqlStore

_LATELY = timedelta(days=1)
_PLACES = ("config", "state_dir")


def flags_of(chosen: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the flags that a person must type, in a terminal of their own, to reach what a command was started for.

    A variable counts as well: it may be set for the server alone, by its client. A demo reads its settings from no
    variable.
    """
    demo = bool(getattr(chosen, "demo", False))
    flags = ["--demo"] if demo else []
    for name in _PLACES:
        variable = "" if demo and name == "config" else environ.get(f"CT_MCP_{name.upper()}", "")
        if given := (getattr(chosen, name, None) or "").strip() or variable.strip():
            flags += [f"--{name.replace('_', '-')}", as_word(str(Path(given).expanduser().absolute()))]
    return tuple(flags)


def as_word(text: str) -> str:
    """Quote a path, or what else is one word, for the shell of this machine."""
    return subprocess.list2cmdline([text]) if sys.platform == "win32" else shlex.quote(text)


@contextmanager
def other_store(chosen: argparse.Namespace) -> "Iterator[SqlStore | None]":
    """Open the folder of the demo where the other one was meant, and the other way round; None where there is none.

    Commands that are written while the block runs lead there.
    """
    from ct_mcp.cli.runtime import settings_for, store_of
    from ct_mcp.store.sqlite import FILE_NAME

    other = argparse.Namespace(**{**vars(chosen), "demo": not chosen.demo})
    with commands_carry(flags_of(other, os.environ)):
        try:
            settings = settings_for(other)
        except ConfigError:
            yield None
            return
        yield store_of(settings) if (settings.state_dir / FILE_NAME).is_file() else None


async def was_used_lately(store: "SqlStore", now: datetime) -> bool:
    """Say whether a server has written into a folder within the last day: one may run with it now."""
    return any(now - entry.at < _LATELY for entry in await store.entries(1))


def whose(chosen: argparse.Namespace) -> str:
    """Name the server of the other folder."""
    return "A server without --demo" if chosen.demo else "A demo server"
