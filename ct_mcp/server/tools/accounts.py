"""Tools that read accounts: all at a glance, and one with balances, margins and the room to its limits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.account import Account, Watermarks
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.firm_policy import DayLossEnds
from ct_mcp.server.account_queries import TradingStatus, blocked_reason, read_accounts
from ct_mcp.server.context import ToolContext, query_of
from ct_mcp.server.format import (
    ReadResult,
    ToolResult,
    join_cells,
    join_lines,
    note_lines,
    page_of,
    sanitize_name,
    to_float,
    tool_result,
)
from ct_mcp.server.queries import Query, time_limit
from ct_mcp.server.tools.forms import AccountName, Skip
from ct_mcp.text import count, iso, money, signed_money

if TYPE_CHECKING:  # the rules come with the first call
    from ct_mcp.guard.room import DayRoom


class AccountView(ToolResult):
    """One account."""

    account: str
    kind: str = Field(description="simulated, replay, live or unknown; unknown counts as live.")
    may_trade: bool
    why_not: str = Field(description="Why nothing can be opened in it; empty where it may trade.")
    connection: str | None
    currency: str | None
    net_liquidation: float | None
    cash_value: float | None
    day_pnl: float | None = Field(description="Realized and unrealized.")
    realized_pnl: float | None
    unrealized_pnl: float | None
    open_positions: int | None


class AccountsResult(ReadResult):
    """Every account that NinjaTrader has; balances may be three seconds older than read_at."""

    accounts: list[AccountView]


@time_limit()
async def get_accounts(ctx: ToolContext, skip: Skip = 0) -> Annotated[CallToolResult, AccountsResult]:
    """All accounts: kind, whether each may trade, balance, profit and loss (P&L) today."""
    query = query_of(ctx)
    statuses = await read_accounts(query)
    return accounts_result(statuses, query.notes, query.read_at, skip)


def accounts_result(
    statuses: Sequence[TradingStatus], notes: list[str], now: datetime, skip: int = 0
) -> CallToolResult:
    """Make both halves of a list of accounts; those that hold something come first."""
    ordered = sorted(statuses, key=lambda status: status.positions == ())
    shown, left_out = page_of(ordered, skip, "accounts", "ask for one with get_account")
    rows, notes = [_account_view(status) for status in shown], [*left_out, *notes]
    structure = AccountsResult(read_at=iso(now) or "", notes=notes, accounts=rows)
    head = f"{count(len(statuses), 'account')}, read {structure.read_at}, balances up to 3 s older"
    return tool_result(join_lines((head, *map(_account_line, rows), *note_lines(notes))), structure)


def _account_view(status: TradingStatus) -> AccountView:
    account, balances = status.account, status.account.balances
    return AccountView(
        account=sanitize_name(account.name),
        kind=account.kind,
        may_trade=status.may_trade,
        why_not=status.blocked_reason,
        connection=account.connection_status,
        currency=account.currency,
        net_liquidation=to_float(balances.net_liquidation),
        cash_value=to_float(balances.cash_value),
        day_pnl=to_float(balances.day_pnl),
        realized_pnl=to_float(balances.realized_pnl),
        unrealized_pnl=to_float(balances.unrealized_pnl),
        open_positions=None if status.positions is None else len(status.positions),
    )


def _account_line(account: AccountView) -> str:
    held = "positions unknown" if account.open_positions is None else count(account.open_positions, "open position")
    return join_cells(
        (
            account.account,
            account.kind,
            f"connection {account.connection or 'unknown'}",
            "may trade" if account.may_trade else f"may NOT trade ({account.why_not})",
            f"net liquidation {money(account.net_liquidation)} {account.currency or 'currency unknown'}",
            f"cash {money(account.cash_value)}",
            f"day P&L {signed_money(account.day_pnl)}: realized {signed_money(account.realized_pnl)},"
            f" unrealized {signed_money(account.unrealized_pnl)}",
            "flat" if account.open_positions == 0 else held,
        )
    )


_BALANCES = (
    "net_liquidation",
    "cash_value",
    "buying_power",
    "initial_margin",
    "maintenance_margin",
    "excess_initial_margin",
    "day_pnl",
    "realized_pnl",
    "unrealized_pnl",
    "gross_realized_pnl",
    "commission",
    "trailing_max_drawdown",
)


class AccountResult(ReadResult):
    """NinjaTrader's figures as of read_at; high-water marks are CrossTrade's own, which do not say how old they are."""

    account: str
    kind: str = Field(description="simulated, replay, live or unknown; unknown counts as live.")
    may_trade: bool
    why_not: str = Field(description="Why nothing can be opened in it; empty where it may trade.")
    connection: str | None
    currency: str | None
    net_liquidation: float | None
    cash_value: float | None
    buying_power: float | None
    initial_margin: float | None
    maintenance_margin: float | None
    excess_initial_margin: float | None
    day_pnl: float | None = Field(description="Realized and unrealized, of the session.")
    realized_pnl: float | None
    unrealized_pnl: float | None
    gross_realized_pnl: float | None
    commission: float | None
    max_day_loss: float = Field(description="Our limit, from the policy.")
    room_to_max_day_loss: float | None = Field(description="What may still be lost before it; 0 once reached.")
    rules_of_funded_account: list[str] = Field(description="The room of each rule that the settings have for it.")
    room_beside_open_stops: float | None = Field(description="The same, once every open stop was hit.")
    day_loss_reached: bool | None = Field(description="It was reached in this session, and stays so until it rolls.")
    own_daily_loss_limit: float | None = Field(description="The account's own; 0 where it has none.")
    room_to_own_limit: float | None
    trailing_max_drawdown: float | None = Field(description="As NinjaTrader reports it.")
    pnl_high: float | None = Field(description="High-water mark of the session's P&L.")
    pnl_of_marks: float | None = Field(description="CrossTrade's P&L now, which it counts the mark by; not day_pnl.")
    drawdown_from_pnl_high: float | None
    net_liquidation_high: float | None
    drawdown_from_net_liquidation_high: float | None
    unrealized_high: float | None
    marks_source: str


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What was read of one account; None is what could not be read."""

    account: Account
    marks: Watermarks | None
    blocked_reason: str
    max_day_loss: Decimal
    day_loss_reached: bool | None
    loss_ends_account: bool = False
    room: "DayRoom | None" = None
    rules: tuple[str, ...] = ()


