"""Who stands in a group, and whose end is whose."""

from datetime import UTC, datetime

import pytest

from ct_mcp.simulator.oco import siblings, takes_the_others_along
from ct_mcp.simulator.orders import TERMINAL, Action, Order, OrderLabels, OrderState, OrderTerms, OrderType
from ct_mcp.simulator.products import Contract

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
TERMS = OrderTerms(Contract("ES", 2026, 9), Action.BUY, 1, OrderType.MARKET)


def _order(oco_id: str | None, account: str = "Sim101", rpc: str = "PlaceOrder") -> Order:
    return Order("x", account, TERMS, OrderLabels(rpc=rpc, oco_id=oco_id), NOW)


def test_a_group_is_of_one_account_and_of_one_name() -> None:
    first, second, elsewhere, other, none = (
        _order("a"), _order("a"), _order("a", account="APEX-482910"), _order("b"), _order(None),
    )  # fmt: skip
    everybody = [first, second, elsewhere, other, none]
    assert siblings(first, everybody) == [second]
    assert siblings(none, [*everybody, _order(None)]) == []


def test_who_came_too_late_belongs_to_nobody() -> None:
    first, late = _order("a"), _order("a")
    late.joins_oco = False
    assert siblings(first, [first, late]) == siblings(late, [first, late]) == []


@pytest.mark.parametrize("state", OrderState)
def test_the_end_of_an_order_is_the_end_of_its_group(state: OrderState) -> None:
    order = _order("a")
    order.state = state
    assert takes_the_others_along(order) is (state in TERMINAL)


@pytest.mark.parametrize(("state", "alone"), [("Rejected", True), ("Cancelled", False), ("Filled", False)])
def test_a_leg_of_cancel_and_bracket_is_rejected_alone(state: str, alone: bool) -> None:
    order = _order("a", rpc="CancelAndBracket")
    order.state = OrderState(state)
    assert takes_the_others_along(order) is not alone
