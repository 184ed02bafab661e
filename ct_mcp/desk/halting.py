"""Halts trading by itself when too much goes wrong at once: many denials, or several proposals that were declined.

What an assistant does that is told no again and again is not trading any more; the person looks, and resumes.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from ct_mcp.desk.ports import Store
from ct_mcp.domain.ticket import Halt
from ct_mcp.store.journal import Entry, EntryKind

DENIALS, DENIALS_WITHIN = 3, timedelta(minutes=5)
DECLINES, DECLINES_WITHIN = 2, timedelta(minutes=10)
WRONG_TEXT = "accepted without the right text"
"""What a suspicious entry says of an answer that was no answer; it counts as declined."""

# More than can pile up within the longer time: the third denial and the second decline halt already.
_LOOK_BACK = 30


def told(halt: Halt) -> str:
    """What the assistant is told whose denial was one too many."""
    return (
        f"TRADING_HALTED: by {halt.by}: {halt.reason}. Nothing opens or adds any more. Closing, flattening and "
        "cancelling still work. Only the person lifts it, with ct-mcp resume in a terminal of their own"
    )


async def halt_if_due(store: Store, now: datetime) -> Halt | None:
    """Halt trading if the journal says that it is time; gives the halt only where this call made it."""
    why = reason_to_halt(await store.noes(_LOOK_BACK), now)
    if not why:
        return None
    halt = Halt("guard", now, why)
    return halt if await store.set_halt(halt) else None


def reason_to_halt(newest_first: Sequence[Entry], now: datetime) -> str:
    """Why trading must halt, with figures; nothing where it need not. Whoever resumes begins afresh."""
    since = list(takewhile(lambda entry: entry.kind is not EntryKind.RESUMED, newest_first))
    denials = [entry for entry in since if entry.kind is EntryKind.DENIED and now - entry.at <= DENIALS_WITHIN]
    if len(denials) >= DENIALS:
        codes = ", ".join(dict.fromkeys(_code(entry) for entry in denials))
        return f"{len(denials)} denials within {_ago(denials, now)} ({DENIALS} within 5 min halt trading): {codes}"
    declined = [entry for entry in since if _was_declined(entry) and now - entry.at <= DECLINES_WITHIN]
    proposals = {entry.ticket_id: entry.summary for entry in declined}
    if len(proposals) >= DECLINES:
        summaries = ", ".join(proposals.values())
        count = f"{len(proposals)} proposals declined within {_ago(declined, now)}"
        return f"{count} ({DECLINES} within 10 min halt trading): {summaries}"
    return ""


def _was_declined(entry: Entry) -> bool:
    wrong_text = entry.kind is EntryKind.SUSPICIOUS and entry.detail.get("what") == WRONG_TEXT
    return wrong_text or entry.kind is EntryKind.DECLINED


def _code(entry: Entry) -> str:
    denials = entry.detail.get("denials")
    return str(denials[0]).split(":")[0] if isinstance(denials, list) and denials else "no reason given"


def _ago(entries: Sequence[Entry], now: datetime) -> str:
    """How long since the oldest; a clock that was set back since makes no time."""
    return f"{max(0.0, (now - entries[-1].at).total_seconds()):.0f} s"
