"""What is on its way or of unknown outcome in an account, beside an answer that says what the account holds. Pure.

An account that reads flat is not flat for good while an order of ours may still fill, of whatever process. It stands
alone, since the tools that only read say the same of what is outstanding.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ct_mcp.desk import remedies
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import fills_of, unread_exits
from ct_mcp.domain.instrument import Instrument
from ct_mcp.store.journal import Entry
from ct_mcp.text import sanitize, span

UNDER_WAY_SECONDS = 60.0
"""Longer than any request lives: what has not reached NinjaTrader by then never will."""


def line(entry: Entry, now: datetime) -> str:
    """Name one intent: what it was, its ticket, and how long ago it was sent."""
    age = span(max(0.0, (now - entry.at).total_seconds()))
    ticket = f"ticket {entry.ticket_id}, " if entry.ticket_id else ""
    return f"of unknown outcome, and may still take effect: {sanitize(entry.summary)} ({ticket}sent {age} ago)"


def may_arrive(entry: Entry, now: datetime, instrument: Instrument | None) -> bool:
    """Say whether it may still fill, in one instrument or any: what is older stands in the lists by now, or never will.

    What sends orders and does not say of which instrument may fill in each.
    """
    fills = [fill for fill in fills_of(entry.detail) if fill.signed_quantity]
    is_there = any(instrument in (None, fill.instrument) for fill in fills) or (entry.opens and not fills)
    is_there |= any(instrument is None or scope in (None, instrument) for scope in unread_exits([entry]))
    return is_there and (now - entry.at).total_seconds() < UNDER_WAY_SECONDS


def with_outstanding(
    outcome: Outcome,
    others: Iterable[Entry],
    now: datetime,
    instrument: Instrument | None,
    as_answered: Status = Status.ACCEPTED,
) -> Outcome:
    """Name the other intents of the account; flat is not said of an instrument where one of them may still fill.

    What is left to say then is what they answered to the write: that nothing was taken must not read as accepted.
    """
    others = tuple(others)
    coming = [entry for entry in others if may_arrive(entry, now, instrument)]
    outcome = replace(outcome, warnings=(*outcome.warnings, *(line(entry, now) for entry in others)))
    if not coming or not (outcome.status is Status.FLAT or outcome.position_after == 0):
        return outcome
    undo = (_taking_back(entry) for entry in coming if entry.opens and entry.own_id)
    summaries = ", ".join(f"{sanitize(entry.summary)} (ticket {entry.ticket_id})" for entry in coming)
    alarm = f"NOT FLAT FOR CERTAIN: it reads flat, and this may still fill: {summaries}"
    return replace(
        outcome,
        status=as_answered if outcome.status is Status.FLAT else outcome.status,
        alarm="; ".join(filter(None, (outcome.alarm, alarm))),
        next_step="; ".join(filter(None, (outcome.next_step, remedies.AWAIT, *undo))),
    )


def _taking_back(entry: Entry) -> str:
    """Cancel by the id that we gave it, which most orders keep."""
    which = f"account {remedies.named(entry.account or '')}, order_id {remedies.named(entry.own_id or '')}"
    return f"if the person wants to take it back: cancel_order with {which}"
