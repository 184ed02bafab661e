"""Looks until the account says what became of an action, and not one read longer than it must."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from ct_mcp.desk.ports import Reads
from ct_mcp.domain.account import AccountSnapshot
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED, Order, OrderState, OrderType
from ct_mcp.domain.position import Position
from ct_mcp.errors import CtMcpError, NotFound

# Waits; true where it ended early, because there was word that something may have changed.
Pause = Callable[[float], Awaitable[bool | None]]

# The first look comes at once, the others after these pauses. A refusal by the broker may come a second after the
# acknowledgement, so an order that is only ACCEPTED is looked at beyond that.
PAUSES_SECONDS = (0.15, 0.35, 0.7, 1.3, 2.5)
# A look costs two requests of the few that are kept for exits, so not each of many words is worth one.
_MOST_WORDS = 4
# Of real time: a service that answers slowly must not hold an answer back until the client gives up and asks again.
LONGEST_SECONDS = 12.0
# So many requests are kept for exits; a list that leaves something out has so far left out everything.
_ORDERS_ASKED_FOR = 6
STANDS = frozenset({OrderState.WORKING, OrderState.PART_FILLED, OrderState.TRIGGER_PENDING})


@dataclass(frozen=True, slots=True)
class Book:
    """Positions and open orders of one account, or of one instrument in it, as just read."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    # It was read a while ago, and what was looked at since could not be read or believed.
    is_stale: bool = False

    @property
    def is_flat(self) -> bool:
        """Say whether nothing is held and no order is left."""
        return not self.positions and not self.orders

    @property
    def net(self) -> int:
        """Signed contracts over what was read; meaningful for one instrument."""
        return sum(position.net for position in self.positions)


@dataclass(frozen=True, slots=True)
class Stood:
    """What stood before an exit: a list that holds nothing of it any more is not believed on its word alone."""

    instruments: tuple[Instrument, ...] = ()
    order_ids: tuple[str, ...] = ()
    # Nothing is known to have stood, and nobody said that there was nothing: the account's own report is asked.
    ask_account: bool = False
    # No order is known to have stood, so there is none to be asked for by its id: the list of all accounts is asked.
    ask_all_orders: bool = False
    of: Instrument | None = None


async def moments(pause: Pause, pauses: Sequence[float] = PAUSES_SECONDS) -> AsyncIterator[None]:
    """The moments to look: at once, after each pause, and at word of a change, which shortens no later pause."""
    yield
    words = 0
    for seconds in pauses:
        while await pause(seconds) and words < _MOST_WORDS:
            words += 1
            yield
        yield


