"""Draw a chart as a PNG of at most `MOST_BYTES`, dark or light.

Pillow comes with the extra ``charts`` alone and is imported by the first picture. Its own font is drawn with, so that
no font of the system is asked for; that font knows no other letters than those of ASCII and a few of Europe's.
"""

from datetime import tzinfo
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Literal, NamedTuple

from ct_mcp.domain.chart import Chart, FillMark, Mark, MarkKind, fills_on, gaps_of, is_up
from ct_mcp.domain.market import Bar
from ct_mcp.domain.products import short_price
from ct_mcp.server.chart_layout import (
    HEIGHT,
    LABEL_HEIGHT,
    LEFT,
    TOP,
    VOLUME_BOTTOM,
    VOLUME_TOP,
    WIDTH,
    Label,
    Layout,
    layout_of,
)
from ct_mcp.text import count, format_price, sanitize, signed_money, zone_words

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

MOST_BYTES = 80_000
_SMALL, _USUAL, _LARGE = 12, 13, 18
_LONGEST_LINE = 150
_FOOT, _MOST_LINES = 582, 3
Colour = tuple[int, int, int]


class Theme(NamedTuple):
    """Colours; rising and falling differ in lightness as well as in hue."""

    ground: Colour
    ink: Colour
    quiet: Colour
    grid: Colour
    up: Colour
    down: Colour
    up_volume: Colour
    down_volume: Colour
    last: Colour
    position: Colour
    buy: Colour
    sell: Colour
    on_label: Colour
    warning: Colour


THEMES = {
    "dark": Theme(
        ground=(17, 21, 28),
        ink=(232, 236, 241),
        quiet=(150, 160, 173),
        grid=(38, 45, 56),
        up=(70, 196, 176),
        down=(226, 92, 74),
        up_volume=(40, 92, 86),
        down_volume=(108, 54, 50),
        last=(232, 236, 241),
        position=(246, 196, 83),
        buy=(94, 170, 255),
        sell=(255, 140, 190),
        on_label=(12, 14, 18),
        warning=(255, 178, 92),
    ),
    "light": Theme(
        ground=(255, 255, 255),
        ink=(24, 30, 38),
        quiet=(88, 98, 110),
        grid=(230, 233, 238),
        up=(22, 138, 120),
        down=(196, 52, 36),
        up_volume=(172, 216, 208),
        down_volume=(240, 190, 182),
        last=(24, 30, 38),
        position=(146, 98, 0),
        buy=(20, 88, 190),
        sell=(176, 28, 104),
        on_label=(255, 255, 255),
        warning=(158, 74, 0),
    ),
}
ThemeName = Literal["dark", "light"]


def picture_of(chart: Chart, theme: ThemeName, zone: tzinfo | None) -> bytes:
    """Draw a chart; times are in ``zone``, that of this machine for None. The same chart makes the same bytes."""
    from PIL import Image, ImageDraw  # noqa: PLC0415  # an extra, imported by the first picture

    image = Image.new("RGB", (WIDTH, HEIGHT), THEMES[theme].ground)
    pen = _Pen(ImageDraw.Draw(image), THEMES[theme], chart, zone)
    pen.draw()
    return _as_png(image)


def _as_png(image: "Image") -> bytes:
    """Keep every colour where that is small enough; else the nearest of 255, and of 32."""
    from PIL.Image import Dither  # noqa: PLC0415  # an extra, imported by the first picture

    content = b""
    for colours in (None, 255, 32):
        kept = image if colours is None else image.quantize(colours, dither=Dither.NONE)
        file = BytesIO()
        kept.save(file, "PNG", compress_level=6)
        content = file.getvalue()
        if len(content) <= MOST_BYTES:
            break
    return content


@cache
def _font(size: int) -> "FreeTypeFont":
    from PIL import ImageFont  # noqa: PLC0415  # an extra, imported by the first picture

    return ImageFont.load_default(size)  # type: ignore[return-value]  # without FreeType it raises


def drawable(text: str, longest: int = _LONGEST_LINE) -> str:
    """Make anybody's words drawable: one line, without what is hidden, and a ? for each letter the font has not."""
    return sanitize(text, longest=longest).encode("ascii", "replace").decode()


