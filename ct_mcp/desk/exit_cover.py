"""Holds exits that stand against what is held: a stop that went before its time, exits that are too large.

 1. A stop may go although its contracts are still held: the broker drops it, or NinjaTrader takes it along with a
    target that fills in part. What then stands without any stop, by two readings with a while between them, is told,
    and closed where the question said that what is unprotected is closed.
 2. A stop that somebody has cancelled and put nothing in place of was cancelled on purpose, for all that can be read.
    That is told once, after a minute, since positions are behind the fill of whoever left; nothing is closed. Where
    another stop stands in its place, all is well; once one stood there, nothing is closed any more.
 3. Exits that together are larger than what is held by now would turn the position round. They are made smaller, which
    only reduces; what that does not do is told with the calls. Only the exits of our entries are counted: what else
    stands beside them, somebody has placed for reasons of their own. Until a minute after the last exits were placed,
    what has filled for them may not be listed yet.
 4. Where exits have filled more than was held, what is held by then is told.

What is told stands in the journal, and in the next answer of any tool.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from ct_mcp.desk.exit_keeper import ExitKeeper
from ct_mcp.desk.exit_tickets import close_at_market
from ct_mcp.desk.exit_tries import Rests, key_of, note_of
from ct_mcp.desk.misfits import Misfit, calls_of, larger_than_held
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.recognition import Ours
from ct_mcp.desk.standing import standing_of
from ct_mcp.desk.stops import covered
from ct_mcp.desk.story import story_of
from ct_mcp.desk.watch_sender import WatchSender, said
from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import CancelOrder, ChangeOrder, ClosePosition, Command, Flatten, PlaceOrder
from ct_mcp.domain.duty import Duty, DutyState
from ct_mcp.domain.order import IN_CANCELLATION, IN_FLIGHT, LONGEST_LOOKBACK_SECONDS, Order, OrderState
from ct_mcp.domain.passing import has_passed
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.effect import is_exit_of_entry, leaves_position
from ct_mcp.store.journal import EntryKind

_FOR_SECONDS = 10.0
_LISTED_WITHIN_SECONDS = 60.0  # positions are behind fills by tens of seconds
_MOST_CUTS = 6  # of the tickets of one entry, so that those that leave it are never used up
_MOST_NOTES = 50
_IS_OUT = frozenset({Status.FLAT, Status.FILLED})
_DONE = frozenset({Status.CHANGED, Status.WORKING, Status.CANCELLED})
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit that was sent: by the service's id, or by ours, with what the order must look like."""

    name: str
    command: PlaceOrder
    is_it: Ours | None = None

    @property
    def is_stop(self) -> bool:
        """Say whether it protects."""
        return self.command.order_type.needs_stop_price


@dataclass(frozen=True, slots=True)
class Lost:
    """So many contracts whose stop is over, and did not fill; ``is_forced`` where nobody can have wanted that.

    ``targets`` stand still for them.
    """

    contracts: int
    why: str
    is_forced: bool = False
    targets: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Exits:
    """All exits of an entry as they were read: those that stand, and by their names those that are over."""

    sent: tuple[Exit, ...]
    left: tuple[Order, ...]
    over: Mapping[str, Order]
    is_named: Callable[[Order, str], bool] = Order.is_named

    def order_of(self, it: Exit) -> Order | None:
        """Give it as it was read; None where it was not found."""
        return self.over.get(it.name) or next((order for order in self.left if self.is_named(order, it.name)), None)

    @property
    def filled(self) -> int:
        """Contracts that have left by them."""
        return sum(order.filled for order in (*self.left, *self.over.values()))

    def lost(self, *, gives_up: bool) -> tuple[Lost, ...]:
        """Give what has no stop any more; of one that was never seen only where nobody looks for it any more."""
        return tuple(lost for stop in self.sent if stop.is_stop for lost in self._lost(stop, gives_up=gives_up))

    def _lost(self, stop: Exit, *, gives_up: bool) -> Iterator[Lost]:
        beside = [self.order_of(each) for each in self.sent if not each.is_stop and _are_one_pair(each, stop)]
        order, taken = self.order_of(stop), [each.filled for each in beside if each is not None]
        if order is None:
            if gives_up:
                yield Lost(stop.command.quantity - sum(taken), "whether its stop stands was never seen")
            return
        left = min(order.quantity, stop.command.quantity) - order.filled - sum(taken)
        if not order.is_closed or order.state is OrderState.FILLED or len(taken) < len(beside) or left <= 0:
            return
        targets = tuple(each for each in beside if each is not None and not each.is_closed)
        if order.state is OrderState.REJECTED:
            yield Lost(left, "its stop reads REJECTED by now", is_forced=True, targets=targets)
        elif any(taken):
            why = "its target has filled in part, and the stop is CANCELLED with that"
            yield Lost(left, why, is_forced=True, targets=targets)
        else:
            yield Lost(left, "its stop was cancelled, and no other stands in its place")


