"""``ct-mcp halt``: the person stops everything that opens or adds, in every server of this machine, at once."""

import argparse

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.moments import here_and_utc, utc_now
from ct_mcp.cli.terminal import nobody_types
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.ticket import Halt
from ct_mcp.store.sqlite import SqliteStore

BY = "the person"
_LONGEST_REASON = 200


def run(chosen: argparse.Namespace) -> int:
    """Halt: 0 halted now or before, 2 without a terminal."""
    if nobody_types("halt"):
        return 2
    reason = cleaned(chosen.reason.strip(), longest=_LONGEST_REASON) or "no reason given"
    anyio.run(_halt, SqliteStore(settings_for(chosen).state_dir), reason)
    return 0


async def _halt(store: SqliteStore, reason: str) -> None:
    new = await store.set_halt(Halt(BY, utc_now(), reason))
    if not new and (standing := await store.halt()):
        print(f"Trading was halted before, {told(standing)}. That halt stands.")
    else:
        print("Trading is halted: nothing opens or adds any more, with whatever client.")
    print("Closing, flattening and cancelling still work. Lift it with ct-mcp resume.")
    waiting = len(await store.open_tickets(utc_now()))
    if waiting:
        print(f"Open proposals: {waiting}. None of them opens or adds while this stands, approved or not.")
    await store.close()


def told(halt: Halt) -> str:
    """By whom, when and why."""
    reason = cleaned(halt.reason, longest=2 * _LONGEST_REASON)
    return f"by {cleaned(halt.by, longest=40)}, {here_and_utc(halt.at)}: {reason}"
