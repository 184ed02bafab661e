"""Bars as one compact table with finished figures beside it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Period, PeriodUnit
from ct_mcp.server.present import ReadAnswer, age, aged, answered, counted, lines, noted, number, price, stamp

COLUMNS = "close-time open(= is the close before) high low close volume"
ZONE = "UTC"


class BarsAnswer(ReadAnswer):
    """Bars, newest last. The figures are over all of them."""

    instrument: str
    period: str
    zone: str
    columns: str
    table: str = Field(description="A line each; a line with a date alone begins a new day. Times are when a bar ends.")
    count: int
    last_bar_at: str | None
    last_bar_age_seconds: float | None
    last_bar_is_forming: bool | None = Field(description="It has not ended, so its figures still move.")
    change: float | None = Field(description="First open to last close.")
    change_percent: float | None
    high: float | None
    low: float | None
    range: float | None = Field(description="High less low.")
    volume: int


def bars_answer(
    instrument: Instrument, period: Period, bars: Sequence[Bar], notes: list[str], now: datetime
) -> CallToolResult:
    """Both halves of a table of bars."""
    last = bars[-1].closes_at if bars else None
    structure = BarsAnswer(
        read_at=stamp(now) or "",
        notes=notes,
        instrument=str(instrument),
        period=str(period),
        zone=ZONE,
        columns=COLUMNS,
        table="\n".join(_rows(bars, period)),
        count=len(bars),
        last_bar_at=stamp(last),
        last_bar_age_seconds=age(last, now),
        last_bar_is_forming=None if last is None else last > now,
        volume=sum(bar.volume for bar in bars),
        **_figures(bars),
    )
    head = f"{structure.instrument}  {counted(structure.count, 'bar')} of {period}, {ZONE}, read {structure.read_at}"
    table = (COLUMNS, structure.table) if bars else ("no bars in this span",)
    return answered(lines((head, *table, _summary(structure), *noted(notes))), structure)


def _figures(bars: Sequence[Bar]) -> dict[str, float | None]:
    if not bars:
        return dict.fromkeys(("change", "change_percent", "high", "low", "range"))
    high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
    change = bars[-1].close - bars[0].open
    percent = round(change / bars[0].open * 100, 2) if bars[0].open else None
    figures = {"change": change, "change_percent": percent, "high": high, "low": low}
    return {name: number(figure) for name, figure in (figures | {"range": high - low}).items()}


def _rows(bars: Sequence[Bar], period: Period) -> Iterator[str]:
    """Rows of HH:MM under the date of their day; bars of a day and longer have the date itself."""
    has_times, day, close = period.unit is PeriodUnit.MINUTE, None, None
    for bar in bars:
        at = bar.closes_at.astimezone(UTC)
        if has_times and at.date() != day:
            day = at.date()
            yield f"{at:%Y-%m-%d}"
        first = "=" if bar.open == close else price(bar.open)
        close = bar.close
        rest = " ".join(map(price, (bar.high, bar.low, bar.close)))
        yield f"{at:{'%H:%M' if has_times else '%Y-%m-%d'}} {first} {rest} {bar.volume}"


def _summary(it: BarsAnswer) -> str:
    if not it.count:
        return ""
    forming = ", still forming" if it.last_bar_is_forming else f", {aged(it.last_bar_age_seconds)}"
    percent = "" if it.change_percent is None else f" ({it.change_percent:+g} %)"
    return (
        f"range {price(it.range)} (high {price(it.high)}, low {price(it.low)}), change {_signed(it.change)}{percent}"
        f" from first open to last close, volume {it.volume:,}; last bar ends {it.last_bar_at}{forming}"
    )


def _signed(change: float | None) -> str:
    return "unknown" if change is None else f"{'+' if change > 0 else ''}{price(change)}"
