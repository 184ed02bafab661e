"""The tool that draws: bars with what an account has there, as a picture, and the same in words."""

from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from anyio import to_thread
from mcp_types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import parse_period, trading_day_began
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, Execution, Order
from ct_mcp.errors import ConfigError, CtMcpError
from ct_mcp.server.context import ToolContext, query_of
from ct_mcp.server.format import join_lines, sanitize_name
from ct_mcp.server.policy_text import INSTALL_PILLOW, NO_PILLOW, why_no_pictures
from ct_mcp.server.queries import Query, read_orders, read_positions, time_limit
from ct_mcp.server.tools.forms import InstrumentName

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.day_fills import DayFills
    from ct_mcp.domain.chart import Chart, Holdings

MOST_BARS = 500
_T = TypeVar("_T")


@time_limit()
async def chart_bars(
    ctx: ToolContext,
    instrument: InstrumentName,
    period: Annotated[
        str, Field(max_length=20, description="<n> minute|hour|day|week|month|year (5 minute)")
    ] = "5 minute",
    count: Annotated[int, Field(ge=1, le=MOST_BARS, description="The newest so many")] = 120,
    account: Annotated[str | None, Field(description="Draws its position, orders, fills")] = None,
    theme: Annotated[Literal["dark", "light"], Field(description="Colours")] = "dark",
) -> CallToolResult:
    """A picture of bars (candles) with last price, position, working orders and fills; and the same in words."""
    from ct_mcp.domain.chart_text import chart_lines  # noqa: PLC0415  # what draws is loaded by the first picture
    from ct_mcp.server.chart_picture import picture_of  # noqa: PLC0415

    if why_no_pictures():
        raise ConfigError(NO_PILLOW, next_step=INSTALL_PILLOW)
    chart = await read_chart(query_of(ctx), instrument, period, count, account)
    # Beside the event loop: it takes some tenths of a second, and exits must not wait for it.
    picture = await to_thread.run_sync(picture_of, chart, theme, None)
    words = TextContent(type="text", text=join_lines(chart_lines(chart, None)))
    image = ImageContent(type="image", data=b64encode(picture).decode(), mime_type="image/png")
    return CallToolResult(content=[words, image])


@dataclass
class _Parts:
    """What stands beside the bars, each None where it was not read, and then ``failures`` say why."""

    positions: list[Position] | None = None
    orders: tuple[Order, ...] | None = None
    fills: "DayFills | None" = None
    failures: list[str] = field(default_factory=list)

    async def attempt(self, what: str, read: Awaitable[_T]) -> _T | None:
        """Await a read; where it fails, say so."""
        try:
            return await read
        except CtMcpError as error:
            self.failures.append(f"{what}: {error.code}: {error.what}")
            return None


async def read_chart(query: Query, name: str, period: str, count: int, account: str | None) -> "Chart":
    """Read the bars, and what belongs beside them; of that each part may fail by itself.

    Raises:
        CtMcpError: The bars could not be read, or there is no such account.
    """
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call
    from ct_mcp.domain.chart import Chart  # noqa: PLC0415  # likewise

    length = parse_period(period)
    who = None if account is None else (await query.desk.resolver.account(account)).name
    parts = _Parts()
    async with SideBySide([]) as ask:
        bars = ask.read("bars", query.upstream.bars(name, length, count=count, start=None, end=None))
        quotes = ask.read("quote", parts.attempt("quote", query.live.quotes([name])))
        ask.read("holdings", _read_holdings(query, who, parts))
    found, rows = bars.required()
    quote = next(iter(quotes.value or ()), None)
    holdings = None if who is None else _holdings_of(who, found, parts)
    gaps = parts.fills.gaps if parts.fills else ()
    notes = (*_other_months(parts.positions, found), *gaps, *query.notes)
    return Chart(found, length, rows, query.read_at, quote, holdings, tuple(parts.failures), notes)


async def _read_holdings(query: Query, account: str | None, parts: _Parts) -> None:
    if account is None:
        return
    parts.positions = await parts.attempt("position", read_positions(query, account))
    orders = await parts.attempt("working orders", read_orders(query, account))
    parts.orders = None if orders is None else orders.behind(account)
    if orders is not None and parts.orders is None:
        parts.failures.append("working orders: the list is empty, and no second one could be read")
    parts.fills = await _read_fills(query, account, parts)


async def _read_fills(query: Query, account: str, parts: _Parts) -> "DayFills | None":
    """Give the day's fills that are on record, with those that the service still tells."""
    from ct_mcp.desk.day_fills import DayFills, day_fills  # noqa: PLC0415  # the desk is loaded by the first call

    now, desk = query.desk.clock(), query.desk
    recent = await parts.attempt("fills", query.upstream.executions(account, LONGEST_LOOKBACK_SECONDS))
    recorded = await parts.attempt("fills on record", day_fills(desk.store, desk.book, account, now))
    if recorded is None and recent is not None:
        since = max(trading_day_began(now), now - timedelta(seconds=LONGEST_LOOKBACK_SECONDS))
        recorded = DayFills((), since, ())
    return recorded and recorded.joined_with(recent or ())


def _holdings_of(account: str, instrument: Instrument, parts: _Parts) -> "Holdings":
    from ct_mcp.domain.chart import Holdings  # noqa: PLC0415  # likewise

    return Holdings(
        account,
        _of(instrument, parts.positions),
        _of(instrument, parts.orders),
        _of(instrument, parts.fills.fills if parts.fills else None),
        parts.fills.since if parts.fills else None,
    )


_Row = TypeVar("_Row", Position, Order, Execution)


def _of(instrument: Instrument, rows: "list[_Row] | tuple[_Row, ...] | None") -> tuple[_Row, ...] | None:
    return None if rows is None else tuple(row for row in rows if row.instrument == instrument)


def _other_months(positions: list[Position] | None, instrument: Instrument) -> list[str]:
    """Name what the account holds in another month of the same root: it is not on this chart."""
    others = [each for each in positions or () if each.instrument.root == instrument.root]
    return [
        f"{sanitize_name(each.account)} also holds {each.direction} {each.amount} {each.instrument}, not drawn here"
        for each in others
        if each.instrument != instrument
    ]
