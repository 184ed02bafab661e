"""Trails a stop behind the price: only nearer, by changing it, at most once a second.

1. The order is looked at when there is word of its account, and every few seconds: whoever moved it is followed.
2. What the price asks for is sent only if it is nearer than the stop as it was just read; the send judges it again.
3. What it costs comes after exits and the person's orders. Where that leaves it nothing for a while, it says so once.
4. It ends with the stop. Where the position is gone and the stop stands, it moves nothing, and ends after a while.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.recognition import Asked
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.watch_prices import Rounds, WatchedPrices
from ct_mcp.desk.watch_sender import WatchSender, said
from ct_mcp.desk.watch_tickets import nearer_stop
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch
from ct_mcp.text import span

_MOVES_EVERY = timedelta(seconds=1)
_GONE_FOR = timedelta(seconds=10)
_RESTS_FOR = timedelta(seconds=10)
_WAITS_FOR = timedelta(seconds=60)


@dataclass(slots=True)
class _Trail:
    """What is known of one stop between two looks."""

    order: Order | None = None
    gone_since: datetime | None = None
    rests_since: datetime | None = None
    waits_since: datetime | None = None
    told: str = ""


@dataclass(slots=True)
class Trailer:
    """Moves the stops of all trailing watches."""

    sender: WatchSender
    prices: WatchedPrices
    rounds: Rounds
    _known: dict[str, _Trail] = field(default_factory=dict)

    async def look(self, watch: Watch) -> None:
        """Look at one, and move its stop where the price asks for it."""
        it = self._known.setdefault(watch.watch_id, _Trail())
        if not await self.sender.has_room():
            await self._wait(it, watch)  # 3
            return
        it.waits_since = None
        if self.rounds.is_due(watch.watch_id, watch.account) or it.order is None:
            await self._read(it, watch)  # 1
        if it.order is not None and not it.order.is_closed and it.gone_since is None:
            await self._follow(it, it.order, watch)

    async def _wait(self, it: _Trail, watch: Watch) -> None:
        it.waits_since = it.waits_since or self.sender.now()
        if abs(self.sender.now() - it.waits_since) >= _WAITS_FOR:
            few = "too few requests are left, and exits go first"
            await self._tell(it, watch, f"for {span(_WAITS_FOR.total_seconds())} the stop was not looked at: {few}")

    async def _tell(self, it: _Trail, watch: Watch, words: str) -> None:
        """The same is told once, until the stop moves again."""
        if words != it.told:
            it.told = words
            await self.sender.tell(watch, words)

    async def _read(self, it: _Trail, watch: Watch) -> None:
        asked = watch.order_id or ""
        order = await self.sender.patient.look(watch.account, asked, Asked(asked, it.order))
        if order is None:
            return
        it.order = order
        if order.is_closed:
            words = f"over: its stop is {order.state_text}, {order.filled} of {order.quantity} filled"
            await self.sender.end(watch, words)  # 4
            return
        net = await self.sender.patient.net_position(watch.account, order.instrument)
        if net is None or net * order.action.sign < 0:
            it.gone_since = it.gone_since if net is None else None
            return
        self.rounds.again(watch.watch_id)
        it.gone_since = it.gone_since or self.sender.now()
        if abs(self.sender.now() - it.gone_since) >= _GONE_FOR:
            await self.sender.end(watch, f"over: the position is gone, and its order stands: {order_line(order)}")

    async def _follow(self, it: _Trail, order: Order, watch: Watch) -> None:
        if self._rests(it, watch):
            return
        quote = await self.prices.of(order.instrument)
        price = None if quote is None else _stop_at(quote, order, watch)
        if price is None or nearer_stop(order, price) is None:
            return
        fresh = await self.sender.patient.look(order.account, order.order_id, Asked(order.order_id, order))
        change = None if fresh is None or fresh.is_closed else nearer_stop(fresh, price)  # 2
        it.order = fresh
        if fresh is None or change is None:
            self.rounds.again(watch.watch_id)
            return
        outcome = await self.sender.send(watch, change, fresh)
        if outcome is not None and outcome.status in (Status.CHANGED, Status.WORKING):
            it.order, told, it.told = replace(fresh, stop_price=price), it.told, outcome.alarm
            if outcome.alarm and outcome.alarm != told:
                await self.sender.tell(watch, f"the stop was moved: {outcome.alarm}")
        else:
            await self._not_moved(it, watch, outcome)

    def _rests(self, it: _Trail, watch: Watch) -> bool:
        """Say whether it was moved, or could not be, a moment ago; a clock that is set back does not prolong it."""
        now = self.sender.now()
        moved = watch.parts and abs(now - watch.parts[-1].made_at) < _MOVES_EVERY
        return bool(moved) or (it.rests_since is not None and abs(now - it.rests_since) < _RESTS_FOR)

    async def _not_moved(self, it: _Trail, watch: Watch, outcome: Outcome | None) -> None:
        """Look anew, after a while; the same reason is told once. The stop stands where it stood."""
        it.order, it.rests_since = None, self.sender.now()
        self.rounds.again(watch.watch_id)
        if outcome is not None:
            await self._tell(it, watch, f"the stop was not seen to move: {said(outcome)}")


def _stop_at(quote: Quote, order: Order, watch: Watch) -> Decimal | None:
    """Where the stop is to stand: what falls between two ticks goes to the one further from the market."""
    if quote.last is None or watch.distance is None:  # pragma: no cover  # neither is made
        return None
    tick, side = quote.contract.tick_size, -order.action.sign
    ticks = (quote.last - side * watch.distance.in_price(tick)) / tick
    return ticks.to_integral_value(ROUND_FLOOR if side > 0 else ROUND_CEILING) * tick
