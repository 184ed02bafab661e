"""Where everything of a chart stands on its picture, in whole pixels; nothing here draws.

Bars stand side by side, whatever time lies between them: a closed market takes no room, and no line is drawn for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial

from ct_mcp.domain.chart import Chart, Mark, MarkKind, marks_of, price_steps, span_of
from ct_mcp.domain.market import trading_days_ended

WIDTH, HEIGHT = 1000, 640
LEFT, TOP = 78, 62
"""The prices stand left of the bars, and the header above them."""
LABEL_WIDTH, NARROW_LABEL_WIDTH, LABEL_HEIGHT = 258, 140, 21
"""Labels are narrow where no account was named: then there is the last price alone."""
PRICE_BOTTOM, VOLUME_TOP, VOLUME_BOTTOM = 466, 476, 540
MOST_LABELS = 18
_ROWS_OF_PRICES = 9
_LEAST_BETWEEN_TIMES = 62


@dataclass(frozen=True, slots=True)
class Scale:
    """Prices as rows: ``high`` at the top of the pane and ``low`` at its bottom."""

    low: Decimal
    high: Decimal
    top: int = TOP
    bottom: int = PRICE_BOTTOM

    def row(self, price: Decimal) -> int:
        """Give the row of a price; one beyond the pane lies on its edge."""
        share = float((self.high - price) / (self.high - self.low))
        return self.top + round(max(0.0, min(1.0, share)) * (self.bottom - self.top))

    def shows(self, price: Decimal) -> bool:
        """Say whether a price lies within the pane."""
        return self.low <= price <= self.high


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars as columns, each as wide as the next."""

    count: int
    left: int
    right: int

    def middle(self, place: int) -> int:
        """Give the column of the middle of a bar."""
        return self.left + int((place + 0.5) * self._width)

    def edge(self, place: int) -> int:
        """Give the column where a bar's room begins."""
        return self.left + int(place * self._width)

    @property
    def half(self) -> int:
        """How far a body reaches to each side of its middle: a body has an odd number of columns, and one at least."""
        return min(12, max(0, int((self._width * 0.7 - 1) / 2)))

    @property
    def _width(self) -> float:
        return (self.right - self.left) / max(1, self.count)


@dataclass(frozen=True, slots=True)
class Label:
    """The words of a line, right of the bars: at ``row`` so that they cover no others; the line is at ``line``."""

    mark: Mark
    line: int
    row: int
    is_beyond: bool


