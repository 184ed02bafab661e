"""Positions, cash, P&L, margins and high-water marks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import LIVE, SIM, SimPosition, margin_used, open_account
from ct_mcp.simulator.products import SimContract

ES = SimContract("ES", 2026, 9)
FILLS = st.lists(st.tuples(st.integers(-20, 20).filter(bool), st.integers(24_000, 24_400)), min_size=1, max_size=40)


@given(FILLS, st.integers(24_000, 24_400))
def test_cash_and_open_profit_are_what_the_fills_have_cost(fills: list[tuple[int, int]], last: int) -> None:
    account = open_account(SIM)
    for quantity, ticks in fills:
        account.book(ES, quantity, ticks)
    traded = sum(abs(quantity) for quantity, _ in fills)
    costs = traded * (ES.product.commission + ES.product.fee)
    paper = sum(quantity * (last - ticks) for quantity, ticks in fills) * ES.product.tick_value
    worth = account.cash + account.positions[ES].open_profit(last)
    assert worth == pytest.approx(SIM.cash + paper - costs, abs=1e-4)
    assert account.cash == pytest.approx(SIM.cash + account.realized, abs=1e-4)
    assert account.gross_realized == pytest.approx(account.realized + costs, abs=1e-4)


@given(FILLS)
def test_the_net_position_is_the_sum_of_the_fills(fills: list[tuple[int, int]]) -> None:
    position = SimPosition(ES)
    for quantity, ticks in fills:
        position.apply(quantity, ticks)
    assert position.quantity == sum(quantity for quantity, _ in fills)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(24_000, 24_400)), min_size=1, max_size=20))
def test_the_average_price_of_buys_is_exact(fills: list[tuple[int, int]]) -> None:
    position = SimPosition(ES)
    assert sum(position.apply(quantity, ticks) for quantity, ticks in fills) == 0.0
    assert position.average_ticks == Fraction(sum(q * t for q, t in fills), sum(q for q, _ in fills))


def test_reducing_leaves_the_average_price_and_turning_sets_it_anew() -> None:
    position = SimPosition(ES)
    position.apply(3, 24_000)
    assert position.apply(-2, 24_010) == 2 * 10 * 12.5
    assert position.average_price == 6000.0
    assert position.apply(-3, 24_020) == 20 * 12.5
    assert (position.quantity, position.average_price) == (-2, 6005.0)


def test_an_average_price_has_six_decimals() -> None:
    position = SimPosition(ES)
    position.apply(1, 24_000)
    position.apply(2, 24_001)
    assert position.average_price == 6000.166667


def test_margins_follow_the_size_of_what_is_held() -> None:
    account = open_account(LIVE)
    assert margin_used(account).initial == 0.0
    account.book(ES, -2, 24_000)
    assert (margin_used(account).initial, margin_used(account).intraday) == (46_200.0, 1_000.0)


def test_watermarks_only_rise() -> None:
    account = open_account(SIM)
    account.mark(250.0)
    account.mark(-100.0)
    assert (account.watermarks.profit, account.watermarks.open_profit) == (250.0, 250.0)
    assert account.watermarks.liquidation == SIM.cash + 250.0


def test_the_figures_of_the_day_begin_again_with_the_session() -> None:
    account = open_account(SIM)
    account.book(ES, 1, 24_000)
    account.book(ES, -1, 24_010)
    account.mark(0.0)
    gained = account.realized
    account.begin_session(0.0, new_week=False)
    assert (account.realized, account.commission, account.watermarks.profit) == (0.0, 0.0, 0.0)
    assert account.opening_cash == account.cash == pytest.approx(SIM.cash + gained)
    assert account.earlier_this_week == gained
    assert not account.has_reported
    account.begin_session(0.0, new_week=True)
    assert account.earlier_this_week == 0.0


def test_the_opening_balance_carries_binary_noise() -> None:
    assert repr(open_account(SIM).cash) == "100565.00000000285"
