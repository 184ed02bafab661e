"""What a chart shows: every line that there is, each fill beside its bar, gaps, and round prices on ticks."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.chart import Chart, Holdings, MarkKind, fills_on, gaps_of, marks_of, place_of, price_steps, span_of
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Period, PeriodUnit
from ct_mcp.domain.order import Execution, OrderAction, OrderState, OrderType
from ct_mcp.domain.products import short_price
from tests.factories import ES, NOW, SIM101, bar, chart, order, position, quote, stop_order

ZB = Instrument("ZB", 2026, 12)


def holdings(**changes: object) -> Holdings:
    return Holdings(**{"account": SIM101, "positions": (), "orders": (), "fills": (), **changes})  # type: ignore[arg-type]


def fill(minutes_ago: int | None, action: OrderAction | None = OrderAction.BUY) -> Execution:
    at = None if minutes_ago is None else NOW - timedelta(minutes=minutes_ago)
    return Execution(SIM101, "e", "o", ES, action, 2, Decimal(6400), at)


def marks(shown: Chart) -> list[tuple[str, str, int, str]]:
    return [(mark.kind, str(mark.price), mark.sign, mark.words) for mark in marks_of(shown)]


def test_every_line_is_there_from_the_top_down() -> None:
    target = order("t", action=OrderAction.SELL, limit_price="6420", quantity=2)
    both = stop_order("s", order_type=OrderType.STOP_LIMIT, limit_price="6379.5")
    shown = chart(holdings=holdings(positions=(position(2),), orders=(both, target, stop_order())))
    assert marks(shown) == [
        (MarkKind.ORDER, "6420", -1, "SELL 2 LIMIT"),
        (MarkKind.LAST, "6400.00", 0, "last"),
        (MarkKind.POSITION, "6395", 1, "LONG 2"),
        (MarkKind.ORDER, "6380", -1, "SELL 1 STOP LIMIT 6379.5"),
        (MarkKind.ORDER, "6380", -1, "SELL 1 STOP"),
    ]


def test_what_can_fill_no_more_and_what_has_no_price_has_no_line() -> None:
    gone = order("1", state=OrderState.CANCELLED)
    at_market = order("2", order_type=OrderType.MARKET, limit_price=None)
    unpriced = position(-1, average_price=None)
    shown = chart(holdings=holdings(orders=(gone, at_market), positions=(unpriced,)))
    assert [mark.kind for mark in marks_of(shown)] == [MarkKind.LAST]


def test_what_has_filled_of_an_order_is_not_shown_as_working() -> None:
    part = order("1", quantity=3, filled=1, state=OrderState.PART_FILLED)
    assert marks(chart(holdings=holdings(orders=(part,))))[-1][-1] == "BUY 2 LIMIT"


def test_without_a_quote_the_last_price_is_the_newest_close_and_without_bars_there_is_none() -> None:
    assert chart(quote=None).last == 6400
    assert chart(quote=quote(last=None)).last == 6400
    assert chart(quote=None, bars=()).last is None
    assert marks_of(chart(quote=None, bars=())) == []


@pytest.mark.parametrize(
    ("minutes_ago", "place"), [(0, 2), (1, 2), (5, 1), (6, 1), (14, 0), (15, None), (60, None), (-3, 2), (None, None)]
)
def test_a_fill_stands_beside_the_bar_in_which_it_happened(minutes_ago: int | None, place: int | None) -> None:
    """Bars end now, 5 and 10 minutes ago; what is newer than all of them belongs to the last."""
    assert place_of(chart(), fill(minutes_ago).at) == place


def test_a_fill_whose_side_is_not_known_has_no_place() -> None:
    shown = chart(holdings=holdings(fills=(fill(1), fill(1, None), fill(None))))
    assert [(each.place, each.sign, each.quantity) for each in fills_on(shown)] == [(2, 1, 2)]


def test_a_gap_is_found_where_a_session_ended_and_not_where_a_bar_is_missing() -> None:
    ends = [NOW - timedelta(minutes=minutes) for minutes in (0, 10, 75, 80)]
    rows = tuple(bar(end, 6400, 6401, 6399, 6400) for end in reversed(ends))
    (gap,) = gaps_of(chart(bars=rows))
    assert (gap.place, gap.since, gap.until) == (2, ends[2], ends[1] - timedelta(minutes=5))


def test_bars_of_an_hour_show_the_daily_break_and_days_have_no_gaps() -> None:
    ends = [NOW - timedelta(hours=hours) for hours in (3, 1, 0)]
    rows = tuple(bar(end, 6400, 6401, 6399, 6400) for end in ends)
    assert [gap.place for gap in gaps_of(chart(bars=rows, period=Period(60, PeriodUnit.MINUTE)))] == [1]
    days = tuple(bar(NOW - timedelta(days=days), 6400, 6401, 6399, 6400) for days in (4, 1, 0))
    assert gaps_of(chart(bars=days, period=Period(1, PeriodUnit.DAY))) == []


@pytest.mark.parametrize(
    ("instrument", "tick", "low", "high", "steps"),
    [
        (ES, "0.25", "6389.75", "6441.25", ["6390", "6400", "6410", "6420", "6430", "6440"]),
        (ES, "0.25", "6400.1", "6401.6", ["6400.25", "6400.5", "6400.75", "6401", "6401.25", "6401.5"]),
        (
            Instrument("6E", 2026, 12),
            "0.00005",
            "1.16480",
            "1.16600",
            ["1.1648", "1.165", "1.1652", "1.1654", "1.1656"],
        ),
        (Instrument("CL", 2026, 12), "0.01", "-1.2", "1.3", ["-1", "-0.5", "0", "0.5", "1"]),
        (ZB, "0.03125", "115", "115.5", ["115'00", "115'04", "115'08", "115'12", "115'16"]),
        (
            Instrument("ZN", 2026, 12),
            "0.015625",
            "110",
            "110.0625",
            ["110'00", "110'005", "110'01", "110'015", "110'02"],
        ),
    ],
)
def test_prices_on_the_axis_are_round_and_on_ticks(
    instrument: Instrument, tick: str, low: str, high: str, steps: list[str]
) -> None:
    found = price_steps(Decimal(low), Decimal(high), instrument, Decimal(tick), 6)
    assert [short_price(instrument, price) for price in found][: len(steps)] == steps
    assert all(price % Decimal(tick) == 0 for price in found)


PRICES = st.decimals(-1000, 100_000, places=4)


@given(
    low=PRICES, size=st.decimals("0.0001", 5000, places=4), tick=st.sampled_from(["0.25", "0.01", "0.03", "7", None])
)
def test_any_axis_has_few_steps_and_none_beyond_it(low: Decimal, size: Decimal, tick: str | None) -> None:
    steps = price_steps(low, low + size, ES, None if tick is None else Decimal(tick), 9)
    assert len(steps) <= 10
    assert all(low <= price <= low + size for price in steps)


def test_far_orders_do_not_squash_the_bars_and_near_ones_are_shown() -> None:
    near, far = order("1", limit_price="6393"), order("2", limit_price="6000")
    shown = chart(holdings=holdings(orders=(near, far)))
    low, high = span_of(shown, marks_of(shown))
    assert Decimal(6385) < low < 6393
    assert high < 6410


def test_bars_that_never_moved_still_have_a_height() -> None:
    low, high = span_of(chart((6400, 6400, 6400, 6400)), [])
    assert low < 6400 < high


def test_an_axis_writes_as_many_decimals_as_a_tick_has() -> None:
    assert short_price(ES, Decimal(6400), Decimal("0.25")) == "6400.00"
    assert short_price(ES, Decimal("6400.125"), Decimal("0.25")) == "6400.125"
    assert short_price(ZB, Decimal("115.25"), Decimal(1) / 32) == "115'08"
    assert short_price(ES, Decimal("6400.5")) == "6400.5"
