"""Watches over entries that rest, and over exits that stand, in one process of a machine at a time.

The same process runs what the person has asked to be watched (`desk/watches.py`), after the exits.

How it works; the numbers stand again at the blocks that do it.

 1. Who holds the lease looks; a process that died gives it up by not renewing it. What it sends is made once, and
    leaves only while the lease is held (`desk/exit_keeper.py`, 2), so one that ran out unnoticed does no harm. A look
    stays in the epoch of the lease in which it began: one that waits while others have the lease sends nothing, also
    once it is ours again.
 2. What a stream tells of an account is looked at once there is word; without one, every other second. One list of
    orders serves all entries of an account. An account that cannot be read is read less and less often.
 3. An entry that is listed is taken as it is listed; one that is not is asked for by its id, and then by ours. What is
    not found is asked for less often after a minute, and out of what others leave (`desk/unseen.py`); the list that
    is read anyway then holds what is over as well.
 4. Exits that outlive their position would open one. They are cancelled once it was gone for a while by two readings
    and a second source: right after a fill a position may not be listed yet. So are those of an entry of which a part
    still rests, or has no exits yet, every quarter of a minute.
 5. Exits whose position is held are held against it (`desk/exit_cover.py`). They are over only once their position was
    read gone, once they have filled, or once another stop stands in place of theirs.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from secrets import token_hex

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.exit_cover import Exit, ExitCover, Exits, firsts_of
from ct_mcp.desk.exit_keeper import ExitKeeper
from ct_mcp.desk.exit_tries import Road, key_of
from ct_mcp.desk.outcome import Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.recognition import Ours, named_before
from ct_mcp.desk.story import story_of
from ct_mcp.desk.unseen import Unseen
from ct_mcp.desk.warm_review import Silence
from ct_mcp.desk.watch_prices import LiveView
from ct_mcp.desk.watch_sender import WatchSender
from ct_mcp.desk.watches import Watches, make_watches
from ct_mcp.domain.commands import CancelOrder, PlaceOrder
from ct_mcp.domain.duty import Duty, DutyState
from ct_mcp.domain.lease import Holder
from ct_mcp.domain.order import Order
from ct_mcp.domain.passing import has_passed
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.guard.policy import Policy

LEASE = timedelta(seconds=15)
LEASE_NAME = "exits"
LOOK_EVERY_SECONDS = 1.0
_WITHOUT_STREAM_SECONDS = 2.0
_AT_LEAST_EVERY_SECONDS = 15.0
_UNREAD_SECONDS = 4.0
_IN_DOUBT_SECONDS = 5.0
_GONE_FOR_SECONDS = 10.0
_NEVER_SENT_AFTER_SECONDS = 60.0
_LOST_AFTER_SECONDS = 3600.0
_LOOK_BACK = 200
_NEVER_STOOD = frozenset({Status.REJECTED, Status.CANCELLED})
__all__ = ["ExitWatch", "Road", "watch_exits"]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Looked:
    """When an account was last looked at, what the stream had told of it by then, and whether each entry was seen.

    ``failed`` counts how often it could not be read since it could; what is ``is_in_doubt`` is soon read once more.
    """

    at: datetime
    mark: int | None
    is_whole: bool = True
    failed: int = 0
    is_in_doubt: bool = False


def watch_exits(upstream: Upstream, store: Store, contexts: ContextBuilder, policy: Policy, road: Road) -> "ExitWatch":
    """Make the keeper of a desk and the watch over what it keeps."""
    road = replace(road, holder=token_hex(8))
    watches = make_watches(WatchSender(upstream, store, policy, road), contexts)
    keeper = ExitKeeper(upstream, store, contexts, policy, road)
    return ExitWatch(keeper, upstream, store, road.clock, road.holder, watches)


@dataclass(slots=True)
class ExitWatch:
    """One look after the other at everything that is owed or stands."""

    keeper: ExitKeeper
    upstream: Upstream
    store: Store
    clock: Callable[[], datetime]
    holder: str
    watches: Watches
    silence: Silence | None = None
    unseen: Unseen = field(default_factory=Unseen)
    _looked: dict[str, _Looked] = field(default_factory=dict)
    _gone_since: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _watched: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _over: dict[str, Order] = field(default_factory=dict)
    cover: ExitCover = field(init=False)

    def __post_init__(self) -> None:
        """Give what stands its own hands."""
        self.cover = ExitCover(self.keeper, self.watches.sender, self.clock)

    def listen(self, live: LiveView) -> None:
        """Look at an account when a stream has told of it, from now on."""
        self.silence = live
        self.watches.listen(live)

    async def look(self) -> None:
        """Look once; nothing that goes wrong with one entry keeps the others from being looked at.

        A look may begin while another waits for an answer: what that one is about is left to it.
        """
        if self.watches.only_tell:
            await self.watches.look_at_alerts()
            return
        duties = await self.store.duties()
        if not (duties or await self.watches.has_work()) or not (holder := await self._keep_lease()):  # 1
            return
        for account in dict.fromkeys(duty.account for duty in duties):
            mine = [duty for duty in duties if duty.account == account]
            if self._is_due(account, mine):
                await self._look_at(account, mine, holder)
        await self.watches.look(self._keep_lease)

    async def _keep_lease(self) -> Holder | None:
        epoch = await self.store.take_lease(LEASE_NAME, self.holder, self.clock(), LEASE)
        return Holder(self.holder, epoch) if epoch else None

    async def let_go(self) -> None:
        """Give the lease back, so that the next process need not wait for it."""
        await self.store.release_lease(LEASE_NAME, self.holder)

    def _is_due(self, account: str, duties: Sequence[Duty]) -> bool:
        """2: at word of the account, or after a while."""
        mark = None if self.silence is None else self.silence.silence(account)
        last, now = self._looked.get(account), self.clock()
        if last is not None and mark == last.mark and not has_passed(last.at, self._every_seconds(last, duties), now):
            return False
        self._looked[account] = _Looked(now, mark, failed=0 if last is None else last.failed)
        return True

    def _every_seconds(self, last: _Looked, duties: Sequence[Duty]) -> float:
        now = self.clock()
        waits = any(duty.state is DutyState.OPEN and not self.unseen.is_lost(key_of(duty), now) for duty in duties)
        if last.failed:  # an entry that may fill is looked at soon after the account can be read again
            longest = _UNREAD_SECONDS if waits else _AT_LEAST_EVERY_SECONDS
            return min(_WITHOUT_STREAM_SECONDS**last.failed, longest)
        if last.is_in_doubt:
            return _IN_DOUBT_SECONDS
        is_told = last.mark is not None and last.is_whole
        return _AT_LEAST_EVERY_SECONDS if is_told or not waits else _WITHOUT_STREAM_SECONDS

    async def _look_at(self, account: str, duties: Sequence[Duty], holder: Holder) -> None:
        looked, is_any_missed = self._looked[account], any(self.unseen.is_missed(key_of(duty)) for duty in duties)
        try:
            orders = await self.upstream.urgent().orders(account, active_only=not is_any_missed)
        except CtMcpError:
            looked.failed += 1
            return
        looked.failed = 0
        for duty in duties:
            if (key := key_of(duty)) in self.keeper.looks:  # an earlier look is about it still, or who sent it
                continue
            self.keeper.looks[key] = holder
            try:
                if duty.state is DutyState.OPEN:
                    await self._tend(duty, orders)
                await self._watch(duty, orders)
            except Exception:  # noqa: BLE001  # logged; the other entries are owed their exits all the same
                _log.warning("What an entry is owed could not be looked at", exc_info=True)
                self._is_not_seen(account)
            finally:
                self.keeper.looks.pop(key)

    # 3: entries that may still fill, or whose fills have no exits yet

    async def _tend(self, duty: Duty, orders: Sequence[Order]) -> None:
        ticket = await self.store.ticket(duty.ticket_id)
        story = None if ticket is None else await story_of(self.store, ticket)
        told = None if story is None else story.part(duty.number, self.clock())
        is_young = not has_passed(duty.opened_at, _NEVER_SENT_AFTER_SECONDS, self.clock())
        if story is None or told is None or told.outcome is None or told.outcome.status is Status.REJECTED:
            if told is not None or not is_young:
                await self.keeper.end(duty, "the entry was never sent, or was refused: no exits are owed")
            return
        named, renamed = told.outcome.order_id, self.keeper.poller.renamed
        renamed.note(story.names(duty.number))
        names = (duty.own_id, named or duty.own_id)
        entry = next((order for order in orders if any(renamed.is_named(order, name) for name in names)), None)
        if entry is None and self.keeper.rests(duty):
            return
        if entry is None:
            entry = await self._find(duty, named)
        if entry is None:
            self._is_not_seen(duty.account)
            return
        self.unseen.seen(key_of(duty))
        if _is_it(entry, duty):
            await self.keeper.keep(duty, entry)

    async def _find(self, duty: Duty, named: str | None) -> Order | None:
        """Ask for one that is not listed; None where it is not found, or not asked for yet."""
        key, poller, sender = key_of(duty), self.keeper.poller, self.watches.sender
        if self.unseen.rests(key, self.clock()):
            return None
        if self.unseen.is_lost(key, self.clock()):
            if not await sender.has_room():
                return None
            poller = sender.patient
        is_it = await self._ours(duty.order, duty.own_id, duty.opened_at, named)
        entry = None if named is None else await poller.look(duty.account, named, is_it)
        if entry is None:
            find = poller.find_named if self.unseen.is_missed(key) else poller.find_once
            is_it = await self._ours(duty.order, duty.own_id, duty.opened_at)
            entry = await find(duty.account, duty.own_id, is_it)
        if entry is None:
            self.unseen.missed(key, self.clock())
        return entry

    async def _ours(self, order: PlaceOrder, own_id: str, since: datetime, named: str | None = None) -> Ours:
        """What an order must look like to be ours: its name at the service may not be known, or be another by now.

        What is asked for by a name that is known may have got another size with its new one.
        """
        before = named_before(await self.store.entries_of_orders(_LOOK_BACK, order.account), own_id)
        ours = Ours.as_placed(order, own_id, since, before)
        return replace(ours, named=named, quantity=None if named else ours.quantity)

    def _is_not_seen(self, account: str) -> None:
        """Of what was missed no stream tells again: it is looked at as without one."""
        if (looked := self._looked.get(account)) is not None:
            looked.is_whole = False

    # 4, 5: exits that stand

    async def _watch(self, duty: Duty, orders: Sequence[Order]) -> None:
        if duty.state is DutyState.OPEN and not self._is_to_be_watched(duty):
            return
        sent = tuple(await self._exits(duty))
        if not sent and duty.state is DutyState.OPEN:
            return
        book = await self.keeper.poller.book_believed(duty.account, duty.order.instrument)
        if book is None:
            self._gone_since.pop(key_of(duty), None)
            return
        exits = await self._read(duty, sent, (*orders, *book.orders, *book.over))
        is_known = all(exits.order_of(each) is not None for each in sent)
        gives_up = not is_known and has_passed(duty.opened_at, _LOST_AFTER_SECONDS, self.clock())
        if book.net * duty.order.action.sign > 0:
            self._gone_since.pop(key_of(duty), None)
            words = await self.cover.hold(duty, exits, book, self._names_in(duty.account), gives_up=gives_up)
            self._looked[duty.account].is_in_doubt |= self.cover.is_in_doubt(duty)
        else:
            words = await self._leave(duty, exits, book)
        if words and (is_known or gives_up) and duty.state is DutyState.STANDING:
            await self.keeper.end(duty, words if is_known else "its exits were never seen")
            self._forget(duty, sent)

    async def _leave(self, duty: Duty, exits: Exits, book: AccountState) -> str:
        """Cancel what stands though its position is gone; nothing is left to be said of it once nothing stands."""
        key, now = key_of(duty), self.clock()
        if not exits.left:
            await self.cover.gone(duty, exits, book)
            return "its exits are over"
        if not has_passed(self._gone_since.setdefault(key, now), _GONE_FOR_SECONDS, now):
            self._looked[duty.account].is_in_doubt = True
            return ""
        await self.cover.gone(duty, exits, book)
        self._gone_since[key] = now  # the next try comes after as long a while
        cancels = [CancelOrder(duty.account, order.order_id) for order in firsts_of(exits.left)]
        await self.keeper.send_under(duty, cancels, exits.left)
        return ""

    def _forget(self, duty: Duty, sent: Sequence[Exit]) -> None:
        self.cover.forget(duty)
        self._gone_since.pop(key_of(duty), None)
        for each in sent:
            self._over.pop(each.name, None)
            self.unseen.seen((each.name, 0))

    def _names_in(self, account: str) -> Callable[[], Awaitable[frozenset[str]]]:
        """Give the names of the exits of all entries of an account."""

        async def names() -> frozenset[str]:
            owed = await self.store.duties(account)
            return frozenset([each.name for duty in owed for each in await self._exits(duty)])

        return names

    def _is_to_be_watched(self, duty: Duty) -> bool:
        """Of an entry that is looked at every other second, what stands already is looked at less often."""
        last, now = self._watched.get(key_of(duty)), self.clock()
        if not duty.parts or (last is not None and not has_passed(last, _AT_LEAST_EVERY_SECONDS, now)):
            return False
        self._watched[key_of(duty)] = now
        return True

    async def _read(self, duty: Duty, sent: Sequence[Exit], rows: Sequence[Order]) -> Exits:
        """Find each in what was just listed; an empty list proves nothing, so what is not is asked for by its id.

        That finds one that was lost and has come all the same, too. One that was read as over is not asked for again:
        beside one that was lost each would cost a request a look.
        """
        left, is_named = dict[str, Order](), self.keeper.poller.renamed.is_named
        for each in sent:
            found = [order for order in rows if is_named(order, each.name)]
            if each.name not in self._over and not found:
                found = await self._ask(duty.account, each)
            if over := next((order for order in found if order.is_closed), None):
                self._over[each.name] = over
            elif each.name not in self._over:
                left.update((order.order_id, order) for order in found)
        over_by_now = {each.name: self._over[each.name] for each in sent if each.name in self._over}
        return Exits(tuple(sent), tuple(left.values()), over_by_now, is_named)

    async def _ask(self, account: str, it: Exit) -> list[Order]:
        """Ask for one by its id; what was not found for a minute is asked for less often."""
        key, now = (it.name, 0), self.clock()
        if self.unseen.is_lost(key, now) and self.unseen.rests(key, now):
            return []
        found = await self.keeper.poller.look(account, it.name, it.is_it)
        if found is None:
            self.unseen.missed(key, now)
            return []
        self.unseen.seen(key)
        return [found]

    async def _exits(self, duty: Duty) -> list[Exit]:
        """By the service's ids, which the journal knows, else by ours; also of a target that was placed alone.

        One that was refused, or cancelled, while it was being placed was told then, and stands behind nothing.
        """
        exits = list[Exit]()
        for part in duty.parts:
            ticket = await self.store.ticket(part.ticket_id)
            placed = [(n, each) for n, each in enumerate(ticket.commands if ticket else ()) if is_exit_of_entry(each)]
            if ticket is None or not placed:
                continue
            story = await story_of(self.store, ticket)
            for number, command in placed:
                told = story.part(number, self.clock())
                if told is not None and told.outcome is not None and told.outcome.status not in _NEVER_STOOD:
                    named, own_id = told.outcome.order_id, ticket.own_id_of(number)
                    self.keeper.poller.renamed.note(story.names(number))
                    is_it = await self._ours(command, own_id, part.made_at, named)
                    exits.append(Exit(named or own_id, command, is_it))
        return exits


def _is_it(order: Order, duty: Duty) -> bool:
    """Say whether an order is the entry: an answer may have named somebody else's. Its size may have been changed."""
    wanted = duty.order
    agrees = (order.instrument, order.action) == (wanted.instrument, wanted.action)
    alike = order.order_type is wanted.order_type or not order.order_type.can_be_sent
    return agrees and alike and order.own_id in (None, duty.own_id)
