"""Runs the watches, in one process of a machine at a time.

How it works; the numbers stand again at the blocks that do it.

 1. Watches stand in the store. Who holds the lease of the exit watch runs them, and whoever takes it next goes on.
 2. What a watch sends gets a ticket of its own, spent from the start and made once: the store takes it only from who
    holds the lease at that moment and knew all tickets before. Lease and ticket are looked at again in the transaction
    that writes the intent, and right before the wire (`store/parts.py`): a process that slept anywhere sends nothing.
 3. Its command goes the usual road. It may only reduce, by its making (`desk/watch_tickets.py`) and once more on the
    facts of the send (`desk/approval.py`).
 4. The time to be flat by of the settings is a watch of each account for one day, made in its morning; a release that
    the settings know of is one of each account for its window, made when its warning is due.
 5. A watch lives until the session rolls, unless another life was said; nothing else ends one but itself and whoever is
    asked to (`end_watch`, the person). Once its life is over it sends nothing, and says what it has not done.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ct_mcp.desk.alerts import Alerts
from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.floor_alert import Floors
from ct_mcp.desk.news_watches import NewsWatches
from ct_mcp.desk.timed_watches import TimedWatches
from ct_mcp.desk.trailing import Trailer
from ct_mcp.desk.watch_prices import LiveView, Rounds, WatchedPrices
from ct_mcp.desk.watch_sender import WatchSender
from ct_mcp.desk.watch_tickets import rolls_at
from ct_mcp.domain.account import Account, AccountKind, account_key
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.flat_by import flat_by_acts, flat_by_of, flat_by_time, is_near, may_be_sent_to
from ct_mcp.guard.news_windows import settings_act, settings_warn
from ct_mcp.guard.policy import Mode
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import plain

_SETTINGS_EVERY = timedelta(minutes=2)
_UNLISTED_EVERY = timedelta(seconds=10)
_UNLISTED_FOR = timedelta(seconds=10)
_log = logging.getLogger(__name__)


def make_watches(sender: WatchSender, contexts: ContextBuilder) -> "Watches":
    """Make what runs the watches of a desk."""
    clock = sender.road.clock
    prices = WatchedPrices(sender.upstream, clock, sender.policy.limits.quote_max_age_seconds)
    return Watches(sender, contexts, prices, Rounds(clock))


@dataclass(slots=True)
class Watches:
    """One look after the other at everything that is watched."""

    sender: WatchSender
    contexts: ContextBuilder
    prices: WatchedPrices
    rounds: Rounds
    trailer: Trailer = field(init=False)
    timed: TimedWatches = field(init=False)
    news: NewsWatches = field(init=False)
    alerts: Alerts = field(init=False)
    _settings_read_at: datetime | None = None
    _unlisted_since: datetime | None = None
    _unlisted_told: date | None = None

    def __post_init__(self) -> None:
        """Give each kind its own hands."""
        self.trailer = Trailer(self.sender, self.prices, self.rounds)
        self.timed = TimedWatches(self.sender, self.rounds, self.prices)
        self.news = NewsWatches(self.sender, self.rounds)
        sender, losses = self.sender, self.contexts.day_losses
        floors = Floors(sender.upstream, sender.store, sender.policy, sender.now, losses)
        self.alerts = Alerts(sender, self.prices, self.rounds, floors)

    def listen(self, live: LiveView) -> None:
        """Look at what a stream has told of, from now on."""
        self.rounds.silence = live
        self.prices.listen(live)

    async def has_work(self) -> bool:
        """Say whether there is anything to watch."""
        near = settings_act(self.sender.policy, self.sender.now())
        return near or bool(await self.sender.store.watches())

    @property
    def only_tell(self) -> bool:
        """Whether nothing may be sent here: then whoever may has the lease, and alerts, which tell once, need none."""
        return self.sender.policy.mode is Mode.READ_ONLY

    async def look_at_alerts(self) -> None:
        """Look at what only tells."""
        for watch in await self.sender.store.watches():
            if watch.kind is WatchKind.ALERT:
                await self._look_safely(watch, NOBODY)

    async def look(self, keep_lease: Callable[[], Awaitable[Holder | None]]) -> None:
        """Look once at each; nothing that goes wrong with one keeps the others from being looked at."""
        await self._take_up_settings()
        for watch in await self.sender.store.watches():
            if not (holder := await keep_lease()):  # 2
                return
            await self._look_safely(watch, holder)

    async def _look_safely(self, watch: Watch, holder: Holder) -> None:
        """Look at one, unless an earlier look is about it still."""
        if watch.watch_id in self.sender.looks:
            return
        self.sender.looks[watch.watch_id] = holder
        try:
            await self._look_at(watch)
        except Exception:  # noqa: BLE001  # logged; the other watches go on all the same
            _log.warning("Watch %s could not be looked at", watch.watch_id, exc_info=True)
        finally:
            self.sender.looks.pop(watch.watch_id)

    async def _look_at(self, watch: Watch) -> None:
        if self.sender.now() >= watch.until and watch.kind is not WatchKind.ALERT:
            await self._end_of(watch)
            return
        match watch.kind:
            case WatchKind.TRAILING_STOP:
                await self.trailer.look(watch)
            case WatchKind.CANCEL_AFTER:
                await self.timed.cancel_after(watch)
            case WatchKind.FLAT_BY | WatchKind.FLAT_BY_WARNING:
                await self.timed.flat_by(watch)
            case WatchKind.NEWS:
                await self.news.look(watch)
            case WatchKind.ALERT:  # pragma: no branch  # the set is closed
                await self.alerts.look(watch)
                if self.sender.now() >= watch.until:
                    await self.sender.end(watch, "over: its life has ended")

    async def _end_of(self, watch: Watch) -> None:
        """5: what comes later sends nothing any more; what is open by then may be another day's."""
        match watch.kind:
            case WatchKind.CANCEL_AFTER:
                await self.timed.end_of_cancel(watch)
            case WatchKind.FLAT_BY | WatchKind.FLAT_BY_WARNING:
                await self.timed.end_of_flat_by(watch)
            case WatchKind.TRAILING_STOP:
                await self.sender.end(watch, "over: its life has ended, and its stop is moved no more")
            case _:
                await self.sender.end(watch, "over: its life has ended")

    # 4: what the settings ask for

    async def _take_up_settings(self) -> None:
        """Make the watches of this day, once their warning is due; each is made once, by whoever comes first."""
        now, policy = self.sender.now(), self.sender.policy
        if not settings_act(policy, now):
            return
        is_urgent = self._unlisted_since is not None and settings_warn(policy, now)
        every = _UNLISTED_EVERY if is_urgent else _SETTINGS_EVERY
        if self._settings_read_at is not None and abs(now - self._settings_read_at) < every:
            return
        self._settings_read_at = now
        for account in await self._accounts(now):
            self.sender.kinds[account.name] = account.kind
            await self._take_up(account, now)
            await self.news.take_up(account, now)

    async def _accounts(self, now: datetime) -> Sequence[Account]:
        """List them; where none is read, those that were known last, and those that the settings name."""
        accounts: Sequence[Account] = ()
        with suppress(CtMcpError):
            accounts = await self.contexts.resolver.accounts(urgent=True)
        if accounts:
            self._unlisted_since = None
            return accounts
        known = await self.sender.store.known_accounts(now)
        keys = {account_key(account.name) for account in known}
        named = (Account(name, AccountKind.UNKNOWN) for name in self.sender.policy.accounts)
        accounts = (*known, *(account for account in named if account_key(account.name) not in keys))
        await self._not_listed(accounts, now)
        return accounts

    async def _not_listed(self, known: Sequence[Account], now: datetime) -> None:
        """Tell it once a day, when the time is near: what is open in an account that nobody knows is not looked at."""
        since = self._unlisted_since = self._unlisted_since or now
        day, policy = trading_day(now), self.sender.policy
        if abs(now - since) < _UNLISTED_FOR or self._unlisted_told == day or not settings_warn(policy, now):
            return
        self._unlisted_told = day
        names = ", ".join(plain(each.name) for each in known if may_be_sent_to(each, policy)) or "none"
        words = f"the accounts could NOT BE READ: the settings act in those that are known ({names}), in no other: look"
        await self.sender.store.tell_of_watch(None, NewEntry(EntryKind.WATCH_TOLD, words), now)

    async def _take_up(self, account: Account, now: datetime) -> None:
        flat_by = flat_by_of(account, self.sender.policy)
        if flat_by is None or not is_near(flat_by, self.sender.policy, now):
            return
        kind, named = WatchKind.FLAT_BY, "flat-by"
        if not flat_by_acts(account.name, self.sender.policy):
            kind, named = WatchKind.FLAT_BY_WARNING, "flat-by-warning"
        watch_id, due = f"{named} {account.name} {trading_day(now)}", flat_by_time(flat_by, now).at
        watch = Watch(watch_id, kind, account.name, now, rolls_at(now), due=due)
        words = f"{account.name}  watch {watch_id}: {watch.words}, by the settings"
        entry = NewEntry(EntryKind.WATCH_SET, words, account=account.name, detail={"watch": watch_id})
        await self.sender.store.open_watch(watch, self.sender.policy.watches.most, (entry,), now)
