"""The figures of round trips, by hand, and against slow and plain ways to reckon them."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Direction
from ct_mcp.domain.performance import (
    SMALL_SAMPLE,
    GroupBy,
    by_currency,
    day_results,
    groups_of,
    max_drawdown,
    performance_of,
    streaks,
)
from ct_mcp.domain.trades import Excursion, ExcursionSource, Fill, Plan, RoundTrip
from tests.factories import ES, MES, NOW, SIM101

MONEY = st.decimals(-5000, 5000, places=2)


def trip(points: str = "1", minute: int = 0, **changes: Any) -> RoundTrip:
    """Build a long trip of one ES, closed so many minutes after `NOW`, that made so many points."""
    at, paid = NOW + timedelta(minutes=minute), Decimal(6400)
    entry = Fill(f"in{minute}", at - timedelta(minutes=1), 1, paid, commission=Decimal("2.15"))
    leave = Fill(f"out{minute}", at, 1, paid + Decimal(points), commission=Decimal("2.15"))
    usual: dict[str, Any] = {"account": SIM101, "instrument": ES, "side": Direction.LONG, "quantity": 1}
    usual |= {"entries": (entry,), "exits": (leave,), "point_value": Decimal(50), "currency": "USD"}
    return RoundTrip(**(usual | changes))


def risked(money: int, tag: str | None = None) -> Plan:
    """Build the plan of a ticket that risked so much."""
    return Plan("t", tag=tag, stop=Decimal(6390), risk=Decimal(money))


def test_five_trades_by_hand() -> None:
    trips = [trip("2.086"), trip("-0.914", 1), trip("-1.914", 2), trip("4.086", 3), trip("1.086", 4)]
    it = performance_of(trips, "USD")
    assert (it.net.value, it.gross.value, it.commission.value) == (Decimal(200), Decimal("221.5"), Decimal("21.5"))
    assert (it.trades, it.wins, it.losses) == (5, 3, 2)
    assert (it.win_rate.value, it.win_rate.sample) == (Decimal("0.6"), 5)
    assert (it.average_win.value, it.average_win.sample) == (Decimal("116.6666666666666666666666667"), 3)
    assert (it.average_loss.value, it.average_loss.sample) == (Decimal(-75), 2)
    assert it.profit_factor.value == Decimal(350) / 150
    assert (it.expectancy.value, it.expectancy.sample) == (Decimal(40), 5)
    assert it.max_drawdown.value == -150
    assert (it.longest_won, it.longest_lost, it.streak) == (2, 2, 2)
    assert it.is_small


def test_r_is_of_those_alone_that_had_a_stop() -> None:
    trips = [trip("2.086", plan=risked(100)), trip("-1.914", 1, plan=risked(100)), trip("9", 2)]
    it = performance_of(trips, "USD")
    assert (it.expectancy_r.value, it.expectancy_r.sample) == (Decimal(0), 2)
    assert it.expectancy.sample == 3


def test_excursions_are_money_on_the_side_of_the_trip() -> None:
    moved = Excursion(Decimal(6395), Decimal(6404), ExcursionSource.QUOTES)
    it = trip(excursion=moved)
    assert (it.mae, it.mfe) == (Decimal(-250), Decimal(200))
    short = trip(side=Direction.SHORT, excursion=Excursion(Decimal(6404), Decimal(6395), ExcursionSource.BARS))
    assert (short.mae, short.mfe) == (Decimal(-200), Decimal(250))
    told = performance_of([it, trip(minute=1)], "USD")
    assert (told.average_mae.value, told.average_mae.sample) == (Decimal(-250), 1)


def test_without_a_loss_there_is_no_profit_factor_and_without_trades_there_is_nothing() -> None:
    assert performance_of([trip()], "USD").profit_factor.value is None
    it = performance_of([], "USD")
    assert [it.win_rate.value, it.expectancy.value, it.max_drawdown.value, it.average_win.value] == [None] * 4
    assert it.trades == it.win_rate.sample == 0


def test_what_made_nothing_is_neither_won_nor_lost_and_counts() -> None:
    it = performance_of([trip("0.086"), trip("1", 1)], "USD")
    assert (it.wins, it.losses, it.win_rate.value, it.win_rate.sample) == (1, 0, Decimal("0.5"), 2)


def test_where_what_a_point_is_worth_is_not_known_a_trade_is_in_no_figure_of_money() -> None:
    it = performance_of([trip(), trip(minute=1, point_value=None)], "USD")
    assert (it.trades, it.net.sample, it.expectancy.sample) == (2, 1, 1)


def test_money_of_two_currencies_is_never_added_up() -> None:
    parted = by_currency([trip(currency="EUR"), trip(minute=1), trip(minute=2, currency=None)])
    assert list(parted) == ["EUR", "USD", None]


def test_fewer_than_thirty_are_a_small_sample() -> None:
    many = [trip(minute=minute) for minute in range(SMALL_SAMPLE)]
    assert [performance_of(many[:-1], "USD").is_small, performance_of(many, "USD").is_small] == [True, False]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (GroupBy.SETUP, ["no setup named", "opening range"]),
        (GroupBy.HOUR, ["09:00 Chicago", "17:00 Chicago"]),
        (GroupBy.WEEKDAY, ["Monday", "Tuesday"]),
        (GroupBy.INSTRUMENT, ["ES", "MES"]),
        (GroupBy.SIDE, ["long", "short"]),
    ],
)
def test_figures_are_split_up(by: GroupBy, names: list[str]) -> None:
    evening = trip(minute=60 * 8, plan=risked(100, "opening range"), instrument=MES, side=Direction.SHORT)
    groups = groups_of([trip(), evening], by)
    assert [group.name for group in groups] == names
    assert [group.performance.trades for group in groups] == [1, 1]


def test_a_trade_belongs_to_the_trading_day_in_which_it_was_closed() -> None:
    evening = trip(minute=60 * 8)  # 17:30 in Chicago
    days = day_results(SIM101, [trip("2.086"), trip("-1", 1), evening])
    assert [(str(day.day), day.trades, day.wins, day.losses) for day in days] == [
        ("2026-11-23", 2, 1, 1),
        ("2026-11-24", 1, 1, 0),
    ]
    assert days[0].net == Decimal("45.7")


@given(st.lists(MONEY, max_size=60))
def test_the_drawdown_is_the_deepest_fall_between_any_two_moments(results: list[Decimal]) -> None:
    sums = [sum(results[:n], Decimal(0)) for n in range(len(results) + 1)]
    falls = [after - before for n, before in enumerate(sums) for after in sums[n:]]
    assert max_drawdown(results) == min(falls)


@given(st.lists(st.sampled_from([Decimal(1), Decimal(0), Decimal(-1)]), max_size=40))
def test_streaks_are_the_longest_runs_of_one_sign(results: list[Decimal]) -> None:
    signs = [int(result) for result in results]
    runs = [(sign, len(list(run))) for sign, run in groupby(signs)]
    assert streaks(results) == (
        max((length for sign, length in runs if sign > 0), default=0),
        max((length for sign, length in runs if sign < 0), default=0),
        runs[-1][0] * runs[-1][1] if runs else 0,
    )


@given(st.lists(MONEY, min_size=1, max_size=40))
def test_the_expectancy_is_what_the_rates_and_averages_make(points: Sequence[Decimal]) -> None:
    trips = [trip(str(each), minute) for minute, each in enumerate(points)]
    it = performance_of(trips, "USD")
    won = (it.average_win.value or Decimal(0)) * it.wins
    lost = (it.average_loss.value or Decimal(0)) * it.losses
    made = (it.expectancy.value or Decimal(0)) * it.trades
    assert abs(made - won - lost) < Decimal("0.0001")
    assert sum(group.performance.trades for group in groups_of(trips, GroupBy.HOUR)) == it.trades
