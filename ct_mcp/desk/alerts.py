"""Alerts: look at a price, the day's P&L, the room above a floor, fills or the clock, and tell once.

They send nothing, ever. A room that is not known is told as not known, once for as long as it is so; it counts as
reached only where it would be reached whatever is not known.

A fill is new if it was not there when the alert was set: executions are told by their ids, which are written down then,
and not by NinjaTrader's clock, which may be seconds behind ours.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from ct_mcp.desk.floor_alert import AboveFloor, KnowsFloors, above_floor, drawdown_of
from ct_mcp.desk.watch_prices import Rounds, WatchedPrices
from ct_mcp.desk.watch_sender import WatchSender
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, Execution
from ct_mcp.domain.products import price_of
from ct_mcp.domain.watch import AlertOn, Watch, WatchState
from ct_mcp.errors import BadRequest, CtMcpError
from ct_mcp.store.journal import EntryKind
from ct_mcp.text import format_price, money, utc_minute

_CLOCKS_DIFFER = timedelta(seconds=15)
SEEN_FOR_SECONDS = 60
"""So far back executions are taken note of as a fill alert is set: further than any look at it reaches behind that."""
EXECUTIONS = "executions"
"""Where the ids of those stand in the journal, with the watch."""
_LOOK_BACK = 500
_UNKNOWN_FOR = timedelta(seconds=30)


@dataclass(slots=True)
class Alerts:
    """Looks after all alerts."""

    sender: WatchSender
    prices: WatchedPrices
    rounds: Rounds
    floors: KnowsFloors
    _unknown_since: dict[str, datetime] = field(default_factory=dict)
    _seen: dict[str, frozenset[str] | None] = field(default_factory=dict)

    async def look(self, watch: Watch) -> None:
        """Tell, and end, once it is so."""
        if watch.on is not AlertOn.TIME and not await self.sender.has_room():
            return
        if words := await self._came(watch):
            await self.sender.end(watch, words)

    async def _came(self, watch: Watch) -> str:
        match watch.on:
            case AlertOn.PRICE:
                return await self._price(watch)
            case AlertOn.PNL:
                return await self._pnl(watch)
            case AlertOn.FILL:
                return await self._fill(watch)
            case AlertOn.ROOM:
                return await self._room(watch)
            case _:
                is_time = watch.due is not None and self.sender.now() >= watch.due
                return f"it is {utc_minute(self.sender.now())}" if is_time else ""

    async def _price(self, watch: Watch) -> str:
        quote = None if watch.instrument is None else await self.prices.of(watch.instrument)
        if quote is None or not has_come(watch, quote.last):
            return ""
        return f"{watch.words}: it trades at {price_of(watch.instrument, quote.last)}"

    async def _pnl(self, watch: Watch) -> str:
        if not self.rounds.is_due(watch.watch_id, watch.account):
            return ""
        try:
            balances = (await self.sender.upstream.account(watch.account)).balances
        except CtMcpError:
            return ""
        pnl = balances.day_pnl
        return f"{watch.words}: it is {money(pnl)}" if has_come(watch, pnl) else ""

    async def _room(self, watch: Watch) -> str:
        if not self.rounds.is_due(watch.watch_id, watch.account):
            return ""
        try:
            drawdown = drawdown_of(self.floors.policy, watch.account)
        except BadRequest as error:
            return f"over: {error.what}"
        room = await above_floor(self.floors, watch.account, drawdown)
        if has_come(watch, room.left):
            return f"{watch.words}: it is {money(room.left)}{' at most' if room.unknown else ''}"
        await self._say_if_not_known(watch, room)
        return ""

    async def _say_if_not_known(self, watch: Watch, room: AboveFloor) -> None:
        """Not knowing is told after a while, and so is knowing again."""
        now = self.sender.now()
        if not room.unknown:
            self._unknown_since.pop(watch.watch_id, None)
            if watch.state is WatchState.WARNED:
                await self.sender.go_on(watch, f"the room is known again, {room.words}: {watch.words}")
            return
        since = self._unknown_since.setdefault(watch.watch_id, now)
        if watch.state is WatchState.OPEN and abs(now - since) >= _UNKNOWN_FOR:
            await self.sender.warn(watch, f"the room is {room.words}. Until it is known this may tell too late")

    async def _fill(self, watch: Watch) -> str:
        if not self.rounds.is_due(watch.watch_id, watch.account):
            return ""
        age = self.sender.now() - watch.made_at + _CLOCKS_DIFFER
        fills = await self.sender.patient.fills(watch.account, max(1, int(age.total_seconds())))
        mine = [fill for fill in fills if watch.instrument in (None, fill.instrument)]
        seen = await self._seen_before(watch) if mine else None
        return "; ".join(_fill_words(fill) for fill in mine if _is_new(fill, watch, seen))

    async def _seen_before(self, watch: Watch) -> frozenset[str] | None:
        """Give the executions that were there as it was set, by whatever process; None where that is not known.

        Of one that was set so long ago that nothing from before it is told any more, there are none.
        """
        if (self.sender.now() - watch.made_at).total_seconds() > LONGEST_LOOKBACK_SECONDS + SEEN_FOR_SECONDS:
            return frozenset()
        if watch.watch_id not in self._seen:
            story = await self.sender.store.entries(_LOOK_BACK, watch.account)
            sets = (each for each in story if each.kind is EntryKind.WATCH_SET)
            told = next((each.detail for each in sets if each.detail.get("watch") == watch.watch_id), {})
            ids = told.get(EXECUTIONS)
            self._seen[watch.watch_id] = frozenset(map(str, ids)) if isinstance(ids, list | tuple) else None
        return self._seen[watch.watch_id]


def has_come(watch: Watch, figure: Decimal | None) -> bool:
    """Say whether a figure is where an alert waits for it; one that is not known has come nowhere."""
    if figure is None or watch.level is None:
        return False
    return figure >= watch.level if watch.is_above else figure <= watch.level


def _is_new(fill: Execution, watch: Watch, seen: frozenset[str] | None) -> bool:
    """Say whether it came after a watch was set; by its time only where nobody could say what was there before."""
    if seen is None:
        return fill.at is not None and fill.at >= watch.made_at
    return fill.execution_id not in seen


def _fill_words(fill: Execution) -> str:
    return f"{fill.action or 'filled'} {fill.amount} {fill.instrument} at {format_price(fill.price)}"
