"""What the live stream tells, in our words.

Stands alone because the server's start needs these and nothing else of the stream: what reads the frames brings
pydantic models along, and what carries them brings websockets.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ct_mcp.domain.instrument import Instrument


@dataclass(frozen=True, slots=True)
class QuoteTick:
    """The newest prices of one instrument; ``at`` is the oldest of its stamps, or when it came where it has none."""

    instrument: Instrument
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    volume: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Something changed in this account, or in one that the frame does not name.

    ``is_event`` says that it is one of the events that were asked for: what else names an account may end what is
    known of it, and proves nothing of what is told.
    """

    account: str | None
    is_event: bool = True


@dataclass(frozen=True, slots=True)
class PnlUpdate:
    """The day's P&L of one account, in its currency; a figure that could not be read is None."""

    account: str
    realized: Decimal | None
    unrealized: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Something may have been missed: from here on nothing that was read before may be relied on."""

    why: str


Event = QuoteTick | AccountChanged | PnlUpdate | Gap
