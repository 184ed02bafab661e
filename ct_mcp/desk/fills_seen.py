"""What was seen to have filled: positions that were asked for before a fill are asked again, and held against it.

An order that fills between two readings side by side could be in neither: gone from the orders, not yet among the
positions. So it is remembered how much of each order was seen to have filled, and in which turn.

Positions may be behind a fill by tens of seconds. So it is remembered as well where a position last stood as the
fills have it: what has filled since and is not in the position yet counts beside it. What a position shows that no
order explains is no such fill; it may be of an order that no list shows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.domain.account import Position, account_key
from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.domain.order import Order
from ct_mcp.guard.context import PendingOrder

# The report of all accounts may be three seconds old, and what it is made of somewhat older.
_REPORTED_AFTER = timedelta(seconds=5)
# "Position rows can lag a fill by tens of seconds" (field notes): what they do not show after a minute they never will.
_SHOWN_WITHIN = timedelta(minutes=1)
_MOST_ORDERS_KEPT = 1000


@dataclass(slots=True)
class _Fills:
    """The signed fills of each order, in one instrument of one account, and where the position stood with them.

    It ``stood`` so with the fills that were ``shown``; ``last`` is what was read last, and ``moved_at`` since when.
    """

    seen: dict[str, int] = field(default_factory=dict)
    stood: int | None = None
    shown: dict[str, int] = field(default_factory=dict)
    last: tuple[int, int] | None = None
    moved_at: datetime | None = None

    def missing(self, net: int, told: dict[str, int], now: datetime) -> int:
        """Signed contracts that have filled since, and that a position that was just read does not hold.

        Where as much was bought as sold, a position that has not moved holds all of it or nothing: it stays to be seen.
        """
        self.seen.update({name: signed for name, signed in told.items() if abs(signed) > abs(self.seen.get(name, 0))})
        since = [signed - self.shown.get(name, 0) for name, signed in self.seen.items()]
        read = net, sum(since)
        if read != self.last or self.moved_at is None or now < self.moved_at:
            self.last, self.moved_at = read, now
        is_shown = net - (self.stood or 0) == sum(since) and (sum(since) != 0 or not any(since))
        if self.stood is None or is_shown or now - self.moved_at > _SHOWN_WITHIN:
            self.seen = dict(told) if told and len(self.seen) > _MOST_ORDERS_KEPT else self.seen
            self.stood, self.shown, self.last = net, dict(self.seen), (net, 0)
            return 0
        sold, bought = sum(min(0, each) for each in since), sum(max(0, each) for each in since)
        return max(sold, min(bought, sum(since) - (net - self.stood)))


class FillsSeen:
    """The fills of each account, as they were read or told."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._of: dict[str, dict[str, tuple[int, int]]] = {}
        self._last: dict[str, datetime] = {}
        self._held: dict[str, dict[Instrument, _Fills]] = {}
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

    def not_shown(
        self,
        account: str,
        orders: Sequence[Order] | None,
        positions: Sequence[Position] | None,
        counted: Sequence[PendingOrder],
    ) -> tuple[PendingOrder, ...]:
        """Give what has filled and the positions that were just read do not hold yet, beyond what is counted already.

        ``orders`` are those that are over, too. What several rows tell of is left out, and what is no future: parts
        of it may fill.
        """
        if orders is None or positions is None:
            return ()
        found, before = list[PendingOrder](), self._held.get(account_key(account))
        known = self._held.setdefault(account_key(account), {})
        listed = {held.instrument for held in positions} | {order.instrument for order in orders}
        for instrument in sorted(known.keys() | listed, key=str):
            nets = [held.net for held in positions if held.instrument == instrument]
            if len(nets) > 1 or isinstance(instrument, OtherInstrument):
                continue
            told = {order.order_id: order for order in orders if order.instrument == instrument and order.filled}
            signed = {name: order.action.sign * order.filled for name, order in told.items()}
            fills = known.setdefault(instrument, _Fills(stood=None if before is None else 0))
            missing = fills.missing(sum(nets), signed, self._clock())
            already = sum(it.signed_quantity for it in counted if it.instrument == instrument and it.is_filled)
            beyond = sorted((0, missing - already, missing))[1]
            if beyond:
                found.append(PendingOrder(instrument, beyond, is_filled=True))
        return tuple(found)
