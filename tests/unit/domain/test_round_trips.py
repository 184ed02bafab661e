"""Executions become round trips, first in first out, in each dated contract."""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Direction
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.round_trips import Matched, round_trips
from ct_mcp.domain.trades import Listening, RecordedExecution, Source
from tests.factories import ES, MES, NOW, SIM101

BUY, SELL = OrderAction.BUY, OrderAction.SELL


def filled(minute: int, action: OrderAction, quantity: int, price: str, **changes: Any) -> RecordedExecution:
    """Build an execution of ES, so many minutes after `NOW`, of an order of its own."""
    usual: dict[str, Any] = {
        "account": SIM101,
        "execution_id": f"e{minute}",
        "instrument": ES,
        "at": NOW + timedelta(minutes=minute),
        "source": Source.HEARD,
        "order_id": f"o{minute}",
        "point_value": Decimal(50),
        "currency": "USD",
    }
    return RecordedExecution(action=action, quantity=quantity, price=Decimal(price), **(usual | changes))


def test_an_entry_and_its_exit_are_one_trip() -> None:
    (trip,) = round_trips([filled(0, BUY, 2, "6400"), filled(1, SELL, 2, "6410")]).trips
    assert (trip.side, trip.quantity, trip.gross) == (Direction.LONG, 2, Decimal(1000))
    assert (trip.commission, trip.net, trip.result) == (None, None, Decimal(1000))
    assert (trip.average_entry, trip.average_exit) == (Decimal(6400), Decimal(6410))


def test_an_entry_left_in_two_parts_is_one_trip_with_two_exits() -> None:
    took = [filled(0, SELL, 3, "6400"), filled(1, BUY, 1, "6390"), filled(2, BUY, 2, "6405")]
    (trip,) = round_trips(took).trips
    assert (trip.side, [fill.quantity for fill in trip.exits], trip.gross) == (Direction.SHORT, [1, 2], Decimal(0))


def test_an_order_filled_in_parts_is_one_entry() -> None:
    took = [filled(0, BUY, 1, "6400"), filled(1, BUY, 1, "6401", order_id="o0"), filled(2, SELL, 2, "6402")]
    (trip,) = round_trips(took).trips
    assert (trip.quantity, trip.average_entry, trip.gross) == (2, Decimal("6400.5"), Decimal(150))


def test_of_two_entries_the_first_is_closed_first() -> None:
    took = [
        filled(0, BUY, 1, "6400"),
        filled(1, BUY, 1, "6404"),
        filled(2, SELL, 1, "6402"),
        filled(3, SELL, 1, "6410"),
    ]
    assert [trip.gross for trip in round_trips(took).trips] == [100, 300]


def test_crossing_zero_makes_two_trips() -> None:
    took = [filled(0, BUY, 1, "6400"), filled(1, SELL, 3, "6410"), filled(2, BUY, 2, "6405")]
    trips = round_trips(took).trips
    assert [(trip.side, trip.quantity, trip.gross) for trip in trips] == [
        (Direction.LONG, 1, Decimal(500)),
        (Direction.SHORT, 2, Decimal(500)),
    ]


def test_what_is_still_open_is_no_trade() -> None:
    took = round_trips([filled(0, BUY, 3, "6400"), filled(1, SELL, 1, "6410")])
    assert not took.trips
    assert [(lot.left, lot.closed) for lot in took.open] == [(2, 1)]


def test_contracts_of_two_months_are_two_books() -> None:
    took = [filled(0, BUY, 1, "6400"), filled(1, SELL, 1, "6410", instrument=MES)]
    assert not round_trips(took).trips


def test_what_was_held_before_the_record_is_named_and_never_guessed() -> None:
    held = Listening(NOW - timedelta(minutes=5), NOW, ((str(ES), 2),))
    took = [filled(0, SELL, 2, "6400"), filled(1, BUY, 1, "6390"), filled(2, SELL, 1, "6395")]
    matched = round_trips(took, [held])
    assert [(trip.side, trip.gross) for trip in matched.trips] == [(Direction.LONG, Decimal(250))]
    assert "+2 held" in matched.unmatched[0].words
    assert "closed what was opened before the record" in matched.unmatched[1].words


def test_an_account_that_was_read_otherwise_gives_up_what_the_record_makes() -> None:
    flat = Listening(NOW + timedelta(minutes=60), NOW + timedelta(minutes=61), ())
    matched = round_trips([filled(0, BUY, 2, "6400")], [flat])
    assert not matched.open, "its exit was made where nobody listened"
    assert "+0 held" in matched.unmatched[0].words
    assert matched.held == ()


def test_what_ninjatrader_says_was_held_before_is_believed_over_the_record() -> None:
    took = [filled(0, BUY, 1, "6400", position_after=1), filled(5, SELL, 3, "6410", position_after=0)]
    matched = round_trips(took)
    assert not matched.trips
    assert "+3 held" in matched.unmatched[0].words


def test_of_one_second_what_follows_from_the_position_comes_first() -> None:
    exit_first = filled(0, SELL, 1, "6410", execution_id="a", position_after=0)
    entry = filled(0, BUY, 1, "6400", execution_id="b", position_after=1)
    (trip,) = round_trips([exit_first, entry]).trips
    assert (trip.side, trip.gross) == (Direction.LONG, Decimal(500))


