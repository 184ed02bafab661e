"""How fills are shared out among the exits of an entry, and at what prices these stand."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.bracket import (
    Bracket,
    ExitLevel,
    Share,
    Target,
    exit_price,
    shares,
    stop_distance,
    target_distances,
)
from ct_mcp.domain.level import Distance, ExitKind, Unit
from ct_mcp.domain.order import OrderAction
from tests.factories import contract

STOP = Distance(Decimal(10), Unit.POINT)
QUARTER = Decimal("0.25")


def bracket(*sizes: int | None, stop: ExitLevel | None = STOP) -> Bracket:
    """One with a target for each size, each farther away than the one before."""
    levels = (Distance(Decimal(10 * number), Unit.POINT) for number in range(1, len(sizes) + 1))
    return Bracket(stop, tuple(Target(level, size) for level, size in zip(levels, sizes, strict=True)))


def contracts_of(given: tuple[Share, ...]) -> list[tuple[int, Target | None]]:
    return [(share.contracts, share.target) for share in given]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Bracket(None), "a stop loss, a target, or both"),
        (lambda: bracket(1, None), "each says how many contracts"),
    ],
)
def test_one_that_says_too_little_is_refused(made: object, words: str) -> None:
    assert callable(made)
    with pytest.raises(ValueError, match=words):
        made()


@pytest.mark.parametrize(
    ("made", "fits"),
    [
        (bracket(), {1, 2, 3, 5}),
        (bracket(None), {1, 2, 3, 5}),
        (bracket(2), {2}),
        (bracket(1, 2), {3}),
        (bracket(0, 3), {3}),
    ],
)
def test_targets_are_for_the_contracts_of_their_order(made: Bracket, fits: set[int]) -> None:
    assert {quantity for quantity in (1, 2, 3, 5) if made.fits(quantity)} == fits


@given(st.lists(st.integers(1, 4), max_size=4), st.integers(1, 12))
def test_for_another_number_of_contracts_the_targets_fit_again_and_keep_their_order(
    sizes: list[int], quantity: int
) -> None:
    made = bracket(*sizes)
    other = made.of(quantity)
    assert other.fits(quantity)
    assert [target.level for target in other.take_profit] == [target.level for target in made.take_profit]
    assert all((target.quantity or 0) >= 0 for target in other.take_profit)
    assert (other.stop_loss, other.closes_if_unprotected, other.deadline_seconds) == (
        made.stop_loss,
        made.closes_if_unprotected,
        made.deadline_seconds,
    )


def test_fewer_contracts_take_from_the_last_target() -> None:
    assert [target.quantity for target in bracket(1, 2, 3).of(2).take_profit] == [1, 1, 0]
    assert [target.quantity for target in bracket(1, 2, 3).of(8).take_profit] == [1, 2, 5]


@given(st.lists(st.integers(1, 4), max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=8).filter(any))
def test_whatever_fills_in_whatever_parts_gets_exits_once_the_first_target_first(
    sizes: list[int], fills: list[int]
) -> None:
    made, total = bracket(*sizes), sum(fills)
    made = made.of(total)
    filled, given = 0, list[Share]()
    for fill in fills:
        given += shares(made, filled, filled + fill)
        filled += fill
    assert sum(share.contracts for share in given) == total
    assert all(share.contracts > 0 for share in given)
    for target in made.take_profit:
        meant = sum(share.contracts for share in given if share.target == target)
        assert meant == (target.quantity if target.quantity is not None else total)
    order = [made.take_profit.index(share.target) for share in given if share.target is not None]
    assert all(one <= other for one, other in pairwise(order))
    at_once = shares(made, 0, total)
    for wanted in (*made.take_profit, None):
        assert sum(share.contracts for share in at_once if share.target == wanted) == sum(
            share.contracts for share in given if share.target == wanted
        )


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(0, 16), st.integers(0, 16))
def test_a_target_never_gets_more_than_its_size_of_what_was_ordered(
    sizes: list[int], covered: int, filled: int
) -> None:
    made = bracket(*sizes)
    given = shares(made, covered, min(filled, sum(sizes)))
    assert sum(share.contracts for share in given) == max(0, min(filled, sum(sizes)) - covered)
    for share in given:
        assert share.target is not None
        assert share.contracts <= (share.target.quantity or 0)


@pytest.mark.parametrize(
    ("made", "covered", "filled", "sizes"),
    [
        (bracket(), 0, 3, [3]),
        (bracket(None), 1, 3, [2]),
        (bracket(1, 2), 0, 3, [1, 2]),
        (bracket(1, 2), 0, 2, [1, 1]),
        (bracket(1, 2), 1, 2, [1]),
        (bracket(1, 2), 2, 3, [1]),
        (bracket(1, 2), 3, 3, []),
        (bracket(1, 2), 3, 1, []),
        (bracket(0, 3), 0, 3, [3]),
    ],
)
def test_shares(made: Bracket, covered: int, filled: int, sizes: list[int]) -> None:
    assert [share.contracts for share in shares(made, covered, filled)] == sizes


def test_what_fills_beyond_the_order_is_not_left_without_a_stop() -> None:
    made = bracket(1, 2)
    assert contracts_of(shares(made, 0, 5)) == [
        (1, made.take_profit[0]),
        (2, made.take_profit[1]),
        (2, made.take_profit[1]),
    ]
    assert contracts_of(shares(made, 4, 5)) == [(1, made.take_profit[1])]


DISTANCES = st.one_of(
    st.builds(Distance, st.integers(1, 400).map(Decimal), st.just(Unit.TICK)),
    st.builds(Distance, st.decimals("0.25", "100", places=2), st.just(Unit.POINT)),
)
TICKS = st.sampled_from([Decimal("0.25"), Decimal("0.1"), Decimal("0.0078125"), Decimal("0.000001"), Decimal(1)])
FILLS = st.decimals("-50", "30000", places=4)


@given(DISTANCES, FILLS, TICKS, st.sampled_from(OrderAction), st.sampled_from(ExitKind))
def test_what_is_reckoned_from_the_fill_stands_on_a_tick_and_on_its_side(
    level: Distance, fill: Decimal, tick: Decimal, action: OrderAction, leg: ExitKind
) -> None:
    if level.in_price(tick) < tick:  # a rule denies it
        return
    price = exit_price(level, leg, fill, action, contract(tick_size=tick))
    assert price % tick == 0
    gain = (price - fill) * action.sign
    meant = level.in_price(tick) * (1 if leg is ExitKind.TARGET else -1)
    assert (gain > 0) == (leg is ExitKind.TARGET)
    assert meant <= gain < meant + tick, "a stop loses no more than was said, a target earns no less"


@pytest.mark.parametrize("leg", ExitKind)
@pytest.mark.parametrize("action", OrderAction)
def test_a_price_that_was_given_is_taken_as_it_is(leg: ExitKind, action: OrderAction) -> None:
    price = Decimal("6390.30")
    assert exit_price(price, leg, Decimal(6400), action, contract()) == price


@pytest.mark.parametrize(
    ("level", "action", "distance"),
    [
        (Decimal(6390), OrderAction.BUY, 10),
        (Decimal(6390), OrderAction.SELL, -10),
        (Decimal(6410), OrderAction.SELL, 10),
        (Decimal(6400), OrderAction.BUY, 0),
        (Distance(Decimal(40), Unit.TICK), OrderAction.SELL, 10),
        (STOP, OrderAction.BUY, 10),
    ],
)
def test_a_distance_is_not_above_zero_on_the_wrong_side(level: ExitLevel, action: OrderAction, distance: int) -> None:
    assert stop_distance(Bracket(level), Decimal(6400), action, QUARTER) == distance
    (target, far) = target_distances(Bracket(None, (Target(level),)), Decimal(6400), action, QUARTER)[0]
    assert target.level == level
    assert far == (distance if isinstance(level, Distance) else -distance)


def test_without_a_stop_there_is_no_distance_to_it() -> None:
    assert stop_distance(bracket(None, stop=None), Decimal(6400), OrderAction.BUY, QUARTER) is None
