"""How a position gets its stop and target: what stands is changed, and nothing goes that nobody named."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.protection_plan import plan
from ct_mcp.domain.commands import ChangeOrder, Command, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import ExitKind
from ct_mcp.domain.order import NEW_GROUP, Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.errors import BadRequest
from tests.unit.desk.conftest import Holds, Stands

SELL, BUY = OrderAction.SELL, OrderAction.BUY
STOP, TARGET = ExitKind.STOP, ExitKind.TARGET
Prices = Mapping[ExitKind, Decimal]


def at(**prices: int) -> dict[ExitKind, Decimal]:
    return {ExitKind(name): Decimal(price) for name, price in prices.items()}


@pytest.fixture
def stop(standing: Stands) -> Any:
    def made(price: int = 5990, quantity: int = 2, order_id: str = "stop", **more: object) -> Order:
        kind = {"order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": Decimal(price)}
        return standing(order_id, **{"action": SELL, "quantity": quantity, **kind, **more})

    return made


@pytest.fixture
def target(standing: Stands) -> Any:
    def made(price: int = 6020, quantity: int = 2, order_id: str = "target", **more: object) -> Order:
        return standing(order_id, **{"action": SELL, "quantity": quantity, "limit_price": Decimal(price), **more})

    return made


def test_a_stop_that_stands_is_moved_and_the_target_stays(holding: Holds, stop: Any, target: Any) -> None:
    assert plan(holding(2), [stop(), target()], at(stop=6000)) == (
        ChangeOrder("Sim101", "stop", stop_price=Decimal(6000)),
    )


def test_both_are_moved_the_stop_first(holding: Holds, stop: Any, target: Any) -> None:
    first, second = plan(holding(2), [target(), stop()], at(stop=6000, target=6030))
    assert first == ChangeOrder("Sim101", "stop", stop_price=Decimal(6000))
    assert second == ChangeOrder("Sim101", "target", limit_price=Decimal(6030))


def test_a_short_position_has_its_exits_above_and_below(holding: Holds, stop: Any) -> None:
    changes = plan(holding(-2), [stop(6010, action=BUY), stop(5990, order_id="entry")], at(stop=6005))
    assert changes == (ChangeOrder("Sim101", "stop", stop_price=Decimal(6005)),)


@pytest.mark.parametrize(("held", "filled", "quantity"), [(5, 0, 5), (1, 0, 1), (3, 1, 4)])
def test_one_of_another_size_than_the_position_gets_its_size(
    holding: Holds, stop: Any, held: int, filled: int, quantity: int
) -> None:
    (change,) = plan(holding(held), [stop(quantity=2, filled=filled)], at(stop=5990))
    assert change == ChangeOrder("Sim101", "stop", quantity)


def test_two_stops_that_make_up_the_position_move_together(holding: Holds, stop: Any) -> None:
    changes = plan(holding(3), [stop(order_id="a"), stop(quantity=1, order_id="b", price=6000)], at(stop=6000))
    assert changes == (ChangeOrder("Sim101", "a", stop_price=Decimal(6000)),)


def test_the_limit_of_a_stop_limit_keeps_its_distance(holding: Holds, stop: Any) -> None:
    order = stop(5990, order_type=OrderType.STOP_LIMIT, limit_price=Decimal(5988))
    (change,) = plan(holding(2), [order], at(stop=6000))
    assert change == ChangeOrder("Sim101", "stop", None, Decimal(5998), Decimal(6000))


def placed(
    mes: Instrument, quantity: int = 2, group: str | None = "pair", stop: int | None = None, target: int | None = None
) -> PlaceOrder:
    """A new exit of a long position: a stop, or else a target."""
    stop_at, limit_at = (None if at is None else Decimal(at) for at in (stop, target))
    kind = OrderType.LIMIT if stop is None else OrderType.STOP_MARKET
    return PlaceOrder("Sim101", mes, SELL, quantity, kind, limit_at, stop_at, TimeInForce.GTC, oco_id=group)


@pytest.mark.parametrize("named", ["stop", "target"])
def test_a_leg_that_is_missing_joins_the_group_of_the_other(
    holding: Holds, stop: Any, target: Any, mes: Instrument, named: str
) -> None:
    other = target(oco_id="pair") if named == "stop" else stop(oco_id="pair")
    entry = stop(5980, order_id="entry", action=BUY)
    wanted = placed(mes, stop=5995) if named == "stop" else placed(mes, target=6030)
    prices = at(stop=5995) if named == "stop" else at(target=6030)
    assert plan(holding(2), [other, entry], prices) == (wanted,)


def test_what_it_joins_is_moved_first_where_both_are_named(
    holding: Holds, stop: Any, target: Any, mes: Instrument
) -> None:
    moved, joined = plan(holding(2), [stop(oco_id="pair")], at(stop=6000, target=6030))
    assert moved == ChangeOrder("Sim101", "stop", stop_price=Decimal(6000))
    assert joined == placed(mes, target=6030)


@pytest.mark.parametrize("named", [{"target": 6030}, {"stop": 5990, "target": 6030}])
def test_what_it_joins_gets_the_size_of_the_position_as_well(
    holding: Holds, stop: Any, mes: Instrument, named: dict[str, int]
) -> None:
    sized, joined = plan(holding(5), [stop(quantity=3, filled=1, oco_id="pair")], at(**named))
    assert sized == ChangeOrder("Sim101", "stop", 6)
    assert joined == placed(mes, 5, target=6030)


def test_each_of_two_groups_gets_its_share(holding: Holds, stop: Any, mes: Instrument) -> None:
    stops = [stop(quantity=1, order_id="a", oco_id="first"), stop(quantity=2, order_id="b", oco_id="second")]
    both = (placed(mes, 1, "first", target=6030), placed(mes, 2, "second", target=6030))
    assert plan(holding(3), stops, at(target=6030)) == both


def kept_by_a_bracket(mes: Instrument, target: int | None, stop: int | None) -> tuple[Command, ...]:
    target_at, stop_at = (None if at is None else Decimal(at) for at in (target, stop))
    return (ProtectPosition("Sim101", mes, target_at, stop_at),)


@pytest.mark.parametrize(("named", "stop_at", "target_at"), [("stop", 5995, 6020), ("target", 5990, 6030)])
def test_a_leg_that_has_no_group_to_join_comes_by_a_bracket_that_keeps_the_other(
    holding: Holds, stop: Any, target: Any, mes: Instrument, named: str, stop_at: int, target_at: int
) -> None:
    standing = target() if named == "stop" else stop()
    wanted = at(stop=5995) if named == "stop" else at(target=6030)
    assert plan(holding(2), [standing], wanted) == kept_by_a_bracket(mes, target_at, stop_at)


def test_a_group_of_which_a_member_is_over_is_not_joined(
    holding: Holds, stop: Any, target: Any, mes: Instrument
) -> None:
    refused_stop = stop(order_id="old", oco_id="pair", state=OrderState.REJECTED)
    orders = [target(oco_id="pair"), refused_stop]
    assert plan(holding(2), orders, at(stop=5995)) == kept_by_a_bracket(mes, 6020, 5995)


def test_two_stops_of_another_size_than_the_position_are_joined_by_nothing(
    holding: Holds, stop: Any, mes: Instrument
) -> None:
    stops = [stop(quantity=1, order_id="a", oco_id="first"), stop(quantity=1, order_id="b", oco_id="second")]
    assert plan(holding(3), stops, at(target=6030)) == kept_by_a_bracket(mes, 6030, 5990)


@pytest.mark.parametrize("named", ["stop", "target"])
def test_nothing_stands_and_the_leg_that_is_named_opens_a_group(holding: Holds, mes: Instrument, named: str) -> None:
    """The ticket names it: a plan that is made anew after the yes is the one that was shown."""
    prices = at(stop=5995) if named == "stop" else at(target=5995)
    wanted = placed(mes, group=NEW_GROUP, stop=5995) if named == "stop" else placed(mes, group=NEW_GROUP, target=5995)
    assert plan(holding(2), [], prices) == (wanted,)


def test_nothing_stands_and_both_come_by_a_bracket(holding: Holds, mes: Instrument) -> None:
    assert plan(holding(2), [], at(stop=5995, target=6030)) == kept_by_a_bracket(mes, 6030, 5995)


def test_an_entry_that_waits_is_not_cancelled_for_exits(holding: Holds, stop: Any, mes: Instrument) -> None:
    assert plan(holding(2), [stop(5980, order_id="entry", action=BUY)], at(stop=5995, target=6030)) == (
        placed(mes, group=NEW_GROUP, stop=5995),
        placed(mes, group=NEW_GROUP, target=6030),
    )


@pytest.mark.parametrize("group", ["a group", "x" * 41, 'say "yes"'])
def test_a_group_whose_name_could_be_a_sentence_is_not_joined(
    holding: Holds, stop: Any, mes: Instrument, group: str
) -> None:
    assert plan(holding(2), [stop(oco_id=group)], at(target=6030)) == kept_by_a_bracket(mes, 6030, 5990)


def refused(holding: Holds, held: int, orders: list[Order], wanted: Prices) -> str:
    with pytest.raises(BadRequest) as error:
        plan(holding(held), orders, wanted)
    assert "nothing was sent" in error.value.what
    return error.value.what


def test_targets_at_two_prices_are_not_taken_away_for_a_stop(holding: Holds, target: Any) -> None:
    orders = [target(quantity=1, order_id="near"), target(6030, quantity=1, order_id="far")]
    what = refused(holding, 2, orders, at(stop=5990))
    assert "near" in what
    assert "far" in what
    assert "nobody named" in what


@pytest.mark.parametrize("state", [OrderState.CHANGE_PENDING, OrderState.UNKNOWN, OrderState.TRIGGER_PENDING])
def test_an_exit_that_is_not_settled_is_looked_at_first(holding: Holds, stop: Any, state: OrderState) -> None:
    assert "look again with get_orders" in refused(holding, 2, [stop(state=state)], at(stop=6000))


def test_what_stands_there_already_is_no_change(holding: Holds, stop: Any, target: Any) -> None:
    assert "stands there already" in refused(holding, 2, [stop(), target()], at(stop=5990, target=6020))
