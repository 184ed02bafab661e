"""The tool that reads executions, with what they come to for each instrument."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.account import account_key
from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Execution, OrderAction
from ct_mcp.domain.products import price_of
from ct_mcp.domain.trading_days import read_trading_day, session_day
from ct_mcp.errors import BadRequest, UpstreamError
from ct_mcp.server.context import ToolContext, query_of
from ct_mcp.server.execution_roles import NO_ROLES, OLDER, Roles, read_roles, role_of
from ct_mcp.server.format import (
    ReadResult,
    ToolResult,
    age_seconds,
    join_cells,
    join_lines,
    note_lines,
    page_of,
    sanitize_name,
    shown_amount,
    to_float,
    tool_result,
)
from ct_mcp.server.queries import Query, time_limit
from ct_mcp.server.tools.forms import AnyAccount, Skip, name_on_record
from ct_mcp.text import aged, contracts, count, format_price, iso

LONGEST_LOOKBACK_MINUTES = 15
MOST_ACCOUNTS = 10
"""So many are read where none is named: each costs a request."""


class ExecutionView(ToolResult):
    """One trade of an order."""

    account: str
    execution_id: str
    order_id: str | None
    instrument: str
    action: str | None = Field(description="BUY or SELL.")
    role: str | None = Field(
        description="entry, exit, stop or target; null: not told by its order's name or our journal."
    )
    quantity: int | float
    price: float
    at: str | None
    age_seconds: float | None


class ExecutionTotal(ToolResult):
    """What the executions listed come to in one instrument of one account."""

    account: str
    instrument: str
    bought: int
    average_buy_price: float | None = Field(description="Null where nothing was bought.")
    sold: int
    average_sell_price: float | None = Field(description="Null where nothing was sold.")
    net: int | None = Field(description="Null when the direction of one of them is not known.")


class ExecutionsResult(ReadResult):
    """Executions, newest first. No rows means that there were none in the time that was asked for."""

    account: str | None = Field(description="Null: of all accounts.")
    scope: str
    executions: list[ExecutionView]
    totals: list[ExecutionTotal]
    older: str = Field(description="Where older ones are found; empty of one order, which has no such limit.")


@time_limit()
async def get_executions(
    ctx: ToolContext,
    account: AnyAccount = None,
    order_id: Annotated[str | None, Field(min_length=1, max_length=64, description="Only its; needs account")] = None,
    minutes: Annotated[int, Field(ge=1, le=15, description="How far back, without day")] = 15,
    day: Annotated[
        str | None, Field(max_length=40, description="Trading day: today, yesterday, friday, 2026-11-20")
    ] = None,
    skip: Skip = 0,
) -> Annotated[CallToolResult, ExecutionsResult]:
    """Executions (fills with prices) of the last minutes, a day, or one order, with totals."""
    query, scope = query_of(ctx), f"last {minutes} min"
    if day is not None:
        return await _of_day(query, account, order_id, day, skip)
    if account is None:
        if order_id is not None:
            raise BadRequest("account is missing: an order is looked up in its account")
        executions = await read_executions_of_all(query, 60 * minutes)
        return await _told(query, None, executions, scope, skip)
    name = (await query.desk.resolver.account(account)).name
    if order_id is not None:
        executions, scope = await read_executions_of(query, name, order_id), f"order {sanitize_name(order_id)}"
    else:
        executions = await query.upstream.executions(name, 60 * minutes)
    return await _told(query, name, executions, scope, skip)


async def _of_day(query: Query, account: str | None, order_id: str | None, day: str, skip: int) -> CallToolResult:
    """Tell what was executed in a trading day: from the record, and what the service still gives of it."""
    from ct_mcp.domain.trades import as_execution  # noqa: PLC0415  # the book comes with the first call

    meant, now = read_trading_day(day, query.desk.clock()), query.desk.clock()
    book = query.desk.book
    names = await _known(query) if account is None else (await name_on_record(query.desk, account),)
    found: list[Execution] = []
    for number, name in enumerate(names):
        kept = {each.execution_id: as_execution(each) for each in await book.executions_of_day(name, meant)}
        if meant == session_day(now) and number < MOST_ACCOUNTS:
            recent = await _recent(query, name)
            kept |= {each.execution_id: each for each in recent if each.at and trading_day(each.at) == meant}
        found += [each for each in kept.values() if order_id in (None, each.order_id)]
        for gap in await book.gaps_of_day(name, meant):
            query.note(f"{sanitize_name(name)}: {gap.words}: what was executed then may be missing here")
    if meant == session_day(now) and (left := len(names) - MOST_ACCOUNTS) > 0:
        query.note(f"the last minutes of {count(left, 'more account')} were not read: name the account")
    if not names:
        query.note("nothing is on record yet")
    scope = f"trading day {meant}, from the record"
    return await _told(query, names[0] if account is not None else None, found, scope, skip)


async def _known(query: Query) -> tuple[str, ...]:
    """Name the accounts on record, and after them those that are known and on no record."""
    on_record, desk = await query.desk.book.accounts(), query.desk
    keys = set(map(account_key, on_record))
    others = sorted(each.name for each in await desk.store.known_accounts(desk.clock()))
    return (*on_record, *(name for name in others if account_key(name) not in keys))


async def _recent(query: Query, account: str) -> Sequence[Execution]:
    read = await query.attempt(
        f"executions of {sanitize_name(account)} of the last minutes",
        query.upstream.executions(account, 60 * LONGEST_LOOKBACK_MINUTES),
    )
    return read or ()


async def _told(
    query: Query, account: str | None, executions: Sequence[Execution], scope: str, skip: int
) -> CallToolResult:
    for name in dict.fromkeys(each.account for each in executions):
        for deed in await query.desk.plans.follow(name, [each for each in executions if each.account == name]):
            query.note(deed)
    roles = await read_roles(query, executions)
    return executions_result(account, executions, scope, query.notes, query.desk.clock(), skip, roles)


async def read_executions_of_all(query: Query, lookback_seconds: int) -> Sequence[Execution]:
    """Read those of every account, up to `MOST_ACCOUNTS`; what could not be read is noted by its name.

    Raises:
        UpstreamError: The accounts could not be listed, or no account could be read.
    """
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    names = [account.name for account in await query.live.accounts()]
    failures: list[str] = []
    async with SideBySide(failures) as ask:
        readings = [
            ask.read(f"executions of {sanitize_name(name)}", query.upstream.executions(name, lookback_seconds))
            for name in names[:MOST_ACCOUNTS]
        ]
    if readings and all(reading.error for reading in readings):
        readings[0].required()
    for failure in failures:
        query.note(failure)
    if left := len(names) - MOST_ACCOUNTS if len(names) > MOST_ACCOUNTS else 0:
        query.note(f"executions of {count(left, 'more account')} were not read: name the account")
    return [execution for reading in readings for execution in reading.value or ()]


async def read_executions_of(query: Query, account: str, order_id: str) -> Sequence[Execution]:
    """Read those of one order; where the service does not give them, those of the last minutes that name it.

    Raises:
        UpstreamError: Neither could be read.
    """
    try:
        return await query.upstream.executions_of_order(account, order_id)
    except UpstreamError as error:
        recent = await query.upstream.executions(account, 60 * LONGEST_LOOKBACK_MINUTES)
        query.note(
            f"only executions of the last {LONGEST_LOOKBACK_MINUTES} min could be read: {error.code}: {error.what}"
        )
    return [execution for execution in recent if execution.order_id == order_id]


def executions_result(  # what was read, and which part of it is shown
    account: str | None,
    executions: Sequence[Execution],
    scope: str,
    notes: list[str],
    now: datetime,
    skip: int = 0,
    roles: Roles = NO_ROLES,
) -> CallToolResult:
    """Make both halves of a list of executions, without ``account`` of several; the totals are over all of them."""
    rows, left_out = page_of(execution_views(executions, now, roles), skip, "executions", "name an order")
    rows, notes = list(rows), [*left_out, *notes]
    totals = _totals(executions)
    structure = ExecutionsResult(
        read_at=iso(now) or "",
        notes=notes,
        account=None if account is None else sanitize_name(account),
        scope=scope,
        executions=rows,
        totals=totals,
        older=OLDER if scope.startswith("last ") else "",
    )
    where = structure.account or "all accounts"
    head = f"{count(len(executions), 'execution')} in {where}, {scope}, read {structure.read_at}"
    lines = [_named(row.account, execution_line(row), account) for row in rows]
    sums = [_named(total.account, _total_line(total), account) for total in totals]
    return tool_result(join_lines((head, *lines, *sums, structure.older, *note_lines(notes))), structure)


def _named(name: str, line: str, account: str | None) -> str:
    """Put the account before a line where several are listed."""
    return f"{name}  {line}" if account is None else line


def execution_views(executions: Iterable[Execution], now: datetime, roles: Roles = NO_ROLES) -> list[ExecutionView]:
    """List them newest first; those without a time come last."""
    ordered = sorted(executions, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)
    return [_execution_view(execution, now, roles) for execution in ordered]


def _execution_view(execution: Execution, now: datetime, roles: Roles) -> ExecutionView:
    return ExecutionView(
        account=sanitize_name(execution.account),
        execution_id=sanitize_name(execution.execution_id),
        order_id=sanitize_name(execution.order_id),
        instrument=execution.instrument.label,
        action=execution.action,
        role=role_of(execution, roles),
        quantity=shown_amount(execution.amount),
        price=float(execution.price),
        at=iso(execution.at),
        age_seconds=age_seconds(execution.at, now),
    )


def execution_line(execution: ExecutionView) -> str:
    """Write one execution as a line."""
    return join_cells(
        (
            execution.at or "time unknown",
            execution.action or "direction unknown",
            *([execution.role] if execution.role else ()),
            execution.quantity,
            execution.instrument,
            f"at {price_of(execution.instrument, execution.price)}",
            f"order {execution.order_id or 'unknown'}",
            f"execution {execution.execution_id}",
            aged(execution.age_seconds),
        )
    )


def _totals(executions: Sequence[Execution]) -> list[ExecutionTotal]:
    futures = {(one.account, one.instrument) for one in executions if not isinstance(one.instrument, OtherInstrument)}
    return [
        _total(name, instrument, [one for one in executions if (one.account, one.instrument) == (name, instrument)])
        for name, instrument in sorted(futures)
    ]


def _total(account: str, instrument: Instrument, executions: Sequence[Execution]) -> ExecutionTotal:
    bought, sold = _side(executions, OrderAction.BUY), _side(executions, OrderAction.SELL)
    is_known = all(one.action is not None for one in executions)
    return ExecutionTotal(
        account=sanitize_name(account),
        instrument=str(instrument),
        bought=bought[0],
        average_buy_price=to_float(bought[1]),
        sold=sold[0],
        average_sell_price=to_float(sold[1]),
        net=bought[0] - sold[0] if is_known else None,
    )


def _side(executions: Sequence[Execution], action: OrderAction) -> tuple[int, Decimal | None]:
    """Contracts and their average price, to a millionth."""
    side = [one for one in executions if one.action is action]
    quantity = sum(one.quantity for one in side)
    value = sum((one.price * one.quantity for one in side), Decimal(0))
    return quantity, round(value / quantity, 6) if quantity else None


def _total_line(total: ExecutionTotal) -> str:
    bought = f"bought {total.bought}" + (
        f" at {format_price(total.average_buy_price)} on average" if total.bought else ""
    )
    sold = f"sold {total.sold}" + (f" at {format_price(total.average_sell_price)} on average" if total.sold else "")
    return f"total {total.instrument}: {bought}, {sold}, net {contracts(total.net) if total.net != 0 else 0}"
