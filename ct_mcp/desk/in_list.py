"""Finds an order that was sent in the list of orders, which tells at once what stands beside it.

1. The first looks are at the list, orders that are over among them: once the order is at rest in it, only positions
   are missing, and they are read after it. Asked for by its id it would take the list as well.
2. The list is believed only where everything agrees: the order is listed once, stands or has filled, and positions are
   what they were before and what it has filled. Otherwise, and where it is not at rest for long, it is asked for by
   its id, and orders and positions are read together after it.
3. What an order brings along or takes with it, a template's bracket or the rest of its OCO group, follows a moment
   later, so the list that shows the fill does not tell of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ct_mcp.desk.polling import AccountPoller, AccountState, Baseline, book_of
from ct_mcp.desk.ports import BookReads
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.errors import CtMcpError

# One that is listed and not at rest after these may be listed as it was: its id is another way to ask.
_MOST_LOOKS = 3


@dataclass(slots=True)
class InList:
    """The looks at one order; ``book`` is what stands beside it, where the list and the positions agree.

    ``net_after`` is the position that an order leads to as it reads, None where nobody can say.
    """

    upstream: BookReads
    watch: AccountPoller
    is_settled: Callable[[Order], bool]
    is_it: Callable[[Order], bool]
    net_after: Callable[[Order], int | None]
    known_beside: Callable[[Order], Baseline]
    seen: Order | None = field(default=None, init=False)
    book: AccountState | None = field(default=None, init=False)
    _left: int = field(default=_MOST_LOOKS, init=False)

    async def look(self, account: str, order_id: str) -> Order | None:
        """One look: in the list, and by the id where that does not tell. None where neither could be read."""
        if self._left:
            self._left -= 1
            rows = await self._rows(account)
            mine = [row for row in rows if row.is_named(order_id)]
            if len(mine) == 1 and await self._is_answer(mine[0], rows):
                return mine[0]
            self._left = 0
        return await self.watch.look(account, order_id, self.is_it)

    async def _rows(self, account: str) -> Sequence[Order]:
        try:
            return await self.upstream.orders(account, active_only=False)
        except CtMcpError:
            return ()

    async def _is_answer(self, order: Order, rows: Sequence[Order]) -> bool:
        return self.is_it(order) and (not self.is_settled(order) or await self._is_borne_out(order, rows))

    async def _is_borne_out(self, order: Order, rows: Sequence[Order]) -> bool:
        expected = self.net_after(order)
        if expected is None or not shows_all_of(order, rows):
            return False
        try:
            positions = await self.upstream.positions(order.account)
        except CtMcpError:
            return False
        book = book_of(positions, rows, order.instrument)
        if book is None or book.net != expected:
            return False
        self.book = await self.watch.borne_out(order.account, self.known_beside(order), book)
        self.seen = order
        return self.book is not None


def shows_all_of(order: Order, rows: Sequence[Order]) -> bool:
    """Say whether a row tells what became of an order, and nothing that goes with it is about to change."""
    if not order.is_closed:
        return True
    group = [row for row in rows if row.oco_id and row.oco_id == order.oco_id and row is not order]
    is_over = order.state is OrderState.FILLED and order.average_fill_price is not None
    return is_over and all(row.is_closed for row in group)
