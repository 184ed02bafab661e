"""``ct-mcp journal``: what was asked, decided, sent and answered. Reads need no token and disturb no server."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.moments import since_when, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import nobody_types
from ct_mcp.errors import ConfigError
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.searching import Wanted
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore

_Work = Callable[[SqliteStore], Awaitable[int]]


def run(chosen: argparse.Namespace) -> int:
    """List, or do what was asked of the journal; the codes stand in each help."""
    if chosen.asked == "settle" and nobody_types("journal settle"):
        return 2
    settings, work = settings_for(chosen), _work(chosen)
    if not (settings.state_dir / FILE_NAME).exists():
        print(f"There is no journal in {settings.state_dir} yet: no server has kept one there.", file=sys.stderr)
        return 0 if chosen.asked is None else 1
    return anyio.run(_worked, SqliteStore(settings.state_dir), work)


async def _worked(store: SqliteStore, work: _Work) -> int:
    try:
        return await work(store)
    finally:
        await store.close()


def _work(chosen: argparse.Namespace) -> _Work:
    match chosen.asked:
        case "why":
            from ct_mcp.cli.journal_why import tell_story

            return partial(tell_story, any_id=chosen.id, screen=_screen())
        case "verify":
            from ct_mcp.cli.journal_verify import verify

            return partial(verify, screen=_screen())
        case "export":
            from ct_mcp.cli.journal_export import Export, export

            return partial(export, how=Export(chosen.format, chosen.output, chosen.force), wanted=_wanted(chosen))
        case "settle":
            from ct_mcp.cli.journal_settle import settle

            return partial(settle, ticket_id=chosen.id, screen=_screen())
        case _:
            from ct_mcp.cli.journal_list import show_list

            return partial(show_list, wanted=_wanted(chosen), screen=_screen())


def _screen() -> Screen:
    return Screen.on(sys.stdout, os.environ)


def _wanted(chosen: argparse.Namespace) -> Wanted:
    """What the flags ask for.

    Raises:
        ConfigError: There is no such kind, or no such time.
    """
    kind = None
    if chosen.kind is not None:
        if chosen.kind not in list(EntryKind):
            raise ConfigError(f"--kind: found {chosen.kind[:40]!a}, expected one of {', '.join(EntryKind)}")
        kind = EntryKind(chosen.kind)
    since = since_when(chosen.since, utc_now()) if chosen.since is not None else None
    return Wanted(-1 if chosen.asked == "export" else chosen.limit, chosen.account, kind, since)
