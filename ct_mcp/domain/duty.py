"""What is owed to an entry that was approved with a stop or targets: exits, as it fills.

It stands alone, since the store keeps it and the desk fulfils it, over restarts and in whatever process.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ct_mcp.domain.commands import PlaceOrder

SENDING_SECONDS = 12.0
"""Between the ticket of some exits and the intent of the first lies a review: longer, and whoever made it is gone."""


class DutyState(StrEnum):
    """OPEN: more may fill, or has no exits yet. STANDING: all that filled has them. OVER: nothing is owed."""

    OPEN = "open"
    STANDING = "standing"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class DutyPart:
    """The ticket that holds the exits of so many contracts, the stop first; it is spent from the start.

    ``instead_of`` are our order ids of what was never about to be sent, and never will be once this one is made. Of a
    ticket that holds no exits ``closes`` says how many contracts of the entry it is to close.
    """

    ticket_id: str
    contracts: int
    made_at: datetime
    instead_of: tuple[str, ...] = ()
    closes: int = 0


@dataclass(frozen=True, slots=True)
class Duty:
    """The exits that are owed to one entry, and the tickets that were made for them so far.

    ``ticket_id`` and ``number`` say under which yes; ``own_id`` is our order id of the entry.
    """

    ticket_id: str
    number: int
    own_id: str
    order: PlaceOrder
    opened_at: datetime
    state: DutyState = DutyState.OPEN
    parts: tuple[DutyPart, ...] = ()

    @property
    def account(self) -> str:
        """Where it fills."""
        return self.order.account