class _Pen:
    """Draws one chart, from what lies behind to what lies in front."""

    def __init__(self, on: "ImageDraw", theme: Theme, chart: Chart, zone: tzinfo | None) -> None:
        self._on, self._theme, self._chart, self._zone = on, theme, chart, zone
        self._layout: Layout | None = layout_of(chart, zone) if chart.bars else None

    def draw(self) -> None:
        """Draw all of it."""
        self._header()
        if self._layout is not None:
            self._grid(self._layout)
            self._gaps(self._layout)
            self._bars(self._layout)
            self._lines(self._layout)
            self._fills(self._layout)
        else:
            self._text((WIDTH // 2, HEIGHT // 2), "no bars in this span", self._theme.quiet, anchor="mm")
        self._footer()

    # Words around it

    def _header(self) -> None:
        chart, theme = self._chart, self._theme
        title = f"{chart.instrument}   {chart.period}   {count(len(chart.bars), 'bar')}"
        self._text((LEFT, 8), title, theme.ink, size=_LARGE)
        at = chart.read_at.astimezone(self._zone)
        stamp = f"as of {at:%a %d %b %Y %H:%M:%S}, times in {zone_words(at)}"
        self._text((WIDTH - 8, 12), stamp, theme.quiet, anchor="ra")
        if chart.bars:
            self._text((LEFT, 34), self._figures(), theme.quiet)

    def _figures(self) -> str:
        bars = self._chart.bars
        high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
        change = bars[-1].close - bars[0].open
        percent = f" ({round(change / bars[0].open * 100, 2):+g} %)" if bars[0].open else ""
        prices = (bars[0].open, high, low, bars[-1].close)
        named = zip(("open", "high", "low", "close"), prices, strict=True)
        told = "  ".join(f"{name} {self._price(price)}" for name, price in named)
        return f"{told}  change {'+' if change > 0 else ''}{format_price(change)}{percent}"

    def _footer(self) -> None:
        """Say what the account has, what was not read, and what must be known beside it, as far as there is room."""
        theme, chart = self._theme, self._chart
        lines = [(self._holdings_line(), theme.quiet)]
        lines += [(f"NOT READ: {failure}", theme.warning) for failure in chart.failures]
        lines += [(note, theme.quiet) for note in chart.notes]
        if len(lines) > _MOST_LINES:
            left = count(len(lines) - _MOST_LINES + 1, "more line")
            lines = [*lines[: _MOST_LINES - 1], (f"{left} beside the picture, in its text", theme.warning)]
        for place, (line, colour) in enumerate(lines):
            self._text((LEFT, _FOOT + 16 * place), drawable(line), colour, size=_SMALL)

    def _holdings_line(self) -> str:
        it = self._chart.holdings
        if it is None:
            return "no account named: position, orders and fills are not drawn"
        unpriced = sum(order.stop_price is None and order.limit_price is None for order in it.working)
        parts = (
            f"account {drawable(it.account, 60)}",
            _told("position", it.positions, [f"{each.direction} {each.amount}" for each in it.positions or ()]),
            _told("working orders", it.orders, [str(len(it.working))] if it.working else []),
            f"{unpriced} of them at the market" if unpriced else "",
            f"{self._layout.left_out} of them not drawn" if self._layout and self._layout.left_out else "",
            _told(f"fills{self._since()}", it.fills, [str(len(it.fills))] if it.fills else []),
        )
        return ";  ".join(filter(None, parts))

    def _since(self) -> str:
        at = self._chart.holdings.fills_since if self._chart.holdings else None
        return "" if at is None else f" since {at.astimezone(self._zone):%a %H:%M}"

    # The bars and what lies behind them

    def _grid(self, layout: Layout) -> None:
        theme, right = self._theme, layout.columns.right
        for price in layout.prices:
            row = layout.scale.row(price)
            self._on.line((LEFT, row, right, row), theme.grid)
            self._text((LEFT - 8, row), self._price(price), theme.quiet, anchor="rm", size=_SMALL)
        for mark in layout.times:
            self._on.line((mark.column, TOP, mark.column, VOLUME_BOTTOM), theme.grid)
            self._text((mark.column, VOLUME_BOTTOM + 4), mark.words, theme.quiet, anchor="ma", size=_SMALL)
            self._text((mark.column, VOLUME_BOTTOM + 18), mark.day, theme.quiet, anchor="ma", size=_SMALL)
        self._on.line((LEFT, VOLUME_BOTTOM, right, VOLUME_BOTTOM), theme.quiet)

    def _gaps(self, layout: Layout) -> None:
        for gap in gaps_of(self._chart):
            column = layout.columns.edge(gap.place)
            for row in range(TOP, VOLUME_BOTTOM, 6):
                self._on.line((column, row, column, row + 2), self._theme.quiet)

    def _bars(self, layout: Layout) -> None:
        loudest = max((bar.volume for bar in self._chart.bars), default=0)
        for place, bar in enumerate(self._chart.bars):
            self._volume(layout, place, bar, loudest)
            self._candle(layout, place, bar)

    def _candle(self, layout: Layout, place: int, bar: Bar) -> None:
        colour = self._theme.up if is_up(bar) else self._theme.down
        middle, half = layout.columns.middle(place), layout.columns.half
        top, bottom = sorted((layout.scale.row(bar.open), layout.scale.row(bar.close)))
        self._on.line((middle, layout.scale.row(bar.high), middle, layout.scale.row(bar.low)), colour)
        self._on.rectangle((middle - half, top, middle + half, bottom), colour)

    def _volume(self, layout: Layout, place: int, bar: Bar, loudest: int) -> None:
        height = (VOLUME_BOTTOM - VOLUME_TOP) * bar.volume // loudest if loudest else 0
        if height <= 0:
            return
        middle, half = layout.columns.middle(place), layout.columns.half
        colour = self._theme.up_volume if is_up(bar) else self._theme.down_volume
        self._on.rectangle((middle - half, VOLUME_BOTTOM - height, middle + half, VOLUME_BOTTOM - 1), colour)

    # What lies in front of them

    def _lines(self, layout: Layout) -> None:
        for label in layout.labels:
            self._line(layout, label)
        for label in layout.labels:
            self._label(layout, label)

    def _line(self, layout: Layout, label: Label) -> None:
        colour, right = self._colour(label.mark), layout.columns.right
        if not label.is_beyond:
            dash, gap = {MarkKind.LAST: (2, 3), MarkKind.POSITION: (right, 0), MarkKind.ORDER: (9, 4)}[label.mark.kind]
            for column in range(LEFT, right, dash + gap):
                self._on.line((column, label.line, min(column + dash - 1, right), label.line), colour)
        self._on.line((right, label.line, right + 14, label.row), colour)

    def _label(self, layout: Layout, label: Label) -> None:
        left, right = layout.columns.right + 14, WIDTH - 6
        half = LABEL_HEIGHT // 2 - 1
        self._on.rectangle((left, label.row - half, right, label.row + half), self._colour(label.mark))
        words = f"{self._price(label.mark.price)}  {label.mark.words}{self._pnl(label.mark)}"
        beyond = (" (above)" if label.line <= TOP else " (below)") if label.is_beyond else ""
        fitted = self._fitted(drawable(words + beyond), right - left - 14)
        self._text((left + 7, label.row), fitted, self._theme.on_label, anchor="lm")

    def _pnl(self, mark: Mark) -> str:
        holdings = self._chart.holdings
        if mark.kind is not MarkKind.POSITION or holdings is None:
            return ""
        open_pnl = next((each.unrealized_pnl for each in holdings.positions or ()), None)
        return "" if open_pnl is None else f"  {signed_money(open_pnl)}"

    def _fills(self, layout: Layout) -> None:
        for fill in fills_on(self._chart):
            self._fill(layout, fill)

    def _fill(self, layout: Layout, fill: FillMark) -> None:
        """Draw a wedge whose point is the price: from below for a buy, from above for a sell."""
        if not layout.scale.shows(fill.price):
            return
        column, row = layout.columns.middle(fill.place), layout.scale.row(fill.price)
        far = row + 11 * fill.sign
        colour = self._theme.buy if fill.sign > 0 else self._theme.sell
        self._on.polygon(((column, row), (column - 6, far), (column + 6, far)), colour, self._theme.ground)

    # How it is drawn

    def _colour(self, mark: Mark) -> Colour:
        if mark.kind is MarkKind.ORDER:
            return self._theme.buy if mark.sign > 0 else self._theme.sell
        return self._theme.position if mark.kind is MarkKind.POSITION else self._theme.last

    def _price(self, price: Decimal) -> str:
        return short_price(self._chart.instrument, price, self._chart.tick)

    def _fitted(self, text: str, width: int) -> str:
        while _font(_USUAL).getlength(text) > width:
            text = f"{text[:-4]}..." if text.endswith("...") else f"{text[:-3]}..."
        return text

    def _text(self, at: tuple[int, int], text: str, colour: Colour, *, anchor: str = "la", size: int = _USUAL) -> None:
        self._on.text(at, text, colour, _font(size), anchor)


def _told(what: str, read: object, words: list[str]) -> str:
    return f"{what}: NOT READ" if read is None else f"{what}: {', '.join(words) or 'none'}"
