"""Watches over a window around a release: warn before it, and let go what rests and would open.

1. It is made by a setting, once for each account and window, when its warning is due, and ends with the window.
2. What rests and opens gets a watch of its own that cancels it as the window begins (`desk/timed_watches.py`): made
   once, sent once, and judged again on the facts of its send. So an order that has come to close or to protect by then
   stands, and is looked at until the window ends.
3. An order opens if it adds to what is held, or nothing is held, and nothing is less protected without it. Exits that
   are owed to an entry are left alone whatever a list says: right after a fill a position may not be listed yet.
4. Only a rule that forbids resting orders cancels; without it, and where nothing is ever sent, it only tells.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.watch_prices import Rounds
from ct_mcp.desk.watch_sender import WatchSender
from ct_mcp.domain.account import Account
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch, WatchKind, WatchState
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.firm_policy import Automation, NewsRule
from ct_mcp.guard.flat_by import may_be_sent_to
from ct_mcp.guard.news_windows import NewsWindow, warned_ahead, windows_near
from ct_mcp.guard.rules.watch import only_opens
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import plain, utc_minute

_LOOKED_AT_TWICE = timedelta(seconds=5)
_UNREAD_FOR = timedelta(seconds=15)
_SEEN_DONE_WITHIN = timedelta(minutes=2)


def resting_that_open(book: AccountState, window: NewsWindow, owed: Collection[str], now: datetime) -> list[Order]:
    """Give the orders that a window concerns, and that do nothing but open (3)."""
    context = RiskContext(now, positions=book.positions, orders=book.orders)
    mine = (order for order in book.orders if window.concerns(order.instrument))
    return [order for order in mine if not {order.own_id, order.order_id} & set(owed) and only_opens(order, context)]


@dataclass(slots=True)
class NewsWatches:
    """Looks after all windows."""

    sender: WatchSender
    rounds: Rounds
    _unread_since: dict[str, datetime] = field(default_factory=dict)

    async def take_up(self, account: Account, now: datetime) -> None:
        """1: make the watches of the windows that are near."""
        news = self._rule(account.name)
        if news is None or not may_be_sent_to(account, self.sender.policy):
            return
        for window in windows_near(news, now, warned_ahead(self.sender.policy)):
            watch_id = f"news {account.name} {window.begins_at:%Y-%m-%dT%H%MZ}"
            watch = Watch(
                watch_id, WatchKind.NEWS, account.name, now, window.ends_at + _SEEN_DONE_WITHIN, due=window.begins_at
            )
            await self._open(watch, f"{watch.words}, by the settings")

    async def look(self, watch: Watch) -> None:
        """Warn once, and see to what rests for as long as the window lasts."""
        now, news = self.sender.now(), self._rule(watch.account)
        near = () if news is None else windows_near(news, now, warned_ahead(self.sender.policy))
        window = next((each for each in near if each.begins_at == watch.due), None)
        if news is None or window is None:
            await self.sender.end(watch, "over: the window has ended")
            return
        if not self.rounds.is_due(watch.watch_id, watch.account):
            return
        poller = self.sender.patient if now < window.begins_at else self.sender.poller
        book = await poller.book_now(watch.account, None)
        if book is None:
            await self._not_read(watch, window, now)
            return
        self._unread_since.pop(watch.watch_id, None)
        resting = resting_that_open(book, window, await self._owed(watch.account), now)
        cancels = news.no_resting and self._sends(watch.account)
        if watch.state is WatchState.OPEN:
            await self._warn(watch, window, book, resting)
        for order in resting if cancels else ():
            await self._cancel_at(watch, window, order, now)

    # 2: what is made of an order that rests

    async def _cancel_at(self, watch: Watch, window: NewsWindow, order: Order, now: datetime) -> None:
        cancel = Watch(
            f"{watch.watch_id} {order.order_id}",
            WatchKind.CANCEL_AFTER,
            watch.account,
            now,
            window.ends_at,
            order_id=order.order_id,
            instrument=order.instrument,
            due=max(window.begins_at, now + _LOOKED_AT_TWICE),
        )
        await self._open(cancel, f"{cancel.words}, for {_names(window)}, by the settings: {order_line(order)}")

    async def _open(self, watch: Watch, words: str) -> None:
        line = f"{watch.account}  watch {watch.watch_id}: {words}"
        entry = NewEntry(EntryKind.WATCH_SET, line, account=watch.account, detail={"watch": watch.watch_id})
        most, now = self.sender.policy.watches.most, self.sender.now()
        await self.sender.store.open_watch(watch, most, (entry,), now)

    async def _owed(self, account: str) -> set[str]:
        """3: by our ids, the exits that entries have got."""
        ids = set[str]()
        for duty in await self.sender.store.duties(account):
            tickets = [await self.sender.store.ticket(part.ticket_id) for part in duty.parts]
            ids |= {each.own_id_of(n) for each in tickets if each is not None for n in range(len(each.commands))}
        return ids

    # What is told

    async def _warn(self, watch: Watch, window: NewsWindow, book: AccountState, resting: list[Order]) -> None:
        held = [each for each in book.positions if window.concerns(each.instrument)]
        if not resting and not held:
            return
        span = f"nothing opens from {utc_minute(window.begins_at)} to {utc_minute(window.ends_at)}"
        lines = "; ".join(map(order_line, resting))
        parts = [f"{_names(window)}: {span}"]
        parts += [f"{self._what_happens(watch.account)}: {lines}"] if resting else []
        parts += [f"held through it, unless you close it: {'; '.join(map(position_line, held))}"] if held else []
        await self.sender.warn(watch, "; ".join(parts))

    def _what_happens(self, account: str) -> str:
        news = self._rule(account)
        if news is None or not news.no_resting:
            return "these rest, and may fill in it"
        if self._sends(account):
            return "these rest and would open, so they are cancelled then; exits stand"
        return "these rest and would open: cancel them by hand, since nothing is ever sent to this account"

    async def _not_read(self, watch: Watch, window: NewsWindow, now: datetime) -> None:
        """Orders that could not be read may rest: that is told, once."""
        since = self._unread_since.setdefault(watch.watch_id, now)
        if watch.state is WatchState.OPEN and abs(now - since) >= _UNREAD_FOR:
            words = (
                f"{_names(window)} is near, and what rests could NOT BE READ: look, and cancel by hand what would open"
            )
            await self.sender.warn(watch, words)
        self.rounds.again(watch.watch_id)

    def _rule(self, account: str) -> NewsRule | None:
        firm = self.sender.policy.for_(account, None).firm
        return None if firm is None else firm.news

    def _sends(self, account: str) -> bool:
        return self.sender.policy.for_(account, None).automation is Automation.PROPOSE


def _names(window: NewsWindow) -> str:
    return ", ".join(f"{plain(event.name)} at {utc_minute(event.at)}" for event in window.events)
