"""The accounts of an answer: what each holds, and whether anything can be opened in it.

Whether an account may trade is decided by the guard's own rules, so that a status and a denial say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import anyio

from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot, Position, account_key
from ct_mcp.domain.commands import ChangeOrder, Flatten
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import CtMcpError, OrderDenied, StoreFailed, Unavailable
from ct_mcp.server.format import sanitize_name
from ct_mcp.server.queries import Query, confirmed_positions, is_of

if TYPE_CHECKING:  # the rules come with the first call
    from ct_mcp.guard.rule import Denial

LONGEST_ACCOUNTS_SECONDS = 20.0


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
    """Read every account, with balances and with positions, each where it could be read.

    Raises:
        UpstreamError: The accounts could not be listed.
    """
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    async with SideBySide([]) as ask:
        report = ask.read("report", _report(query))
        positions = ask.read("positions", _positions(query))
    summary = report.value or ()
    listed = await _listed(query, summary)
    await query.desk.resolver.learn(listed)
    for table in query.desk.policy.unmatched(account.name for account in listed):
        query.note(f'the settings have a table for account "{sanitize_name(table)}", and no account is called so')
    await query.note_outstanding()
    rows = [(account, _row_of(account, summary)) for account in listed]
    held = [await _held(query, account, row, positions.value) for account, row in rows]
    return [
        await _trading_status(query, _merged(account, row.account) if row else account, mine)
        for (account, row), mine in zip(rows, held, strict=True)
    ]


async def _report(query: Query) -> tuple[AccountSnapshot, ...] | None:
    return await query.attempt("balances and positions in one report", query.live.snapshot())


async def _positions(query: Query) -> tuple[Position, ...] | None:
    return await query.attempt("the list of positions", query.live.all_positions())


async def _listed(query: Query, summary: Sequence[AccountSnapshot]) -> Sequence[Account]:
    """Give every account: as the report has them, while it names those that were listed last and tells all of them."""
    told = [row.account for row in summary]
    is_whole = all(each.kind is not AccountKind.UNKNOWN and each.connection_status for each in told)
    if told and is_whole and {account_key(each.name) for each in told} == query.desk.resolver.listed:
        return told
    listed = await query.live.accounts()
    query.desk.resolver.listed = frozenset(account_key(each.name) for each in listed)
    return listed


async def _held(
    query: Query, account: Account, row: AccountSnapshot | None, listed: Sequence[Position] | None
) -> tuple[Position, ...] | None:
    """Give what an account holds now; None where that is not known.

    The report may be three seconds old, and lists have come back empty: where the list holds nothing, what the report
    shows is looked up by its name, and nothing held is the word of both.
    """
    mine = tuple(each for each in listed or () if account_key(each.account) == account_key(account.name))
    if mine:
        return mine
    if row is None or row.positions is None or (listed is None and not row.speaks_of_positions):
        return None
    what = f"what {sanitize_name(account.name)} holds"
    found = await query.attempt(what, confirmed_positions(query, row, is_listed=listed is not None))
    return None if found is None else tuple(found)


async def read_accounts_or_failure(
    query: Query, longest_seconds: float = LONGEST_ACCOUNTS_SECONDS
) -> tuple[list[TradingStatus] | None, CtMcpError | None]:
    """Read the accounts, or give what prevented it; a service that does not answer is not waited for."""
    try:
        with anyio.move_on_after(longest_seconds):
            return await read_accounts(query), None
    except CtMcpError as error:
        return None, error
    return None, Unavailable(f"no answer within {longest_seconds:.0f} s")


def _row_of(account: Account, summary: Sequence[AccountSnapshot]) -> AccountSnapshot | None:
    return next((row for row in summary if is_of(row, account.name)), None)


async def _trading_status(query: Query, account: Account, held: tuple[Position, ...] | None) -> TradingStatus:
    return TradingStatus(account, held, await blocked_reason(query, account))


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
