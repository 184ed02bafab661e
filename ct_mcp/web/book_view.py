"""The book as its page shows it: figures with their samples, a calendar, the curve of the results, and every trade."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from ct_mcp.domain.market import trading_day_began
from ct_mcp.domain.performance import DayResult, Performance, Statistic, by_currency, day_results
from ct_mcp.domain.products import price_of
from ct_mcp.domain.trades import Fill, Plan, RecordGap, RoundTrip
from ct_mcp.text import count, sanitize, signed_money, span

MOST_MONTHS, MOST_POINTS = 12, 2000
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SHORT_WEEK = 5


@dataclass(frozen=True, slots=True)
class Amount:
    """Money that was won or lost, in words; ``look`` is gain, loss or nothing."""

    words: str
    look: str

    @classmethod
    def of(cls, amount: Decimal | None) -> "Amount":
        """Write an amount; None is unknown."""
        return cls(signed_money(amount), "gain" if amount and amount > 0 else "loss" if amount and amount < 0 else "")


# Figures


@dataclass(frozen=True, slots=True)
class BookFigure:
    """One figure: its name, its value, and of what it is made."""

    name: str
    value: str
    sample: str
    look: str = ""


def figures_of(it: Performance) -> list[BookFigure]:
    """List the figures of some trades of one currency, each with its sample."""
    return [
        _money(_result_name(it), it.net if it.net.sample else it.gross, it),
        BookFigure("Trades", str(it.trades), f"{it.wins} won, {it.losses} lost"),
        BookFigure("Win rate", _percent(it.win_rate), _of(it.win_rate)),
        _money("Average win", it.average_win, it),
        _money("Average loss", it.average_loss, it),
        BookFigure("Profit factor", _plain(it.profit_factor), _of(it.profit_factor)),
        _money("Expectancy", it.expectancy, it),
        BookFigure("Expectancy in R", _plain(it.expectancy_r), f"{_of(it.expectancy_r)} with a stop in the plan"),
        _money("Deepest drawdown", it.max_drawdown, it),
        _money("Average worst (MAE)", it.average_mae, it),
        _money("Average best (MFE)", it.average_mfe, it),
        BookFigure("Longest runs", f"{it.longest_won} won", f"{it.longest_lost} lost"),
    ]


def _result_name(it: Performance) -> str:
    return "Net" if it.net.sample else "Gross: no commission is known"


def _money(name: str, figure: Statistic, it: Performance) -> BookFigure:
    amount = Amount.of(figure.value)
    return BookFigure(name, f"{amount.words} {it.currency or ''}".rstrip(), _of(figure), amount.look)


def _of(figure: Statistic) -> str:
    return f"of {count(figure.sample, 'trade')}"


def _percent(figure: Statistic) -> str:
    return "unknown" if figure.value is None else f"{figure.value * 100:.0f} %"


def _plain(figure: Statistic) -> str:
    return "unknown" if figure.value is None else f"{figure.value:.2f}"


# The curve of results


@dataclass(frozen=True, slots=True)
class Curve:
    """The sum of results after each trade, in one currency: seconds since 1970 and the sum; for drawing alone."""

    currency: str
    points: tuple[tuple[int, float], ...]
    ends: Amount


def curves_of(trips: Sequence[RoundTrip]) -> list[Curve]:
    """Add the results up, in the order in which trades were closed."""
    return [_curve(currency or "", found) for currency, found in by_currency(trips).items()]


def _curve(currency: str, trips: Iterable[RoundTrip]) -> Curve:
    total, points = Decimal(0), dict[int, float]()
    for trip in sorted(trips, key=lambda each: each.closed_at):
        total += trip.result or Decimal(0)
        points[int(trip.closed_at.timestamp())] = float(total)
    return Curve(currency, _thinned(tuple(points.items())), Amount.of(total))


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Keep as many points as a screen can show, evenly, and always the last."""
    every = -(-len(points) // MOST_POINTS)
    return tuple(points[::-1][::every][::-1]) if points else ()


# The calendar


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One trading day: what it came to in each currency, and of how many trades.

    ``heard`` is false where a gap of the record lies in it.
    """

    day: date
    amounts: tuple[Amount, ...]
    trades: int
    heard: bool


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """One month by weeks; None is a day of another month."""

    name: str
    weekdays: tuple[str, ...]
    weeks: tuple[tuple[CalendarDay | None, ...], ...]


def calendar_of(trips: Sequence[RoundTrip], gaps: Sequence[RecordGap]) -> list[CalendarMonth]:
    """Lay out the months in which something was closed, the newest first, at most `MOST_MONTHS`."""
    days: dict[date, list[DayResult]] = {}
    for result in day_results("", trips):
        days.setdefault(result.day, []).append(result)
    months = sorted({day.replace(day=1) for day in days}, reverse=True)
    return [_month(month, days, gaps) for month in months[:MOST_MONTHS]]


def _month(first: date, days: dict[date, list[DayResult]], gaps: Sequence[RecordGap]) -> CalendarMonth:
    there = [first + timedelta(days=number) for number in range(31)]
    there = [day for day in there if day.month == first.month]
    width = 7 if any(day.weekday() >= _SHORT_WEEK and day in days for day in there) else _SHORT_WEEK
    weeks: dict[date, list[CalendarDay | None]] = {}
    for day in there:
        if day.weekday() < width:
            week = weeks.setdefault(day - timedelta(days=day.weekday()), [None] * width)
            week[day.weekday()] = _day(day, days.get(day, []), gaps)
    return CalendarMonth(f"{first:%B %Y}", _WEEKDAYS[:width], tuple(tuple(week) for week in weeks.values()))


def _day(day: date, results: Sequence[DayResult], gaps: Sequence[RecordGap]) -> CalendarDay:
    began = trading_day_began(datetime.combine(day, time(12), UTC))
    heard = not any(gap.touches(began, began + timedelta(days=1)) for gap in gaps)
    return CalendarDay(
        day, tuple(Amount.of(each.result) for each in results), sum(each.trades for each in results), heard
    )


# The trades


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One round trip, in words; what others wrote is made harmless."""

    closed: str
    held: str
    instrument: str
    side: str
    entry: str
    exit: str
    result: Amount
    of_result: str
    r: str
    worst: Amount
    best: Amount
    of_excursion: str
    plan: str
    tag: str
    approval: str
    ticket_id: str
    reason: str
    fills: tuple[str, ...]
    notes: tuple[str, ...]


def trade_row(trip: RoundTrip, zone: tzinfo | None) -> TradeRow:
    """Write one round trip; times are in ``zone``, that of this machine for None."""
    plan = trip.plan
    return TradeRow(
        closed=_when(trip.closed_at, zone),
        held=span(trip.held_for.total_seconds()),
        instrument=str(trip.instrument),
        side=f"{trip.side} {trip.quantity}",
        entry=price_of(trip.instrument, round(trip.average_entry, 6)),
        exit=price_of(trip.instrument, round(trip.average_exit, 6)),
        result=Amount.of(trip.result),
        of_result=_of_result(trip),
        r="no stop" if trip.r is None else f"{trip.r:+.2f} R",
        worst=Amount.of(trip.mae),
        best=Amount.of(trip.mfe),
        of_excursion=trip.excursion.source if trip.excursion else "",
        plan="no plan on record" if plan is None else _plan(trip, plan),
        tag=sanitize(plan.tag or "", longest=60) if plan else "",
        approval=_approval(plan, zone) if plan else "not asked for through ct-mcp",
        ticket_id=plan.ticket_id if plan else "",
        reason=sanitize(plan.reason) if plan else "",
        fills=tuple(_fills(trip, zone)),
        notes=tuple(map(sanitize, trip.notes)),
    )


def _when(at: datetime, zone: tzinfo | None) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _of_result(trip: RoundTrip) -> str:
    if trip.net is not None:
        return f"net {trip.currency or ''}".rstrip()
    return "value of a point unknown" if trip.gross is None else f"gross {trip.currency or ''}, commission unknown"


def _plan(trip: RoundTrip, plan: Plan) -> str:
    stop = "no stop" if plan.stop is None else f"stop {price_of(trip.instrument, plan.stop)}"
    targets = " and ".join(price_of(trip.instrument, price) for price in plan.targets)
    risk = "" if plan.risk is None else f"risk {plan.risk:,.2f}"
    return ", ".join(filter(None, (stop, f"target {targets}" if targets else "", risk)))


def _approval(plan: Plan, zone: tzinfo | None) -> str:
    if not plan.approved_by:
        return "nobody was asked"
    at = "" if plan.approved_at is None else f" at {_when(plan.approved_at, zone)}"
    return f"yes by {sanitize(plan.approved_by, longest=60)}{at}"


def _fills(trip: RoundTrip, zone: tzinfo | None) -> Iterator[str]:
    for what, fills in (("in", trip.entries), ("out", trip.exits)):
        for fill in fills:
            yield f"{what} {_when(fill.at, zone)}: {_fill(trip, fill)}"


def _fill(trip: RoundTrip, fill: Fill) -> str:
    cost = "commission unknown" if fill.commission is None else f"commission {fill.commission:,.2f}"
    order = f", order {sanitize(fill.order_id, longest=64)}" if fill.order_id else ""
    name = f" ({sanitize(fill.name, longest=40)})" if fill.name else ""
    return f"{fill.quantity} at {price_of(trip.instrument, fill.price)}{name}, {cost}{order}, {fill.source}"
