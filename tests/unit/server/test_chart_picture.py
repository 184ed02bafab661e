"""The picture of a chart, looked at pixel by pixel: where bars and lines stand, what is written, how large it is."""

import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ct_mcp.domain.chart import Chart, Holdings, MarkKind
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Period, PeriodUnit
from ct_mcp.domain.order import Execution, OrderAction
from ct_mcp.server.chart_layout import (
    HEIGHT,
    LABEL_HEIGHT,
    MOST_LABELS,
    PRICE_BOTTOM,
    TOP,
    VOLUME_BOTTOM,
    VOLUME_TOP,
    WIDTH,
    Scale,
    layout_of,
    spread,
)
from ct_mcp.server.chart_picture import (
    MOST_BYTES,
    THEMES,
    Colour,
    ThemeName,
    drawable,
    picture_of,
)
from tests.factories import ES, NOW, SIM101, bar, chart, order, position, quote, stop_order

BERLIN = ZoneInfo("Europe/Berlin")
DARK = THEMES["dark"]
BOTH: list[ThemeName] = ["dark", "light"]


def seen(shown: Chart, theme: ThemeName = "dark") -> Image.Image:
    return Image.open(BytesIO(picture_of(shown, theme, BERLIN))).convert("RGB")


def rows_of(image: Image.Image, column: int, colour: Colour) -> list[int]:
    return [row for row in range(HEIGHT) if image.getpixel((column, row)) == colour]


def columns_of(image: Image.Image, row: int, colour: Colour) -> list[int]:
    return [column for column in range(WIDTH) if image.getpixel((column, row)) == colour]


def held(**changes: object) -> Holdings:
    usual = {"account": SIM101, "positions": (), "orders": (), "fills": ()}
    return Holdings(**{**usual, **changes})  # type: ignore[arg-type]


def many_bars(count: int, lot: int, step: str = "0.25", begins: str = "6400") -> tuple[Bar, ...]:
    """Bars that jump about at random, five minutes each, the newest ending now."""
    random, price = Random(lot), Decimal(begins)
    bars = []
    for place in range(count):
        path = [price]
        for _ in range(4):
            path.append(path[-1] + Decimal(step) * random.randint(-30, 30))
        price = path[-1]
        ends = NOW - timedelta(minutes=5 * (count - 1 - place))
        bars.append(Bar(ends, path[0], max(path), min(path), price, random.randint(0, 10_000)))
    return tuple(bars)


@pytest.mark.parametrize("theme", BOTH)
def test_a_candle_spans_its_prices_in_the_colour_of_its_way(theme: ThemeName) -> None:
    shown = chart((6400, 6404, 6396, 6402), (6402, 6403, 6398, 6399))
    image, layout, colours = seen(shown, theme), layout_of(shown, BERLIN), THEMES[theme]
    for place, (each, colour) in enumerate(zip(shown.bars, (colours.up, colours.down), strict=True)):
        beside = layout.columns.middle(place) + layout.columns.half
        body = rows_of(image, beside, colour)
        assert {min(body), max(body)} == {layout.scale.row(each.open), layout.scale.row(each.close)}
        wick = [row for row in rows_of(image, layout.columns.middle(place), colour) if row <= PRICE_BOTTOM]
        assert (min(wick), max(wick)) == (layout.scale.row(each.high), layout.scale.row(each.low))


def test_twice_the_price_apart_is_twice_the_rows_apart() -> None:
    scale = Scale(Decimal(6380), Decimal(6420))
    top, middle, bottom = (scale.row(Decimal(price)) for price in (6420, 6400, 6380))
    assert (top, bottom) == (TOP, PRICE_BOTTOM)
    assert middle - top == bottom - middle
    assert scale.row(Decimal(9999)) == TOP
    assert not scale.shows(Decimal(9999))