def test_the_commission_of_a_reversal_is_shared_and_none_of_it_is_lost() -> None:
    took = [
        filled(0, BUY, 1, "6400", commission=Decimal("2.15")),
        filled(1, SELL, 3, "6410", commission=Decimal("6.45")),
        filled(2, BUY, 2, "6405", commission=Decimal("4.3")),
    ]
    trips = round_trips(took).trips
    assert [trip.commission for trip in trips] == [Decimal("4.3"), Decimal("8.6")]
    assert [trip.net for trip in trips] == [Decimal("495.7"), Decimal("491.4")]


def test_one_unknown_commission_leaves_the_net_unknown() -> None:
    (trip,) = round_trips([filled(0, BUY, 1, "6400", commission=Decimal(2)), filled(1, SELL, 1, "6401")]).trips
    assert (trip.commission, trip.net, trip.result) == (None, None, Decimal(50))


def test_what_a_point_is_worth_not_being_known_leaves_the_money_unknown() -> None:
    (trip,) = round_trips(
        [filled(0, BUY, 1, "6400", point_value=None), filled(1, SELL, 1, "6401", point_value=None)]
    ).trips
    assert (trip.points, trip.gross, trip.result) == (Decimal(1), None, None)


def test_a_roll_is_two_trips_in_two_contracts() -> None:
    took = [
        filled(0, BUY, 1, "6400", instrument=MES),
        filled(1, SELL, 1, "6410", instrument=MES),
        filled(1, BUY, 1, "6460", execution_id="new"),
        filled(2, SELL, 1, "6450"),
    ]
    assert [trip.instrument for trip in round_trips(took).trips] == [MES, ES]


@st.composite
def executions(draw: st.DrawFn) -> list[RecordedExecution]:
    """Some orders, each of a few fills, in two contracts."""
    sizes = draw(
        st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.integers(0, 400), st.integers(0, 3)), max_size=25)
    )
    return [
        filled(
            minute,
            BUY if is_buy else SELL,
            size,
            str(Decimal(6400) + Decimal(ticks) / 4),
            instrument=ES if same % 2 else MES,
            order_id=f"o{minute - 1}" if same > 1 and minute else f"o{minute}",
            commission=Decimal("0.37") * size,
        )
        for minute, (size, is_buy, ticks, same) in enumerate(sizes)
    ]


def cash_of(took: Sequence[RecordedExecution]) -> Decimal:
    """What was received less what was paid."""
    return sum((-it.signed * it.price * 50 for it in took), Decimal(0))


def made_by(matched: Matched) -> Decimal:
    """What the trips made, and what the open lots have been paid and have received."""
    of_trips = sum((trip.gross or Decimal(0) for trip in matched.trips), Decimal(0))
    of_lots = (
        sum((fill.price * fill.quantity for fill in fills), Decimal(0))
        * sign
        * (1 if lot.side is Direction.LONG else -1)
        for lot in matched.open
        for fills, sign in ((lot.exits, 1), (lot.entries, -1))
    )
    return of_trips + sum(of_lots, Decimal(0)) * 50


@given(executions())
def test_no_money_is_made_or_lost_by_matching(took: list[RecordedExecution]) -> None:
    matched = round_trips(took)
    assert made_by(matched) == cash_of(took)
    costs = [fill.commission or Decimal(0) for trip in matched.trips for fill in (*trip.entries, *trip.exits)]
    costs += [fill.commission or Decimal(0) for lot in matched.open for fill in (*lot.entries, *lot.exits)]
    assert sum(costs, Decimal(0)) == sum((it.commission or Decimal(0) for it in took), Decimal(0))


@given(executions())
def test_what_is_left_open_is_what_is_held(took: list[RecordedExecution]) -> None:
    matched = round_trips(took)
    for instrument in (ES, MES):
        left = sum(
            lot.left if lot.side is Direction.LONG else -lot.left
            for lot in matched.open
            if lot.instrument == instrument
        )
        assert left == sum(it.signed for it in took if it.instrument == instrument)
        assert dict(matched.held).get(str(instrument), 0) == left


@given(executions(), st.randoms(use_true_random=False))
def test_the_order_in_which_they_arrive_does_not_matter(took: list[RecordedExecution], random: Random) -> None:
    shuffled = list(took)
    random.shuffle(shuffled)
    assert round_trips(shuffled) == round_trips(took)


@given(executions())
def test_each_contract_is_closed_by_the_exit_that_first_in_first_out_gives_it(took: list[RecordedExecution]) -> None:
    """One contract at a time, with nothing but two queues."""
    for instrument in (ES, MES):
        queue, gains = deque[tuple[int, Decimal]](), Decimal(0)
        for it in (each for each in took if each.instrument == instrument):
            for _ in range(it.quantity):
                if queue and queue[0][0] != it.action.sign:
                    sign, paid = queue.popleft()
                    gains += (it.price - paid) * sign * 50
                else:
                    queue.append((it.action.sign, it.price))
        matched = round_trips([each for each in took if each.instrument == instrument])
        closed = sum((trip.gross or Decimal(0) for trip in matched.trips), Decimal(0))
        for lot in matched.open:  # of a lot that is closed in part, the first contracts that it took
            sign = 1 if lot.side is Direction.LONG else -1
            into = [fill.price for fill in lot.entries for _ in range(fill.quantity)]
            out = [fill.price for fill in lot.exits for _ in range(fill.quantity)]
            closed += sum(((got - given) * sign * 50 for given, got in zip(into, out, strict=False)), Decimal(0))
        assert closed == gains
