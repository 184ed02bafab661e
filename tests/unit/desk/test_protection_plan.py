"""How a position gets its stop and target: what stands is changed, and nothing goes that nobody named."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.protection_plan import plan
from ct_mcp.domain.commands import ChangeOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import ExitKind
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
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


@pytest.mark.parametrize(("named", "stop_at", "target_at"), [("stop", 5995, 6020), ("target", 5990, 6030)])
def test_a_leg_that_is_missing_comes_by_a_bracket_that_keeps_the_other(
    holding: Holds, stop: Any, target: Any, mes: Instrument, named: str, stop_at: int, target_at: int
) -> None:
    standing = target() if named == "stop" else stop()
    wanted = at(stop=5995) if named == "stop" else at(target=6030)
    assert plan(holding(2), [standing], wanted) == (
        ProtectPosition("Sim101", mes, Decimal(target_at), Decimal(stop_at)),
    )


def test_nothing_stands_and_one_leg_is_named(holding: Holds, mes: Instrument) -> None:
    assert plan(holding(2), [], at(stop=5995)) == (ProtectPosition("Sim101", mes, None, Decimal(5995)),)


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