class Watch:
    """Reads back, with pauses in between.

    No failure leaves it, not even that of our own request budget: it speaks of a read, and whoever hears it after a
    send would take it for one of the send.
    """

    def __init__(self, upstream: Reads, pause: Pause, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._upstream = upstream
        self._pause = pause
        self._longest_seconds = longest_seconds

    async def order(self, account: str, order_id: str, is_settled: Callable[[Order], bool]) -> Order | None:
        """The order once it is settled, or as it was last seen; None where it could not be read at all."""
        seen: Order | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause):
                seen = await self.look(account, order_id) or seen
                if seen is not None and is_settled(seen):
                    break
        return seen

    async def book(
        self, account: str, instrument: Instrument | None, is_settled: Callable[[Book], bool], before: Stood
    ) -> Book | None:
        """The book once it is settled, or as it was last seen; None where it could not be read at all.

        Settled is believed only once what stood before was also looked up by itself, and is gone. Neither is a list
        that holds nothing of the instrument believed at the end, where it was to hold something.
        """
        seen: Book | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause):
                read = await self.book_now(account, instrument)
                if read is not None and is_settled(read):
                    if await self._are_gone(account, before, read):
                        seen = read
                        break
                    read = None
                seen = read or (replace(seen, is_stale=True) if seen else None)
        if seen is None or seen.positions or is_settled(seen) or instrument is None:
            return seen
        return None if await self._holds(account, instrument) else seen

    async def _are_gone(self, account: str, before: Stood, read: Book) -> bool:
        """Lists have come back empty while contracts were held, so each of these is asked for by its own name."""
        held = {position.instrument for position in read.positions}
        listed = {order.order_id for order in read.orders}
        names = [name for name in before.instruments if name not in held]
        ids = [order_id for order_id in before.order_ids if order_id not in listed]
        positions = [await self._holds(account, name) for name in names]
        orders = [await self._is_over(account, order_id) for order_id in ids[:_ORDERS_ASKED_FOR]]
        is_gone = not any(positions) and all(orders)
        if is_gone and before.ask_all_orders and not read.orders and await self._has_orders(account, before):
            return False
        return is_gone and (not before.ask_account or await self._reports_flat(account))

    async def _has_orders(self, account: str, before: Stood) -> bool:
        """Ask the list of all accounts. Where it cannot be read nothing is proven: not every add-on has it."""
        try:
            rows = await self._upstream.all_orders(active_only=True)
        except CtMcpError:
            return False
        mine = (order for order in rows if order.account == account and not order.is_closed)
        return any(before.of is None or order.instrument == before.of for order in mine)

    async def is_believable(self, account: str, instrument: Instrument | None, read: Book) -> bool:
        """Say whether a book that holds nothing is borne out by another source than the lists."""
        if read.positions:
            return True
        if instrument is None:
            return await self._reports_flat(account)
        return not await self._holds(account, instrument)

    async def _reports_flat(self, account: str) -> bool:
        """Ask the report of all accounts, which is another source than the lists. Not knowing is not flat."""
        try:
            reports = await self._upstream.snapshot()
        except CtMcpError:
            return False
        mine = [report for report in reports if report.account.name == account]
        return bool(mine) and not any(is_held_in(report) for report in mine)

    async def _holds(self, account: str, instrument: Instrument) -> bool:
        """Not knowing counts as held."""
        try:
            return bool((await self._upstream.position(account, instrument)).quantity)
        except CtMcpError:
            return True

    async def _is_over(self, account: str, order_id: str) -> bool:
        """What they no longer know of is over too: closed orders are pruned after a while."""
        try:
            return (await self._upstream.order(account, order_id)).is_closed
        except NotFound:
            return True
        except CtMcpError:
            return False

    async def book_now(self, account: str, instrument: Instrument | None) -> Book | None:
        """One reading of positions and open orders; None unless both could be read."""
        try:
            positions = await self._upstream.positions(account)
            orders = await self._upstream.orders(account, active_only=True)
        except CtMcpError:
            return None
        return Book(
            tuple(held for held in positions if held.quantity and instrument in (None, held.instrument)),
            tuple(order for order in orders if not order.is_closed and instrument in (None, order.instrument)),
        )

    async def net_position(self, account: str, instrument: Instrument) -> int | None:
        """Signed contracts held now; None where positions could not be read, or where none is listed and one held."""
        try:
            positions = await self._upstream.positions(account)
        except CtMcpError:
            return None
        net = sum(position.net for position in positions if position.instrument == instrument)
        return None if net == 0 and await self._holds(account, instrument) else net

    async def find(self, account: str, own_id: str) -> Order | None:
        """Look for an order of unknown outcome by our own id: directly, in its lifecycle, in the whole list.

        Never by price and size: somebody else's order would be taken for ours. None proves nothing.
        """
        found: Order | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause, PAUSES_SECONDS[-3:]):
                found = await self.find_once(account, own_id)
                if found is not None:
                    break
        return found

    async def find_once(self, account: str, own_id: str) -> Order | None:
        """One round of `find`."""
        if (order := await self.look(account, own_id)) is not None:
            return order
        try:
            lifecycle = await self._upstream.lifecycle(account, own_id)
        except CtMcpError:
            lifecycle = None
        if lifecycle is not None and lifecycle.order_id != own_id:
            order = await self.look(account, lifecycle.order_id)
        return order or await self._listed(account, own_id)

    async def _listed(self, account: str, own_id: str) -> Order | None:
        try:
            orders = await self._upstream.orders(account, active_only=False)
        except CtMcpError:
            return None
        return next((order for order in orders if own_id in (order.own_id, order.order_id)), None)

    async def look(self, account: str, order_id: str) -> Order | None:
        """One look-up by an id; None where it could not be read, which proves nothing."""
        try:
            return await self._upstream.order(account, order_id)
        except CtMcpError:
            return None


def is_held_in(report: AccountSnapshot) -> bool:
    """Say whether a report speaks of anything that is held; only positions have an unrealised P&L."""
    held = any(position.quantity for position in report.positions)
    return held or report.is_flat is False or bool(report.account.balances.unrealized_pnl)


def has_come_to_rest(order: Order) -> bool:
    """Say whether nothing more is about to happen by itself: done, or standing in the market."""
    return order.state in CLOSED or (order.order_type is not OrderType.MARKET and order.state in STANDS)
