"""Tools that read the market: quotes, bars, trading sessions."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import (
    Bar,
    Period,
    PeriodUnit,
    Quote,
    Session,
    clock_words,
    parse_period,
    their_clock_ahead_seconds,
    trading_day,
    trading_days_ended,
)
from ct_mcp.domain.products import price_of
from ct_mcp.errors import BadRequest
from ct_mcp.server.context import ToolContext, query_of
from ct_mcp.server.format import (
    ReadResult,
    ToolResult,
    age_seconds,
    join_lines,
    note_lines,
    text_result,
    to_float,
    tool_result,
)
from ct_mcp.server.queries import time_limit
from ct_mcp.server.tools.forms import InstrumentName
from ct_mcp.text import aged, count, format_price, iso, money, span

COLUMNS = "open(= is the close before) high low close volume"
ZONE = "UTC"
_CHICAGO = ZoneInfo("America/Chicago")
Instruments = Annotated[
    list[Annotated[str, Field(max_length=40)]],
    Field(min_length=1, max_length=20, description="['ES', 'MNQ 12-26'], 20 at most"),
]
When = Annotated[str | None, Field(max_length=40, description="ISO 8601 with zone")]
Count = Annotated[int, Field(ge=1, le=1000, description="The newest so many, of start to end")]


# Quotes


class QuoteView(ToolResult):
    """One quote. What one contract is worth is in account currency."""

    asked: str
    instrument: str
    month: str
    bid: float | None
    ask: float | None
    spread: float | None
    spread_ticks: float | None
    last: float | None
    prior_close: float | None
    change: float | None = Field(description="Last against the prior close.")
    change_percent: float | None
    open: float | None
    high: float | None
    low: float | None
    volume: int | None
    quoted_at: str | None
    age_seconds: float | None
    stale: bool = Field(description="Too old for an order that opens, or of unknown age.")
    market_open: bool | None
    tick_size: float
    tick_value: float
    point_value: float
    expires_at: str | None


class QuotesResult(ReadResult):
    """One quote for each name, in the order asked."""

    quotes: list[QuoteView]


@time_limit()
async def get_quotes(ctx: ToolContext, instruments: Instruments) -> Annotated[CallToolResult, QuotesResult]:
    """Current price: bid, ask, last, change, age, tick size, worth of a tick and a point."""
    query = query_of(ctx)
    quotes = await query.live.quotes(instruments)
    stale_after = query.desk.policy.limits.quote_max_age_seconds
    return quotes_result(instruments, quotes, stale_after, query.notes, query.desk.clock())


def quotes_result(
    asked: Sequence[str], quotes: Sequence[Quote], stale_after: float, notes: list[str], now: datetime
) -> CallToolResult:
    """Make both halves of a list of quotes; one older than ``stale_after`` seconds is stale."""
    rows = [_quote_view(name, quote, stale_after, now) for name, quote in zip(asked, quotes, strict=True)]
    ahead = their_clock_ahead_seconds(quotes, now)
    notes = notes if ahead is None else [*notes, clock_words(ahead)]
    over = dict.fromkeys(quote.instrument for quote in quotes if quote.instrument.is_past(trading_day(now)))
    notes = [*notes, *(f"{each} is OVER: its contract month has passed, name a later one" for each in over)]
    structure = QuotesResult(read_at=iso(now) or "", notes=notes, quotes=rows)
    return tool_result(
        join_lines((f"read {structure.read_at}", *map(_quote_line, rows), *note_lines(notes))), structure
    )


def _quote_view(asked: str, quote: Quote, stale_after: float, now: datetime) -> QuoteView:
    contract, seconds = quote.contract, age_seconds(quote.at, now)
    spread = None if quote.bid is None or quote.ask is None else quote.ask - quote.bid
    change = None if quote.last is None or quote.prior_close is None else quote.last - quote.prior_close
    return QuoteView(
        asked=asked,
        instrument=str(quote.instrument),
        month=quote.instrument.month_in_words,
        bid=to_float(quote.bid),
        ask=to_float(quote.ask),
        spread=to_float(spread),
        spread_ticks=None if spread is None else float(contract.ticks(spread)),
        last=to_float(quote.last),
        prior_close=to_float(quote.prior_close),
        change=to_float(change),
        change_percent=_percent(change, quote.prior_close),
        open=to_float(quote.open),
        high=to_float(quote.high),
        low=to_float(quote.low),
        volume=quote.volume,
        quoted_at=iso(quote.at),
        age_seconds=seconds,
        stale=seconds is None or seconds > stale_after or their_clock_ahead_seconds([quote], now) is not None,
        market_open=quote.is_market_open,
        tick_size=float(contract.tick_size),
        tick_value=float(contract.tick_value),
        point_value=float(contract.point_value),
        expires_at=iso(contract.expires_at),
    )


def _percent(change: Decimal | None, of: Decimal | None) -> float | None:
    return None if change is None or not of else float(round(change / of * 100, 2))


def _quote_line(it: QuoteView) -> str:
    asked = "" if it.asked == it.instrument else f", asked as {it.asked}"
    expires = f"expires {it.expires_at}; " if it.expires_at else ""
    change = "" if it.change is None or it.change_percent is None else f"{it.change:+g} ({it.change_percent:+g} %)"
    ticks = "" if it.spread_ticks is None else f" ({it.spread_ticks:g} tick{'' if it.spread_ticks == 1 else 's'})"
    market = {True: "open", False: "CLOSED", None: "state unknown"}[it.market_open]
    at = partial(price_of, it.instrument)
    return join_lines(
        (
            f"{it.instrument} ({it.month}{asked}): bid {at(it.bid)}  ask {at(it.ask)}"
            f"  spread {format_price(it.spread)}"
            f"{ticks}  last {at(it.last)}  change {change or 'unknown'}"
            f" from prior close {at(it.prior_close)};"
            f" {'STALE, ' if it.stale else ''}{aged(it.age_seconds)}",
            f"  open {at(it.open)}  high {at(it.high)}  low {at(it.low)}"
            f"  volume {'unknown' if it.volume is None else f'{it.volume:,}'}; tick {format_price(it.tick_size)}"
            f" = {money(it.tick_value)}, point = {money(it.point_value)};"
            f" {expires}market {market}; quoted at {it.quoted_at or 'unknown'}",
        )
    )


# Bars


@time_limit()
async def get_bars(
    ctx: ToolContext,
    instrument: InstrumentName,
    period: Annotated[str, Field(max_length=20, description="<n> minute, hour, day, week, month or year")] = "5 minute",
    count: Count = 100,
    start: When = None,
    end: Annotated[str | None, Field(max_length=40, description="Likewise")] = None,
) -> CallToolResult:
    """Bars (candles), newest last, with range and change. Above 200 rows some clients cut."""
    query = query_of(ctx)
    length, since, until = parse_period(period), _parse_time("start", start), _parse_time("end", end)
    found, bars = await query.upstream.bars(instrument, length, count=count, start=since, end=until)
    if since is not None and len(bars) == count:
        query.note(f"only the newest {count} bars of the span; there may be more before them")
    return bars_result(found, length, bars, query.notes, query.desk.clock())


def _parse_time(name: str, text: str | None) -> datetime | None:
    """Read a time with its zone.

    Raises:
        BadRequest: It is no such time; one without a zone could mean any of several.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        in_utc = at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):  # at the first and the last hour of all, some zones are beyond it
        in_utc = None
    if in_utc is None:
        raise BadRequest(f"{name} {text[:40]!a} must be ISO 8601 with a zone, such as 2026-11-20T14:30:00Z")
    return in_utc


