"""Takes the person's yes or no for a ticket, by whichever channel it came, and writes it down."""

from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest

from ct_mcp.desk.halting import WRONG_TEXT, halt_if_due
from ct_mcp.desk.ports import Store
from ct_mcp.desk.record import Record
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.store.journal import EntryKind

FORM = "form"
"""The channel that runs through the assistant's own client; a page and a terminal are places of the person's own."""

_BEYOND_A_FORM = frozenset({Approval.PAGE, Approval.PAGE_PIN})


class Decisions:
    """Only the text that the person was shown is a yes. A yes alone sends nothing."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._record = Record(store, clock)
        self._clock = clock

    async def take(self, ticket: Ticket, text: object, by: str) -> bool:
        """Take what was typed; anything but the right text declines the ticket, and is written down as suspicious."""
        if is_right(ticket, text):
            return await self.approve(ticket, by) or await self._is_approved(ticket)
        await self._record.ticket(EntryKind.SUSPICIOUS, ticket, {"by": by, "what": WRONG_TEXT})
        await self.decline(ticket, by)
        return False

    async def approve(self, ticket: Ticket, by: str) -> bool:
        """Approve it; False where it is no longer open, or asks for more than this channel is."""
        if by == FORM and ticket.approval in _BEYOND_A_FORM:
            return False
        approved = await self._store.approve_ticket(ticket.ticket_id, by, self._clock())
        if approved:
            await self._record.ticket(EntryKind.APPROVED, ticket, {"by": by})
        return approved

    async def _is_approved(self, ticket: Ticket) -> bool:
        """Say whether the same yes came by another channel before, and waits to be spent."""
        now = await self._store.ticket(ticket.ticket_id)
        return now is not None and now.state_at(self._clock()) is TicketState.APPROVED

    async def decline(self, ticket: Ticket, by: str) -> bool:
        """Decline it, so that it can never be spent; False where that was decided before.

        One declined too many halts trading: see `halt_if_due`.
        """
        declined = await self._store.decline_ticket(ticket.ticket_id, by, self._clock())
        if declined:
            await self._record.ticket(EntryKind.DECLINED, ticket, {"by": by})
        await halt_if_due(self._store, self._clock())
        return declined


def is_right(ticket: Ticket, text: object) -> bool:
    """Say whether this is the text that stands in the question; blanks and the case of letters do not matter."""
    given = " ".join(text.split()).casefold() if isinstance(text, str) else ""
    # Half a character, which a client may send, is a wrong text like any other.
    return compare_digest(given.encode("utf-8", "surrogatepass"), ticket.phrase.casefold().encode())
