"""Looks until the account says what became of an action, and not one read longer than it must."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ct_mcp.desk.ports import Reads
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED, Order, OrderState, OrderType
from ct_mcp.domain.position import Position
from ct_mcp.errors import UpstreamError

Pause = Callable[[float], Awaitable[None]]

# The first look comes at once, the others after these pauses. A refusal by the broker may come a second after the
# acknowledgement, so an order that is only ACCEPTED is looked at beyond that.
_PAUSES_SECONDS = (0.15, 0.35, 0.7, 1.3, 2.5)
_RESTS = frozenset({OrderState.WORKING, OrderState.PART_FILLED, OrderState.TRIGGER_PENDING})


@dataclass(frozen=True, slots=True)
class Book:
    """Positions and open orders of one account, or of one instrument in it, as just read."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]

    @property
    def is_flat(self) -> bool:
        """Say whether nothing is held and no order is left."""
        return not self.positions and not self.orders

    @property
    def net(self) -> int:
        """Signed contracts over what was read; meaningful for one instrument."""
        return sum(position.net for position in self.positions)


class Watch:
    """Reads back, with pauses in between."""

    def __init__(self, upstream: Reads, pause: Pause) -> None:
        self._upstream = upstream
        self._pause = pause

    async def order(self, account: str, order_id: str, is_settled: Callable[[Order], bool]) -> Order | None:
        """The order once it is settled, or as it was last seen; None where it could not be read at all."""
        seen: Order | None = None
        for pause in (*_PAUSES_SECONDS, None):
            seen = await self.look(account, order_id) or seen
            if (seen is not None and is_settled(seen)) or pause is None:
                break
            await self._pause(pause)
        return seen

    async def book(
        self, account: str, instrument: Instrument | None, is_settled: Callable[[Book], bool]
    ) -> Book | None:
        """The book once it is settled, or as it was last seen; None where it could not be read at all."""
        seen: Book | None = None
        for pause in (*_PAUSES_SECONDS, None):
            seen = await self.book_now(account, instrument) or seen
            if (seen is not None and is_settled(seen)) or pause is None:
                break
            await self._pause(pause)
        return seen

    async def book_now(self, account: str, instrument: Instrument | None) -> Book | None:
        """One reading of positions and open orders; None unless both could be read."""
        try:
            positions = await self._upstream.positions(account)
            orders = await self._upstream.orders(account, active_only=True)
        except UpstreamError:
            return None
        return Book(
            tuple(held for held in positions if held.quantity and instrument in (None, held.instrument)),
            tuple(order for order in orders if not order.is_closed and instrument in (None, order.instrument)),
        )

    async def net_position(self, account: str, instrument: Instrument) -> int | None:
        """Signed contracts held now; None where positions could not be read."""
        try:
            positions = await self._upstream.positions(account)
        except UpstreamError:
            return None
        return sum(position.net for position in positions if position.instrument == instrument)

    async def find(self, account: str, own_id: str) -> Order | None:
        """Look for an order of unknown outcome by our own id: directly, in its lifecycle, in the whole list.

        Never by price and size: somebody else's order would be taken for ours. None proves nothing.
        """
        for pause in (*_PAUSES_SECONDS[-3:], None):
            found = await self.find_once(account, own_id)
            if found is not None or pause is None:
                return found
            await self._pause(pause)
        return None

    async def find_once(self, account: str, own_id: str) -> Order | None:
        """One round of `find`."""
        if (order := await self.look(account, own_id)) is not None:
            return order
        try:
            lifecycle = await self._upstream.lifecycle(account, own_id)
        except UpstreamError:
            lifecycle = None
        if lifecycle is not None and lifecycle.order_id != own_id:
            order = await self.look(account, lifecycle.order_id)
        return order or await self._listed(account, own_id)

    async def _listed(self, account: str, own_id: str) -> Order | None:
        try:
            orders = await self._upstream.orders(account, active_only=False)
        except UpstreamError:
            return None
        return next((order for order in orders if own_id in (order.own_id, order.order_id)), None)

    async def look(self, account: str, order_id: str) -> Order | None:
        """One look-up by an id; None where it could not be read, which proves nothing."""
        try:
            return await self._upstream.order(account, order_id)
        except UpstreamError:
            return None


def has_come_to_rest(order: Order) -> bool:
    """Say whether nothing more is about to happen by itself: done, or standing in the market."""
    return order.state in CLOSED or (order.order_type is not OrderType.MARKET and order.state in _RESTS)
