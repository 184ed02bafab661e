"""Tickets: one proposed action, bound to what the person is shown, spent once, lapsing. And the halt."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ct_mcp.domain.action import Action


class Approval(StrEnum):
    """The least channel whose yes counts."""

    NONE = "none"
    FORM = "form"
    PAGE = "page"
    PAGE_PIN = "page_pin"


class TicketState(StrEnum):
    """The life of a ticket. A lapse is not stored: a ticket past its time is LAPSED whatever the row says."""

    OPEN = "open"
    APPROVED = "approved"
    SPENT = "spent"
    DECLINED = "declined"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One proposal.

    ``fingerprint`` is equal for identical actions; ``own_id`` is the order id that goes out with the order, fresh
    and never reused; ``phrase`` is what the person must type and stands only in the question made for the person.
    """

    ticket_id: str
    action: Action
    fingerprint: str
    own_id: str
    summary: str
    question: str
    phrase: str
    approval: Approval
    simulated: bool
    reason: str
    created_at: datetime
    expires_at: datetime
    state: TicketState = TicketState.OPEN
    decided_by: str = ""

    def state_at(self, now: datetime) -> TicketState:
        """Its state, with the lapse applied: an open or approved ticket lapses at ``expires_at``.

        One that was made in the future has lapsed too: the clock was set back, and nobody knows how old it is.
        """
        lives = self.created_at <= now < self.expires_at
        if self.state in (TicketState.OPEN, TicketState.APPROVED) and not lives:
            return TicketState.LAPSED
        return self.state


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading is halted: by whom, when and why. Only the person can lift it."""

    by: str
    at: datetime
    reason: str
