"""What the tools of the book say is bounded, names gaps first, and has its sample beside each figure."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ct_mcp.domain.performance import Group, PerformanceReport, performance_of
from ct_mcp.domain.trades import Excursion, ExcursionSource, Plan, RecordGap, RoundTrip, TradeList
from ct_mcp.domain.trading_days import TradingDays
from ct_mcp.server.trade_text import MOST_TRADES, performance_text, trades_text
from tests.conftest import Tokens
from tests.factories import NOW, SIM101
from tests.unit.domain.test_performance import trip

ALL = TradingDays(None, None)
GAP = RecordGap(SIM101, NOW, NOW + timedelta(hours=3))


def planned(minute: int) -> RoundTrip:
    """Build a trade of which all is known."""
    plan = Plan("0123456789abcdef", tag="opening range", stop=Decimal("6390.25"), risk=Decimal(500))
    moved = Excursion(Decimal("6395.25"), Decimal("6404.5"), ExcursionSource.QUOTES)
    return trip("2.25", minute, plan=plan, excursion=moved)


def listed(*trips: RoundTrip, **more: Any) -> TradeList:
    """Build a list of trades."""
    return replace(TradeList(SIM101, None, None, trips, began=NOW), **more)


def test_gaps_stand_before_any_figure() -> None:
    lines = trades_text(listed(planned(0), gaps=(GAP,)), ALL, NOW, 0).splitlines()
    assert lines[2].startswith("GAPS: nobody listened 2026-11-23 15:30 to 2026-11-23 18:30 UTC")
    assert "missing here, and in every figure" in lines[2]
    report = PerformanceReport(SIM101, None, None, (performance_of([planned(0)], "USD"),), gaps=(GAP,), began=NOW)
    assert performance_text(report, ALL, NOW).splitlines()[2].startswith("GAPS: ")


def test_of_many_gaps_the_newest_are_named_and_the_others_counted() -> None:
    gaps = tuple(RecordGap(SIM101, NOW + timedelta(days=n), NOW + timedelta(days=n, hours=1)) for n in range(40))
    text = trades_text(listed(gaps=gaps, unmatched=tuple(f"what {n}" for n in range(40))), ALL, NOW, 0)
    assert "; 35 earlier ones" in text
    assert "35 are not counted" in text.replace("more ", "")


def test_one_trade_is_one_line_with_all_that_is_known_of_it(tokens: Tokens) -> None:
    text = trades_text(listed(planned(0)), ALL, NOW, 0)
    (line,) = (line for line in text.splitlines() if "LONG" in line)
    assert line == (
        "2026-11-23 15:30  LONG 1 ES 12-26  6400 -> 6402.25  +108.20 USD  +0.22 R  held 60 s  "
        'MAE -237.50 MFE +225.00 (stream quotes)  setup "opening range"  stop 6390.25  ticket 0123456789abcdef'
    )
    assert tokens(line) <= 95


def test_a_month_is_bounded_and_says_how_to_go_on(tokens: Tokens) -> None:
    text = trades_text(listed(*(planned(n) for n in range(400))), ALL, NOW, 0)
    assert text.count("LONG") == MOST_TRADES
    assert f"360 more are left out here: call again with skip={MOST_TRADES}" in text
    assert tokens(text) <= 4_000
    assert "(360 more" not in trades_text(listed(*(planned(n) for n in range(400))), ALL, NOW, 380)


def test_without_commissions_it_is_said_to_be_before_costs() -> None:
    bare = planned(0)
    fills = [replace(fill, commission=None) for fill in (*bare.entries, *bare.exits)]
    text = trades_text(listed(replace(bare, entries=(fills[0],), exits=(fills[1],))), ALL, NOW, 0)
    assert "+112.50 USD before costs, of 1 of 1 trades; commission is known of 0 of 1" in text
    assert "+112.50 USD before costs  +0.22 R" in text


def test_a_trade_that_is_unsure_says_why() -> None:
    assert "UNSURE: nobody listened" in trades_text(listed(replace(planned(0), notes=(GAP.words,))), ALL, NOW, 0)


def test_figures_have_their_samples_and_small_ones_are_called_small(tokens: Tokens) -> None:
    few = performance_of([planned(n) for n in range(3)], "USD")
    groups = tuple(Group(f"setup {n}", few) for n in range(50))
    text = performance_text(PerformanceReport(SIM101, None, None, (few,), groups=groups, began=NOW), ALL, NOW)
    assert "SMALL SAMPLE: 3 of 30 trades" in text
    for figure in ("win rate 100 % (n=3", "average win +108.20 (n=3)", "average loss none (n=0)", "+0.22 R (n=3"):
        assert figure in text, figure
    assert "profit factor none: nothing was lost (n=3)" in text
    assert tokens(text) <= 2_000


def test_money_of_two_currencies_is_told_apart() -> None:
    totals = (performance_of([planned(0)], "EUR"), performance_of([planned(1)], "USD"))
    text = performance_text(PerformanceReport(SIM101, None, None, totals, began=NOW), ALL, NOW)
    assert text.count("1 trade: ") == 2
    assert "EUR net" in text
    assert "USD net" in text
