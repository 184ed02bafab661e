"""``ct-mcp pin``: the person sets or changes their PIN; and the asking for it wherever a yes needs it."""

import argparse

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.moments import utc_now
from ct_mcp.cli.terminal import nobody_types, typed_unseen
from ct_mcp.desk.pin import LONGEST, SHORTEST, PinAnswer, PinStore, pin_is_set, set_pin, try_pin, unfit
from ct_mcp.store.sqlite import SqliteStore

_WHY_NOT = {
    PinAnswer.WRONG: "That is not the PIN.",
    PinAnswer.LOCKED: "Too many wrong PINs: it is locked until a quarter of an hour after the last.",
    PinAnswer.NOT_SET: "This asks for a PIN, and none is set: set one with ct-mcp pin, then try again.",
}


def run(chosen: argparse.Namespace) -> int:
    """Set it: 0 done, 1 not done, 2 without a terminal."""
    if nobody_types("pin"):
        return 2
    return anyio.run(_pin, SqliteStore(settings_for(chosen).state_dir))


async def _pin(store: SqliteStore) -> int:
    try:
        return 0 if await _changed(store) else 1
    finally:
        await store.close()


async def _changed(store: PinStore) -> bool:
    known = await pin_is_set(store)
    if known and await asked_for_pin(store, "The PIN as it is: ") is not PinAnswer.RIGHT:
        print("The PIN is as it was.")
        return False
    new = typed_unseen(f"The new PIN, {SHORTEST} to {LONGEST} characters, not shown: ")
    if fault := unfit(new):
        print(f"That cannot be a PIN: {fault}. No PIN was set.")
        return False
    if typed_unseen("Once more: ") != new:
        print("These were not the same. No PIN was set.")
        return False
    await set_pin(store, new, utc_now())
    print(
        f"The PIN is {'changed' if known else 'set'}. Only its scrypt digest is kept; nobody can tell you what it was."
    )
    if not known:
        print("It is asked for by ct-mcp arm, resume and journal settle, and for each order")
        print('where the settings say approval = "page_pin".')
    return True


async def asked_for_pin(store: PinStore, prompt: str = "PIN: ") -> PinAnswer:
    """Ask once, and tell what is wrong with the answer."""
    answer = PinAnswer.NOT_SET if not await pin_is_set(store) else await _tried(store, prompt)
    if answer is not PinAnswer.RIGHT:
        print(_WHY_NOT[answer])
    return answer


async def _tried(store: PinStore, prompt: str) -> PinAnswer:
    return await try_pin(store, typed_unseen(prompt), utc_now())


async def passes_pin(store: PinStore, *, needed: bool = False) -> bool:
    """Ask for the PIN where one is set, or needed all the same; says whether all is well with it."""
    if not needed and not await pin_is_set(store):
        return True
    return await asked_for_pin(store) is PinAnswer.RIGHT
