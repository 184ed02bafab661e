"""Settles what is outstanding: what was sent and whose fate was not known then, after a restart too."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_mcp.desk.handlers.strategies import StrategyPoller
from ct_mcp.desk.pending import UNDER_WAY_SECONDS, fills_of, is_exit_of, is_shown, takes_away, whole_exits
from ct_mcp.desk.polling import AccountPoller, AccountState, Pause
from ct_mcp.desk.ports import BookReads, Reads, Store
from ct_mcp.desk.readback import is_changed, on_its_way
from ct_mcp.desk.recognition import Ours, named_before
from ct_mcp.desk.refusals import refused_among
from ct_mcp.desk.remedies import order_line, position_line, strategy_line
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
    StrategyCommand,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import (
    IN_CANCELLATION,
    LONGEST_LOOKBACK_SECONDS,
    OWN_ID,
    WORKING,
    Execution,
    Order,
    OrderState,
)
from ct_mcp.domain.passing import has_passed, seconds_since
from ct_mcp.domain.strategy import StartStrategy, Strategy
from ct_mcp.domain.watch import SetWatch
from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import Entry, EntryKind, NewEntry

# Executions are stamped by NinjaTrader's computer.
_CLOCKS_DIFFER_SECONDS = 5.0
# An order stands in the list by then, whatever became of it; one that they took and that is not listed may still come.
_LISTED_AFTER_SECONDS = 5.0
# A fill that is so old stands in the position, on clocks that differ by half of it.
_SHOWN_AFTER_SECONDS = 30.0
# Entries of one ticket: a handful for each of its commands.
_LONGEST_STORY = 200

_Found = Mapping[str, object]


async def settle_outstanding(  # noqa: PLR0913  # what a look needs, and what it is about
    upstream: Reads,
    pause: Pause,
    store: Store,
    clock: Callable[[], datetime],
    account: str,
    *,
    only_exits: bool = False,
    book: BookReads | None = None,
) -> None:
    """Look once for the fate of everything outstanding in an account, and journal what was found.

    What is not found stays outstanding and counts against every limit: absence proves nothing. ``only_exits`` looks
    at nothing but what was sent to leave a position; ``book`` is one reading that serves several accounts.
    """
    settler = _Settler(AccountPoller(book or upstream, pause), StrategyPoller(upstream, pause), store, clock)
    for entry in await store.unsettled():
        if entry.account != account or (only_exits and not takes_away(entry.detail)):
            continue
        if (found := await settler.fate_of(entry)) is not None:
            with suppress(StoreFailed):  # what cannot be written stays outstanding, as if it had not been found
                await store.append(_settled(entry, found), clock())


@dataclass(frozen=True, slots=True)
class _Settler:
    watch: AccountPoller
    strategies: StrategyPoller
    store: Store
    clock: Callable[[], datetime]

    async def fate_of(self, entry: Entry) -> _Found | None:
        """What became of one intent; None while that is not known."""
        ticket = await self.store.ticket(entry.ticket_id or "")
        command = _command_of(entry, ticket)
        match command:
            case PlaceOrder():
                order = await self._placed(entry, command, await self._ours(entry, command))
                return await self._shown(entry, order, starts_flat=command.flatten_first)
            case ChangeOrder() | CancelOrder():
                return await self._order_named(entry, command)
            case ReplaceOrder():
                return await self._replaced(entry, command)
            case SetWatch():
                return await self._watch_of(entry)
            case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy():
                return await self._strategy(entry, command)
            case _:
                return await self._left(entry, _instrument_of(command)) if command else None

    async def _watch_of(self, entry: Entry) -> _Found | None:
        """It is kept together with its answer: one that is not there a while later was never set."""
        if not has_passed(entry.at, UNDER_WAY_SECONDS, self.clock()):
            return None
        kept = [watch.watch_id for watch in await self.store.watches() if watch.ticket_id == entry.ticket_id]
        return {"watch": kept or "none was set"}

    async def _order_named(self, entry: Entry, action: ChangeOrder | CancelOrder) -> _Found | None:
        """By the order itself: over, or as was asked; once it cannot be under way any more, as it stands."""
        ids = (action.order_id, *await self._named(entry, "order_id"), *await self._theirs(action))
        order = await self.watch.look(action.account, action.order_id, lambda order: any(map(order.is_named, ids)))
        if order is None:
            return None
        is_done = order.is_closed if isinstance(action, CancelOrder) else is_changed(order, action)
        may_come = not has_passed(entry.at, UNDER_WAY_SECONDS, self.clock()) or order.state not in WORKING
        return {**_read(order), "is_over": True} if order.is_closed or is_done or not may_come else None

    async def _theirs(self, action: ChangeOrder | CancelOrder) -> list[str]:
        """Their ids for an order that was named by ours, which their rows need not show."""
        if not action.order_id.startswith(OWN_ID):
            return []
        story = await self.store.entries_of_orders(_LONGEST_STORY, action.account)
        named = (told.detail.get("order_id") for told in story if told.own_id == action.order_id)
        return [str(one) for one in named if one]

    async def _replaced(self, entry: Entry, action: ReplaceOrder) -> _Found | None:
        """By the id that they acknowledged; without one, by what stands, and only if the old order can be read."""
        is_ours = await self._ours(entry, action.order)
        for order_id in await self._named(entry, "order_id"):
            order = None if order_id == action.order_id else await self.watch.look(action.account, order_id, is_ours)
            if order is not None:
                return await self._shown(entry, order)
        old = await self.watch.look(action.account, action.order_id)
        book = None if old is None else await self._left(entry, action.order.instrument)
        return None if old is None or book is None else {**book, "old_order": order_line(old)}

    async def _strategy(self, entry: Entry, action: StrategyCommand) -> _Found | None:
        """One that was started is found by the id that they named for it, and by nothing else."""
        if isinstance(action, CloseStrategy):
            return await self._ended(entry, action)
        named = await self._named(entry, "strategy_id") if isinstance(action, StartStrategy) else [action.strategy_id]
        for strategy_id in named:
            seen = await self.strategies.look(action.account, strategy_id)
            if seen is not None and is_as_asked(seen, action):
                return {"strategy": strategy_line(seen)}
        return None

    async def _ended(self, entry: Entry, action: CloseStrategy) -> _Found | None:
        """One that is over, once no order is on its way there; what cannot be under way any more, as all stands.

        It is an exit, which holds others up as long as it may come.
        """
        seen = await self.strategies.look(action.account, action.strategy_id)
        is_late = has_passed(entry.at, UNDER_WAY_SECONDS, self.clock())
        if not is_late and (seen is None or not seen.is_over):
            return None
        scope = next(iter(whole_exits([entry])), None)
        book = await self.watch.book_now(action.account, scope)
        if book is None or not await self.watch.is_believable(action.account, scope, book):
            return None
        is_listed = book.is_flat or seconds_since(entry.at, self.clock()) >= _LISTED_AFTER_SECONDS
        if not is_late and (on_its_way(book) or not is_listed):
            return None
        named = {} if seen is None else {"strategy": strategy_line(seen)}
        return {**named, **_standing(book)}

    async def _named(self, entry: Entry, what: str) -> list[str]:
        """What they named when they took it, if they did."""
        named = (taken.detail.get(what) for taken in await self._acknowledgements(entry))
        return [str(one) for one in named if one]

    async def _acknowledgements(self, entry: Entry) -> list[Entry]:
        """That they took it; what they said of another command of its ticket says nothing of this one."""
        story = await self.store.entries(_LONGEST_STORY, ticket_id=entry.ticket_id)
        return [step for step in story if step.kind is EntryKind.ACCEPTED and step.own_id == entry.own_id]

    async def _ours(self, entry: Entry, order: PlaceOrder) -> Ours:
        """What an order must look like to be the one that this intent sent."""
        before = named_before(await self.store.entries(_LONGEST_STORY, entry.account), entry.own_id)
        return Ours.as_placed(order, entry.own_id or "", entry.at, before)

    async def _placed(self, entry: Entry, command: PlaceOrder, is_ours: Ours) -> Order | None:
        """By the id that they acknowledged, if they did, or else by ours, or else by its fills."""
        account = entry.account or ""
        for order_id in await self._named(entry, "order_id"):
            if (order := await self.watch.look(account, order_id, is_ours)) is not None:
                return order
        found = await self.watch.find_once(account, entry.own_id or "", is_ours)
        return found or await self._filled(entry, command)

    async def _shown(self, entry: Entry, order: Order | None, *, starts_flat: bool = False) -> _Found | None:
        """What was found of an order, once the positions show what it has filled, or its executions account for them.

        Where nobody knows where the position stood, and once executions are told no more, the order's own word does.
        So it does where somebody else has moved the position meanwhile; see `_is_behind_us`.
        """
        age, starts = seconds_since(entry.at, self.clock()), entry.detail.get("position_before")
        if starts_flat:
            # They place it even if the leaving has not worked, which cannot come any more after a while.
            starts = [0, *starts] if age >= UNDER_WAY_SECONDS and isinstance(starts, list) else [0]
        if order is None or not order.filled or not isinstance(starts, list) or not starts:
            return _seen(order)
        net = await self.watch.net_position(order.account, order.instrument)
        if is_shown(starts, order, net) or age > LONGEST_LOOKBACK_SECONDS - _CLOCKS_DIFFER_SECONDS:
            return _seen(order)
        since = entry.at - timedelta(seconds=_CLOCKS_DIFFER_SECONDS)
        told = await self.watch.fills(order.account, LONGEST_LOOKBACK_SECONDS)  # by whatever clock it was sent
        if await self._is_behind_us(age, order, net, told):
            return {**_read(order), "position": net}
        fills = [fill for fill in told if fill.instrument == order.instrument and (fill.at is None or fill.at >= since)]
        mine = sum(fill.quantity for fill in fills if fill.order_id == order.order_id)
        if net is None or mine != order.filled:
            return None
        # Their clock is not ours: what others filled within the difference may stand in the start already, or not.
        # Positions are behind for seconds, so that after a minute it is enough that one of these readings is true.
        near_until = entry.at + timedelta(seconds=_CLOCKS_DIFFER_SECONDS)
        near = [fill for fill in fills if fill.order_id != order.order_id and fill.at and fill.at < near_until]
        left_out = range(len(near) + 1) if age >= UNDER_WAY_SECONDS else range(1)
        since_start = ([*near[out:], *(fill for fill in fills if fill not in near)] for out in left_out)
        return _seen(order) if any(net - _moved(moves) in starts for moves in since_start) else None

    async def _is_behind_us(self, age: float, order: Order, net: int | None, told: Iterable[Execution]) -> bool:
        """Say whether what has filled must stand in the position by now, whatever somebody else made of it.

        Positions are behind for seconds. A minute after it left, with all that the order says to have filled accounted
        for by executions that are older than that, and with the position alike in the list and by its name, what else
        moved it was somebody else, or stood in the start already. A fill that may still come is listed with its order.
        """
        if age < UNDER_WAY_SECONDS or net is None:
            return False
        mine = [fill for fill in told if fill.order_id == order.order_id]
        until = self.clock() - timedelta(seconds=_SHOWN_AFTER_SECONDS)
        is_whole = sum(fill.quantity for fill in mine) == order.filled
        is_old = all(fill.at is not None and fill.at <= until for fill in mine)
        return is_whole and is_old and await self.watch.is_alike(order.account, order.instrument, net)

    async def _filled(self, entry: Entry, command: PlaceOrder) -> Order | None:
        """By executions since it was sent, of an order that nobody else is known to have placed.

        Only once it cannot be under way any more, so that a mistake hides nothing that may still come: what arrived
        is listed by then, and counts. Never where two orders could be meant.
        """
        age = seconds_since(entry.at, self.clock())
        if not UNDER_WAY_SECONDS <= age <= LONGEST_LOOKBACK_SECONDS - _CLOCKS_DIFFER_SECONDS:
            return None
        account, since = entry.account or "", entry.at - timedelta(seconds=_CLOCKS_DIFFER_SECONDS)
        fills = await self.watch.fills(account, int(age + _CLOCKS_DIFFER_SECONDS))
        ours = {told.detail.get("order_id") for told in await self.store.entries(_LONGEST_STORY, account)}
        ids = {fill.order_id for fill in fills if fill.order_id and fill.order_id not in ours}
        read = [await self.watch.look(account, order_id) for order_id in sorted(ids)]
        alike = [order for order in read if order is not None and _may_be(order, command, since)]
        return alike[0] if len(alike) == 1 else None

    async def _left(self, entry: Entry, instrument: Instrument | None) -> _Found | None:
        """It carries no id of ours: once it cannot be under way any more, what stands is all there is to know.

        An exit that they acknowledged is over as soon as nothing is held and no order is left.
        """
        may_come = not has_passed(entry.at, UNDER_WAY_SECONDS, self.clock())
        if may_come and not (is_exit_of(entry.detail) and await self._acknowledgements(entry)):
            return None
        book = await self.watch.book_now(entry.account or "", instrument)
        if book is None or not await self.watch.is_believable(entry.account or "", instrument, book):
            return None
        if may_come and not book.is_flat:
            return await self._refused(entry, book)
        return _standing(book)

    async def _refused(self, entry: Entry, book: AccountState) -> _Found | None:
        """An exit that they took, and whose order reads as refused for what is still held: none of it can come."""
        age, held = seconds_since(entry.at, self.clock()), [each for each in book.positions if each.quantity]
        if age < _LISTED_AFTER_SECONDS or on_its_way(book) or not held:
            return None
        rows = await self.watch.every_order(entry.account or "")
        story = await self.store.entries(_LONGEST_STORY, entry.account)
        before, named = named_before(story, entry.own_id), await self._named(entry, "order_id")
        part = _part_of(entry)
        found = [
            refused_among(rows, each.net, part, Ours.that_leaves(each, entry.own_id or "", entry.at, before), named)
            for each in held
        ]
        if not all(each.is_known for each in found):
            return None
        refused = [order for each in found for order in each.orders]
        ids, filled = [order.order_id for order in refused], sum(order.filled for order in refused)
        return {"refused": ids, "filled": filled, "orders": [*map(order_line, refused)], "is_over": True}


def _standing(book: AccountState) -> dict[str, object]:
    coming = on_its_way(book) or [order for order in book.orders if order.state in IN_CANCELLATION]
    lines = {"positions": [*map(position_line, book.positions)], "orders": [*map(order_line, book.orders)]}
    return {**lines, **({} if coming else {"is_over": True})}


def _part_of(entry: Entry) -> int | None:
    """Give how many contracts an exit was to close, where it was one of a part; None of one that leaves all."""
    before, fills = entry.detail.get("position_before"), [*fills_of(entry.detail)]
    if len(fills) != 1 or not isinstance(before, list):
        return None
    closed = abs(fills[0].signed_quantity)
    return None if closed in map(abs, before) else closed


def _moved(fills: Iterable[Execution]) -> int:
    """By how many contracts, signed, these moved a position."""
    return sum(fill.quantity * (fill.action.sign if fill.action else 0) for fill in fills)


def _command_of(entry: Entry, ticket: Ticket | None) -> Command | None:
    """The command of the ticket that an intent is about."""
    if ticket is None:
        return None
    sent = (command for number, command in enumerate(ticket.commands) if ticket.own_id_of(number) == entry.own_id)
    return next(sent, ticket.commands[0])


def _instrument_of(command: Command) -> Instrument | None:
    match command:
        case ClosePosition() | Flatten() | CancelOrders() | ReversePosition() | ProtectPosition():
            return command.instrument
        case _:
            return None


def is_order_as_asked(command: Command, order: Order) -> bool | None:
    """Say whether an order that stands was cancelled or changed as asked; None where its state alone tells that."""
    match command:
        case CancelOrder() | ChangeOrder() if order.is_closed:
            return None
        case CancelOrder():
            return False
        case ChangeOrder():
            return is_changed(order, command)
    return None


def is_as_asked(seen: Strategy, action: StrategyCommand) -> bool:
    """Say whether a strategy reads as it was asked to be; one that is over can be no other way any more."""
    match action:
        case StartStrategy():
            return True
        case EnableStrategy():
            return bool(seen.is_enabled) or seen.is_over
        case DisableStrategy():
            return seen.is_enabled is False or seen.is_over
        case CloseStrategy():  # pragma: no branch  # the set is closed
            return seen.is_over


def _may_be(order: Order, command: PlaceOrder, since: datetime) -> bool:
    """Say whether a filled order that carries no id of ours can be what was sent at that time."""
    shape = (order.instrument, order.action, order.quantity, order.order_type)
    is_alike = shape == (command.instrument, command.action, command.quantity, command.order_type)
    is_later = order.placed_at is None or order.placed_at >= since
    return is_alike and is_later and order.state is OrderState.FILLED


def _seen(order: Order | None) -> _Found | None:
    return None if order is None else _read(order)


def _read(order: Order) -> dict[str, object]:
    """An order as it was read, with its prices while it stands; ``is_over`` beside it: no more of it can come."""
    stands = {} if order.is_closed else {"stands": order_line(order)}
    return {"order_id": order.order_id, "state": order.state, "filled": order.filled, **stands}


def _settled(entry: Entry, found: _Found) -> NewEntry:
    return NewEntry(
        EntryKind.SETTLED,
        entry.summary,
        account=entry.account,
        ticket_id=entry.ticket_id,
        own_id=entry.own_id,
        detail=found,
    )
