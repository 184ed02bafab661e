"""The price path: one function of seed, instrument and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.prices import KNOT_SECONDS, range_between, ticks_at, traded_between
from ct_mcp.simulator.products import PRODUCTS

SECONDS = st.integers(1_700_000_000, 1_900_000_000)
UNDERLYINGS = sorted({product.underlying for product in PRODUCTS.values()})


@given(SECONDS)
def test_the_same_question_has_the_same_answer(seconds: int) -> None:
    assert ticks_at(1, "ES", seconds) == ticks_at(1, "ES", seconds)


def test_another_seed_is_another_market() -> None:
    assert ticks_at(1, "ES", 1_788_964_200) != ticks_at(2, "ES", 1_788_964_200)


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@given(seconds=SECONDS)
def test_prices_stay_in_the_neighbourhood_of_where_they_began(underlying: str, seconds: int) -> None:
    product = PRODUCTS[underlying]
    assert 0.3 < ticks_at(1, underlying, seconds) * product.tick_size / product.base_price < 2.5


@given(SECONDS)
def test_prices_do_not_jump(seconds: int) -> None:
    assert abs(ticks_at(1, "ES", seconds + 1) - ticks_at(1, "ES", seconds)) < 12


@given(SECONDS, st.integers(1, 20_000), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_every_price_of_a_window_lies_between_its_low_and_its_high(start: int, length: int, at: list[float]) -> None:
    extent = range_between(3, "CL", start, start + length)
    prices = [ticks_at(3, "CL", start + length * share) for share in at]
    assert extent.low - 1e-9 <= min(prices)
    assert max(prices) <= extent.high + 1e-9
    assert (extent.open, extent.close) == (ticks_at(3, "CL", start), ticks_at(3, "CL", start + length))


@given(SECONDS, st.integers(1, 40))
def test_high_and_low_are_prices_of_the_path(start: int, knots: int) -> None:
    start -= start % KNOT_SECONDS
    prices = [ticks_at(3, "GC", start + KNOT_SECONDS * knot) for knot in range(knots + 1)]
    extent = range_between(3, "GC", start, start + KNOT_SECONDS * knots)
    assert (extent.low, extent.high) == (min(prices), max(prices))


@given(SECONDS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_volume_adds_up(start: int, first: int, second: int) -> None:
    middle, end = start + first, start + first + second
    parts = traded_between(1, "ES", start, middle) + traded_between(1, "ES", middle, end)
    assert parts == pytest.approx(traded_between(1, "ES", start, end), abs=1e-6)
    assert parts >= 0
