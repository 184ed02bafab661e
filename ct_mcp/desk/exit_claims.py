"""Says how much of what is held is still what an entry has filled, where that is not plain.

1. A fill that is seen within seconds is taken for what is held: its stop leaves with no request before it.
2. Later, and wherever something is to be closed, the fills of all others in that instrument count: by the list of
   orders with those that are over, by the executions of the last minutes, and by those on record. What others sell
   first takes what others had, and then what the entry bought.
3. Where neither shows the entry itself, nobody can say what came after it. A fill that was seen at once is taken for
   held all the same, rather than left bare; of one that was not, the average price of the position decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.desk.exit_state import ExitState, exit_names
from ct_mcp.desk.exit_tries import Try, bare_of, book_of_entry, held_of, is_held, key_of
from ct_mcp.desk.polling import AccountPoller, AccountState
from ct_mcp.desk.ports import BookReads, Store
from ct_mcp.domain.duty import Duty
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, Execution, Order
from ct_mcp.domain.trades import as_execution
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.protection import is_stop

AT_ONCE_SECONDS = 20.0
"""Longer than the watch takes to look again, with a stream or without: what filled before was not seen at once."""
_CLOCKS_DIFFER, _GONE_FOR_SECONDS = timedelta(seconds=15), 10.0


@dataclass(frozen=True, slots=True)
class Move:
    """Contracts, signed, by which the entry or somebody else has moved the position."""

    signed: int
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class _Bare:
    """Since when, at the earliest, something of an entry stands bare, and whether it was seen only later."""

    since: datetime
    was_late: bool


@dataclass(slots=True)
class Claims:
    """What the keeper of one desk knows of when its entries have filled, and of who else stands beside them."""

    poller: AccountPoller
    upstream: BookReads
    store: Store
    contracts: Callable[[], Mapping[Instrument, Contract]]
    clock: Callable[[], datetime]
    alone: set[tuple[str, int]] = field(default_factory=set)
    covered: set[tuple[str, int]] = field(default_factory=set)
    gone_since: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _whole: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _bare: dict[tuple[str, int], _Bare] = field(default_factory=dict)

    def see(self, duty: Duty, uncovered: int) -> None:
        """Take note of how much of an entry has filled and has no exits; it filled after it was last seen whole."""
        key, now = key_of(duty), self.clock()
        if not uncovered:
            self._whole[key] = now
            self._bare.pop(key, None)
            return
        since = self._whole.get(key, duty.opened_at)
        self._bare.setdefault(key, _Bare(since, abs((now - since).total_seconds()) > AT_ONCE_SECONDS))

    def is_old(self, duty: Duty) -> bool:
        """Say whether what is bare may have filled long ago, so that others may have traded since (2)."""
        return self._age(duty) > AT_ONCE_SECONDS

    def was_late(self, duty: Duty) -> bool:
        """Say whether it was not seen at once (3)."""
        known = self._bare.get(key_of(duty))
        return known is not None and known.was_late

    def is_gone(self, key: tuple[str, int]) -> bool:
        """Say whether it was found to be gone a while ago, too: a fill may not be listed yet."""
        since = self.gone_since.setdefault(key, self.clock())
        return abs((self.clock() - since).total_seconds()) >= _GONE_FOR_SECONDS

    async def has_stop_of_another(self, it: Try) -> bool:
        """Say whether a stop of somebody else's, beside which ours was denied, still stands behind it."""
        if key_of(it.duty) not in self.covered:
            return False
        book = await self.poller.book_now(it.entry.account, it.entry.instrument)
        if book is not None and is_held(book, it.entry) and not bare_of(book, it):
            return True
        self.covered.discard(key_of(it.duty))
        return False

    async def stands_alone(self, it: Try, book: AccountState | None) -> bool:
        """Say whether nothing of anybody else is held or works beside it, as it is read, or was as it was sent."""
        if book is None:
            return key_of(it.duty) in self.alone
        names = await exit_names(self.store, it.duty, self.clock())
        return all(_is_it(it.entry, row) or names & {row.order_id, row.own_id, row.oco_id} for row in book.orders)

    async def needed(self, it: Try, bare: int) -> int:
        """How many of the contracts without exits are listed as held without a stop.

        Contracts of a fill that took a part of another position need none, and would be denied theirs again and again.
        """
        book = await book_of_entry(self.poller, self.upstream, it.entry)
        return min(bare, await self.bare(it, book))

    async def bare(self, it: Try, book: AccountState | None) -> int:
        """Contracts of an entry that stand without a stop, as far as they are its own still."""
        it.is_theirs = False
        if book is None:
            return 0 if self.was_late(it.duty) else it.uncovered
        # A target alone is owed whether a stop stands or not.
        bare = bare_of(book, it) if it.bracket.stop_loss is not None else min(it.uncovered, held_of(book, it.entry))
        if not bare or not (self.is_old(it.duty) or any(_is_other(it.entry, row) for row in _rows(book))):
            return bare
        left = await self._left(it, book)
        it.is_theirs = left <= 0
        return max(0, min(bare, left))

    async def _left(self, it: Try, book: AccountState) -> int:
        """How many of them are held still and have no stop of ours."""
        entry, fills = it.entry, await self._fills(it)
        mine = [fill.at for fill in fills if _is_of(entry, fill) and fill.at is not None]
        is_recent = self._age(it.duty) < LONGEST_LOOKBACK_SECONDS
        if not mine and is_recent and not self.was_late(it.duty):  # the executions were not read
            left = entry.filled
        elif not mine:
            left = self._without_executions(it, book, fills)
        else:
            is_whole = await self._are_all_told(entry.account, min(mine))
            moves = moves_of(entry, book, fills, are_all_told=is_whole)
            left = left_of(book.net, entry.action.sign, moves, it.closing)
        if any(each.state is ExitState.STANDS for each in it.parts):
            names = await exit_names(self.store, it.duty, self.clock())
            ours = (row for row in book.orders if is_stop(row) and names & {row.order_id, row.own_id, row.oco_id})
            left -= sum(row.remaining for row in ours)
        return left

    async def _fills(self, it: Try) -> tuple[Execution, ...]:
        """The executions in its instrument that are told still, and those on record since it was sent."""
        account, found = it.entry.account, dict[str, Execution]()
        with suppress(StoreFailed):
            recorded = await self.store.executions_on_record(account, it.duty.opened_at - _CLOCKS_DIFFER)
            found = {each.execution_id: as_execution(each) for each in recorded}
        told = await self.poller.fills(account, LONGEST_LOOKBACK_SECONDS)
        found |= {fill.execution_id: fill for fill in told}
        return tuple(fill for fill in found.values() if fill.instrument == it.entry.instrument)

    async def _are_all_told(self, account: str, since: datetime) -> bool:
        """Say whether every execution since then is told still, or on record."""
        told_since = self.clock() - timedelta(seconds=LONGEST_LOOKBACK_SECONDS) + _CLOCKS_DIFFER
        if since >= told_since:
            return True
        with suppress(StoreFailed):
            return any(
                each.began <= since and each.ended >= told_since for each in await self.store.listenings(account)
            )
        return False

    def _without_executions(self, it: Try, book: AccountState, fills: Sequence[Execution]) -> int:
        """Go by the average price of a position of just that size, where nobody is known to have filled since.

        Else by the orders that are listed, of which nobody can say when they filled: each may have been later.
        """
        entry, contract, fill = it.entry, self.contracts().get(it.entry.instrument), it.entry.average_fill_price
        held = next(each for each in book.positions if each.net * entry.action.sign > 0)
        if not fills and contract and fill and held.average_price and held.quantity == entry.filled:
            return entry.filled if abs(held.average_price - fill) < contract.tick_size / 2 else 0
        if not any(_is_it(entry, row) for row in _rows(book)):
            return 0 if self.was_late(it.duty) else entry.filled
        return left_of(book.net, entry.action.sign, moves_of(entry, book, fills, are_all_told=False), it.closing)

    def _age(self, duty: Duty) -> float:
        known = self._bare.get(key_of(duty))
        return 0.0 if known is None else abs((self.clock() - known.since).total_seconds())


