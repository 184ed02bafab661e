"""A chart in words, for whoever is shown no picture: the same facts, as of the same moment."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from decimal import Decimal
from functools import partial

from ct_mcp.domain.account import Position
from ct_mcp.domain.chart import Chart, Holdings, gaps_of, line_of, order_words
from ct_mcp.domain.market import Bar, trading_days_ended
from ct_mcp.domain.order import Execution, Order
from ct_mcp.domain.products import price_of
from ct_mcp.text import aged, count, format_price, iso, sanitize, signed_money, span, zone_words

MOST_GAPS, MOST_ROWS = 3, 20
_NOT_READ = "not read: it does not mean that there is nothing"


def chart_lines(chart: Chart, zone: tzinfo | None) -> Iterator[str]:
    """Write a chart; times are in ``zone``, that of this machine for None."""
    yield f"{chart.instrument}  {count(len(chart.bars), 'bar')} of {chart.period}{_span_of_bars(chart, zone)}"
    zone_name = zone_words(chart.read_at.astimezone(zone))
    yield f"times in {zone_name}, bars by the time at which they end; read {iso(chart.read_at)}"
    yield from _figures(chart)
    yield from _gaps(chart, zone)
    yield from _holdings(chart, zone)
    yield from (f"NOT READ: {failure}" for failure in chart.failures)
    yield from (f"note: {note}" for note in chart.notes)


def name_of_bar(chart: Chart, bar: Bar, zone: tzinfo | None) -> str:
    """Name a bar by its end, and one of a day or longer by its trading day."""
    if chart.has_times:
        return f"{bar.closes_at.astimezone(zone):%Y-%m-%d %H:%M}"
    place = chart.bars.index(bar)
    return f"{trading_days_ended([each.closes_at for each in chart.bars])[place]:%Y-%m-%d}"


def _span_of_bars(chart: Chart, zone: tzinfo | None) -> str:
    if not chart.bars:
        return ": none were told"
    first, last = (name_of_bar(chart, bar, zone) for bar in (chart.bars[0], chart.bars[-1]))
    forming = ", the last still forming" if chart.bars[-1].closes_at > chart.read_at else ""
    return f", {first} to {last}{forming}"


def _figures(chart: Chart) -> Iterator[str]:
    if chart.bars:
        yield _range(chart)
    if chart.quote is not None and chart.quote.last is not None:
        age = aged(chart.quote.age_seconds(chart.read_at))
        yield f"last {price_of(chart.instrument, chart.quote.last)}, {age}"
    else:
        yield (
            f"last {price_of(chart.instrument, chart.last)}, the close of the newest bar"
            if chart.bars
            else "last: not read"
        )


def _range(chart: Chart) -> str:
    """The figures over all bars, as of one long bar."""
    bars, write = chart.bars, partial(price_of, chart.instrument)
    high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
    change, first = bars[-1].close - bars[0].open, bars[0].open
    percent = f" ({round(change / first * 100, 2):+g} %)" if first else ""
    return (
        f"open {write(first)}, high {write(high)}, low {write(low)}, close {write(bars[-1].close)};"
        f" range {format_price(high - low)}, change {_signed(change)}{percent} from first open to last close;"
        f" volume {sum(bar.volume for bar in bars):,}"
    )


def _gaps(chart: Chart, zone: tzinfo | None) -> Iterator[str]:
    gaps = gaps_of(chart)
    for gap in gaps[-MOST_GAPS:]:
        since, until = (at.astimezone(zone) for at in (gap.since, gap.until))
        length = span((gap.until - gap.since).total_seconds())
        yield f"no bars from {since:%a %Y-%m-%d %H:%M} to {until:%a %Y-%m-%d %H:%M} ({length})"
    if len(gaps) > MOST_GAPS:
        yield f"and {count(len(gaps) - MOST_GAPS, 'earlier gap')} like these"


# What an account has there


def _holdings(chart: Chart, zone: tzinfo | None) -> Iterator[str]:
    if chart.holdings is None:
        yield "position, orders and fills: no account was named"
        return
    it = chart.holdings
    yield f"account {sanitize(it.account, longest=80)}"
    yield from _list("position", it.positions, [_position(chart, each) for each in it.positions or ()])
    working = None if it.orders is None else it.working
    yield from _list("working orders", working, [_order(chart, each) for each in it.working])
    yield from _list(f"fills{_since(it, zone)}", it.fills, [_fill(chart, each, zone) for each in it.fills or ()])


def _list(what: str, rows: Sequence[object] | None, lines: list[str]) -> Iterator[str]:
    if rows is None:
        yield f"{what}: {_NOT_READ}"
    elif not rows:
        yield f"{what}: none"
    else:
        yield f"{what} ({len(lines)}):"
        yield from (f"  {line}" for line in lines[:MOST_ROWS])
        if len(lines) > MOST_ROWS:
            yield f"  and {len(lines) - MOST_ROWS} more"


def _since(holdings: Holdings, zone: tzinfo | None) -> str:
    at = holdings.fills_since
    return "" if at is None else f" since {at.astimezone(zone):%Y-%m-%d %H:%M}"


def _position(chart: Chart, position: Position) -> str:
    if not position.quantity:
        return "flat"
    average = price_of(chart.instrument, position.average_price)
    open_pnl = "" if position.unrealized_pnl is None else f", open P&L {signed_money(position.unrealized_pnl)}"
    return f"{position.direction} {position.amount} at {average}{_away(chart, position.average_price)}{open_pnl}"


def _order(chart: Chart, order: Order) -> str:
    price = line_of(order)
    where = "at the market" if price is None else f"at {price_of(chart.instrument, price)}{_away(chart, price)}"
    return f"{order_words(order)} {where}, {order.state_text}, order {sanitize(order.order_id, longest=64)}"


def _fill(chart: Chart, fill: Execution, zone: tzinfo | None) -> str:
    at = "time unknown" if fill.at is None else f"{fill.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return f"{at} {fill.action or 'side unknown'} {fill.amount} at {price_of(chart.instrument, fill.price)}"


def _away(chart: Chart, price: Decimal | None) -> str:
    """Say how far a price lies from the last one."""
    if price is None or chart.last is None:
        return ""
    distance = price - chart.last
    ticks = "" if chart.tick is None else f", {format_price(abs(distance / chart.tick))} ticks"
    if not distance:
        return " (at the last price)"
    return f" ({format_price(abs(distance))} points{ticks} {'above' if distance > 0 else 'below'} last)"


def _signed(change: Decimal) -> str:
    return f"{'+' if change > 0 else ''}{format_price(change)}"