def _are_one_pair(one: Exit, other: Exit) -> bool:
    return one.command.exit_of == other.command.exit_of


@dataclass(slots=True)
class ExitCover:
    """Looks after the exits of all entries; what it knows between two looks goes with the process."""

    keeper: ExitKeeper
    sender: WatchSender
    clock: Callable[[], datetime]
    _bare_since: dict[_Key, datetime] = field(default_factory=dict)
    _cancelled_since: dict[_Key, datetime] = field(default_factory=dict)
    _replaced: set[_Key] = field(default_factory=set)
    _in_doubt: set[_Key] = field(default_factory=set)
    _large_since: dict[_Key, datetime] = field(default_factory=dict)
    _told: dict[_Key, int] = field(default_factory=dict)
    _said: dict[_Key, set[str]] = field(default_factory=dict)
    _rests: Rests = field(default_factory=Rests)

    def is_in_doubt(self, duty: Duty) -> bool:
        """Say whether something is to be read once more before it is believed."""
        return key_of(duty) in self._in_doubt

    def forget(self, duty: Duty) -> None:
        """It is over."""
        for known in (self._bare_since, self._cancelled_since, self._large_since, self._told, self._said):
            known.pop(key_of(duty), None)
        self._replaced.discard(key_of(duty))
        self._in_doubt.discard(key_of(duty))
        self._rests.end(key_of(duty))

    async def hold(
        self,
        duty: Duty,
        exits: Exits,
        book: AccountState,
        names: Callable[[], Awaitable[Collection[str]]],
        *,
        gives_up: bool,
    ) -> str:
        """Look at the exits of what is held; the words with which they are over, or nothing where they are not yet.

        ``names`` gives the exits of all entries of the account.
        """
        held = _held_in(book, duty)
        key, lost = key_of(duty), exits.lost(gives_up=gives_up)
        self._in_doubt.discard(key)
        bare = min(sum(each.contracts for each in lost), held.quantity - covered(held, book.orders))
        if exits.left:
            await self._cut(duty, exits, book, held, names)
        if bare > 0:
            lost = tuple(replace(each, is_forced=each.is_forced and key not in self._replaced) for each in lost)
            return await self._bare(duty, exits, book, lost, bare)
        self._bare_since.pop(key, None)
        self._cancelled_since.pop(key, None)
        if lost:
            self._replaced.add(key)
        if exits.left:
            return ""
        return "its exits are over; another stop stands in place of its own" if lost else "its exits are over"

    # 1, 2

    async def _bare(self, duty: Duty, exits: Exits, book: AccountState, lost: Sequence[Lost], bare: int) -> str:
        key, held = key_of(duty), _held_in(book, duty)
        is_forced = any(each.is_forced for each in lost)
        known, seconds = (
            (self._bare_since, _FOR_SECONDS) if is_forced else (self._cancelled_since, _LISTED_WITHIN_SECONDS)
        )
        if not self._is_so_for(seconds, known, key):
            return ""
        why = "; ".join(dict.fromkeys(each.why for each in lost))
        what = f"{bare} of the {held.quantity} {held.instrument} held stand without a stop: {why}"
        if bare > self._told.get(key, 0):
            with suppress(StoreFailed):  # that it cannot be written keeps nothing from being closed
                if not await self._was_told(duty, bare):
                    await self._tell(duty, EntryKind.UNPROTECTED, f"UNPROTECTED: {what}", bare=bare)
                self._told[key] = bare
        bracket, forced = duty.order.bracket, tuple(each for each in lost if each.is_forced)
        if forced and bracket is not None and bracket.closes_if_unprotected:
            is_its_turn = duty.state is DutyState.STANDING and not self._rests.has(key, self.clock())
            targets = tuple(order for each in forced for order in each.targets)
            goes = Lost(min(bare, sum(each.contracts for each in forced)), what, targets=targets)
            return await self._close(duty, exits, book, goes) if is_its_turn else ""
        return "" if exits.left else f"told, and not closed: {what}"

    async def _close(self, duty: Duty, exits: Exits, book: AccountState, goes: Lost) -> str:
        """Close what has lost its stop, once; what may still come of a try before is looked up first.

        A part is not closed again though nobody knows what became of the close: the rest may be somebody else's. Nor
        do orders of somebody else go along: beside any, what is held leaves by an order at the market.
        """
        key, what, held = key_of(duty), goes.why, _held_in(book, duty)
        is_part = goes.contracts < held.quantity
        before = await self._closed_before(duty)
        if before & _IS_OUT:
            return "" if exits.left else "its exits are over; what was unprotected was closed once, and is not again"
        if before and is_part:
            once = "a close of it was sent, is not seen done, and is not sent again: close it in NinjaTrader"
            await self._say_once(duty, EntryKind.UNPROTECTED, f"UNPROTECTED: {what}; {once}")
            return ""
        if self._rests.has_failed(key):
            await self.sender.settle(duty.account)
        self._rests.begin(key, self.clock())
        ours = {order.order_id for order in exits.left}
        commands: tuple[Command, ...] = (Flatten(duty.account, held.instrument),)
        if is_part:  # beside the rest its targets would be too large
            cancels = [CancelOrder(duty.account, order.order_id) for order in goes.targets]
            commands = (*cancels, ClosePosition(duty.account, held.instrument, goes.contracts))
        elif any(order.order_id not in ours for order in book.orders):
            cancels = [CancelOrder(duty.account, order.order_id) for order in firsts_of(exits.left)]
            commands = (*cancels, close_at_market(duty.order, held.quantity))
        outcomes = await self.keeper.send_under(duty, commands, exits.left)
        words, why = f"UNPROTECTED: {what}", "another process is about it, or it was tried too often: close it by hand"
        if outcomes:
            left = outcomes[-1]
            why = f"closing it at the market: {said(left)}"
            words = f"CLOSED: {what}" if left.status in _IS_OUT else words
        await self._say_once(duty, EntryKind.UNPROTECTED, f"{words}; {why}")
        return ""

    async def _closed_before(self, duty: Duty) -> set[Status]:
        """Say what became of each close under the yes to the entry that was sent, or may have been."""
        found, store = set[Status](), self.sender.store
        for part in (each for each in duty.parts if not each.contracts):
            ticket = await store.ticket(part.ticket_id)
            numbers = [n for n, each in enumerate(ticket.commands if ticket else ()) if _leaves(each)]
            if ticket is None or not numbers:
                continue
            story = await story_of(store, ticket)
            parts = [story.part(number, self.clock()) for number in numbers]
            found |= {told.outcome.status for told in parts if told is not None and told.outcome is not None}
        return found - {Status.DENIED}

    # 3

    async def _cut(
        self,
        duty: Duty,
        exits: Exits,
        book: AccountState,
        held: Position,
        names: Callable[[], Awaitable[Collection[str]]],
    ) -> None:
        key = key_of(duty)
        if not any(larger_than_held(standing_of(held, book.orders, None))):
            self._large_since.pop(key, None)
            return
        ours = [*(order.order_id for order in exits.left), *await names()]
        orders = [order for order in book.orders if any(exits.is_named(order, name) for name in ours)]
        misfits = tuple(_of(exits, larger_than_held(standing_of(held, _at_rest(orders), None))))
        if not misfits:
            self._large_since.pop(key, None)
            return
        owed = await self.sender.store.duties(duty.account)
        placed = max((part.made_at for each in owed for part in each.parts if part.contracts), default=duty.opened_at)
        is_listed = has_passed(placed, _LISTED_WITHIN_SECONDS, self.clock())
        if not self._is_so_for(_FOR_SECONDS, self._large_since, key) or not is_listed:
            return
        if await self.keeper.poller.is_alike(duty.account, held.instrument, held.net):
            self._large_since[key] = self.clock()
            await self._make_smaller(duty, exits, misfits)

    async def _make_smaller(self, duty: Duty, exits: Exits, misfits: Sequence[Misfit]) -> None:
        sizes, lines = [size for each in misfits for size in each.sizes], "; ".join(each.line for each in misfits)
        gone = {order.order_id for order in firsts_of([order for order, kept in sizes if not kept])}
        commands = [
            ChangeOrder(duty.account, order.order_id, quantity=order.filled + kept)
            if kept
            else CancelOrder(duty.account, order.order_id)
            for order, kept in sizes
            if kept or order.order_id in gone
        ]
        outcomes: list[Outcome] = []
        if sum(not part.contracts for part in duty.parts) < _MOST_CUTS:
            outcomes = await self.keeper.send_under(duty, commands, exits.left)
        if outcomes and all(each.status in _DONE for each in outcomes):
            await self._say_once(duty, EntryKind.PROTECTED, f"its exits were {lines}; they were made to fit")
            return
        why = next((f"; {said(each)}" for each in outcomes if each.status not in _DONE), "")
        await self._say_once(duty, EntryKind.UNPROTECTED, f"{lines}{why}; {'; '.join(calls_of(misfits))}")

    # 4

    async def gone(self, duty: Duty, exits: Exits, book: AccountState) -> None:
        """The position is gone; cry where its exits have turned it round, and what is held now has no stop."""
        turned = next((each for each in book.positions if each.net * duty.order.action.sign < 0), None)
        bare = 0 if turned is None else turned.quantity - covered(turned, book.orders)
        if turned is not None and bare > 0 and exits.filled and await self._have_turned(duty, exits, turned):
            now = f"{turned.net:+d} {turned.instrument} is held now, {bare} of it without a stop"
            words = f"UNPROTECTED: its exits have filled {exits.filled}, and {now}"
            await self._say_once(duty, EntryKind.UNPROTECTED, words)

    async def _have_turned(self, duty: Duty, exits: Exits, turned: Position) -> bool:
        """Say whether less was held than its exits filled; where no execution tells of that, it may be so."""
        told = await self.keeper.poller.fills(duty.account, LONGEST_LOOKBACK_SECONDS)
        fills = [fill for fill in told if fill.instrument == turned.instrument and fill.at is not None and fill.action]
        ids = {order.order_id for order in (*exits.left, *exits.over.values())}
        began = min((fill.at for fill in fills if fill.order_id in ids and fill.at), default=None)
        if began is None:
            return True
        since = [fill for fill in fills if fill.at and fill.at >= began]
        moved = sum(fill.quantity * fill.action.sign for fill in since if fill.action)
        left = sum(fill.quantity for fill in since if fill.order_id in ids)
        return (turned.net - moved) * duty.order.action.sign < left

    # What is told

    def _is_so_for(self, seconds: float, known: dict[_Key, datetime], key: _Key) -> bool:
        is_so = has_passed(known.setdefault(key, self.clock()), seconds, self.clock())
        if not is_so and seconds == _FOR_SECONDS:
            self._in_doubt.add(key)
        return is_so

    async def _was_told(self, duty: Duty, bare: int) -> bool:
        """Say whether as much was told before, by this process or another."""
        notes = await self.sender.store.entries(_MOST_NOTES, ticket_id=duty.ticket_id)
        told = (note.detail.get("bare") for note in notes if note.kind is EntryKind.UNPROTECTED)
        return any(isinstance(each, int) and each >= bare for each in told)

    async def _say_once(self, duty: Duty, kind: EntryKind, words: str) -> None:
        before = self._said.setdefault(key_of(duty), set())
        if words not in before:
            before.add(words)
            await self._tell(duty, kind, words)

    async def _tell(self, duty: Duty, kind: EntryKind, words: str, **more: object) -> None:
        note = note_of(duty, kind, words)
        await self.sender.store.tell_of_watch(None, replace(note, detail={**note.detail, **more}), self.clock())


def _held_in(book: AccountState, duty: Duty) -> Position:
    return next(each for each in book.positions if each.net * duty.order.action.sign > 0)


def _leaves(command: Command) -> bool:
    return leaves_position(command) or is_exit_of_entry(command)


def firsts_of(orders: Sequence[Order]) -> list[Order]:
    """Of each OCO group the first: the others go with it."""
    groups = [order.oco_id for order in orders]
    return [order for at, order in enumerate(orders) if order.oco_id is None or order.oco_id not in groups[:at]]


def _at_rest(orders: Sequence[Order]) -> list[Order]:
    """Leave out what is just being changed or cancelled."""
    return [order for order in orders if order.state not in IN_CANCELLATION | IN_FLIGHT]


def _of(exits: Exits, misfits: Iterator[Misfit]) -> Iterator[Misfit]:
    """Give what is to become smaller of the exits of one entry."""
    ids = {order.order_id for order in exits.left}
    for misfit in misfits:
        if sizes := tuple(size for size in misfit.sizes if size[0].order_id in ids):
            yield replace(misfit, sizes=sizes)
