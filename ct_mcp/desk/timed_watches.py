"""Watches that act at a time: cancel an entry that has not filled, and be flat.

1. What may have been sent is not sent again: a cancel never, a flatten once a look has found out what became of it.
   What was never written down as about to be sent is made anew, as long as the watch lives.
2. What cannot be read is not taken for done: a cancel waits until two sources say what is held, and a flatten goes all
   the same after a while.
3. Whatever could not be done is told, and the same thing once.
4. The time to be flat by of the settings comes earlier on a day that ends early: by the sessions of what is open, where
   the service tells them, else by the table of holidays. It is over at the usual time, since what is opened by hand
   between the two has to go as well.
5. What has not acted in its life does not act later: what is open by then may be another day's. That is told.
6. An account that reads flat is watched on while an order of ours may still arrive in it.
7. A cancel of the settings takes what does nothing but open, by the book right before it is sent; an exit stands.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import may_arrive, not_for_certain
from ct_mcp.desk.polling import AccountState, Baseline
from ct_mcp.desk.recognition import Asked
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.standing import lines_of
from ct_mcp.desk.watch_prices import Rounds, WatchedPrices
from ct_mcp.desk.watch_sender import WatchSender, come_to, said, with_what_stands
from ct_mcp.domain.commands import CancelOrder, Flatten
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch, WatchKind, WatchState
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.flat_by import FlatByTime, flat_by_time
from ct_mcp.guard.policy import FlatBy
from ct_mcp.guard.rules.watch import only_opens
from ct_mcp.store.journal import Entry
from ct_mcp.text import utc_minute

_TRIES = 3
_AGAIN_AFTER = timedelta(seconds=10)
_QUICKLY = 4
_SETTLES_WITHIN = timedelta(seconds=60)
_UNREAD = "what is open could NOT BE READ"
_UNREAD_FOR = timedelta(seconds=10)
_SESSIONS_EVERY = timedelta(minutes=10)
_SESSIONS_NEAR = timedelta(minutes=30)
_SESSIONS_EVERY_NEAR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Today:
    """When one is due today, as it was last asked."""

    asked_at: datetime
    time: FlatByTime


@dataclass(slots=True)
class TimedWatches:
    """Looks after those of both kinds."""

    sender: WatchSender
    rounds: Rounds
    prices: WatchedPrices
    _unread_since: dict[str, datetime] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _orders: dict[str, Order] = field(default_factory=dict)
    _seen: dict[str, dict[str, None]] = field(default_factory=dict)
    _last: dict[str, str] = field(default_factory=dict)
    _flat_after: dict[str, int] = field(default_factory=dict)
    _waits: set[str] = field(default_factory=set)
    _today: dict[str, _Today] = field(default_factory=dict)

    async def cancel_after(self, watch: Watch) -> None:
        """Cancel an order that has not filled by its time."""
        is_time = watch.due is not None and self.sender.now() >= watch.due
        is_calm = not is_time or watch.watch_id in self._waits
        if is_calm and not self.rounds.is_due(watch.watch_id, watch.account):
            return
        is_it = Asked(watch.order_id or "", self._orders.get(watch.watch_id))
        order = await self.sender.poller.look(watch.account, is_it.order_id, is_it)
        if order is None:  # 2
            return
        self._orders[watch.watch_id] = order
        if order.is_closed:
            await self._order_is_over(watch, order)
        elif is_time and not self._rests_again(watch):
            await self._cancel(watch, order)

    async def _cancel(self, watch: Watch, order: Order) -> None:
        if await self.sender.has_sent(watch):  # 1
            if not self._rests(watch, _SETTLES_WITHIN):
                await self.sender.end(watch, f"the cancel was sent, and the order still stands: {order_line(order)}")
            return
        book = await self.sender.poller.book_believed(watch.account, order.instrument)
        is_unread_for_long = self._is_unread_for_long(watch, book)
        if book is None:
            await self._not_believed(watch, order, is_for_long=is_unread_for_long)
            return
        if watch.is_of_settings and not self._only_opens(order, book):
            await self._stands(watch, order)
            return
        self._waits.discard(watch.watch_id)
        outcome = await self.sender.send(watch, CancelOrder(order.account, order.order_id), order)
        if outcome is not None:
            await self._cancel_came(watch, order, outcome)

    async def _cancel_came(self, watch: Watch, order: Order, outcome: Outcome) -> None:
        """Say what became of a cancel, and end with it where it is known."""
        if (now := come_to(order, outcome)).is_closed:
            is_cancelled = outcome.status is Status.CANCELLED
            words = "cancelled, since its time has come" if is_cancelled else "over before its cancel"
            await self.sender.end(watch, with_what_stands(f"{words}: {order_line(now)}", outcome))
        elif DenialCode.WATCH_WOULD_NOT_REDUCE not in outcome.codes:
            await self._tell(watch, f"not cancelled yet: {said(outcome)}")  # 3
        elif watch.is_of_settings:
            await self._stands(watch, order)
        else:
            await self.sender.end(watch, f"not cancelled, since it protects by now: {order_line(order)}")

    def _only_opens(self, order: Order, book: AccountState) -> bool:
        return only_opens(order, RiskContext(self.sender.now(), positions=book.positions, orders=book.orders))

    async def _stands(self, watch: Watch, order: Order) -> None:
        """7: it is an exit by now; it may open again before the window ends, so it is looked at until then."""
        self._waits.add(watch.watch_id)
        until = f"if it opens again before {utc_minute(watch.until)}, it is cancelled"
        await self._tell(watch, f"not cancelled, since it closes or protects by now: {order_line(order)}; {until}")

    async def _order_is_over(self, watch: Watch, order: Order) -> None:
        """Say what it came to; where it filled before a cancel that nobody saw done, also what that has left."""
        words = [f"over: its order is {order.state_text}, {order.filled} of {order.quantity} filled"]
        if order.filled and watch.parts:
            book = await self.sender.patient.book_believed(watch.account, order.instrument)
            unread = ["what stands now could not be read"]
            words += unread if book is None else lines_of(book.positions, book.orders, {})
        await self.sender.end(watch, "; ".join(words))

    async def end_of_cancel(self, watch: Watch) -> None:
        """5: say what became of the order."""
        is_it = Asked(watch.order_id or "", self._orders.get(watch.watch_id))
        order = await self.sender.patient.look(watch.account, is_it.order_id, is_it)
        ended = f"its life ended at {utc_minute(watch.until)}"
        if order is not None and order.is_closed:
            await self._order_is_over(watch, order)
        elif order is not None:
            await self._end_beside(watch, order, ended)
        elif self._is_unread_for_long(watch, order):
            unread = f"order {watch.order_id} of {watch.instrument} could NOT BE READ"
            await self.sender.end(watch, f"NOT SEEN CANCELLED: {ended}, and {unread}: look, and act by hand")

    async def _end_beside(self, watch: Watch, order: Order, ended: str) -> None:
        """Say that the order stands; one that was just cancelled has a while to be seen so."""
        if self._rests(watch, _SETTLES_WITHIN):
            return
        book = (
            await self.sender.patient.book_believed(watch.account, order.instrument) if watch.is_of_settings else None
        )
        is_exit = book is not None and not self._only_opens(order, book)
        why = ", since it closes or protects" if is_exit else ""
        await self.sender.end(
            watch, f"{'over' if is_exit else 'NOT CANCELLED'}: {ended}, and the order stands{why}: {order_line(order)}"
        )

    async def _not_believed(self, watch: Watch, order: Order, *, is_for_long: bool) -> None:
        """Lists have come back empty: an order that seems to open may be all that protects. It stands, and is told."""
        if watch.state is WatchState.OPEN and is_for_long:
            await self.sender.warn(watch, f"NOT cancelled, since what is held cannot be told: {order_line(order)}")

    async def flat_by(self, watch: Watch) -> None:
        """Warn, then cancel and flatten, and tell what was read of it."""
        now, today = self.sender.now(), await self._time_of(watch)
        warns_from = today.at - timedelta(minutes=self.sender.policy.watches.warn_minutes)
        if now >= today.at:
            await self._leave(watch, today)
        elif now >= warns_from and watch.state is WatchState.OPEN and self.rounds.is_due(watch.watch_id, watch.account):
            await self._warn(watch, today)

    async def _time_of(self, watch: Watch) -> FlatByTime:
        """4: when it is due; the sessions of what is open are asked for every ten minutes, and oftener near it."""
        now, due = self.sender.now(), watch.due or watch.until
        flat_by = self.sender.policy.for_(watch.account, None).limits.flat_by if watch.is_of_settings else None
        if flat_by is None:
            return FlatByTime(due, due)
        last = self._today.get(watch.watch_id)
        if last is not None:
            is_near = last.time.at - now < _SESSIONS_NEAR
            if abs(now - last.asked_at) < (_SESSIONS_EVERY_NEAR if is_near else _SESSIONS_EVERY):
                return last.time
        book = await self.sender.patient.book_now(watch.account, None) if await self.sender.has_room() else None
        return await self._ask_sessions(watch, flat_by, book)

    async def _ask_sessions(self, watch: Watch, flat_by: FlatBy, book: AccountState | None) -> FlatByTime:
        """Ask for the sessions of what is open; what could not be read stands as it was told last, or by the table."""
        now, last = self.sender.now(), self._today.get(watch.watch_id)
        held = () if book is None else (each.instrument for each in book.positions)
        working = () if book is None else (each.instrument for each in book.orders)
        sessions = [await self.prices.session(instrument) for instrument in dict.fromkeys((*held, *working))]
        found = min((flat_by_time(flat_by, now, each) for each in sessions or [None]), key=lambda each: each.at)
        if last is not None and (book is None or None in sessions):
            found = last.time
        self._today[watch.watch_id] = _Today(now, found)
        return found

    async def _warn(self, watch: Watch, today: FlatByTime) -> None:
        book = await self.sender.poller.book_now(watch.account, watch.instrument)
        if book is None or book.is_flat:
            return
        self._saw(watch, book)
        open_now, why = _lines(book), f" ({today.why})" if today.why else ""
        left = (today.at - self.sender.now()).total_seconds() / 60
        is_told_only = watch.kind is WatchKind.FLAT_BY_WARNING
        done = "this is yours to cancel and close" if is_told_only else "this is cancelled and closed"
        words = f"flat by {utc_minute(today.at)}{why}, in {left:.0f} minutes {done}: {open_now}"
        await self.sender.warn(watch, words)

    async def _leave(self, watch: Watch, today: FlatByTime) -> None:
        goes_on = self.sender.now() < today.usual
        is_calm = goes_on or watch.watch_id in self._waits
        if self._rests_again(watch) or (is_calm and not self.rounds.is_due(watch.watch_id, watch.account)):
            return
        book = await self._book(watch)
        if not self._is_unread_for_long(watch, book) and book is None:
            return
        if goes_on and book is not None and not book.is_flat:
            today = await self._of_what_is_open(watch, today, book)
        if self.sender.now() < today.at:
            return  # what has been opened since it was asked trades on as usual
        if book is None or not book.is_flat:
            await self._flatten(watch, today, _UNREAD if book is None else _lines(book))
        elif goes_on:
            self._flat_after[watch.watch_id] = len(watch.parts)
        else:
            await self._over(watch)

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
        read = await poller.borne_out(watch.account, before, read)
        self._saw(watch, read)
        return read

    def _saw(self, watch: Watch, book: AccountState | None) -> None:
        """Remember what stands: a list that holds none of it any more is not believed on its word."""
        if book is not None:
            self._seen.setdefault(watch.watch_id, {}).update((order.order_id, None) for order in book.orders)
            self._last[watch.watch_id] = f"seen last at {utc_minute(self.sender.now())}: {_lines(book) or 'flat'}"

    async def _of_what_is_open(self, watch: Watch, today: FlatByTime, book: AccountState) -> FlatByTime:
        """4: when it is due for what is open by now; before the usual time nothing is closed on an older word."""
        flat_by = self.sender.policy.for_(watch.account, None).limits.flat_by if watch.is_of_settings else None
        return today if flat_by is None else await self._ask_sessions(watch, flat_by, book)

    async def _flatten(self, watch: Watch, today: FlatByTime, stands: str) -> None:
        if watch.kind is WatchKind.FLAT_BY_WARNING:
            come = f"its time has come{f' ({today.why})' if today.why else ''}"
            await self.sender.end(watch, f"{come}, and nothing is closed for you: {stands}")
            return
        self._waits.discard(watch.watch_id)
        sent = await self._tries(watch)
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
        come = f"its time has come{f' ({today.why})' if today.why else ''}, and it is"
        if outcome.status is not Status.FLAT:
            await self._tell(watch, f"{come} not seen flat yet: {said(outcome)}")
        elif self.sender.now() < today.usual:
            await self.sender.tell(watch, with_what_stands(f"{come} flat; it was: {stands}", outcome))
        else:
            await self.sender.end(watch, with_what_stands(f"{come} flat; it was: {stands}", outcome))

    async def _tries(self, watch: Watch) -> int:
        """Count the sends since it was read flat: what was opened by hand after that is another matter."""
        sent = await self.sender.sent(watch, self._flat_after.get(watch.watch_id, 0))
        return len(sent) if Status.FLAT not in sent else sent[::-1].index(Status.FLAT)

    async def _over(self, watch: Watch) -> None:
        """Nothing is left: by what it has done, or because nothing was open."""
        if coming := await self._coming(watch):
            self._waits.add(watch.watch_id)
            await self.sender.settle(watch.account, only_exits=False)
            if coming := await self._coming(watch):  # 6; what has arrived meanwhile, the next look sees
                await self._tell(watch, not_for_certain(coming))
            return
        has_sent = await self.sender.has_sent(watch)
        words = "what it sent is seen done" if has_sent else "its time has come, and nothing is open"
        await self.sender.end(watch, f"{words}: nothing is held, and no order is left")

    async def _coming(self, watch: Watch) -> list[Entry]:
        now, sent = self.sender.now(), await self.sender.store.outstanding(watch.account)
        return [entry for entry in sent.entries if may_arrive(entry, now, watch.instrument)]

    async def end_of_flat_by(self, watch: Watch) -> None:
        """5: say what is open."""
        if watch.watch_id in self._waits and not self.rounds.is_due(watch.watch_id, watch.account):
            return
        book = await self._book(watch)
        if book is not None and book.is_flat:
            await self._over(watch)
            return
        ended, by_hand = f"its life ended at {utc_minute(watch.until)}", "close by hand what is not to stand"
        if book is not None:
            acts = "is closed for you" if watch.kind is WatchKind.FLAT_BY_WARNING else "more is closed"
            words = f"NOT FLAT: {ended}, and nothing {acts}; open now: {_lines(book)}; {by_hand}"
            await self.sender.end(watch, words)
        elif self._is_unread_for_long(watch, book):
            last = self._last.get(watch.watch_id, "nothing of it was read before")
            await self.sender.end(watch, f"NOT SEEN FLAT: {ended}, and {_UNREAD}; {last}; {by_hand}")

    def _is_unread_for_long(self, watch: Watch, read: AccountState | Order | None) -> bool:
        """Say whether it could not be read for a while up to now; one reading ends that."""
        if read is not None:
            self._unread_since.pop(watch.watch_id, None)
            return False
        since = self._unread_since.setdefault(watch.watch_id, self.sender.now())
        return abs(self.sender.now() - since) >= _UNREAD_FOR

    async def _tell(self, watch: Watch, words: str) -> None:
        if self._told.get(watch.watch_id) != words:
            self._told[watch.watch_id] = words
            await self.sender.tell(watch, words)

    def _rests_again(self, watch: Watch) -> bool:
        """Say whether it tried a moment ago; what fails again and again is tried once a minute."""
        tries = len(watch.parts) - self._flat_after.get(watch.watch_id, 0)
        return self._rests(watch, _AGAIN_AFTER if tries < _QUICKLY else _SETTLES_WITHIN)

    def _rests(self, watch: Watch, pause: timedelta) -> bool:
        """Say whether it sent a moment ago; a clock that is set back does not prolong it."""
        return bool(watch.parts) and abs(self.sender.now() - watch.parts[-1].made_at) < pause


def _lines(book: AccountState) -> str:
    return "; ".join((*map(position_line, book.positions), *map(order_line, book.orders)))
