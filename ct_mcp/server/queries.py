"""The reads of one answer: what must be read raises, what may be missing is noted.

An empty list of positions is not believed on its word alone, since lists have come back empty by mistake. Whether an
account may trade is decided by the guard's own rules, so that a status and a denial say the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot, Position
from ct_mcp.domain.commands import ChangeOrder, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Order
from ct_mcp.errors import BadReply, CtMcpError, OrderDenied, StoreFailed, Unavailable, UpstreamError
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.reads import LiveReads
from ct_mcp.server.format import sanitize_name

if TYPE_CHECKING:  # the desk and the rules are loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk
    from ct_mcp.guard.rule import Denial

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
    suspects = [row for row in summary if account is None or _is_of(row, account)]
    found = [await _confirmed_positions(query, row) for row in suspects]
    return [position for held in found for position in held]


async def read_orders(query: Query, account: str | None, *, active_only: bool = True) -> Sequence[Order]:
    """Read the orders of one account, or of all.

    Where the list is empty, and the journal last knew an order of ours to stand, that one is looked up by itself:
    lists have come back empty, and a second stop would be placed beside one that stands.

    Raises:
        UpstreamError: They could not be read.
    """
    live = query.live
    listed = await (
        live.all_orders(active_only=active_only) if account is None else live.orders(account, active_only=active_only)
    )
    if listed:
        return listed
    names = query.desk.resolver.names if account is None else (account,)
    return [order for name in names for order in await _left_out(query, name)]


async def _left_out(query: Query, account: str) -> list[Order]:
    """Look up what the journal last knew to stand; a list that holds any order, over or not, has left out nothing."""
    from ct_mcp.desk.pending import possibly_open_orders  # noqa: PLC0415  # the desk is loaded by the first call

    ids = await query.attempt("what the journal knows", possibly_open_orders(query.desk.store, account, None)) or ()
    listed = await query.attempt("closed orders", query.upstream.orders(account, active_only=False)) if ids else ()
    if listed or not ids:
        return []
    found = list[Order]()
    for order_id in ids[:_MOST_LOOKED_UP]:
        with suppress(UpstreamError):  # one that is pruned is over
            order = await query.upstream.order(account, order_id)
            found += [order] if order.is_named(order_id) and not order.is_closed else []
    if found:
        query.note(f"the list of orders left out what stands in {sanitize_name(account)}; it was found by its id")
    return found


async def _confirmed_positions(query: Query, row: AccountSnapshot) -> list[Position]:
    """Look up the positions that the summary shows and the list does not."""
    name = row.account.name
    if row.speaks_of_positions and not row.positions:
        raise BadReply(f"one report lists no positions and another says that {sanitize_name(name)} is not flat")
    read = [await query.upstream.position(name, shown.instrument) for shown in row.positions]
    held = [position for position in read if position.quantity]
    if held:
        query.note(f"the list of positions left out what {sanitize_name(name)} holds; it was found by another report")
    return held


def _is_of(row: AccountSnapshot, account: str) -> bool:
    return row.account.name.casefold() == account.casefold()


@dataclass(frozen=True, slots=True)
class TradingStatus:
    """Whether one account may trade now.

    ``positions`` is None where they were not read, ``blocked_reason`` is empty where it may trade.
    """

    account: Account
    positions: tuple[Position, ...] | None
    blocked_reason: str

    @property
    def may_trade(self) -> bool:
        """Whether an order that opens would pass the rules on the account itself."""
        return not self.blocked_reason


async def read_accounts(query: Query) -> list[TradingStatus]:
    """Read every account, with balances and positions where the summary of them can be read too.

    Raises:
        UpstreamError: The accounts could not be listed.
    """
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    async with SideBySide([]) as ask:
        accounts = ask.read("accounts", query.live.accounts())
        report = ask.read("report", _report(query))
    listed, summary = accounts.required(), report.value or ()
    await query.desk.resolver.learn(listed)
    for table in query.desk.policy.unmatched(account.name for account in listed):
        query.note(f'the settings have a table for account "{sanitize_name(table)}", and no account is called so')
    await query.note_outstanding()
    return [await _trading_status(query, account, _row_of(account, summary)) for account in listed]


async def _report(query: Query) -> tuple[AccountSnapshot, ...] | None:
    return await query.attempt("balances and positions", query.live.snapshot())


def _row_of(account: Account, summary: Sequence[AccountSnapshot]) -> AccountSnapshot | None:
    return next((row for row in summary if _is_of(row, account.name)), None)


async def _trading_status(query: Query, listed: Account, row: AccountSnapshot | None) -> TradingStatus:
    if row is None:
        return TradingStatus(listed, None, await blocked_reason(query, listed))
    account, contradicts_itself = _merged(listed, row.account), row.speaks_of_positions and not row.positions
    return TradingStatus(account, None if contradicts_itself else row.positions, await blocked_reason(query, account))


def _merged(listed: Account, summarized: Account) -> Account:
    """The summary's report; what it leaves out is taken from the list, whose rows may be nothing but a name."""
    return replace(
        summarized,
        name=listed.name,
        kind=listed.kind if summarized.kind is AccountKind.UNKNOWN else summarized.kind,
        connection_status=summarized.connection_status or listed.connection_status,
    )


