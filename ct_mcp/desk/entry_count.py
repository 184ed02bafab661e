"""Tells what an entry has filled where its row alone does not: a count may follow the state of an order later.

 1. What is cancelled may have filled more than its row counts: its executions are asked for, and the larger counts.
 2. That nothing filled is believed once executions say so and the position does not contradict them, or once they have
    said so for a while: contracts held there may be somebody else's. Where they cannot be read the position decides.
 3. A fill whose row names no price has that of its executions, or that of the row once it names one.

It stands apart from the keeper of exits, who asks before anything is placed or ended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from ct_mcp.desk.exit_tickets import needs_fill_price
from ct_mcp.desk.exit_tries import Rests, key_of
from ct_mcp.desk.polling import AccountPoller
from ct_mcp.desk.ports import Reads
from ct_mcp.desk.recognition import Asked
from ct_mcp.domain.duty import Duty
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, Execution, Order, OrderState, has_come_to_rest
from ct_mcp.domain.passing import has_passed
from ct_mcp.errors import CtMcpError

_SAID_FOR_SECONDS = 10.0


@dataclass(slots=True)
class EntryCount:
    """What entries have filled, by more than their rows; since when each was read as closed, and empty."""

    upstream: Reads
    poller: AccountPoller
    rests: Rests
    clock: Callable[[], datetime]
    _empty_since: dict[tuple[str, int], datetime] = field(default_factory=dict)

    async def of(self, entry: Order) -> Order:
        """1: give an entry with all that it is known to have filled."""
        if entry.state is not OrderState.CANCELLED or entry.filled >= entry.quantity:
            return entry
        fills = await self._executions(entry) or ()
        filled = sum(fill.quantity for fill in fills)
        if filled <= entry.filled:
            return entry
        return replace(entry, filled=filled, average_fill_price=_average(fills))

    async def more_of(self, entry: Order) -> Order:
        """Look until more of it has filled, or it is over."""

        def has_moved(order: Order) -> bool:
            return order.filled > entry.filled or has_come_to_rest(order)

        is_it = Asked(entry.order_id, entry)
        return await self.of(await self.poller.order(entry.account, entry.order_id, has_moved, is_it) or entry)

    async def is_nothing(self, duty: Duty, entry: Order) -> bool:
        """2: say whether it is certain that nothing of a closed entry filled; what is rejected has never stood."""
        if entry.state is OrderState.REJECTED:
            return True
        since = self._empty_since.setdefault(key_of(duty), self.clock())
        is_old = has_passed(since, _SAID_FOR_SECONDS, self.clock())
        fills, net = await self._executions(entry), await self.poller.net_position(entry.account, entry.instrument)
        is_beside_it = net is not None and net * entry.action.sign <= 0
        is_it = is_beside_it and is_old if fills is None else not fills and (is_beside_it or is_old)
        if is_it:
            del self._empty_since[key_of(duty)]
        else:
            self.rests.begin(key_of(duty), self.clock())
        return is_it

    async def priced(self, duty: Duty, entry: Order) -> Order:
        """3: give an entry with the price of its fill, where its exits depend on it."""
        if entry.average_fill_price is not None or not needs_fill_price(duty.order):
            return entry
        fills = await self._executions(entry) or ()
        if sum(fill.quantity for fill in fills) >= entry.filled:
            return replace(entry, average_fill_price=_average(fills))
        read = await self.poller.look(entry.account, entry.order_id, Asked(entry.order_id, entry))
        return entry if read is None else replace(entry, average_fill_price=read.average_fill_price)

    async def _executions(self, entry: Order) -> Sequence[Execution] | None:
        """The executions of an entry; None where they could not be read. Not every add-on tells those of one order."""
        try:
            return await self.upstream.executions_of_order(entry.account, entry.order_id)
        except CtMcpError:
            pass
        try:
            told = await self.upstream.executions(entry.account, LONGEST_LOOKBACK_SECONDS)
        except CtMcpError:
            return None
        return [fill for fill in told if fill.order_id == entry.order_id]


def _average(fills: Sequence[Execution]) -> Decimal | None:
    contracts = sum(fill.quantity for fill in fills)
    return sum((fill.price * fill.quantity for fill in fills), Decimal(0)) / contracts if contracts else None