def bars_result(
    instrument: Instrument, period: Period, bars: Sequence[Bar], notes: list[str], now: datetime
) -> CallToolResult:
    """Write a table of bars, in text alone: a structured half would hold the same table once more."""
    head = f"{instrument}  {count(len(bars), 'bar')} of {period}, {_stamped(period)}, read {iso(now)}"
    table = (f"{_FIRST_COLUMN[_has_times(period)]} {COLUMNS}", *_bar_rows(bars, period)) if bars else (_NO_BARS,)
    return text_result(join_lines((head, *table, *_bars_summary(bars, period, now), *note_lines(notes))))


_NO_BARS = "no bars in this span"
_FIRST_COLUMN = {True: "close-time", False: "trading-day"}


def _has_times(period: Period) -> bool:
    return period.unit is PeriodUnit.MINUTE


def _stamped(period: Period) -> str:
    return ZONE if _has_times(period) else "by trading day"


def _bar_rows(bars: Sequence[Bar], period: Period) -> Iterator[str]:
    """Rows of HH:MM under the date of their day; bars of a day and longer have the name of their trading day."""
    days = trading_days_ended([bar.closes_at for bar in bars])
    has_times, day, close = _has_times(period), None, None
    for bar, trading in zip(bars, days, strict=True):
        at = bar.closes_at.astimezone(UTC)
        if has_times and at.date() != day:
            day = at.date()
            yield f"{at:%Y-%m-%d}"
        first = "=" if bar.open == close else format_price(bar.open)
        close = bar.close
        rest = " ".join(map(format_price, (bar.high, bar.low, bar.close)))
        yield f"{f'{at:%H:%M}' if has_times else _day(trading)} {first} {rest} {bar.volume}"


def _day(day: date) -> str:
    return f"{day:%a %Y-%m-%d}"


