"""OCO groups, and the ids of orders and strategies."""

from datetime import UTC, datetime

import pytest

from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.orders import (
    TERMINAL,
    Action,
    IdGenerator,
    OrderLabels,
    OrderTerms,
    SimOrder,
    SimOrderState,
    SimOrderType,
    ends_oco_group,
    oco_siblings,
)
from ct_mcp.simulator.products import SimContract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
TERMS = OrderTerms(SimContract("ES", 2026, 9), Action.BUY, 1, SimOrderType.MARKET)


def _order(oco_id: str | None, account: str = "Sim101", rpc: str = "PlaceOrder") -> SimOrder:
    return SimOrder("x", account, TERMS, OrderLabels(rpc=rpc, oco_id=oco_id), NOW)


def test_a_group_is_of_one_account_and_of_one_name() -> None:
    first, second, elsewhere, other, none = (
        _order("a"), _order("a"), _order("a", account="APEX-482910"), _order("b"), _order(None),
    )  # fmt: skip
    everybody = [first, second, elsewhere, other, none]
    assert oco_siblings(first, everybody) == [second]
    assert oco_siblings(none, [*everybody, _order(None)]) == []


def test_who_came_too_late_belongs_to_nobody() -> None:
    first, late = _order("a"), _order("a")
    late.joins_oco = False
    assert oco_siblings(first, [first, late]) == oco_siblings(late, [first, late]) == []


@pytest.mark.parametrize("state", SimOrderState)
def test_the_end_of_an_order_is_the_end_of_its_group(state: SimOrderState) -> None:
    order = _order("a")
    order.state = state
    assert ends_oco_group(order) is (state in TERMINAL)


@pytest.mark.parametrize(("state", "alone"), [("Rejected", True), ("Cancelled", False), ("Filled", False)])
def test_a_leg_of_cancel_and_bracket_is_rejected_alone(state: str, alone: bool) -> None:
    order = _order("a", rpc="CancelAndBracket")
    order.state = SimOrderState(state)
    assert ends_oco_group(order) is not alone


def test_ids_are_never_made_twice() -> None:
    ids = IdGenerator(1)
    made = [ids.guid("order") for _ in range(100)] + [ids.order(spec) for spec in (SIM, LIVE) * 100]
    assert len(set(made)) == 300


def test_the_same_seed_makes_the_same_ids() -> None:
    assert IdGenerator(1).guid("order") == IdGenerator(1).guid("order") != IdGenerator(2).guid("order")


def test_real_orders_have_numbers_and_simulated_ones_long_ids() -> None:
    ids = IdGenerator(1)
    assert ids.order(LIVE).isdecimal()
    assert len(bytes.fromhex(ids.order(SIM))) == 16
