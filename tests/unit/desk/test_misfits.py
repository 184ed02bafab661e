"""What an order leaves too small, too large or left over, with the calls that mend it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.misfits import (
    Misfit,
    calls_of,
    larger_than_held,
    left_over,
    too_large,
    too_small,
    without_what_cannot_come,
)
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.standing import Standing, standings_of
from ct_mcp.domain.account import Position
from ct_mcp.domain.approval import Finding, FindingKind
from ct_mcp.domain.bracket import Bracket, Target
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import Order, OrderAction, OrderType
from ct_mcp.guard.rules.entry import EXITS_NOT_TAKEN_ALONG
from ct_mcp.guard.rules.position import CLOSE_NOT_COVERED, EXITS_MAY_STAY
from tests import factories
from tests.factories import ES, MES

NEXT = Instrument("ES", 2027, 3)
TEN = Distance(Decimal(10), Unit.POINT)


def pair(name: str, contracts: int, sign: int = 1, instrument: Instrument = ES, stop: int = 20) -> tuple[Order, Order]:
    """A stop and a target of one OCO group behind a LONG position, or a SHORT one."""
    action = OrderAction.SELL if sign > 0 else OrderAction.BUY
    both = {"action": action, "quantity": contracts, "oco_id": name, "instrument": instrument}
    at, aim = f"{6400 - sign * stop}", f"{6400 + sign * 30}"
    target = factories.order(f"{name}-target", order_type=OrderType.LIMIT, limit_price=aim, **both)
    return factories.stop_order(f"{name}-stop", stop_price=at, **both), target


def alone(*orders: Order) -> tuple[Order, ...]:
    """The same orders, in no group."""
    return tuple(replace(order, oco_id=None) for order in orders)


def standing(net: int, *orders: Order, instrument: Instrument = ES) -> tuple[Standing, ...]:
    """One position with what is behind it."""
    return standings_of(factories.positions(net, instrument), orders, {})


def shrinks(*sizes: tuple[str, int]) -> tuple[str, ...]:
    """The calls that give orders these sizes."""
    return tuple(f"change_order with account Sim101, order_id {name}, quantity {size}" for name, size in sizes)


@pytest.mark.parametrize("sign", [1, -1])
class TestWhatIsTooLarge:
    """After an order that leaves a part, of a LONG position and of a SHORT one."""

    def test_a_pair_is_brought_down_to_what_is_held(self, sign: int) -> None:
        legs = pair("a", 3, sign)
        found = tuple(too_large(standing(3 * sign, *legs), standing(2 * sign, *legs)))
        assert calls_of(found) == shrinks(("a-stop", 2), ("a-target", 2))
        action = "SELL" if sign > 0 else "BUY"
        assert [each.line.split(" MES")[0].split(" ES")[0] for each in found] == [
            f"TOO LARGE for the 2 held now: {action} 3"
        ] * 2

    def test_of_several_pairs_the_last_is_made_smaller_stop_and_target_alike(self, sign: int) -> None:
        legs = (*pair("a", 2, sign), *pair("b", 2, sign))
        found = tuple(too_large(standing(4 * sign, *legs), standing(3 * sign, *legs)))
        assert calls_of(found) == shrinks(("b-stop", 1), ("b-target", 1))
        assert all(each.line.startswith("TOGETHER TOO LARGE for the 3 held now: ") for each in found)

    def test_what_has_no_contract_left_goes_once_with_its_group(self, sign: int) -> None:
        legs = (*pair("a", 2, sign), *pair("b", 2, sign))
        found = tuple(too_large(standing(4 * sign, *legs), standing(2 * sign, *legs)))
        assert calls_of(found) == ("cancel_order with account Sim101, order_id b-stop",)

    def test_what_is_in_no_group_goes_by_a_call_each(self, sign: int) -> None:
        legs = alone(*pair("a", 1, sign), *pair("b", 1, sign))
        found = tuple(too_large(standing(2 * sign, *legs), standing(sign, *legs)))
        account = "cancel_order with account Sim101, order_id"
        assert calls_of(found) == (f"{account} b-stop", f"{account} b-target")

    def test_the_nearest_stop_keeps_its_size(self, sign: int) -> None:
        legs = (*pair("far", 2, sign), *pair("near", 1, sign, stop=10))
        found = tuple(too_large(standing(3 * sign, *legs), standing(2 * sign, *legs)))
        assert calls_of(found) == shrinks(("far-stop", 1), ("far-target", 1))

    def test_a_part_that_has_filled_counts_in_the_call(self, sign: int) -> None:
        stop, _ = pair("a", 5, sign)
        stop = replace(stop, filled=1)
        found = tuple(too_large(standing(4 * sign, stop), standing(2 * sign, stop)))
        assert calls_of(found) == shrinks(("a-stop", 3))

    def test_what_fits_is_told_without_a_call(self, sign: int) -> None:
        legs = (*pair("a", 1, sign), *alone(*pair("b", 1, sign)))
        assert not tuple(too_large(standing(3 * sign, *legs), standing(2 * sign, *legs)))

    def test_what_was_too_large_before_an_addition_is_not_told_of_it(self, sign: int) -> None:
        legs = pair("a", 4, sign)
        assert not tuple(too_large(standing(2 * sign, *legs), standing(3 * sign, *legs)))
        assert calls_of(larger_than_held(*standing(3 * sign, *legs))) == shrinks(("a-stop", 3), ("a-target", 3))

    def test_exits_of_the_other_side_are_none_of_it(self, sign: int) -> None:
        legs = pair("a", 3, -sign)
        assert not tuple(too_large(standing(3 * sign, *legs), standing(2 * sign, *legs)))


@pytest.mark.parametrize("other", [NEXT, MES])
def test_another_month_and_another_instrument_are_held_against_their_own(other: Instrument) -> None:
    legs = (*pair("here", 2), *pair("there", 2, instrument=other))
    held: tuple[Position, ...] = (*factories.positions(2), *factories.positions(2, other))
    left: tuple[Position, ...] = (*factories.positions(1), *factories.positions(2, other))
    found = tuple(too_large(standings_of(held, legs, {}), standings_of(left, legs, {})))
    assert calls_of(found) == shrinks(("here-stop", 1), ("here-target", 1))


class TestWhatIsTooSmall:
    """After an order that adds."""

    def test_the_first_pair_takes_what_is_missing_beside_the_others(self) -> None:
        legs = (*pair("a", 2), *pair("b", 2))
        found = tuple(too_small(standing(4, *legs), standing(5, *legs)))
        assert calls_of(found) == shrinks(("a-stop", 3), ("a-target", 3))
        assert found[0].line.startswith("TOGETHER TOO SMALL for the 5 held now: ")

    @pytest.mark.parametrize(
        ("bracket", "calls"),
        [
            (Bracket(TEN), ()),
            (Bracket(None, (Target(TEN),)), shrinks(("a-stop", 3))),
        ],
        ids=["a stop", "a target alone"],
    )
    def test_what_an_addition_brings_along_is_not_missing(self, bracket: Bracket, calls: tuple[str, ...]) -> None:
        legs, order = pair("a", 2), factories.place_order(bracket=bracket)
        assert calls_of(too_small(standing(2, *legs), standing(3, *legs), order)) == calls

    def test_a_template_brings_its_own(self) -> None:
        legs, order = pair("a", 2), factories.place_order(atm_strategy="Scalp 8x8")
        assert not tuple(too_small(standing(2, *legs), standing(3, *legs), order))

    def test_where_nothing_stood_nothing_grows(self) -> None:
        assert not tuple(too_small(standing(2), standing(3)))


@pytest.mark.parametrize("now", [0, -1])
def test_exits_of_what_is_gone_or_turned_are_left_over(now: int) -> None:
    legs, entry = pair("a", 2), factories.order("entry")
    left = left_over(standing(2, *legs, entry), standing(now, *legs, entry), (*legs, entry))
    assert [order.order_id for order in left] == ["a-stop", "a-target"]


def test_exits_of_what_is_still_held_are_not_left_over() -> None:
    legs = pair("a", 2)
    assert not left_over(standing(2, *legs), standing(1, *legs), legs)


def test_a_misfit_alone_names_itself_alone() -> None:
    stop, _ = pair("a", 2)
    assert Misfit(3, (stop,), ((stop, 3),)).line == (
        "TOO SMALL for the 3 held now: SELL 2 ES 12-26 STOP MARKET 6380 WORKING (a-stop)"
    )


@pytest.mark.parametrize(
    ("status", "read", "left"),
    [
        (Status.REJECTED, {}, []),
        (Status.CANCELLED, {}, [EXITS_NOT_TAKEN_ALONG]),
        (Status.CANCELLED, {"filled_quantity": 1}, [CLOSE_NOT_COVERED, EXITS_MAY_STAY, EXITS_NOT_TAKEN_ALONG]),
        (Status.CANCELLED, {"filled_quantity": 1, "position_after": 1}, [EXITS_NOT_TAKEN_ALONG]),
        (Status.FILLED, {}, [CLOSE_NOT_COVERED, EXITS_MAY_STAY, EXITS_NOT_TAKEN_ALONG]),
        (Status.FILLED, {"position_after": 0}, [EXITS_NOT_TAKEN_ALONG]),
        (Status.WORKING, {"position_after": 1}, [CLOSE_NOT_COVERED, EXITS_MAY_STAY, EXITS_NOT_TAKEN_ALONG]),
        (Status.UNKNOWN, {"position_after": 1}, [CLOSE_NOT_COVERED, EXITS_MAY_STAY, EXITS_NOT_TAKEN_ALONG]),
    ],
)
def test_what_was_to_be_feared_is_told_for_as_long_as_it_may_come(
    status: Status, read: dict[str, Any], left: list[str]
) -> None:
    codes = (CLOSE_NOT_COVERED, EXITS_MAY_STAY, EXITS_NOT_TAKEN_ALONG, "ANOTHER")
    findings = tuple(Finding(FindingKind.WARNING, code, "") for code in codes)
    outcome = replace(Outcome(status, "", simulated=True, findings=findings), **read)
    told = without_what_cannot_come(outcome)
    assert [each.code for each in told.findings] == [*left, "ANOTHER"]
