"""The tools of the day's book: trades, and how they went. They read the record, which ct-mcp keeps by itself."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.instrument import parse_instrument
from ct_mcp.domain.performance import GroupBy
from ct_mcp.domain.trading_days import read_trading_days
from ct_mcp.errors import BadRequest
from ct_mcp.server.context import ToolContext, desk_of
from ct_mcp.server.format import text_result
from ct_mcp.server.queries import time_limit
from ct_mcp.server.tools.forms import AccountName, Skip, name_on_record

Since = Annotated[
    str | None,
    Field(max_length=40, description="Trading day: today, yesterday, this week, last month, friday, 2026-11-20"),
]
Until = Annotated[str | None, Field(max_length=40, description="Last day")]


@time_limit()
async def get_trades(
    ctx: ToolContext,
    account: AccountName,
    since: Since = None,
    until: Until = None,
    instrument: Annotated[str | None, Field(description="Only this")] = None,
    tag: Annotated[str | None, Field(max_length=32, description="Only this setup")] = None,
    skip: Skip = 0,
) -> CallToolResult:
    """Closed trades of trading days, today's by default: result in money and R, MAE, MFE."""
    from ct_mcp.desk.book import Wanted  # noqa: PLC0415  # the desk is loaded by the first call
    from ct_mcp.server.trade_text import trades_text  # noqa: PLC0415

    desk = desk_of(ctx)
    days = read_trading_days(since or (None if until else "today"), until, desk.clock())
    name = await name_on_record(desk, account)
    only = None if instrument is None else str(parse_instrument(instrument, desk.clock().date()))
    trades = await desk.book.trades(name, Wanted(days.first, days.last, only, tag))
    return text_result(trades_text(trades, days, desk.clock(), skip))


@time_limit()
async def get_performance(
    ctx: ToolContext,
    account: AccountName,
    since: Annotated[str | None, Field(max_length=40, description="As in get_trades; else all on record")] = None,
    until: Until = None,
    by: Annotated[
        str | None, Field(max_length=20, description="Split by setup, hour (Chicago), weekday, instrument or side")
    ] = None,
) -> CallToolResult:
    """What trades made: total, win rate, expectancy, drawdown and more, with sample sizes."""
    from ct_mcp.desk.book import Wanted  # noqa: PLC0415  # the desk is loaded by the first call
    from ct_mcp.server.trade_text import performance_text  # noqa: PLC0415

    desk = desk_of(ctx)
    days = read_trading_days(since, until, desk.clock())
    name = await name_on_record(desk, account)
    report = await desk.book.performance(name, Wanted(days.first, days.last), _split(by))
    return text_result(performance_text(report, days, desk.clock()))


def _split(by: str | None) -> GroupBy | None:
    """Read what figures are to be split by.

    Raises:
        BadRequest: They cannot be split so.
    """
    if by is None or by.casefold() in frozenset(GroupBy):
        return None if by is None else GroupBy(by.casefold())
    raise BadRequest(f"by {by[:20]!a} must be one of {', '.join(GroupBy)}")
