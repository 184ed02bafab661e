"""What a chart shows: bars, the last price, what one account holds, has working and has filled there.

Nothing here draws. Picture, page and text take the same marks from here, so that they say the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Period, PeriodUnit, Quote
from ct_mcp.domain.order import Execution, Order
from ct_mcp.domain.products import short_price, ticks_in_32nds

_SHORTEST_GAP = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one account has in the instrument of a chart; None is *not read*, and never empty.

    ``fills`` are those since ``fills_since``: of what was before nothing is said.
    """

    account: str
    positions: tuple[Position, ...] | None
    orders: tuple[Order, ...] | None
    fills: tuple[Execution, ...] | None
    fills_since: datetime | None = None

    @property
    def working(self) -> tuple[Order, ...]:
        """The orders that may still fill."""
        return tuple(order for order in self.orders or () if not order.is_closed)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of one contract, oldest first, and what belongs beside them.

    ``holdings`` is None where no account was named. ``failures`` say what could not be read, and why; ``notes`` are
    what must be known beside it.
    """

    instrument: Instrument
    period: Period
    bars: tuple[Bar, ...]
    read_at: datetime
    quote: Quote | None = None
    holdings: Holdings | None = None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tick(self) -> Decimal | None:
        """The smallest step of a price; None where it was not read."""
        return self.quote.contract.tick_size if self.quote else None

    @property
    def last(self) -> Decimal | None:
        """The last trade by the quote; without one the close of the newest bar."""
        if self.quote is not None and self.quote.last is not None:
            return self.quote.last
        return self.bars[-1].close if self.bars else None

    @property
    def has_times(self) -> bool:
        """Whether its bars have a time of day; those of a day and longer have the name of their trading day."""
        return self.period.unit is PeriodUnit.MINUTE


class MarkKind(StrEnum):
    """What a line across a chart stands for."""

    LAST = "last"
    POSITION = "position"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a chart at one price; ``sign`` is plus one for what buys or is long, minus one for the other."""

    kind: MarkKind
    price: Decimal
    sign: int
    words: str


@dataclass(frozen=True, slots=True)
class FillMark:
    """A fill beside the bar in which it happened."""

    place: int
    price: Decimal
    sign: int
    quantity: int


def marks_of(chart: Chart) -> list[Mark]:
    """List the lines, highest price first."""
    marks = [*_last(chart)]
    if chart.holdings is not None:
        marks += [*_held(chart.holdings), *_working(chart.holdings)]
    return sorted(marks, key=lambda mark: -mark.price)


def _last(chart: Chart) -> Iterator[Mark]:
    if chart.last is not None:
        yield Mark(MarkKind.LAST, chart.last, 0, "last")


def _held(holdings: Holdings) -> Iterator[Mark]:
    for position in holdings.positions or ():
        if position.average_price is not None and position.quantity:
            sign = 1 if position.direction is Direction.LONG else -1
            yield Mark(MarkKind.POSITION, position.average_price, sign, f"{position.direction} {position.amount}")


def _working(holdings: Holdings) -> Iterator[Mark]:
    for order in holdings.working:
        if (price := line_of(order)) is not None:
            yield Mark(MarkKind.ORDER, price, order.action.sign, order_words(order))


def line_of(order: Order) -> Decimal | None:
    """Give the price at which an order waits: its trigger, else its limit; None of one at the market."""
    return order.stop_price if order.stop_price is not None else order.limit_price


def order_words(order: Order) -> str:
    """Name an order in a few words: ``SELL 2 STOP``, ``BUY 1 LIMIT``, ``SELL 1 STOP LIMIT 6389``."""
    kind = order.order_type.replace("_", " ").removesuffix(" MARKET")
    is_both = order.stop_price is not None and order.limit_price is not None
    limit = f" {short_price(order.instrument, order.limit_price)}" if is_both and order.limit_price else ""
    return f"{order.action} {order.remaining} {kind}{limit}"


def fills_on(chart: Chart) -> list[FillMark]:
    """Place the fills beside their bars, leaving out those without a time, a side, or a bar."""
    found = []
    for fill in (chart.holdings.fills if chart.holdings else None) or ():
        place = place_of(chart, fill.at)
        if place is not None and fill.action is not None:
            found.append(FillMark(place, fill.price, fill.action.sign, fill.quantity))
    return found


def place_of(chart: Chart, at: datetime | None) -> int | None:
    """Find the bar of a moment: the first that ends at it or later; the last for what is newer than all of them."""
    if at is None or not chart.bars or at <= chart.bars[0].closes_at - chart.period.length:
        return None
    later = (place for place, bar in enumerate(chart.bars) if bar.closes_at >= at)
    return next(later, len(chart.bars) - 1)


@dataclass(frozen=True, slots=True)
class BarGap:
    """A time without bars before the bar at ``place``; both ends are known to the length of a bar."""

    place: int
    since: datetime
    until: datetime


def gaps_of(chart: Chart) -> list[BarGap]:
    """Find where bars are missing: between sessions, or where nothing traded. Days and longer have none."""
    if not chart.has_times:
        return []
    least = max(_SHORTEST_GAP, chart.period.length * 3 / 2)
    pairs = enumerate(zip(chart.bars, chart.bars[1:], strict=False), start=1)
    return [
        BarGap(place, before.closes_at, after.closes_at - chart.period.length)
        for place, (before, after) in pairs
        if after.closes_at - before.closes_at > least
    ]


def price_steps(low: Decimal, high: Decimal, instrument: Instrument, tick: Decimal | None, most: int) -> list[Decimal]:
    """Give the round prices between two, each a whole number of ticks, at most ``most`` + 1; lowest first."""
    step = _step((high - low) / most, instrument, tick)
    first, last = (low / step).to_integral_value(ROUND_CEILING), (high / step).to_integral_value(ROUND_FLOOR)
    return [step * number for number in range(int(first), int(last) + 1)]


def _step(least: Decimal, instrument: Instrument, tick: Decimal | None) -> Decimal:
    candidates = _doubled(tick or Decimal(1) / 32) if ticks_in_32nds(instrument) else _round_steps(least)
    whole = (step for step in candidates if step >= least and (tick is None or step % tick == 0))
    return next(whole, None) or (tick or least) * (least / (tick or least)).to_integral_value(ROUND_CEILING)


def _doubled(step: Decimal) -> Iterator[Decimal]:
    return (step * 2**times for times in range(64))


def _round_steps(least: Decimal) -> Iterator[Decimal]:
    """1, 2, 2.5 and 5 of the power of ten at hand and the next ones."""
    exponent = least.adjusted()
    return (Decimal(mantissa).scaleb(exponent + more) for more in range(4) for mantissa in ("1", "2", "2.5", "5"))


def is_up(bar: Bar) -> bool:
    """Whether a bar is drawn as one that rose; one that ended where it began is."""
    return bar.close >= bar.open


def span_of(chart: Chart, marks: Sequence[Mark]) -> tuple[Decimal, Decimal]:
    """Give the lowest and the highest price to show: the bars, and each mark within half of what they span."""
    low, high = min(bar.low for bar in chart.bars), max(bar.high for bar in chart.bars)
    reach = (high - low) / 2 or (chart.tick or abs(high) / 1000 or Decimal(1)) * 8
    near = [mark.price for mark in marks if low - reach <= mark.price <= high + reach]
    near += [fill.price for fill in fills_on(chart) if low - reach <= fill.price <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    margin = (high - low or reach) / 20
    return low - margin, high + margin
