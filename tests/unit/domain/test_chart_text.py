"""A chart in words says all that the picture shows, and never calls empty what was not read."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from ct_mcp.domain.account import Direction
from ct_mcp.domain.chart import Chart, Holdings
from ct_mcp.domain.chart_text import chart_lines
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Period, PeriodUnit
from ct_mcp.domain.order import Execution, OrderAction
from tests.factories import ES, NOW, SIM101, bar, chart, order, position, stop_order

BERLIN = ZoneInfo("Europe/Berlin")
FILL = Execution(SIM101, "e", "o", ES, OrderAction.BUY, 2, Decimal("6395.25"), NOW - timedelta(minutes=3))


def lines(shown: Chart) -> list[str]:
    return list(chart_lines(shown, BERLIN))


def test_it_says_where_position_and_orders_stand_from_the_last_price() -> None:
    held = Holdings(
        SIM101, (position(2, unrealized_pnl=Decimal(500)),), (stop_order(),), (FILL,), NOW - timedelta(hours=8)
    )
    assert lines(chart(holdings=held)) == [
        "ES 12-26  3 bars of 5 minute, 2026-11-23 16:20 to 2026-11-23 16:30",
        "times in CET (UTC+01:00), bars by the time at which they end; read 2026-11-23T15:30:00Z",
        "open 6398, high 6404, low 6396, close 6400; range 8, change +2 (+0.03 %) from first open to last close;"
        " volume 300",
        "last 6400, 1 s old",
        "account Sim101",
        "position (1):",
        "  LONG 2 at 6395 (5 points, 20 ticks below last), open P&L +500.00",
        "working orders (1):",
        "  SELL 1 STOP at 6380 (20 points, 80 ticks below last), WORKING, order stop",
        "fills since 2026-11-23 08:30 (1):",
        "  2026-11-23 16:27:00 BUY 2 at 6395.25",
    ]


def test_what_was_not_read_is_said_so_and_not_called_none() -> None:
    told = lines(chart(holdings=Holdings(SIM101, None, None, None), quote=None, failures=("position: X: no answer",)))
    for what in ("position", "working orders", "fills"):
        assert f"{what}: not read: it does not mean that there is nothing" in told
    assert "NOT READ: position: X: no answer" in told
    assert not any("none" in line for line in told)


def test_what_is_empty_is_none_and_an_account_that_nobody_named_is_said() -> None:
    told = lines(chart(holdings=Holdings(SIM101, (), (), ())))
    assert {"position: none", "working orders: none", "fills: none"} <= set(told)
    assert "position, orders and fills: no account was named" in lines(chart())


def test_a_position_of_none_is_flat() -> None:
    flat = replace(position(1), quantity=0, direction=Direction.FLAT)
    assert "  flat" in lines(chart(holdings=Holdings(SIM101, (flat,), (), ())))


def test_gaps_are_named_with_their_length_the_last_three_of_them() -> None:
    ends = [NOW - timedelta(hours=hours) for hours in range(5, -1, -1)]
    told = lines(chart(bars=tuple(bar(end, 6400, 6401, 6399, 6400) for end in ends)))
    assert "no bars from Mon 2026-11-23 15:30 to Mon 2026-11-23 16:25 (55 min)" in told
    assert "and 2 earlier gaps like these" in told
    assert sum(line.startswith("no bars from") for line in told) == 3


def test_a_bar_that_is_not_over_is_called_forming() -> None:
    first = lines(chart(read_at=NOW - timedelta(minutes=2)))[0]
    assert first.endswith("16:30, the last still forming")


def test_bars_of_a_day_have_the_names_of_their_trading_days() -> None:
    days = tuple(bar(NOW - timedelta(days=days), 6400, 6401, 6399, 6400) for days in (4, 3, 0))
    assert "2026-11-19 to 2026-11-23" in lines(chart(bars=days, period=Period(1, PeriodUnit.DAY)))[0]


def test_bonds_have_their_prices_in_32nds_too() -> None:
    zb = chart(bars=(bar(NOW, "115", "115.5", "114.75", "115.25"),), instrument=Instrument("ZB", 2026, 12), quote=None)
    assert "close 115.25 (115'08)" in "\n".join(lines(zb))


def test_no_bars_at_all_are_said_so() -> None:
    told = lines(chart(bars=(), quote=None))
    assert told[0] == "ES 12-26  no bars of 5 minute: none were told"
    assert "last: not read" in told


@pytest.mark.parametrize("name", ["A\u202eB\nNOT READ: x", "A\x1b[31mB"])
def test_a_name_makes_no_lines_of_its_own(name: str) -> None:
    told = lines(chart(holdings=Holdings(name, (), (), ())))
    assert [line for line in told if line.startswith("NOT READ")] == []
    assert all(line.isprintable() for line in told)


def test_long_lists_are_cut_with_their_number() -> None:
    many = tuple(order(str(number)) for number in range(30))
    told = lines(chart(holdings=Holdings(SIM101, (), many, ())))
    assert "working orders (30):" in told
    assert "  and 10 more" in told
