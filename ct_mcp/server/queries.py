"""The reads of one answer: what must be read raises, what may be missing is noted.

An empty list is not believed on its word alone, since lists have come back empty by mistake.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from ct_mcp.domain.account import AccountSnapshot, Position, account_key
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.errors import BadReply, CtMcpError, Unavailable, UpstreamError
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.reads import LiveReads
from ct_mcp.server.format import sanitize_name

if TYPE_CHECKING:  # the desk and the rules are loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

LONGEST_READ_SECONDS = 25.0
MOST_OUTSTANDING = 20
"""So many of unknown outcome are told one by one, the newest."""
_MOST_LOOKED_UP = 6

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Query:
    """The desk's client for one answer, and the notes that belong beside the answer.

    ``live`` may answer from what is known already; without a cache, and for whatever decides, everything is read again.
    """

    def __init__(self, desk: "Desk", cache: LiveCache | None = None) -> None:
        self.desk = desk
        self._notes: dict[str, None] = {}
        self.upstream = desk.upstream.heard_by(self.note)
        self.live = LiveReads(cache or LiveCache(desk.clock), desk.upstream, self.note, desk.day_losses.note)

    @property
    def notes(self) -> list[str]:
        """What could not be read and what was warned of, each once, and how old the known parts are."""
        age = (self.desk.clock() - self.read_at).total_seconds()
        since = "and it may have changed" if self.live.may_have_changed else "and nothing was heard to change since"
        known = [f"known for {age:.0f} s, {since}"] if age >= 1 else []
        return [*self._notes, *known]

    @property
    def read_at(self) -> datetime:
        """When the oldest of what the live cache gave was read; now where it gave nothing."""
        return self.live.as_of or self.desk.clock()

    def note(self, what: str) -> None:
        """Keep a note that the assistant must be given."""
        self._notes[what] = None

    async def note_outstanding(self, account: str | None = None) -> None:
        """Note what is on its way or of unknown outcome in an account, or in any: it may fill where nothing is held."""
        from ct_mcp.desk.pending import line  # noqa: PLC0415  # the desk is loaded by the first call

        entries = await self.attempt("what is outstanding", self.desk.store.unsettled()) or ()
        mine = [entry for entry in entries if account in (None, entry.account)]
        for entry in mine[-MOST_OUTSTANDING:]:
            self.note(line(entry, self.desk.clock()))
        if (more := len(mine) - MOST_OUTSTANDING) > 0:
            self.note(f"{more} older ones are outstanding as well, see get_journal")

    async def attempt(self, what: str, read: Awaitable[_T]) -> _T | None:
        """Await an optional read; where it fails, give None and note that this is not known."""
        try:
            return await read
        except CtMcpError as error:
            self.note(f"{what} could not be read: {error.code}: {error.what}")
            return None


def time_limit(
    seconds: float = LONGEST_READ_SECONDS,
) -> Callable[[Callable[_P, Awaitable[_T]]], Callable[_P, Awaitable[_T]]]:
    """Bound a function that only reads: clients give up on a slow call, and some then on the whole server.

    Raises, when called:
        Unavailable: The time is over.
    """

    def limit(read: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
        @wraps(read)
        async def limited(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            with anyio.move_on_after(seconds):
                return await read(*args, **kwargs)
            raise Unavailable(f"no answer within {seconds:.0f} s")

        return limited

    return limit


@dataclass(frozen=True, slots=True)
class ReadScope:
    """The account and the instrument that a list is about; None is all of them."""

    account: str | None
    instrument: str | None
    includes: Callable[[Instrument], bool]

    def __str__(self) -> str:
        """Name both for a person."""
        return f"{sanitize_name(self.account) or 'all accounts'}, {sanitize_name(self.instrument) or 'all instruments'}"


async def read_scope(query: Query, account: str | None, instrument: str | None) -> ReadScope:
    """Resolve what a caller named.

    Raises:
        CtMcpError: There is no such account, or the instrument is spelled in no known way.
    """
    names = query.desk.resolver
    includes = names.matching(instrument)
    return ReadScope(None if account is None else (await names.account(account)).name, instrument, includes)


async def read_positions(query: Query, account: str | None) -> list[Position]:
    """Read every open position of one account, or of all.

    Where the list is empty, the summary of accounts is read as well. It may be three seconds old, so a position that
    it shows is looked up by itself before anything is said of it.

    Raises:
        UpstreamError: They could not be read, or the reports contradict each other: then nothing is known.
    """
    live = query.live
    listed = await (live.all_positions() if account is None else live.positions(account))
    if listed:
        return list(listed)
    await query.note_outstanding(account)
    summary = await query.attempt("a second report, to confirm that this is flat,", live.snapshot()) or ()
    suspects = [row for row in summary if account is None or is_of(row, account)]
    found = [await confirmed_positions(query, row) for row in suspects]
    return [position for held in found for position in held]


@dataclass(frozen=True, slots=True)
class OrdersRead:
    """Orders as one list has them, or a second one where that held nothing of an account.

    ``doubtful`` are the accounts, by `account_key`, of which neither holds anything and one could not be read.
    """

    rows: tuple[Order, ...] = ()
    doubtful: frozenset[str] = frozenset()

    def behind(self, account: str) -> tuple[Order, ...] | None:
        """Give what stands in an account; None where that is not known."""
        key = account_key(account)
        if key in self.doubtful:
            return None
        return tuple(row for row in self.rows if account_key(row.account) == key and not row.is_closed)

    @property
    def open_only(self) -> "OrdersRead":
        """The same without the orders that are over."""
        return replace(self, rows=tuple(row for row in self.rows if not row.is_closed))


async def read_orders(query: Query, account: str | None) -> OrdersRead:
    """Read the orders of one account, or of all, those that are over too, for an answer about orders alone.

    Raises:
        UpstreamError: They could not be read.
    """
    rows = await list_orders(query, account)
    if account is not None or rows:
        return await orders_borne_out(query, rows, account, () if account is None else (account,))
    held = await query.attempt("positions, to confirm that there are no orders,", query.live.all_positions()) or ()
    return await orders_borne_out(query, rows, None, [position.account for position in held])


async def list_orders(query: Query, account: str | None) -> tuple[Order, ...]:
    """Read the list of orders of one account, or of all, with those that are over.

    A list that leaves something out has so far left out everything: one that holds what is over has left out nothing.

    Raises:
        UpstreamError: It could not be read.
    """
    live = query.live
    return await (live.all_orders(active_only=False) if account is None else live.orders(account, active_only=False))


async def orders_borne_out(
    query: Query, rows: tuple[Order, ...], account: str | None, matters: Iterable[str]
) -> OrdersRead:
    """Give what `list_orders` gave, once the other list was asked about accounts that matter and have no order in it.

    What the journal last knew to stand, and no list holds, is looked up by its id.
    """
    listed = {account_key(row.account) for row in rows}
    silent = {account_key(name): name for name in matters if account_key(name) not in listed}
    read = OrdersRead(rows)
    if silent:
        read = await _other_list(query, rows, account, silent)
    if read.rows:
        return read
    names = query.desk.resolver.names if account is None else (account,)
    left_out = [order for name in names for order in await _left_out(query, name, is_read=account_key(name) in silent)]
    found = {account_key(order.account) for order in left_out}
    return OrdersRead(tuple(left_out), read.doubtful - found)


async def _other_list(
    query: Query, rows: tuple[Order, ...], account: str | None, silent: Mapping[str, str]
) -> OrdersRead:
    """Ask the list of all accounts about one, or the lists of some about them: lists have come back empty."""
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    async def ask_list(name: str) -> tuple[Order, ...] | None:
        what, live = "a second list of orders, to confirm that none stands,", query.live
        if account is not None:
            return await query.attempt(what, live.all_orders(active_only=True))
        return await query.attempt(what, live.orders(name, active_only=False))

    async with SideBySide([]) as ask:
        reads = {key: ask.read("", ask_list(name)) for key, name in list(silent.items())[:_MOST_LOOKED_UP]}
    read = {key: reading.value for key, reading in reads.items()}
    more = [row for found in read.values() for row in found or () if account_key(row.account) in silent]
    if any(not row.is_closed for row in more):
        names = ", ".join(sorted({sanitize_name(row.account) or "" for row in more if not row.is_closed}))
        query.note(f"one list of orders left out what stands in {names}; another list holds it")
    return OrdersRead((*rows, *more), frozenset(key for key in silent if read.get(key) is None))


async def _left_out(query: Query, account: str, *, is_read: bool) -> list[Order]:
    """Look up what the journal last knew to stand; a list that holds any order, over or not, has left out nothing."""
    from ct_mcp.desk.pending import possibly_open_orders  # noqa: PLC0415  # the desk is loaded by the first call

    ids = await query.attempt("what the journal knows", possibly_open_orders(query.desk.store, account, None)) or ()
    if not ids:
        return []
    listed = () if is_read else await query.attempt("orders", query.upstream.orders(account, active_only=False))
    if listed:
        return []
    found = list[Order]()
    for order_id in ids[:_MOST_LOOKED_UP]:
        with suppress(UpstreamError):  # one that is pruned is over
            order = await query.upstream.order(account, order_id)
            found += [order] if order.is_named(order_id) and not order.is_closed else []
    if found:
        query.note(f"the list of orders left out what stands in {sanitize_name(account)}; it was found by its id")
    return found


async def confirmed_positions(query: Query, row: AccountSnapshot, *, is_listed: bool = True) -> list[Position]:
    """Look up the positions that the summary shows and the list does not; ``is_listed`` says that there is a list.

    Raises:
        UpstreamError: They could not be looked up, or the summary says that something is held and not what.
    """
    name = row.account.name
    if row.speaks_of_positions and not row.positions:
        raise BadReply(f"one report lists no positions and another says that {sanitize_name(name)} is not flat")
    if row.positions is None:
        query.note(f"a second report, to confirm that this is flat, does not say what {sanitize_name(name)} holds")
    read = [await query.upstream.position(name, shown.instrument) for shown in row.positions or ()]
    held = [position for position in read if position.quantity]
    if held and is_listed:
        query.note(f"the list of positions left out what {sanitize_name(name)} holds; it was found by another report")
    return held


def is_of(row: AccountSnapshot, account: str) -> bool:
    """Say whether a report is of an account."""
    return row.account.name.casefold() == account.casefold()
