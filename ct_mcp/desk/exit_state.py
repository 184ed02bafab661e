"""Reads from the journal how the first exit of a ticket came out: the stop, where there is one.

It stands alone, since whoever keeps the exits decides on it and on nothing else that was said of them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from ct_mcp.desk.outcome import Status
from ct_mcp.desk.ports import Store
from ct_mcp.desk.story import story_of
from ct_mcp.domain.duty import SENDING_SECONDS, DutyPart


class ExitState(Enum):
    """How the first exit of a part came out; NEVER_SENT has sent nothing, and never will."""

    STANDS = auto()
    SENDING = auto()
    NEVER_SENT = auto()
    REFUSED = auto()
    IN_DOUBT = auto()


@dataclass(frozen=True, slots=True)
class ExitPart:
    """One ticket of exits, as the journal tells it."""

    part: DutyPart
    state: ExitState
    words: str = ""


_STATES = {
    Status.WORKING: ExitState.STANDS,
    Status.FILLED: ExitState.STANDS,
    Status.CHANGED: ExitState.STANDS,
    Status.REJECTED: ExitState.REFUSED,
    Status.CANCELLED: ExitState.REFUSED,
}


async def read_part(store: Store, part: DutyPart, now: datetime, *, is_void: bool) -> ExitPart:
    """Read one; ``is_void`` says that whoever made it knows that nothing of it was sent."""
    ticket = await store.ticket(part.ticket_id)
    told = None if ticket is None else (await story_of(store, ticket)).part(0, now)
    if told is None:
        is_young = abs((now - part.made_at).total_seconds()) < SENDING_SECONDS
        may_go = is_young and not is_void
        return ExitPart(part, ExitState.SENDING if may_go else ExitState.NEVER_SENT)
    if told.outcome is None:
        return ExitPart(part, ExitState.NEVER_SENT, told.why)
    words = "; ".join((told.outcome.status, *told.outcome.reasons))
    return ExitPart(part, _STATES.get(told.outcome.status, ExitState.IN_DOUBT), words)