@time_limit()
async def get_account(ctx: ToolContext, account: AccountName) -> Annotated[CallToolResult, AccountResult]:
    """One account: balances, margins, P&L today, high-water marks, drawdown, room to the loss limits."""
    query = query_of(ctx)
    report = await read_account(query, account)
    return account_result(report, query.notes, query.read_at)


async def read_account(query: Query, account: str) -> AccountReport:
    """Read one account; its high-water marks and what our store knows of the day may be missing."""
    desk, live = query.desk, query.live
    found = await live.account((await desk.resolver.account(account)).name)
    desk.resolver.remember([found])
    await query.note_outstanding(found.name)
    today = trading_day(desk.clock())
    marks = await query.attempt("high-water marks", live.watermarks(found.name))
    if marks is not None:
        await desk.day_losses.note_mark(found.name, marks.net_liquidation_high)
    room, rules = await _rooms_of(query, found)
    policy = desk.policy.for_(found.name, None)
    return AccountReport(
        room=room,
        rules=rules,
        account=found,
        marks=marks,
        blocked_reason=await blocked_reason(query, found),
        max_day_loss=policy.limits.max_day_loss,
        loss_ends_account=policy.firm is not None and policy.firm.day_loss_ends is DayLossEnds.ACCOUNT,
        day_loss_reached=await query.attempt("the day's loss", desk.store.day_loss(found.name, today)),
    )


async def _rooms_of(query: Query, account: Account) -> "tuple[DayRoom | None, tuple[str, ...]]":
    """Reckon what the day has left beside the stops of what is open, and what the rules of its firm leave."""
    from ct_mcp.desk.account_reader import ReviewReads  # noqa: PLC0415
    from ct_mcp.guard.context import RiskContext  # noqa: PLC0415  # the rules come with the first call
    from ct_mcp.guard.firm_room import firm_lines  # noqa: PLC0415
    from ct_mcp.guard.room import day_room  # noqa: PLC0415

    policy = query.desk.policy.for_(account.name, None)
    positions = await query.attempt("positions", query.live.positions(account.name))
    orders = await query.attempt("orders", query.live.orders(account.name, active_only=True))
    contracts = query.desk.contexts.contracts
    context = RiskContext(query.desk.clock(), account, positions, orders, contracts=contracts)
    if policy.firm is not None:
        record = await query.attempt("the balances on record", query.desk.store.balance_record(account.name))
        entries = await query.attempt("the exits that are owed", query.desk.store.entries_owed(account.name))
        reads = ReviewReads(query.upstream, query.desk.clock())
        others = query.desk.contexts.elsewhere.books(account.name, account.kind, reads)
        elsewhere = await query.attempt("what other accounts hold", others)
        for failure in reads.failures:
            query.note(failure)
        context = replace(context, record=record, entries=entries or {}, elsewhere=elsewhere)
    return day_room(context, policy), firm_lines(context, policy)


def account_result(report: AccountReport, notes: list[str], now: datetime) -> CallToolResult:
    """Make both halves of one account."""
    account, balances = report.account, report.account.balances
    structure = AccountResult(
        read_at=iso(now) or "",
        notes=notes,
        account=sanitize_name(account.name),
        kind=account.kind,
        may_trade=not report.blocked_reason,
        why_not=report.blocked_reason,
        connection=account.connection_status,
        currency=account.currency,
        max_day_loss=float(report.max_day_loss),
        day_loss_reached=report.day_loss_reached,
        room_to_max_day_loss=0.0 if report.day_loss_reached else _room_left(report.max_day_loss, balances.day_pnl),
        rules_of_funded_account=list(report.rules),
        room_beside_open_stops=None if report.room is None else to_float(max(Decimal(0), report.room.free)),
        own_daily_loss_limit=to_float(balances.daily_loss_limit),
        room_to_own_limit=_room_left(balances.daily_loss_limit or None, balances.day_pnl),
        marks_source=_marks_source(report.marks),
        **{name: to_float(getattr(balances, name)) for name in _BALANCES},
        **_marks_of(report.marks or Watermarks(account.name)),
    )
    return tool_result(_account_text(structure, report), structure)


