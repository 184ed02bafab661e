"""What an account has filled in the trading day that is on, as far as it is on record.

It stands apart from `desk/book.py`, which answers by whole days: a chart also says since when it knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.desk.book import TradeBook
from ct_mcp.desk.ports import Store
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.domain.order import Execution
from ct_mcp.domain.trades import as_execution


@dataclass(frozen=True, slots=True)
class DayFills:
    """The fills since ``since``, oldest first; ``gaps`` name the stretches after it in which nobody listened."""

    fills: tuple[Execution, ...]
    since: datetime
    gaps: tuple[str, ...]

    def joined_with(self, recent: Iterable[Execution]) -> "DayFills":
        """Add those that were read as well, each once."""
        found = {fill.execution_id: fill for fill in (*self.fills, *recent)}
        ordered = sorted(found.values(), key=lambda fill: fill.at.timestamp() if fill.at else 0.0)
        return DayFills(tuple(ordered), self.since, self.gaps)


async def day_fills(store: Store, book: TradeBook, account: str, now: datetime) -> DayFills | None:
    """Give the fills on record of this trading day; None where nobody has listened to this account yet.

    Raises:
        StoreFailed: The record cannot be read.
    """
    listenings = await store.listenings(account)
    if not listenings:
        return None
    since = max(trading_day_began(now), min(each.began for each in listenings))
    gaps = await book.gaps_of_day(account, trading_day(now))
    found = await book.executions(account, since)
    return DayFills(tuple(map(as_execution, found)), since, tuple(gap.words for gap in gaps if gap.touches(since, now)))