def test_the_loudest_bar_fills_the_pane_of_volume_and_the_others_in_proportion() -> None:
    loud, quiet = many_bars(2, 1)
    shown = chart(bars=(replace(loud, volume=1000), replace(quiet, volume=250)))
    image, columns = seen(shown), layout_of(shown, BERLIN).columns
    heights = [
        sum(
            image.getpixel((columns.middle(place) + 1, row)) in (DARK.up_volume, DARK.down_volume)
            for row in range(VOLUME_TOP, VOLUME_BOTTOM)
        )
        for place in (0, 1)
    ]
    assert heights == [VOLUME_BOTTOM - VOLUME_TOP, (VOLUME_BOTTOM - VOLUME_TOP) // 4]


@pytest.mark.parametrize("theme", BOTH)
def test_each_line_lies_at_the_row_of_its_price_in_its_colour(theme: ThemeName) -> None:
    colours = THEMES[theme]
    orders = (stop_order(stop_price="6394"), order(limit_price="6393"))
    shown = chart(holdings=held(positions=(position(1),), orders=orders))
    image, scale = seen(shown, theme), layout_of(shown, BERLIN).scale
    for price, colour in ((6394, colours.sell), (6393, colours.buy), (6395, colours.position)):
        assert len(columns_of(image, scale.row(Decimal(price)), colour)) > 300
    assert not columns_of(image, scale.row(Decimal(6392)), colours.buy)


def test_labels_of_lines_close_together_cover_one_another_nowhere_and_keep_their_order() -> None:
    orders = tuple(order(str(number), limit_price=str(6400 + number % 5)) for number in range(MOST_LABELS + 6))
    shown = chart(holdings=held(orders=orders, positions=(position(2, average_price="6300"),)))
    layout = layout_of(shown, BERLIN)
    rows = [label.row for label in layout.labels]
    assert len(rows) == MOST_LABELS
    assert layout.left_out == 8
    assert all(after - before >= LABEL_HEIGHT for before, after in pairwise(rows))
    assert min(rows) >= TOP
    assert max(rows) <= PRICE_BOTTOM
    kinds = [label.mark.kind for label in layout.labels]
    assert {kinds.count(MarkKind.LAST), kinds.count(MarkKind.POSITION)} == {1}, "whatever else has no room"
    prices = [label.mark.price for label in layout.labels]
    assert prices == sorted(prices, reverse=True)


@given(st.lists(st.integers(TOP, PRICE_BOTTOM), max_size=MOST_LABELS))
def test_rows_are_spread_only_as_far_as_they_must(wanted: list[int]) -> None:
    wanted = sorted(wanted)
    rows = spread(wanted, 20, TOP, PRICE_BOTTOM)
    assert all(after - before >= 20 for before, after in pairwise(rows))
    assert all(TOP <= row <= PRICE_BOTTOM for row in rows)
    if all(after - before >= 20 for before, after in pairwise(wanted)):
        assert rows == wanted


def test_a_fill_is_a_wedge_whose_point_is_its_price_from_below_where_it_bought() -> None:
    buys = Execution(SIM101, "1", "o", ES, OrderAction.BUY, 1, Decimal(6399), NOW - timedelta(minutes=12))
    sells = Execution(SIM101, "2", "o", ES, OrderAction.SELL, 1, Decimal(6401), NOW - timedelta(minutes=1))
    shown = chart(holdings=held(fills=(buys, sells)))
    image, layout = seen(shown), layout_of(shown, BERLIN)
    for fill, place, colour in ((buys, 0, DARK.buy), (sells, 2, DARK.sell)):
        row, column = layout.scale.row(fill.price), layout.columns.middle(place)
        found = rows_of(image, column, colour)
        assert found
        assert all(0 < (each - row) * (1 if fill is buys else -1) < 12 for each in found)


def test_the_bars_of_two_sessions_stand_side_by_side_with_a_line_between() -> None:
    bars = many_bars(4, 1)
    early = tuple(replace(each, closes_at=each.closes_at - timedelta(hours=48)) for each in bars[:2])
    shown = chart(bars=(*early, *bars[2:]))
    image, columns = seen(shown), layout_of(shown, BERLIN).columns
    assert columns.middle(2) - columns.middle(1) == pytest.approx(columns.middle(1) - columns.middle(0), abs=1)
    dotted = rows_of(image, columns.edge(2), DARK.quiet)
    assert len(dotted) > 100
    assert len(rows_of(image, columns.edge(1), DARK.quiet)) < 10


# Times

MINUTES = Period(1, PeriodUnit.MINUTE)


def times(shown: Chart, zone: str) -> list[tuple[str, str]]:
    return [(mark.words, mark.day) for mark in layout_of(shown, ZoneInfo(zone)).times]


def test_times_are_round_and_of_the_zone_of_the_person() -> None:
    shown = chart(bars=many_bars(120, 1))
    assert times(shown, "Europe/Berlin")[:3] == [("07:00", "Mon 23 Nov"), ("08:00", ""), ("09:00", "")]
    assert times(shown, "America/Chicago")[0] == ("00:00", "Mon 23 Nov")


def test_a_new_day_is_named_where_it_begins() -> None:
    named = [day for _, day in times(chart(bars=many_bars(500, 1)), "Europe/Berlin") if day]
    assert named == ["Sun 22 Nov", "Mon 23 Nov"]


def test_days_are_named_by_their_trading_days() -> None:
    days = tuple(bar(NOW - timedelta(weeks=weeks), 6400, 6410, 6390, 6400) for weeks in range(30, -1, -1))
    shown = chart(bars=days, period=Period(1, PeriodUnit.WEEK))
    assert ("04 May", "2026") in times(shown, "Europe/Berlin")


@pytest.mark.parametrize("count", [1, 2, 3, 20, 119, 500])
def test_times_never_run_into_each_other(count: int) -> None:
    columns = [mark.column for mark in layout_of(chart(bars=many_bars(count, 1)), BERLIN).times]
    assert columns
    assert all(after - before >= 60 for before, after in pairwise(columns))


# What is written


def written(shown: Chart, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are drawn."""
    from PIL import ImageDraw  # noqa: PLC0415

    texts: list[str] = []
    draws = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, at: tuple[int, int], words: str, *more: object) -> None:
        texts.append(words)
        draws(self, at, words, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    picture_of(shown, "dark", BERLIN)
    return texts


def test_it_says_of_what_it_is_and_as_of_when_in_which_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written(chart(), monkeypatch)
    assert "ES 12-26   5 minute   3 bars" in texts
    assert "as of Mon 23 Nov 2026 16:30:00, times in CET (UTC+01:00)" in texts
    assert "no account named: position, orders and fills are not drawn" in texts


def test_labels_have_price_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    far = order("far", limit_price="6000")
    both = held(positions=(position(-2, unrealized_pnl=Decimal("-12.5")),), orders=(stop_order(), far))
    texts = written(chart(holdings=both), monkeypatch)
    assert {"6400.00 last", "6395.00 SHORT 2 -12.50", "6380.00 SELL 1 STOP (below)"} <= set(texts)
    assert "6000.00 BUY 1 LIMIT (below)" in texts


def test_bonds_have_32nds_on_the_axis_and_on_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = many_bars(30, 1, step="0.03125", begins="115")
    contract = quote().contract
    told = quote(
        last=Decimal("115.25"), contract=type(contract)("ZB", "", Decimal(1) / 32, Decimal("31.25"), Decimal(1000))
    )
    texts = written(chart(bars=bars, instrument=Instrument("ZB", 2026, 12), quote=told), monkeypatch)
    assert "115'08 last" in texts
    assert sum("'" in text for text in texts) > 5


def test_what_was_not_read_is_named_and_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    unread = Holdings(SIM101, None, None, None)
    texts = written(chart(holdings=unread, failures=("position: X: no answer",)), monkeypatch)
    assert "account Sim101; position: NOT READ; working orders: NOT READ; fills: NOT READ" in texts
    assert "NOT READ: position: X: no answer" in texts


def test_what_has_no_room_is_said_to_stand_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written(chart(failures=("a", "b", "c", "d")), monkeypatch)
    assert texts[-1] == "3 more lines beside the picture, in its text"


@pytest.mark.parametrize("name", ["A\u202eB", "A\nB", "\u041c\u0418\u0420", "x" * 5000, "A\x1b[31m"])
def test_names_of_others_become_one_short_plain_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = drawable(name)
    assert plain.isascii()
    assert plain.isprintable()
    texts = written(chart(holdings=held(account=name), failures=(name,)), monkeypatch)
    assert all(text.isprintable() and len(text) < 170 for text in texts)


def test_no_bars_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no bars in this span" in written(chart(bars=(), quote=None), monkeypatch)


@pytest.mark.parametrize("theme", BOTH)
def test_all_text_stands_out_from_what_lies_behind_it(theme: ThemeName) -> None:
    it = THEMES[theme]
    pairs: Sequence[tuple[Colour, Colour]] = [
        *((colour, it.ground) for colour in (it.ink, it.quiet, it.warning, it.last, it.position, it.buy, it.sell)),
        *((it.on_label, colour) for colour in (it.last, it.position, it.buy, it.sell)),
    ]
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
    assert contrast(it.up, it.ground) > 3
    assert contrast(it.down, it.ground) > 3


def contrast(one: Colour, other: Colour) -> float:
    """By the Web Content Accessibility Guidelines."""
    low, high = sorted(map(lightness, (one, other)))
    return (high + 0.05) / (low + 0.05)


def lightness(colour: Colour) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# Its bytes


@settings(max_examples=15)
@given(
    count=st.integers(1, 500),
    lot=st.integers(0, 1000),
    theme=st.sampled_from(BOTH),
    step=st.sampled_from(["0.25", "40"]),
)
def test_a_picture_of_any_bars_is_small(count: int, lot: int, theme: ThemeName, step: str) -> None:
    random = Random(lot)
    bars = many_bars(count, lot, step)
    orders = tuple(order(str(n), limit_price=str(bars[-1].close + random.randint(-90, 90) or 1)) for n in range(30))
    fills = tuple(
        Execution(SIM101, str(n), "o", ES, OrderAction.BUY, 1, bars[-1].close, NOW - timedelta(minutes=n))
        for n in range(60)
    )
    shown = chart(bars=bars, holdings=held(orders=orders, fills=fills), failures=("x" * 200, "y" * 200))
    picture = picture_of(shown, theme, BERLIN)
    assert len(picture) <= MOST_BYTES
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (WIDTH, HEIGHT)


def test_noise_that_no_picture_is_made_of_is_small_as_well() -> None:
    """What is too large in all its colours is kept in fewer."""
    from ct_mcp.server.chart_picture import _as_png  # noqa: PLC0415

    noise = Image.frombytes("RGB", (300, 200), Random(1).randbytes(300 * 200 * 3))
    assert len(_as_png(noise)) <= MOST_BYTES


def test_the_same_chart_makes_the_same_bytes() -> None:
    shown = chart(bars=many_bars(120, 3), holdings=held(orders=(order(),)))
    assert picture_of(shown, "dark", BERLIN) == picture_of(shown, "dark", BERLIN)
    assert picture_of(shown, "dark", BERLIN) != picture_of(shown, "light", BERLIN)


# The start of a server


def test_nothing_that_draws_is_imported_before_the_first_picture() -> None:
    draws = "n.startswith(('PIL', 'ct_mcp.server.chart_', 'ct_mcp.domain.chart'))"
    program = f"import json, sys, ct_mcp.server.app; print(json.dumps([n for n in sys.modules if {draws}]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert json.loads(done.stdout) == []
