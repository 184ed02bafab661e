"""What the keeper of exits knows between two tries."""

from datetime import timedelta

import pytest

from ct_mcp.desk.exit_state import ExitPart, ExitState
from ct_mcp.desk.exit_tries import Rests, Try, bare_of, said_of
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.domain.duty import Duty, DutyPart
from ct_mcp.domain.order import OrderState, OrderType
from tests.factories import NOW, order, place_order, position, stop_order

KEY = ("ticket", 0)
DUTY = Duty("ticket", 0, "ctmcp-ticket", place_order(quantity=4), NOW)
FILLED = order("9", quantity=4, filled=4, order_type=OrderType.MARKET, state=OrderState.FILLED)


def part(contracts: int, state: ExitState) -> ExitPart:
    return ExitPart(DutyPart(f"part-{contracts}", contracts, NOW), state)


@pytest.mark.parametrize(
    ("held", "stops", "parts", "bare"),
    [
        (4, (), (), 4),
        (4, (1,), (part(1, ExitState.STANDS),), 3),
        (4, (), (part(1, ExitState.STANDS),), 3),  # its stop has filled, and the position reads as before
        (8, (4,), (part(4, ExitState.STANDS),), 0),  # the others are somebody else's
        (4, (), (part(4, ExitState.REFUSED),), 4),
        (4, (), (part(4, ExitState.IN_DOUBT),), 4),
        (2, (), (), 2),
        (0, (), (), 0),
        (-4, (), (), 0),
    ],
)
def test_bare_is_what_has_neither_exits_of_its_own_nor_a_stop_behind_it(
    held: int, stops: tuple[int, ...], parts: tuple[ExitPart, ...], bare: int
) -> None:
    rows = tuple(stop_order(f"s{size}", quantity=size) for size in stops)
    book = AccountState((position(held),) if held else (), rows)
    assert bare_of(book, Try(DUTY, FILLED, NOW, parts)) == bare


def test_what_was_closed_is_owed_nothing_and_what_fills_later_is_placed() -> None:
    """Two were closed since their stop was refused; two more have filled."""
    it = Try(DUTY, FILLED, NOW, parts=(), closed=2)
    assert (it.unplaced, it.uncovered) == (2, 2)
    it.parts = (part(2, ExitState.IN_DOUBT),)
    assert (it.unplaced, it.uncovered) == (0, 2)
    it.parts = (part(2, ExitState.STANDS),)
    assert (it.unplaced, it.uncovered) == (0, 0)


def test_what_fails_again_rests_twice_as_long_and_what_works_no_more() -> None:
    rests, now, waited = Rests(), NOW, list[int]()
    assert not rests.has(KEY, now)
    for _ in range(7):
        rests.begin(KEY, now)
        seconds = 0
        while rests.has(KEY, now):
            now, seconds = now + timedelta(seconds=1), seconds + 1
        waited.append(seconds)
    assert waited == [2, 4, 8, 16, 32, 60, 60]
    assert rests.has_failed(KEY)
    rests.end(KEY)
    assert not rests.has_failed(KEY)


@pytest.mark.parametrize(
    ("code", "longest"), [("EXIT_ON_ITS_WAY", 15), ("RATE_LIMITED", 60), ("STOP_ON_WRONG_SIDE", 60)]
)
def test_behind_an_exit_on_its_way_a_close_rests_a_quarter_of_a_minute_at_most(code: str, longest: int) -> None:
    """What became of that one is known within a minute, and by then this one should go; no pace mends itself so."""
    rests = Rests()
    denied = Outcome(Status.DENIED, "", simulated=True, codes=frozenset({code}))
    for _ in range(9):
        rests.begin(KEY, NOW)
        rests.shorten(KEY, denied)
    assert rests.has(KEY, NOW + timedelta(seconds=longest - 1))
    assert not rests.has(KEY, NOW + timedelta(seconds=longest))


def test_a_clock_that_is_set_back_does_not_let_it_rest_for_long() -> None:
    rests = Rests()
    rests.begin(KEY, NOW)
    assert not rests.has(KEY, NOW - timedelta(hours=1))


def test_an_exit_that_could_have_opened_says_so_and_not_what_was_shown() -> None:
    shown = "CHANGED_SINCE_ASKED: shown as an exit, position +1 to flat; now an exit, position +5 to +1"
    denied = Outcome(Status.DENIED, "", simulated=True, reasons=(shown,), codes=frozenset({"CHANGED_SINCE_ASKED"}))
    assert said_of(denied) == "not sent, since on what was read it could open a position"
    assert said_of(Outcome(Status.REJECTED, "", simulated=True, reasons=("no",))) == "rejected; no"
