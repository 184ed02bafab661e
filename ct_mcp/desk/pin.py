"""The person's PIN: set, and tried. Only what scrypt makes of it is kept, and it stands in no log, journal or error."""

import hashlib
import unicodedata
from datetime import datetime
from enum import StrEnum
from functools import partial
from hmac import compare_digest
from secrets import token_bytes

from anyio import to_thread

from ct_mcp.desk.ports import PinStore
from ct_mcp.errors import BadRequest
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.trading_state import PinLocked, StoredPin

SHORTEST, LONGEST = 4, 64
# 32 MiB and about a tenth of a second for each guess; kept beside each digest, so that they may grow later.
_COST, _BLOCK_SIZE, _PARALLEL = 2**15, 8, 1
_DIGEST_BYTES = 32


class PinAnswer(StrEnum):
    """What came of a try."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    NOT_SET = "not set"


async def pin_is_set(store: PinStore) -> bool:
    """Say whether there is one to ask for."""
    return await store.pin() is not None


async def set_pin(store: PinStore, pin: str, now: datetime, *, cost: int = _COST) -> None:
    """Keep a new PIN. Whoever calls this has asked for the old one first, where there was one.

    Raises:
        BadRequest: It is too short or too long, or holds what cannot be typed again.
    """
    if fault := unfit(pin):
        raise BadRequest(fault, next_step="choose another PIN")
    blank = StoredPin(token_bytes(16), cost, _BLOCK_SIZE, _PARALLEL, b"")
    digest = await to_thread.run_sync(_digest, pin, blank)
    await store.keep_pin(StoredPin(blank.salt, blank.cost, blank.block_size, blank.parallel, digest), now)


async def try_pin(store: PinStore, pin: str, now: datetime) -> PinAnswer:
    """Compare a PIN with the one that is set; too many wrong ones lock it.

    The try is counted in the store before it is compared, so that guesses side by side get no more tries than
    guesses one after another.
    """
    match await store.count_pin_try(now):
        case None:
            return PinAnswer.NOT_SET
        case PinLocked():
            return PinAnswer.LOCKED
        case StoredPin() as kept:  # pragma: no branch  # the set is closed
            if len(pin) <= LONGEST and compare_digest(await to_thread.run_sync(_digest, pin, kept), kept.digest):
                await store.forgive_pin_tries()
                return PinAnswer.RIGHT
    await store.append(NewEntry(EntryKind.PIN_WRONG, "A wrong PIN was typed", detail={"what": "wrong"}), now)
    return PinAnswer.WRONG


def unfit(pin: str) -> str:
    """Why this cannot be a PIN; nothing where it can. Never repeats it."""
    if not SHORTEST <= len(pin) <= LONGEST:
        return f"a PIN has {SHORTEST} to {LONGEST} characters"
    if not pin.isprintable() or pin != pin.strip():
        return "a PIN holds no hidden characters, and no blanks at its ends"
    return ""


def _digest(pin: str, kept: StoredPin) -> bytes:
    # The same letters, composed or not: a browser and a terminal may differ in that.
    letters = unicodedata.normalize("NFC", pin).encode("utf-8", "surrogatepass")
    make = partial(hashlib.scrypt, letters, salt=kept.salt, n=kept.cost, r=kept.block_size, p=kept.parallel)
    return make(maxmem=2 * 128 * kept.cost * kept.block_size * kept.parallel, dklen=_DIGEST_BYTES)
