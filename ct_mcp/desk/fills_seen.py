"""What was seen to have filled: positions that were asked for before a fill are asked for again.

An order that fills between two readings side by side could be in neither: gone from the orders, not yet among the
positions. So it is remembered how much of each order was seen to have filled, and in which turn. It stands alone, since
whoever sends and whoever keeps exits tell it of fills as well.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from ct_mcp.domain.order import Order

# The report of all accounts may be three seconds old, and what it is made of somewhat older.
_REPORTED_AFTER = timedelta(seconds=5)


class FillsSeen:
    """The fills of each account, as they were read or told."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._of: dict[str, dict[str, tuple[int, int]]] = {}
        self._last: dict[str, datetime] = {}
        self.turns = 0

    def saw(self, account: str, order_id: str, filled: int) -> None:
        """Take note of a fill that was read: positions that are asked for from now on know of it."""
        self.turns += 1
        self._of.setdefault(account, {})[order_id] = filled, self.turns
        self._last[account] = self._clock()

    def are_more(self, account: str, orders: Iterable[Order], since: int) -> bool:
        """Say whether an order has filled more than was noted of it before that turn.

        What another reading notes meanwhile does not count: our positions may have been asked for before that fill.
        """
        known, filled = self._of.get(account, {}), [order for order in orders if order.filled]
        self.turns += 1
        fresh = {each.order_id: (each.filled, self.turns) for each in filled}
        now = {name: known[name] if name in known and known[name][0] >= new[0] else new for name, new in fresh.items()}
        self._of[account] = now
        if any(turn == self.turns for _, turn in now.values()):
            self._last[account] = self._clock()
        return any(turn > since for _, turn in now.values())

    def may_be_unreported(self, account: str) -> bool:
        """Say whether one was seen so lately that the report of all accounts may not know of it yet."""
        last = self._last.get(account)
        return last is not None and not self._clock() - last > _REPORTED_AFTER
