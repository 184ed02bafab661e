"""Tools that read the market: quotes, bars, trading sessions."""

from datetime import datetime
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.market import parse_period
from ct_mcp.errors import BadRequest
from ct_mcp.server.answers.bars import BarsAnswer, bars_answer
from ct_mcp.server.answers.quotes import QuotesAnswer, quotes_answer
from ct_mcp.server.answers.session import SessionAnswer, session_answer
from ct_mcp.server.reading import in_time
from ct_mcp.server.tools.trading import InstrumentName
from ct_mcp.server.wiring import ToolContext, reading_of

Instruments = Annotated[
    list[Annotated[str, Field(max_length=40)]],
    Field(min_length=1, max_length=20, description="e.g. ['ES', 'MNQ 12-26']"),
]
When = Annotated[str | None, Field(max_length=40, description="ISO 8601 with zone, e.g. 2026-11-20T14:30:00Z")]
Count = Annotated[int, Field(ge=1, le=1000, description="The newest so many")]


@in_time()
async def get_quotes(ctx: ToolContext, instruments: Instruments) -> Annotated[CallToolResult, QuotesAnswer]:
    """Bid, ask, last, change, age of the quote, tick size and what a tick and a point are worth."""
    reading = reading_of(ctx)
    quotes = await reading.live.quotes(instruments)
    stale_after = reading.desk.policy.limits.quote_max_age_seconds
    return quotes_answer(instruments, quotes, stale_after, reading.notes, reading.desk.clock())


@in_time()
async def get_bars(
    ctx: ToolContext,
    instrument: InstrumentName,
    period: Annotated[str, Field(max_length=20, description="<n> minute|hour|day|week|month|year")] = "5 minute",
    count: Count = 100,
    start: When = None,
    end: When = None,
) -> Annotated[CallToolResult, BarsAnswer]:
    """Open, high, low, close and volume as a table, newest last, with range and change."""
    reading = reading_of(ctx)
    length, since, until = parse_period(period), _moment("start", start), _moment("end", end)
    found, bars = await reading.upstream.bars(instrument, length, count=count, start=since, end=until)
    if since is not None and len(bars) == count:
        reading.note(f"only the newest {count} bars of the span; there may be more before them")
    return bars_answer(found, length, bars, reading.notes, reading.desk.clock())


@in_time()
async def get_session(ctx: ToolContext, instrument: InstrumentName) -> Annotated[CallToolResult, SessionAnswer]:
    """Whether the market is open, when it closes or opens, and the session after."""
    reading = reading_of(ctx)
    session = await reading.upstream.session(instrument)
    return session_answer(session, reading.notes, reading.desk.clock())


def _moment(name: str, text: str | None) -> datetime | None:
    """A time with its zone.

    Raises:
        BadRequest: It is no such time; one without a zone could mean any of several.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest(f"{name} {text[:40]!a} must be ISO 8601 with a zone, such as 2026-11-20T14:30:00Z")
    return at
