"""Halts trading by itself when an assistant feels for a limit, or goes on proposing what the person does not want.

1. Denials count where one of their reasons is a limit of the operator: account, instrument, size, position, value,
   risk, loss, pace. A slip says nothing about limits: a malformed order, a price off tick, a stale quote, a closed
   market, a refused protection. Nor does what a watch or the keeper of exits tries by itself, under a yes of before.
2. A proposal counts that the person declined, or left unanswered until it expired. A wrong text in a form of the
   client's own does not: many clients fill forms by program. It does where the person's page was open as well.

The person looks, and resumes; then the counting begins afresh.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from ct_mcp.desk.ports import Store
from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.guard.denial import DenialCode
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import command

DENIALS, DENIALS_WITHIN = 3, timedelta(minutes=5)
DECLINES, DECLINES_WITHIN = 2, timedelta(minutes=10)
SLIP = "slip"
"""In the detail of an entry: true where it does not count. A wrong text was no answer of the person; nobody proposed
what was denied, since it is sent under a yes of before."""


class Suspicion(StrEnum):
    """What was suspicious about an answer; a wrong text was no answer and counts as declined."""

    WRONG_TEXT = "wrong text"
    LINK_USED_TWICE = "link used twice"


LIMITS = frozenset(
    {
        DenialCode.ACCOUNT_DAY_LOSS_REACHED,
        DenialCode.ACCOUNT_MINIS_EXCEED_MAXIMUM,
        DenialCode.ACCOUNT_MISMATCH,
        DenialCode.ACCOUNT_NOT_ARMED,
        DenialCode.ACCOUNT_NOT_ENABLED,
        DenialCode.ACCOUNT_NOT_NAMED,
        DenialCode.ACCOUNT_NOT_SIMULATED,
        DenialCode.ACCOUNT_ORDER_SIZE_EXCEEDED,
        DenialCode.ACCOUNT_POSITION_SIZE_EXCEEDED,
        DenialCode.ACCOUNT_SCALING_EXCEEDED,
        DenialCode.ACCOUNT_WEEK_LOSS_REACHED,
        DenialCode.DAY_LOSS_REACHED,
        DenialCode.DRAWDOWN_FLOOR_REACHED,
        DenialCode.INSTRUMENT_NOT_ALLOWED,
        DenialCode.MODE_READ_ONLY,
        DenialCode.NOTIONAL_EXCEEDS_MAXIMUM,
        DenialCode.OPPOSITE_POSITION,
        DenialCode.ORDERS_PER_DAY_REACHED,
        DenialCode.ORDERS_PER_MINUTE_REACHED,
        DenialCode.POSITION_EXCEEDS_MAXIMUM,
        DenialCode.PROFIT_LOCK_REACHED,
        DenialCode.QUANTITY_EXCEEDS_MAXIMUM,
        DenialCode.RISK_EXCEEDS_MAXIMUM,
    }
)
"""The codes of denials that say that a limit was met; all others are slips."""

# Slips pile up among what counts: more than anybody is denied within the longer time.
_LOOK_BACK = 500


def describe_halt(halt: Halt) -> str:
    """What the assistant is told whose denial was one too many."""
    return (
        f"TRADING_HALTED: by {halt.by}: {halt.reason}. Nothing opens or adds any more. Closing, flattening and "
        f"cancelling still work. Only the person lifts it, with {command('resume')} in a terminal of their own"
    )


async def halt_if_due(store: Store, now: datetime) -> Halt | None:
    """Halt trading if it is time; gives the halt only where this call made it. What is halted needs no second one."""
    unanswered = await store.unanswered_tickets(now - DECLINES_WITHIN, now)
    # Twice the longer time: whoever resumed before a proposal that has expired since is to be seen, too.
    recent = await store.refusals(_LOOK_BACK, now - 2 * DECLINES_WITHIN)
    why = reason_to_halt(recent, unanswered, now)
    if not why or await store.halt() is not None:
        return None
    halt = Halt("guard", now, why)
    return halt if await store.set_halt(halt) else None


def reason_to_halt(newest_first: Sequence[Entry], unanswered: Sequence[Ticket], now: datetime) -> str:
    """Why trading must halt, with figures; nothing where it need not. Whoever resumes begins afresh."""
    since = list(takewhile(lambda entry: entry.kind is not EntryKind.RESUMED, newest_first))
    resumed_at = newest_first[len(since)].at if len(since) < len(newest_first) else None
    return _too_many_denials(since, now) or _too_many_declined(
        since, [ticket for ticket in unanswered if resumed_at is None or ticket.created_at > resumed_at], now
    )


def _too_many_denials(since: Sequence[Entry], now: datetime) -> str:
    denials = [entry for entry in since if _meets_a_limit(entry) and now - entry.at <= DENIALS_WITHIN]
    if len(denials) < DENIALS:
        return ""
    codes = ", ".join(dict.fromkeys(code for entry in denials for code in _codes(entry) if code in LIMITS))
    ago = _ago([entry.at for entry in denials], now)
    return f"{len(denials)} denials within {ago} ({DENIALS} within 5 min halt trading): {codes}"


def _too_many_declined(since: Sequence[Entry], unanswered: Sequence[Ticket], now: datetime) -> str:
    declined = [entry for entry in since if _was_declined(entry) and now - entry.at <= DECLINES_WITHIN]
    proposals = {entry.ticket_id: entry.summary for entry in declined}
    proposals |= {ticket.ticket_id: ticket.summary for ticket in unanswered}
    if len(proposals) < DECLINES:
        return ""
    ago = _ago([*(entry.at for entry in declined), *(ticket.expires_at for ticket in unanswered)], now)
    how = "declined or left unanswered" if unanswered else "declined"
    count = f"{len(proposals)} proposals {how} within {ago}"
    return f"{count} ({DECLINES} within 10 min halt trading): {', '.join(proposals.values())}"


def _meets_a_limit(entry: Entry) -> bool:
    is_proposal = entry.kind is EntryKind.DENIED and not entry.detail.get(SLIP)
    return is_proposal and not LIMITS.isdisjoint(_codes(entry))


def _was_declined(entry: Entry) -> bool:
    wrong_text = entry.kind is EntryKind.SUSPICIOUS and entry.detail.get("suspicion") == Suspicion.WRONG_TEXT
    return (wrong_text or entry.kind is EntryKind.DECLINED) and not entry.detail.get(SLIP)


def _codes(entry: Entry) -> list[str]:
    codes = entry.detail.get("codes")
    return [str(code) for code in codes] if isinstance(codes, list) else []


def _ago(times: Sequence[datetime], now: datetime) -> str:
    """How long since the oldest; a clock that was set back since makes no time."""
    return f"{max(0.0, (now - min(times)).total_seconds()):.0f} s"
