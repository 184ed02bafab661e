"""Settles what is outstanding: what was sent and whose fate was not known then, after a restart too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.desk.in_words import order_line, position_line, strategy_line
from ct_mcp.desk.ports import Reads, Store
from ct_mcp.desk.read_back import is_changed
from ct_mcp.desk.strategy_watch import StrategyWatch
from ct_mcp.desk.watch import Pause, Watch
from ct_mcp.domain.action import (
    CancelOrder,
    ChangeOrder,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    PlaceOrder,
    ReplaceOrder,
    StrategyAsked,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.domain.strategy import StartStrategy, Strategy
from ct_mcp.store.journal import Entry, EntryKind, NewEntry

# Longer than any request lives: what has not reached NinjaTrader by then never will.
_UNDER_WAY_SECONDS = 60.0

_Found = Mapping[str, object]


async def settle_outstanding(
    upstream: Reads, pause: Pause, store: Store, clock: Callable[[], datetime], account: str
) -> None:
    """Look once for the fate of everything outstanding in an account, and journal what was found.

    What is not found stays outstanding and counts against every limit: absence proves nothing.
    """
    settler = _Settler(Watch(upstream, pause), StrategyWatch(upstream, pause), store, clock)
    for entry in await store.unsettled():
        if entry.account == account and (found := await settler.fate_of(entry)) is not None:
            await store.append(_settled(entry, found), clock())


@dataclass(frozen=True, slots=True)
class _Settler:
    watch: Watch
    strategies: StrategyWatch
    store: Store
    clock: Callable[[], datetime]

    async def fate_of(self, entry: Entry) -> _Found | None:
        """What became of one intent; None while that is not known."""
        ticket = await self.store.ticket(entry.ticket_id or "")
        action = ticket.action if ticket else None
        match action:
            case PlaceOrder():
                return _seen(await self._placed(entry))
            case ChangeOrder() | CancelOrder():
                return await self._order_named(action)
            case ReplaceOrder():
                return await self._replaced(entry, action)
            case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy():
                return await self._strategy(entry, action)
            case _:
                return await self._left(entry, getattr(action, "instrument", None)) if action else None

    async def _order_named(self, action: ChangeOrder | CancelOrder) -> _Found | None:
        order = await self.watch.look(action.account, action.order_id)
        if order is None:
            return None
        is_done = isinstance(action, ChangeOrder) and is_changed(order, action)
        return _seen(order) if order.is_closed or is_done else None

    async def _replaced(self, entry: Entry, action: ReplaceOrder) -> _Found | None:
        """By the id that they acknowledged; without one, by what stands, and only if the old order can be read."""
        for order_id in await self._named(entry, "order_id"):
            if (order := await self.watch.look(action.account, order_id)) is not None:
                return _seen(order)
        old = await self.watch.look(action.account, action.order_id)
        book = None if old is None else await self._left(entry, action.order.instrument)
        return None if old is None or book is None else {**book, "old_order": order_line(old)}

    async def _strategy(self, entry: Entry, action: StrategyAsked) -> _Found | None:
        """One that was started is found by the id that they named for it, and by nothing else."""
        named = await self._named(entry, "strategy_id") if isinstance(action, StartStrategy) else [action.strategy_id]
        for strategy_id in named:
            seen = await self.strategies.look(action.account, strategy_id)
            if seen is not None and is_as_asked(seen, action):
                return {"strategy": strategy_line(seen)}
        return None

    async def _named(self, entry: Entry, what: str) -> list[str]:
        """What they named when they took it, if they did."""
        story = await self.store.entries(20, ticket_id=entry.ticket_id)
        named = (step.detail.get(what) for step in story if step.kind is EntryKind.ACCEPTED)
        return [str(one) for one in named if one]

    async def _placed(self, entry: Entry) -> Order | None:
        """By the id that they acknowledged, if they did, or else by ours."""
        account = entry.account or ""
        for order_id in await self._named(entry, "order_id"):
            if (order := await self.watch.look(account, order_id)) is not None:
                return order
        return await self.watch.find_once(account, entry.own_id or "")

    async def _left(self, entry: Entry, instrument: Instrument | None) -> _Found | None:
        """It carries no id of ours: once it cannot be under way any more, what stands is all there is to know."""
        if (self.clock() - entry.at).total_seconds() < _UNDER_WAY_SECONDS:
            return None
        book = await self.watch.book_now(entry.account or "", instrument)
        if book is None or not await self.watch.is_believable(entry.account or "", instrument, book):
            return None
        return {"positions": [*map(position_line, book.positions)], "orders": [*map(order_line, book.orders)]}


def is_as_asked(seen: Strategy, action: StrategyAsked) -> bool:
    """Say whether a strategy reads as it was asked to be; one that is over can be no other way any more."""
    match action:
        case StartStrategy():
            return True
        case EnableStrategy():
            return bool(seen.is_enabled) or seen.is_over
        case DisableStrategy():
            return seen.is_enabled is False or seen.is_over
        case CloseStrategy():  # pragma: no branch  # the set is closed
            return seen.is_over


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
