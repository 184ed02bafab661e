"""``ct-mcp halt`` and ``ct-mcp resume``: the person stops all that opens or adds, on this machine, and lifts it again.

A halt holds in every server of this machine at once. Whoever lifts it first sees by whom, when and why it was set.
"""

import argparse

import anyio

from ct_mcp.cli.flags import other_store, was_used_lately, whose
from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.runtime import settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.team import say_if_team_halts
from ct_mcp.cli.terminal import lacks_terminal, read_line
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.approval import Halt
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command, local_and_utc, sanitize

_LONGEST_REASON = 200
_WORD = "resume"


def run(chosen: argparse.Namespace) -> int:
    """Halt: 0 halted now or before, 2 without a terminal."""
    if lacks_terminal("halt"):
        return 2
    reason = sanitize(chosen.reason.strip(), longest=_LONGEST_REASON) or "no reason given"
    settings = settings_for(chosen)
    anyio.run(_halt, store_of(settings), Screen.on_stdout(), reason, chosen)
    anyio.run(say_if_team_halts, settings, Screen.on_stdout())
    return 0


def run_resume(chosen: argparse.Namespace) -> int:
    """Lift the halt: 0 lifted or none there, 1 still halted, by the team as well, 2 without a terminal."""
    if lacks_terminal("resume"):
        return 2
    settings = settings_for(chosen)
    code = anyio.run(_resume, store_of(settings), Screen.on_stdout(), chosen)
    return 1 if anyio.run(say_if_team_halts, settings, Screen.on_stdout()) else code


def describe_halt(halt: Halt) -> str:
    """Say by whom, when and why."""
    reason = sanitize(halt.reason, longest=2 * _LONGEST_REASON)
    return f"by {sanitize(halt.by, longest=40)}, {local_and_utc(halt.at)}: {reason}"


async def _halt(store: SqlStore, screen: Screen, reason: str, chosen: argparse.Namespace) -> None:
    earlier = await store.halt()
    stands = await Controls(store, utc_now).halt(reason, Actor.TERMINAL)
    if stands == earlier:
        screen.say(f"Trading was halted before, {describe_halt(stands)}. That halt stands.", "person")
    else:
        screen.say("Trading is halted: nothing opens or adds any more, with whatever client or token.", "good")
    screen.say(f"Closing, flattening and cancelling still work. Lift it with {command('resume')}.")
    waiting = len(await store.open_tickets(utc_now()))
    if waiting:
        screen.say(f"Open proposals: {waiting}. None of them opens or adds while this stands, approved or not.")
    await store.close()
    await _tell_who_goes_on(chosen, screen)


async def _tell_who_goes_on(chosen: argparse.Namespace, screen: Screen) -> None:
    """Say where nothing is halted by this: a demo has a folder of its own."""
    with other_store(chosen) as store:
        if store is None:
            return
        if await store.halt() is None and await was_used_lately(store, utc_now()):
            screen.say(f"{whose(chosen)} is not halted by this: {command('halt')}", "person")
        await store.close()


async def _resume(store: SqlStore, screen: Screen, chosen: argparse.Namespace) -> int:
    try:
        halt = await store.halt()
        if halt is None:
            screen.say("Trading is not halted.")
            await _look_elsewhere(chosen, screen)
            return 0
        await _show(halt, store, screen)
        if await _is_wanted(store, screen) and await _lift(halt, store, screen):
            screen.say("Trading goes on, within the limits as before.", "good")
            screen.say("What was denied or declined so far no longer counts towards a halt.")
            return 0
        screen.say("Still halted.")
        return 1
    finally:
        await store.close()


async def _look_elsewhere(chosen: argparse.Namespace, screen: Screen) -> None:
    """Say where trading is halted: a demo has a folder of its own."""
    with other_store(chosen) as store:
        if store is None:
            return
        if await store.halt() is not None:
            screen.say(f"{whose(chosen)} is halted: {command('resume')}", "person")
        await store.close()


async def _show(halt: Halt, store: SqlStore, screen: Screen) -> None:
    screen.say(f"Trading is halted by {sanitize(halt.by, longest=40)}.", "person")
    screen.table([("since", local_and_utc(halt.at)), ("why", sanitize(halt.reason, longest=2 * _LONGEST_REASON))])
    screen.say()
    if tickets := await store.open_tickets(utc_now()):
        screen.say("Proposals that are open, and may be sent once approved:")
        _list([ticket.summary for ticket in tickets], screen)
    if unsettled := await store.unsettled():
        screen.say(f"Sent, and nobody knows what became of it ({command('journal', 'settle')}):", "bad")
        _list([entry.summary for entry in unsettled], screen)


def _list(summaries: list[str], screen: Screen) -> None:
    for summary in summaries:
        screen.say(sanitize(summary, longest=200), label="  ")
    screen.say()


async def _is_wanted(store: SqlStore, screen: Screen) -> bool:
    screen.say(f"To let the assistant trade again, type:  {_WORD}")
    screen.say("Anything else leaves it halted.")
    return await read_line() == _WORD and await confirm_pin(store, screen)


async def _lift(shown: Halt, store: SqlStore, screen: Screen) -> bool:
    """Lift the halt that was shown, and no other that came in its place meanwhile."""
    if await Controls(store, utc_now).resume(Actor.TERMINAL, shown):
        return True
    screen.say("It is no longer the halt that you were shown. Look again.", "bad")
    return False
