"""Reads from the journal how the first exit of a ticket came out: the stop, where there is one.

It stands alone, since whoever keeps the exits decides on it and on nothing else that was said of them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from ct_mcp.desk.outcome import Status
from ct_mcp.desk.ports import Store
from ct_mcp.desk.story import story_of
from ct_mcp.desk.together import Part
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.duty import SENDING_SECONDS, DutyPart

OwnIds = tuple[str, ...]
"""Order ids of ours."""


class ExitState(Enum):
    """How the first exit of a part came out; NEVER_SENT has sent nothing, and never will."""

    STANDS = auto()
    SENDING = auto()
    NEVER_SENT = auto()
    REFUSED = auto()
    IN_DOUBT = auto()


@dataclass(frozen=True, slots=True)
class ExitPart:
    """One ticket of exits, as the journal tells it.

    ``unsent`` are our order ids of what was never written down as about to be sent.
    """

    part: DutyPart
    state: ExitState
    words: str = ""
    unsent: OwnIds = ()


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
    parts = [] if ticket is None else await _parts_of(store, ticket, now)
    unsent = tuple(own_id for own_id, each in parts if each is None)
    told = parts[0][1] if parts else None
    if told is None:
        is_young = abs((now - part.made_at).total_seconds()) < SENDING_SECONDS
        may_go = is_young and not is_void
        return ExitPart(part, ExitState.SENDING if may_go else ExitState.NEVER_SENT, "", unsent)
    if told.outcome is None:
        return ExitPart(part, ExitState.NEVER_SENT, told.why, unsent)
    words = "; ".join((told.outcome.status, *told.outcome.reasons))
    return ExitPart(part, _STATES.get(told.outcome.status, ExitState.IN_DOUBT), words, unsent)


async def _parts_of(store: Store, ticket: Ticket, now: datetime) -> list[tuple[str, Part | None]]:
    """Tell each command of a ticket by our order id of it."""
    story = await story_of(store, ticket)
    return [(ticket.own_id_of(number), story.part(number, now)) for number in range(len(ticket.commands))]