@dataclass(frozen=True, slots=True)
class TimeMark:
    """A time beneath the bars: its column, its words, and those of the day where it is the first of one."""

    column: int
    words: str
    day: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole of one picture; ``left_out`` counts the orders that it has no room for."""

    scale: Scale
    columns: Columns
    prices: tuple[Decimal, ...]
    labels: tuple[Label, ...]
    times: tuple[TimeMark, ...]
    left_out: int


def layout_of(chart: Chart, zone: tzinfo | None) -> Layout:
    """Place a chart that has bars."""
    marks = marks_of(chart)
    scale = Scale(*span_of(chart, marks))
    columns = Columns(len(chart.bars), LEFT, WIDTH - (LABEL_WIDTH if chart.holdings else NARROW_LABEL_WIDTH))
    shown = _with_room(marks, chart.last)
    return Layout(
        scale,
        columns,
        tuple(price_steps(scale.low, scale.high, chart.instrument, chart.tick, _ROWS_OF_PRICES)),
        _labels(shown, scale),
        tuple(_times(chart, columns, zone)),
        len(marks) - len(shown),
    )


def _with_room(marks: Sequence[Mark], last: Decimal | None) -> list[Mark]:
    """Choose the lines that are drawn: of orders the nearest to the last price, where they are too many."""

    def rank(place: int) -> tuple[bool, Decimal]:
        mark = marks[place]
        return mark.kind is MarkKind.ORDER, abs(mark.price - (mark.price if last is None else last))

    return [marks[place] for place in sorted(sorted(range(len(marks)), key=rank)[:MOST_LABELS])]


def _labels(marks: Sequence[Mark], scale: Scale) -> tuple[Label, ...]:
    lines = [scale.row(mark.price) for mark in marks]
    rows = spread(lines, LABEL_HEIGHT, TOP + LABEL_HEIGHT // 2, PRICE_BOTTOM - LABEL_HEIGHT // 2)
    return tuple(
        Label(mark, line, row, not scale.shows(mark.price)) for mark, line, row in zip(marks, lines, rows, strict=True)
    )


def spread(wanted: Sequence[int], apart: int, first: int, last: int) -> list[int]:
    """Move rows, sorted downwards, as little as leaves them ``apart`` and between ``first`` and ``last``.

    Those that would meet become one block around the middle of where they wanted to be.
    """
    top = partial(_top, apart=apart, first=first, last=last)
    blocks: list[list[int]] = []
    for row in wanted:
        blocks.append([row])
        while len(blocks) > 1 and top(blocks[-2]) + len(blocks[-2]) * apart > top(blocks[-1]):
            below = blocks.pop()
            blocks[-1] += below
    return [top(block) + place * apart for block in blocks for place in range(len(block))]


def _top(block: Sequence[int], apart: int, first: int, last: int) -> int:
    """The row of the first of a block, so that the middle of all is where the middle of their wishes is."""
    wanted = sum(block) // len(block) - (len(block) - 1) * apart // 2
    return max(first, min(wanted, last - (len(block) - 1) * apart))


# Times beneath the bars

_Key = Callable[[datetime], object]


def _times(chart: Chart, columns: Columns, zone: tzinfo | None) -> Iterator[TimeMark]:
    """Mark the first bar of each round time, as many as have room."""
    moments = _moments(chart, zone)
    most = max(1, (columns.right - columns.left) // _LEAST_BETWEEN_TIMES)
    places = next(filter(lambda found: len(found) <= most, _ladder(moments, chart.has_times)), [0])
    day = None
    for place in _apart(places, columns):
        at = moments[place]
        yield _time_mark(columns.middle(place), at, has_times=chart.has_times, is_new=at.date() != day)
        day = at.date()


def _apart(places: Sequence[int], columns: Columns) -> list[int]:
    """Leave out what would run into its neighbour, first of all the first bar, which begins nothing round."""
    if len(places) > 1 and columns.middle(places[1]) - columns.middle(places[0]) < _LEAST_BETWEEN_TIMES:
        places = places[1:]
    kept: list[int] = []
    for place in places:
        if not kept or columns.middle(place) - columns.middle(kept[-1]) >= _LEAST_BETWEEN_TIMES:
            kept.append(place)
    return kept


def _time_mark(column: int, at: datetime, *, has_times: bool, is_new: bool) -> TimeMark:
    if not has_times:
        return TimeMark(column, f"{at:%d %b}", f"{at:%Y}")
    return TimeMark(column, f"{at:%H:%M}", f"{at:%a %d %b}" if is_new else "")


def _moments(chart: Chart, zone: tzinfo | None) -> list[datetime]:
    ends = [bar.closes_at for bar in chart.bars]
    if chart.has_times:
        return [at.astimezone(zone) for at in ends]
    return [_midnight(day) for day in trading_days_ended(ends)]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001  # a day, and no moment


def _ladder(moments: Sequence[datetime], has_times: bool) -> Iterator[list[int]]:  # noqa: FBT001
    """Give the places of the first bar of each five minutes, each hour and so on, in steps that become longer."""
    of_a_day = [_of_minutes(step) for step in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)] if has_times else []
    keys = [*of_a_day, datetime.date, _week, _of_months(1), _of_months(3), *map(_of_months, (12, 24, 60, 120, 600))]
    for key in keys:
        found = [key(at) for at in moments]
        yield [place for place, this in enumerate(found) if place == 0 or this != found[place - 1]]


def _of_minutes(step: int) -> _Key:
    return lambda at: (at.date(), (60 * at.hour + at.minute) // step)


def _of_months(step: int) -> _Key:
    return lambda at: (12 * at.year + at.month - 1) // step


def _week(at: datetime) -> object:
    return (at - timedelta(days=at.weekday())).date()
