"""``ct-mcp disarm``: the person ends the arming of an account, or of all, before its time."""

import argparse

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.halt import BY
from ct_mcp.cli.moments import here_and_utc, utc_now
from ct_mcp.cli.terminal import nobody_types
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.store.sqlite import SqliteStore


def run(chosen: argparse.Namespace) -> int:
    """Disarm: 0 disarmed, or not armed before; 2 without a terminal."""
    if nobody_types("disarm"):
        return 2
    anyio.run(_disarm, SqliteStore(settings_for(chosen).state_dir), chosen.account)
    return 0


async def _disarm(store: SqliteStore, account: str | None) -> None:
    armed = await store.armings(utc_now())
    for name in [account] if account is not None else armed:
        ended = await store.disarm(name, BY, utc_now())
        shown = cleaned(name, longest=80)
        print(f"{shown} is disarmed: nothing opens or adds there; exits still work." if ended else _not_armed(shown))
    left = await store.armings(utc_now())
    if left:
        print("Still armed:")
        print(*(f"  {cleaned(name, longest=80)} until {here_and_utc(until)}" for name, until in left.items()), sep="\n")
    elif account is None and not armed:
        print("No account is armed.")
    await store.close()


def _not_armed(name: str) -> str:
    return f"{name} was not armed. A name counts only exactly as it was armed."
