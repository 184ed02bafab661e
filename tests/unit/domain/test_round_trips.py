"""Executions become round trips, first in first out, in each dated contract."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from ct_mcp.domain.account import Direction
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.round_trips import round_trips
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
    assert "+2 held" in matched.unmatched[0]
    assert "closed what was opened before the record" in matched.unmatched[1]