def _marks_of(marks: Watermarks) -> dict[str, float | None]:
    return {
        "pnl_high": to_float(marks.pnl_high),
        "pnl_of_marks": to_float(marks.pnl),
        "drawdown_from_pnl_high": _below(marks.pnl_high, marks.pnl),
        "net_liquidation_high": to_float(marks.net_liquidation_high),
        "drawdown_from_net_liquidation_high": _below(marks.net_liquidation_high, marks.net_liquidation),
        "unrealized_high": to_float(marks.unrealized_high),
    }


def _room_left(limit: Decimal | None, pnl: Decimal | None) -> float | None:
    return None if limit is None or pnl is None else float(max(Decimal(0), limit + pnl))


def _below(high: Decimal | None, now: Decimal | None) -> float | None:
    return None if high is None or now is None else float(max(Decimal(0), high - now))


def _marks_source(marks: Watermarks | None) -> str:
    if marks is None:
        return "not read"
    if marks.pnl_high is None and marks.net_liquidation_high is None:
        return "CrossTrade keeps none for this account in this session"
    return "CrossTrade's session memory, of unknown age"


def _account_text(it: AccountResult, report: AccountReport) -> str:
    return join_lines(
        (
            f"{it.account}  {it.kind}  connection {it.connection or 'unknown'}, read {it.read_at}",
            "may trade" if it.may_trade else f"may NOT trade ({it.why_not})",
            f"net liquidation {money(it.net_liquidation)}  cash {money(it.cash_value)}"
            f"  buying power {money(it.buying_power)}  ({it.currency or 'currency unknown'})",
            f"margin: initial {money(it.initial_margin)}, maintenance {money(it.maintenance_margin)},"
            f" excess initial {money(it.excess_initial_margin)}",
            f"day P&L {signed_money(it.day_pnl)}: realized {signed_money(it.realized_pnl)}"
            f" (gross {signed_money(it.gross_realized_pnl)}, commission {money(it.commission)}{_fees(it)}),"
            f" unrealized {signed_money(it.unrealized_pnl)}",
            f"room to our day's loss limit of {money(it.max_day_loss)}: {money(it.room_to_max_day_loss)}"
            f"{_reached(it, report)}",
            _beside_stops(report.room),
            _own_limit(it),
            *it.rules_of_funded_account,
            f"trailing max drawdown as NinjaTrader reports it: {money(it.trailing_max_drawdown)}",
            *_marks_text(it, are_read=report.marks is not None),
            *note_lines(it.notes),
        )
    )


def _fees(it: AccountResult) -> str:
    """What is missing between gross and realized beyond the commission."""
    if it.realized_pnl is None or it.gross_realized_pnl is None or it.commission is None:
        return ""
    fees = round(it.gross_realized_pnl - it.commission - it.realized_pnl, 2)
    return f", other costs {money(fees)}" if fees > 0 else ""


def _beside_stops(room: "DayRoom | None") -> str:
    """What is left once every stop was hit; what stands without one cannot be counted, and is named."""
    if room is None or not (room.open_stop_outs.loss or room.open_stop_outs.uncounted):
        return ""
    uncounted = ", ".join(room.open_stop_outs.uncounted)
    bare = f"; not counted, without a known stop: {uncounted}" if uncounted else ""
    return (
        f"room beside the stops of what is open: {money(room.free)}"
        f" ({money(room.open_stop_outs.loss)} from the market to them){bare}"
    )


def _reached(it: AccountResult, report: AccountReport) -> str:
    if it.day_loss_reached is None:
        return "; whether it was reached before is unknown"
    until = ", and it ends the account" if report.loss_ends_account else " until the session rolls"
    return f"; REACHED: only exits{until}" if it.day_loss_reached else ""


def _own_limit(it: AccountResult) -> str:
    if it.own_daily_loss_limit == 0:
        return "the account has no daily loss limit of its own"
    return (
        f"room to the account's own daily loss limit of {money(it.own_daily_loss_limit)}: {money(it.room_to_own_limit)}"
    )


def _marks_text(it: AccountResult, *, are_read: bool) -> list[str]:
    if it.pnl_high is None and it.net_liquidation_high is None:
        return [f"high-water marks: {it.marks_source if are_read else 'unknown'}"]
    return [
        f"highest of the session ({it.marks_source}): P&L {signed_money(it.pnl_high)},"
        f" {signed_money(it.pnl_of_marks)} by the same count now: {money(it.drawdown_from_pnl_high)} below it;"
        f" net liquidation {money(it.net_liquidation_high)},"
        f" now {money(it.drawdown_from_net_liquidation_high)} below it;"
        f" unrealized P&L {signed_money(it.unrealized_high)}"
    ]