def _bars_summary(bars: Sequence[Bar], period: Period, now: datetime) -> Iterator[str]:
    """The figures over all bars, and how far the last one is."""
    if not bars:
        return
    high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
    change, first, last = bars[-1].close - bars[0].open, bars[0].open, bars[-1].closes_at
    percent = f" ({round(change / first * 100, 2):+g} %)" if first else ""
    yield (
        f"range {format_price(high - low)} (high {format_price(high)}, low {format_price(low)}),"
        f" change {'+' if change > 0 else ''}{format_price(change)}{percent}"
        f" from first open to last close, volume {sum(bar.volume for bar in bars):,}"
    )
    forming = "still forming" if last > now else aged(age_seconds(last, now))
    if _has_times(period):
        yield f"last bar ends {iso(last)}, {forming}"
        return
    (day,), today = trading_days_ended([bar.closes_at for bar in bars])[-1:], trading_day(now)
    state = "which is today's" if day == today else "which is over" if last <= now else forming
    now_is = "" if today.weekday() > 4 else f"; the trading day now is {_day(today)}"
    yield f"last row is {_day(day)}, {state}{now_is}"


# Sessions


class SessionResult(ReadResult):
    """The running session while the market is open, the next one while it is closed."""

    instrument: str | None
    is_open: bool | None
    state: str | None = Field(description="As CrossTrade words it.")
    opens_at: str | None
    closes_at: str | None
    seconds_to_open: float | None = Field(description="Null while it is open.")
    seconds_to_close: float | None = Field(description="Null while it is closed.")
    following_opens_at: str | None = Field(description="Of the session after; null where it is not told.")
    following_closes_at: str | None
    trading_day: str = Field(description="The day that counts now for the day's loss limit; it rolls at 17:00 Chicago.")
    exchange_zone: str | None
    report_age_seconds: float | None


@time_limit()
async def get_session(ctx: ToolContext, instrument: InstrumentName) -> Annotated[CallToolResult, SessionResult]:
    """Trading hours: is the market open, when it closes or opens, the session after."""
    query = query_of(ctx)
    session = await query.upstream.session(instrument)
    return session_result(session, query.notes, query.desk.clock())


def session_result(session: Session, notes: list[str], now: datetime) -> CallToolResult:
    """Make both halves of one session."""
    opens_at, closes_at = _following(session)
    structure = SessionResult(
        read_at=iso(now) or "",
        notes=notes,
        instrument=str(session.instrument) if session.instrument else None,
        is_open=session.is_open,
        state=session.state or None,
        opens_at=iso(session.opens_at),
        closes_at=iso(session.closes_at),
        seconds_to_open=_seconds_until(session.opens_at, now) if session.is_open is False else None,
        seconds_to_close=_seconds_until(session.closes_at, now) if session.is_open else None,
        following_opens_at=iso(opens_at),
        following_closes_at=iso(closes_at),
        trading_day=f"{trading_day(now):%Y-%m-%d}",
        exchange_zone=session.time_zone or None,
        report_age_seconds=age_seconds(session.stamped_at, now),
    )
    return tool_result(_session_text(session, structure), structure)


def _seconds_until(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, round((at - now).total_seconds()))


def _session_text(session: Session, it: SessionResult) -> str:
    head = {True: "OPEN", False: "CLOSED", None: "state UNKNOWN"}[it.is_open]
    left, what = (it.seconds_to_close, "closes") if it.is_open else (it.seconds_to_open, "opens")
    countdown = "" if left is None else f", {what} in {span(left)}"
    return join_lines(
        (
            f"{it.instrument or 'instrument unknown'}: session {head}{countdown}; read {it.read_at},"
            f" report {aged(it.report_age_seconds)}",
            f"{'this' if it.is_open else 'next'} session {_from_to(session.opens_at, session.closes_at)}",
            f"then {_from_to(*following)}" if any(following := _following(session)) else "",
            f"trading day {it.trading_day}; exchange zone {it.exchange_zone or 'unknown'};"
            f" state in CrossTrade's words: {it.state or 'unknown'}",
            *note_lines(it.notes),
        )
    )


def _following(session: Session) -> tuple[datetime | None, datetime | None]:
    """The session after the one that was told; while the market is closed they may name the next one twice."""
    is_told = session.next_opens_at is not None and session.next_opens_at == session.opens_at
    return (None, None) if is_told else (session.next_opens_at, session.next_closes_at)


def _from_to(opens_at: datetime | None, closes_at: datetime | None) -> str:
    return f"{_session_time(opens_at)} to {_session_time(closes_at)}"


def _session_time(at: datetime | None) -> str:
    return "unknown" if at is None else f"{iso(at)} ({at.astimezone(_CHICAGO):%a %H:%M} Chicago)"
