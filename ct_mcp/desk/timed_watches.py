"""Watches that act at a time: cancel an entry that has not filled, and be flat.

1. What may have been sent is not sent again: a cancel never, a flatten once a look has found out what became of it.
   What was never written down as about to be sent is made anew, as long as the watch lives.
2. What cannot be read is not taken for done: a cancel waits, and a flatten goes all the same after a while.
3. Whatever could not be done is told, and the same thing once.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.desk.outcome import Status
from ct_mcp.desk.polling import AccountState, Baseline
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.watch_prices import Rounds
from ct_mcp.desk.watch_sender import WatchSender, said
from ct_mcp.domain.commands import CancelOrder, Flatten
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch, WatchState
from ct_mcp.guard.denial import DenialCode
from ct_mcp.text import utc_minute

_TRIES = 3
_AGAIN_AFTER = timedelta(seconds=10)
_QUICKLY = 4
_SETTLES_WITHIN = timedelta(seconds=60)
_UNREAD_FOR = timedelta(seconds=10)


@dataclass(slots=True)
class TimedWatches:
    """Looks after those of both kinds."""

    sender: WatchSender
    rounds: Rounds
    _unread_since: dict[str, datetime] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, dict[str, None]] = field(default_factory=dict)

    async def cancel_after(self, watch: Watch) -> None:
        """Cancel an order that has not filled by its time."""
        is_time = watch.due is not None and self.sender.now() >= watch.due
        if not self.rounds.is_due(watch.watch_id, watch.account) and not is_time:
            return
        order = await self.sender.poller.look(watch.account, watch.order_id or "")
        if order is None:  # 2
            return
        if order.is_closed:
            await self.sender.end(watch, f"over: its order is {order.state_text}, {order.filled} filled")
        elif is_time and not self._rests_again(watch):
            await self._cancel(watch, order)

    async def _cancel(self, watch: Watch, order: Order) -> None:
        if await self.sender.has_sent(watch):  # 1
            if not self._rests(watch, _SETTLES_WITHIN):
                await self.sender.end(watch, f"the cancel was sent, and the order still stands: {order_line(order)}")
            return
        outcome = await self.sender.send(watch, CancelOrder(order.account, order.order_id), order)
        if outcome is None:
            return
        if outcome.status is Status.CANCELLED:
            await self.sender.end(watch, f"cancelled, since its time has come: {order_line(order)}")
        elif DenialCode.WATCH_WOULD_NOT_REDUCE in outcome.codes:
            await self.sender.end(watch, f"not cancelled, since it protects by now: {order_line(order)}")
        else:
            await self._tell(watch, f"not cancelled yet: {said(outcome)}")  # 3

    async def flat_by(self, watch: Watch) -> None:
        """Warn, then cancel and flatten, and tell what was read of it."""
        now, due = self.sender.now(), watch.due or watch.until
        warns_from = due - timedelta(minutes=self.sender.policy.watches.warn_minutes)
        if now >= due:
            await self._leave(watch)
        elif now >= warns_from and watch.state is WatchState.OPEN and self.rounds.is_due(watch.watch_id, watch.account):
            await self._warn(watch, due)

    async def _warn(self, watch: Watch, due: datetime) -> None:
        book = await self.sender.poller.book_now(watch.account, watch.instrument)
        if book is None or book.is_flat:
            return
        self._saw(watch, book)
        open_now = _lines(book)
        left = (due - self.sender.now()).total_seconds() / 60
        words = f"flat by {utc_minute(due)}, in {left:.0f} minutes this is cancelled and closed: {open_now}"
        await self.sender.warn(watch, words)

    async def _leave(self, watch: Watch) -> None:
        if self._rests_again(watch):
            return
        book = await self._book(watch)
        if book is None and not self._is_unread_for_long(watch):
            return
        if book is not None and book.is_flat:
            await self._over(watch)
            return
        await self._flatten(watch, "what is open could not be read" if book is None else _lines(book))

    async def _book(self, watch: Watch) -> AccountState | None:
        """What is open; that nothing is, is believed of other sources too, and once all that was seen is over."""
        poller, instrument = self.sender.poller, watch.instrument
        read = await poller.book_now(watch.account, instrument)
        if read is None or not read.is_flat:
            believed = read is not None and await poller.is_believable(watch.account, instrument, read)
            self._saw(watch, read if believed else None)
            return read if believed else None
        before = Baseline(
            () if instrument is None else (instrument,),
            order_ids=tuple(self._seen.get(watch.watch_id, ())),
            ask_account=instrument is None,
            ask_all_orders=True,
            of=instrument,
        )
        return await poller.borne_out(watch.account, before, read)

    def _saw(self, watch: Watch, book: AccountState | None) -> None:
        """Remember what stands: a list that holds none of it any more is not believed on its word."""
        if book is not None:
            self._seen.setdefault(watch.watch_id, {}).update((order.order_id, None) for order in book.orders)

    async def _flatten(self, watch: Watch, stands: str) -> None:
        sent = await self.sender.times_sent(watch)
        if sent and self._rests(watch, _SETTLES_WITHIN):
            return
        if sent >= _TRIES:
            await self.sender.end(watch, f"NOT FLAT after {_TRIES} tries, act by hand: {stands}")
            return
        if watch.parts:
            await self.sender.settle(watch.account)  # 1
        outcome = await self.sender.send(watch, Flatten(watch.account, watch.instrument))
        if outcome is None:
            return
        if outcome.status is Status.FLAT:
            await self.sender.end(watch, f"its time has come, and it is flat; it was: {stands}")
        else:
            await self._tell(watch, f"its time has come, and it is not seen flat yet: {said(outcome)}")

    async def _over(self, watch: Watch) -> None:
        """Nothing is left: by what it has done, or because nothing was open."""
        words = "what it sent is seen done" if watch.parts else "its time has come, and nothing is open"
        await self.sender.end(watch, f"{words}: nothing is held, and no order is left")

    def _is_unread_for_long(self, watch: Watch) -> bool:
        since = self._unread_since.setdefault(watch.watch_id, self.sender.now())
        return abs(self.sender.now() - since) >= _UNREAD_FOR

    async def _tell(self, watch: Watch, words: str) -> None:
        if self._told.get(watch.watch_id) != words:
            self._told[watch.watch_id] = words
            await self.sender.tell(watch, words)

    def _rests_again(self, watch: Watch) -> bool:
        """Say whether it tried a moment ago; what fails again and again is tried once a minute."""
        return self._rests(watch, _AGAIN_AFTER if len(watch.parts) < _QUICKLY else _SETTLES_WITHIN)

    def _rests(self, watch: Watch, pause: timedelta) -> bool:
        """Say whether it sent a moment ago; a clock that is set back does not prolong it."""
        return bool(watch.parts) and abs(self.sender.now() - watch.parts[-1].made_at) < pause


def _lines(book: AccountState) -> str:
    return "; ".join((*map(position_line, book.positions), *map(order_line, book.orders)))