def nothing_beside(context: RiskContext, instrument: Instrument) -> bool:
    """Say whether nothing was held, worked or could still come in an instrument as an entry was reviewed."""
    is_flat = context.net_position(instrument) == 0 and context.open_orders(instrument) == ()
    return is_flat and not context.pending_orders(instrument)


def moves_of(entry: Order, book: AccountState, fills: Sequence[Execution], *, are_all_told: bool) -> list[Move]:
    """Give what has moved the position since an entry began to fill, the oldest first.

    An order of which no execution is known has filled before those that are told. Where not all are (``are_all_told``)
    it may have filled after the entry, and what sold before what bought.
    """
    sign, mine = entry.action.sign, [fill for fill in fills if _is_of(entry, fill)]
    since = min((fill.at for fill in mine if fill.at is not None), default=None)
    untold = entry.filled - sum(fill.quantity for fill in mine)
    told, timed = {fill.order_id for fill in fills}, list[tuple[datetime, Move]]()
    for fill in fills:
        is_ours = _is_of(entry, fill)
        if fill.at is not None and fill.action is not None and (since is None or fill.at >= since):
            timed.append((fill.at, Move(fill.action.sign * fill.quantity, is_ours=is_ours)))
    others = (row for row in _rows(book) if _is_other(entry, row) and row.order_id not in told)
    untimed = [] if are_all_told else sorted(row.action.sign * row.filled * sign for row in others)
    first = [Move(sign * untold, is_ours=True)] if untold > 0 else []
    in_turn = [move for _, move in sorted(timed, key=lambda each: each[0])]
    at = next((number + 1 for number, move in enumerate(in_turn) if move.is_ours), 0)
    return [*first, *in_turn[:at], *(Move(signed * sign) for signed in untimed), *in_turn[at:]]


def left_of(net: int, sign: int, moves: Iterable[Move], closing: int = 0) -> int:
    """Contracts of an entry on the side ``sign`` that are left of a position: others leave what is theirs first.

    ``closing`` of what was sold may have been by a close of ours, of which nothing was read: those are the entry's.
    """
    moves = [*moves]
    before = (net - sum(move.signed for move in moves)) * sign
    theirs, short, ours = max(0, before), max(0, -before), 0
    for move in moves:
        size = move.signed * sign
        if move.is_ours:
            ours += size
        elif size > 0:
            covers = min(short, size)
            short, theirs = short - covers, theirs + size - covers
        else:
            by_us = min(closing, ours, -size)
            first = min(theirs, -size - by_us)
            then = min(ours - by_us, -size - by_us - first)
            closing, theirs, ours = closing - by_us, theirs - first, ours - by_us - then
            short += -size - by_us - first - then
    return ours


def _rows(book: AccountState) -> Iterable[Order]:
    return (*book.orders, *book.over)


def _is_it(entry: Order, row: Order) -> bool:
    return row.order_id == entry.order_id or (row.own_id is not None and row.own_id == entry.own_id)


def _is_other(entry: Order, row: Order) -> bool:
    """Say whether it is an order of somebody else's, or another one of ours, that has filled in that instrument."""
    return row.instrument == entry.instrument and row.filled > 0 and not _is_it(entry, row)


def _is_of(entry: Order, fill: Execution) -> bool:
    return fill.order_id == entry.order_id and fill.at is not None
