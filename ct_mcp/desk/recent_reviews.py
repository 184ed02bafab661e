"""The reviews of proposals that nobody has to be asked about: for a moment they still hold when the ticket is spent.

It stands alone, since what makes them void comes from several sides: time, a spent ticket, the word of a team.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from ct_mcp.domain.approval import Ticket
from ct_mcp.guard.review import Review

# A review younger than this still holds when its ticket is spent, if nothing was sent in between.
REVIEW_HOLDS_SECONDS = 2.0


class RecentReviews:
    """What was reviewed a moment ago, by the tickets."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._of: dict[str, tuple[Review, ...]] = {}

    def __len__(self) -> int:
        return len(self._of)

    def keep(self, ticket: Ticket, reviews: Sequence[Review]) -> None:
        """Keep those of a new ticket, and none that hold no more."""
        self._of = {known: old for known, old in self._of.items() if self._are_recent(old)}
        self._of[ticket.ticket_id] = tuple(reviews)

    def take(self, ticket: Ticket) -> tuple[Review, ...]:
        """Give those of a ticket, once, if they still hold: no fact may be older than a question."""
        held = self.taken(ticket.ticket_id)
        return () if ticket.is_asked else held

    def taken(self, ticket_id: str) -> tuple[Review, ...]:
        """Give those that are recent, whoever was asked; once."""
        held = self._of.pop(ticket_id, ())
        return held if self._are_recent(held) else ()

    def forget(self) -> None:
        """Hold none of them any more."""
        self._of.clear()

    def _are_recent(self, reviews: Sequence[Review]) -> bool:
        return all(0 <= (self._clock() - held.context.now).total_seconds() <= REVIEW_HOLDS_SECONDS for held in reviews)
