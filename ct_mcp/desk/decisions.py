"""Takes the person's yes or no for a ticket, by whichever channel it came, and writes it down."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hmac import compare_digest

from ct_mcp.desk.circuit_breaker import SLIP, Suspicion, halt_if_due
from ct_mcp.desk.journal_writer import JournalWriter
from ct_mcp.desk.ports import Store
from ct_mcp.desk.story import story_of
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.store.journal import EntryKind
from ct_mcp.text import format_price

FORM = "form"
"""The channel that runs through the assistant's own client; a page and a terminal are places of the person's own."""

_BEYOND_A_FORM = frozenset({Approval.PAGE, Approval.PAGE_PIN})


class Decisions:
    """Only the text that the person was shown is a yes. A yes alone sends nothing."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._journal = JournalWriter(store, clock)
        self._clock = clock

    async def take(self, ticket: Ticket, text: object, by: str, *, page_was_open: bool = False) -> bool:
        """Take what was typed; anything but the right text declines the ticket, and is written down as suspicious.

        In a form it is a slip of the client, unless the person had the ticket's page before them as well.
        """
        if is_right(ticket, text):
            return await self.approve(ticket, by) or await self._is_approved(ticket)
        what = {"suspicion": Suspicion.WRONG_TEXT, "what": "accepted without the right text"}
        wrong = {"by": by, **what, SLIP: by == FORM and not page_was_open}
        await self._journal.ticket(EntryKind.SUSPICIOUS, ticket, wrong)
        await self._decline(ticket, wrong)
        return False

    async def approve(self, ticket: Ticket, by: str) -> bool:
        """Approve it; False where it is no longer open, or asks for more than this channel is."""
        if by == FORM and ticket.approval in _BEYOND_A_FORM:
            return False
        return await self._store.approve_ticket(ticket.ticket_id, by, self._clock())

    async def _is_approved(self, ticket: Ticket) -> bool:
        """Say whether the same yes came by another channel before, and waits to be spent."""
        now = await self._store.ticket(ticket.ticket_id)
        return now is not None and now.state_at(self._clock()) is TicketState.APPROVED

    async def decline(self, ticket: Ticket, by: str) -> bool:
        """Decline it, so that it can never be spent; False where that was decided before.

        One declined too many halts trading: see `halt_if_due`.
        """
        return await self._decline(ticket, {"by": by})

    async def too_late(self, ticket: Ticket) -> str:
        """Say what became of a ticket to whoever answers it when it takes no answer any more.

        It is read anew: what was approved in time may have been sent since, however long ago its time ran out.
        """
        now = await self._store.ticket(ticket.ticket_id) or ticket
        by = now.decided_by or "another channel"
        match now.state_at(self._clock()):
            case TicketState.OPEN:
                return "It is still open."
            case TicketState.APPROVED:
                return f"It was approved before, by {by}. Your answer changes nothing."
            case TicketState.DECLINED:
                return f"Too late: it was declined before, by {by}. Nothing of it was sent, or can be."
            case TicketState.EXPIRED:
                return "Too late: it has expired, and nothing was sent. The assistant may propose it again."
            case TicketState.SPENT:  # pragma: no branch  # the set is closed
                return f"Too late: it was approved before, by {by}, and handed over. {await self._end_of(now)}"

    async def _end_of(self, spent: Ticket) -> str:
        story, now = await story_of(self._store, spent), self._clock()
        if story.is_under_way(now):
            return "It is just being sent."
        told = story.outcome(now)
        filled = f", {told.filled_quantity} at {format_price(told.average_fill_price)}" if told.filled_quantity else ""
        return f"What is known of it{f' {told.as_of}' if told.as_of else ''}: {told.status}{filled}."

    async def _decline(self, ticket: Ticket, detail: Mapping[str, object]) -> bool:
        declined = await self._store.decline_ticket(ticket.ticket_id, str(detail["by"]), self._clock())
        if declined:
            await self._journal.ticket(EntryKind.DECLINED, ticket, detail)
        await halt_if_due(self._store, self._clock())
        return declined


def is_right(ticket: Ticket, text: object) -> bool:
    """Say whether this is the text that stands in the question; blanks and the case of letters do not matter."""
    given = " ".join(text.split()).casefold() if isinstance(text, str) else ""
    # Half a character, which a client may send, is a wrong text like any other.
    return compare_digest(given.encode("utf-8", "surrogatepass"), ticket.phrase.casefold().encode())
