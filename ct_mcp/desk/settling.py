"""Settles what is outstanding: what was sent and whose fate was not known then, after a restart too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.desk.in_words import order_line, position_line
from ct_mcp.desk.ports import Store
from ct_mcp.desk.read_back import is_changed
from ct_mcp.desk.watch import Watch
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.order import Order
from ct_mcp.store.journal import Entry, EntryKind, NewEntry

# Longer than any request lives: what has not reached NinjaTrader by then never will.
_UNDER_WAY_SECONDS = 60.0

_Found = Mapping[str, object]


async def settle_outstanding(watch: Watch, store: Store, clock: Callable[[], datetime], account: str) -> None:
    """Look once for the fate of everything outstanding in an account, and journal what was found.

    What is not found stays outstanding and counts against every limit: absence proves nothing.
    """
    settler = _Settler(watch, store, clock)
    for entry in await store.unsettled():
        if entry.account == account and (found := await settler.fate_of(entry)) is not None:
            await store.append(_settled(entry, found), clock())


@dataclass(frozen=True, slots=True)
class _Settler:
    watch: Watch
    store: Store
    clock: Callable[[], datetime]

    async def fate_of(self, entry: Entry) -> _Found | None:
        """What became of one intent; None while that is not known."""
        ticket = await self.store.ticket(entry.ticket_id or "")
        match ticket.action if ticket else None:
            case PlaceOrder():
                return _seen(await self._placed(entry))
            case ChangeOrder() as change:
                order = await self.watch.look(change.account, change.order_id)
                return _seen(order if order and (order.is_closed or is_changed(order, change)) else None)
            case CancelOrder() as cancel:
                order = await self.watch.look(cancel.account, cancel.order_id)
                return _seen(order if order and order.is_closed else None)
            case ClosePosition() | CancelOrders() | Flatten() as leaving:
                return await self._left(entry, leaving)
        return None

    async def _placed(self, entry: Entry) -> Order | None:
        """By the id that they acknowledged, if they did, or else by ours."""
        account = entry.account or ""
        story = await self.store.entries(20, ticket_id=entry.ticket_id)
        named = (step.detail.get("order_id") for step in story if step.kind is EntryKind.ACCEPTED)
        for order_id in filter(None, named):
            if (order := await self.watch.look(account, str(order_id))) is not None:
                return order
        return await self.watch.find_once(account, entry.own_id or "")

    async def _left(self, entry: Entry, leaving: ClosePosition | CancelOrders | Flatten) -> _Found | None:
        """It carries no id of ours: once it cannot be under way any more, what stands is all there is to know."""
        if (self.clock() - entry.at).total_seconds() < _UNDER_WAY_SECONDS:
            return None
        book = await self.watch.book_now(leaving.account, leaving.instrument)
        if book is None:
            return None
        return {"positions": [*map(position_line, book.positions)], "orders": [*map(order_line, book.orders)]}


def _seen(order: Order | None) -> _Found | None:
    return None if order is None else {"order_id": order.order_id, "state": order.state, "filled": order.filled}


def _settled(entry: Entry, found: _Found) -> NewEntry:
    return NewEntry(
        EntryKind.SETTLED,
        entry.summary,
        account=entry.account,
        ticket_id=entry.ticket_id,
        own_id=entry.own_id,
        detail=found,
    )
