"""``ct-mcp resume``: the person sees who halted trading, when and why, and lifts it."""

import argparse

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.halt import BY, told
from ct_mcp.cli.moments import utc_now
from ct_mcp.cli.pin import passes_pin
from ct_mcp.cli.terminal import nobody_types, typed
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.ticket import Halt
from ct_mcp.store.sqlite import SqliteStore

_WORD = "resume"


def run(chosen: argparse.Namespace) -> int:
    """Lift the halt: 0 lifted or none there, 1 still halted, 2 without a terminal."""
    if nobody_types("resume"):
        return 2
    return anyio.run(_resume, SqliteStore(settings_for(chosen).state_dir))


async def _resume(store: SqliteStore) -> int:
    try:
        halt = await store.halt()
        if halt is None:
            print("Trading is not halted.")
            return 0
        await _show(halt, store)
        if await _wanted(store) and await _lifted(halt, store):
            print("Trading goes on, within the limits as before.")
            print("What was denied or declined so far no longer counts towards a halt.")
            return 0
        print("Still halted.")
        return 1
    finally:
        await store.close()


async def _show(halt: Halt, store: SqliteStore) -> None:
    print(f"Trading is halted {told(halt)}.\n")
    tickets, unsettled = await store.open_tickets(utc_now()), await store.unsettled()
    if tickets:
        print("Proposals that are open, and may be sent once approved:")
        print(*(f"  {cleaned(ticket.summary, longest=200)}" for ticket in tickets), sep="\n", end="\n\n")
    if unsettled:
        print("Sent, and nobody knows what became of it (ct-mcp journal settle):")
        print(*(f"  {cleaned(entry.summary, longest=200)}" for entry in unsettled), sep="\n", end="\n\n")


async def _wanted(store: SqliteStore) -> bool:
    print(f"To let the assistant trade again, type:  {_WORD}\nAnything else leaves it halted.")
    return await typed() == _WORD and await passes_pin(store)


async def _lifted(shown: Halt, store: SqliteStore) -> bool:
    """Lift the halt that was shown, and no other that came in its place meanwhile."""
    if await store.halt() != shown:
        print("It is no longer the halt that you were shown. Look again.")
        return False
    return await store.clear_halt(BY, utc_now())