async def blocked_reason(query: Query, account: Account) -> str:
    """Say why nothing can be opened in this account now; empty where the account itself does not prevent it."""
    from ct_mcp.guard.context import RiskContext  # noqa: PLC0415  # late: the rules come with the first call
    from ct_mcp.guard.review import RULES_OF_THE_ACCOUNT, first_denial  # noqa: PLC0415

    desk = query.desk
    try:
        until = await desk.store.armed_until(account.name, desk.clock())
        lost = await desk.store.day_loss(account.name, trading_day(desk.clock()))
        ended_on = await _ended_on(query, account.name)
    except StoreFailed as error:
        return f"{error.code}: {error.what}"
    context = RiskContext(now=desk.clock(), account=account, armed_until=until, team=desk.team.standing)
    opening, policy = ChangeOrder(account.name, ""), desk.policy.for_(account.name, None)  # it is no exit
    if denial := first_denial(RULES_OF_THE_ACCOUNT, opening, context, policy):
        return str(denial)
    if account.is_connected is False:
        return f"ACCOUNT_DISCONNECTED: connection={account.connection_status}"
    if ended_on:
        return f"DAY_LOSS_REACHED: the loss of {ended_on} ended the account; only exits are left"
    return "DAY_LOSS_REACHED: in this session only exits are left" if lost else ""


async def _ended_on(query: Query, account: str) -> date | None:
    """Say on what day its loss has ended an account; the record is read only where one can."""
    from ct_mcp.guard.firm_policy import DayLossEnds  # noqa: PLC0415

    firm = query.desk.policy.for_(account, None).firm
    if firm is None or firm.day_loss_ends is not DayLossEnds.ACCOUNT:
        return None
    return firm.ended_on(await query.desk.store.balance_record(account))


async def flattenable_accounts(query: Query) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name all accounts that may be flattened, always in the same order, and give a warning for each that may not.

    Mode and settings decide, armed or not. An account where nothing is open is among them: only reading it back tells
    that it is flat.

    Raises:
        OrderDenied: There is none.
        UpstreamError: The accounts could not be listed.
    """
    query.upstream = query.upstream.urgent()
    listed = await _with_kinds(query, await query.upstream.accounts())
    await query.desk.resolver.learn(listed)
    denials = {account.name: _flatten_denial(query, account) for account in listed}
    allowed = tuple(sorted(name for name, denial in denials.items() if denial is None))
    refused = [f"{sanitize_name(name)} ({denial})" for name, denial in denials.items() if denial is not None]
    if not allowed:
        raise OrderDenied(f"no account may be flattened here: {', '.join(refused) or 'there is none'}")
    return allowed, tuple(f"not touched (get_positions tells what it holds): {account}" for account in refused)


async def _with_kinds(query: Query, listed: Sequence[Account]) -> list[Account]:
    """The accounts as their report has them, where the list says nothing of a kind: one request, since exits wait."""
    if all(account.kind is not AccountKind.UNKNOWN for account in listed):
        return list(listed)
    summary = await query.attempt("the report of all accounts", query.upstream.snapshot()) or ()
    rows = [(account, _row_of(account, summary)) for account in listed]
    return [_merged(account, row.account) if row else await _with_kind(query, account) for account, row in rows]


async def _with_kind(query: Query, listed: Account) -> Account:
    """The account as its own report has it, where nothing else says of what kind it is."""
    if listed.kind is not AccountKind.UNKNOWN:
        return listed
    return await query.attempt(listed.name, query.upstream.account(listed.name)) or listed


def _flatten_denial(query: Query, account: Account) -> "Denial | None":
    from ct_mcp.guard.context import RiskContext  # noqa: PLC0415  # late: the rules come with the first call
    from ct_mcp.guard.review import RULES_OF_SENDING, first_denial  # noqa: PLC0415

    context, policy = RiskContext(now=query.desk.clock(), account=account), query.desk.policy.for_(account.name, None)
    return first_denial(RULES_OF_SENDING, Flatten(account.name, None), context, policy)
