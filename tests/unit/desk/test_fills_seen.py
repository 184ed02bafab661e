"""What has filled and positions do not hold yet, by what was read of both."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.desk.fills_seen import FillsSeen
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderState
from ct_mcp.guard.context import PendingOrder
from tests import factories

MES, MNQ = Instrument("MES", 2026, 12), Instrument("MNQ", 2026, 12)


class Reads:
    """Readings of one account, each some seconds after the one before."""

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, 15, tzinfo=UTC)
        self.fills = FillsSeen(lambda: self.now)

    def __call__(self, net: int, seconds: float = 1, *, counted: int = 0, **filled: int) -> int:
        """Read so many held, and orders with so much filled, signed; give what is missing."""
        self.now += timedelta(seconds=seconds)
        orders = tuple(
            factories.order(
                order_id=name,
                instrument=MES,
                action=OrderAction.BUY if signed > 0 else OrderAction.SELL,
                state=OrderState.FILLED,
                quantity=9,
                filled=abs(signed),
            )
            for name, signed in filled.items()
        )
        already = (PendingOrder(MES, counted, is_filled=True),) if counted else ()
        found = self.fills.not_shown("Sim101", orders, factories.positions(net, MES), already)
        assert all(each.is_filled and each.instrument == MES for each in found)
        return sum(each.signed_quantity for each in found)


@pytest.fixture
def reads() -> Reads:
    """An account of which nothing was read so far."""
    return Reads()


def test_what_is_missing_is_what_has_filled_and_did_not_move_the_position(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(0, a=3) == 3
    assert reads(2, a=3) == 1
    assert reads(2, a=4) == 2
    assert reads(4, a=4) == 0
    assert reads(4, a=4, b=-5) == -5
    assert reads(-1, a=4, b=-5) == 0


def test_what_was_bought_and_sold_alike_is_not_taken_for_shown_by_a_position_that_has_not_moved(reads: Reads) -> None:
    assert reads(2) == 0
    assert reads(2, a=2) == 2
    assert reads(2, a=2, b=-2) == 0, "either both are missing or none"
    assert reads(3, a=2, b=-3) == -2, "it shows one that was bought by now, so all of the rest is missing"
    assert reads(1, a=2, b=-3) == 0
    assert reads(1, a=2, b=-4) == -1


def test_what_was_bought_and_sold_alike_and_is_shown_keeps_nothing_back(reads: Reads) -> None:
    assert reads(2) == 0
    assert reads(2, a=1, b=-1) == 0
    assert reads(2, a=1, b=-2) == -1
    assert reads(1, a=1, b=-2) == 0


def test_the_first_reading_is_believed(reads: Reads) -> None:
    assert reads(0, a=3) == 0
    assert reads(3, a=3) == 0


def test_a_fill_between_orders_and_positions_is_in_the_position_before_it_is_in_an_order(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(3) == 0
    assert reads(3, a=3) == 0
    assert reads(3, a=3, b=1) == 1


def test_what_no_order_explains_is_no_fill_that_is_missing(reads: Reads) -> None:
    assert reads(2) == 0
    assert reads(-4) == 0
    assert reads(-4, a=1) == 1


def test_what_an_order_was_seen_to_fill_it_has_filled_though_a_list_comes_back_empty(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(0, a=3) == 3
    assert reads(0) == 3
    assert reads(0, a=1) == 3


def test_a_minute_after_the_last_that_moved_what_is_not_shown_never_will_be(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(0, a=1) == 1
    assert reads(0, 50, a=2) == 2
    assert reads(0, 59, a=2) == 2
    assert reads(0, 2, a=2) == 0
    assert reads(0, a=3) == 1


def test_a_clock_that_was_set_back_begins_the_minute_anew(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(0, a=1) == 1
    assert reads(0, -3600, a=1) == 1
    assert reads(0, 61, a=1) == 0


def test_what_is_counted_already_is_not_counted_twice(reads: Reads) -> None:
    assert reads(0) == 0
    assert reads(0, a=3, counted=3) == 0
    assert reads(0, a=3, counted=1) == 2
    assert reads(0, a=3, counted=5) == 0
    assert reads(0, a=3, counted=-1) == 3


def test_after_a_thousand_orders_those_that_are_not_listed_any_more_are_forgotten(reads: Reads) -> None:
    reads(0, **{f"x{number}": 1 for number in range(1001)})
    assert reads(1, a=1) == 0
    assert reads(1, a=1, x0=1) == 1, "one that comes back counts as new, for a minute"


def test_rows_that_contradict_each_other_say_nothing(reads: Reads) -> None:
    fills = reads.fills
    assert reads(0) == 0
    order = factories.order(order_id="a", instrument=MES, state=OrderState.FILLED, quantity=1, filled=1)
    twice = (*factories.positions(1, MES), *factories.positions(1, MES))
    assert fills.not_shown("Sim101", (order,), twice, ()) == ()
    assert fills.not_shown("Sim101", None, (), ()) == fills.not_shown("Sim101", (order,), None, ()) == ()


def test_each_account_and_each_instrument_stands_for_itself(reads: Reads) -> None:
    assert reads(0) == 0
    of_nq = factories.order(order_id="q", instrument=MNQ, state=OrderState.FILLED, quantity=1, filled=1)
    assert reads.fills.not_shown("Sim102", (), (), ()) == ()
    assert reads.fills.not_shown("SIM101", (of_nq,), (), ()) == (PendingOrder(MNQ, 1, is_filled=True),)
    assert reads.fills.not_shown("Sim103", (of_nq,), (), ()) == (), "the first reading of it"
