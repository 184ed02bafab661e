"""``ct-mcp pin``: the person sets or changes their PIN; and how other commands ask for it."""

import argparse

import anyio

from ct_mcp.cli.runtime import settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import lacks_terminal, read_secret
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.desk.pin import LONGEST, SHORTEST, PinAnswer, pin_is_set, unfit
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command

_REFUSALS = {
    PinAnswer.WRONG: "That is not the PIN.",
    PinAnswer.LOCKED: "Too many wrong PINs: it is locked until a quarter of an hour after the last.",
    PinAnswer.NOT_SET: f"This asks for a PIN, and none is set: set one with {command('pin')}, then try again.",
}


def run(chosen: argparse.Namespace) -> int:
    """Set it: 0 done, 1 not done, 2 without a terminal."""
    if lacks_terminal("pin"):
        return 2
    return anyio.run(_pin, store_of(settings_for(chosen)), Screen.on_stdout())


async def _pin(store: SqlStore, screen: Screen) -> int:
    try:
        return 0 if await _changed(store, screen) else 1
    finally:
        await store.close()


async def _changed(store: SqlStore, screen: Screen) -> bool:
    known = await pin_is_set(store)
    if known and await ask_pin(store, screen, "The PIN as it is: ") is not PinAnswer.RIGHT:
        screen.say("The PIN is as it was.")
        return False
    new = read_secret(f"The new PIN, {SHORTEST} to {LONGEST} characters, not shown: ")
    if fault := unfit(new):
        screen.say(f"That cannot be a PIN: {fault}. No PIN was set.", "bad")
        return False
    if read_secret("Once more: ") != new:
        screen.say("These were not the same. No PIN was set.", "bad")
        return False
    await Controls(store, utc_now).set_pin(new, Actor.TERMINAL)
    what = "changed" if known else "set"
    screen.say(f"The PIN is {what}. Only its scrypt digest is kept; nobody can tell you what it was.", "good")
    if not known:
        screen.say(f"{command('arm')}, resume and journal settle ask for it, and so does each order")
        screen.say('where the settings say approval = "page_pin".')
    return True


async def ask_pin(store: SqlStore, screen: Screen, prompt: str = "PIN: ") -> PinAnswer:
    """Ask once, and say what is wrong with the answer."""
    answer = PinAnswer.NOT_SET
    if await pin_is_set(store):
        answer = await Controls(store, utc_now).try_pin(read_secret(prompt))
    if answer is not PinAnswer.RIGHT:
        screen.say(_REFUSALS[answer], "bad")
    return answer


async def confirm_pin(store: SqlStore, screen: Screen, *, needed: bool = False) -> bool:
    """Ask for the PIN where one is set, or needed all the same; says whether all is well with it."""
    if not needed and not await pin_is_set(store):
        return True
    return await ask_pin(store, screen) is PinAnswer.RIGHT
