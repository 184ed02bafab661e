"""What was read of an account right before the review that needs it, and how long that serves.

It stands alone because the readings of a review are many, and this is the one that two of them share.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_mcp.desk.account_reader import Report
from ct_mcp.desk.side_by_side import Reading
from ct_mcp.domain.account import Position
from ct_mcp.domain.order import Order
from ct_mcp.store.journal import Outstanding

_SERVES = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was read of an account before the review that needs it began; ``by_report``: what is held as it tells."""

    outstanding: Outstanding
    noted_before: int
    orders: Reading[tuple[Order, ...]]
    positions: Reading[tuple[Position, ...]]
    report: Reading[Report] | None
    began_at: datetime
    ended_at: datetime
    by_report: bool = False

    def serves(self, outstanding: Outstanding, now: datetime) -> bool:
        """Say whether all of it was read a moment ago, and nothing was sent or settled since."""
        is_true = self._was_read and self.outstanding.entries == outstanding.entries
        return is_true and timedelta(0) <= now - self.ended_at <= _SERVES

    @property
    def _was_read(self) -> bool:
        return not any(each and each.error for each in (self.orders, self.positions, self.report))
