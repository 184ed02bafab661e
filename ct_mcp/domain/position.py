"""What an account holds."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.instrument import Instrument


class Direction(StrEnum):
    """Which way a position stands. It decides, so it has no UNKNOWN: an unread word is refused."""

    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"


@dataclass(frozen=True, slots=True)
class Position:
    """The net holding of one instrument in one account; ``quantity`` is never negative."""

    account: str
    instrument: Instrument
    direction: Direction
    quantity: int
    average_price: Decimal
    market_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None

    @property
    def net(self) -> int:
        """Contracts, signed: positive when long, negative when short."""
        match self.direction:
            case Direction.LONG:
                return self.quantity
            case Direction.SHORT:
                return -self.quantity
            case Direction.FLAT:  # pragma: no branch  # the set is closed
                return 0
