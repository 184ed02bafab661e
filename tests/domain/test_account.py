"""Accounts and how the day goes."""

from decimal import Decimal

import pytest

from ct_mcp.domain.account import Balances


def test_the_days_result_is_realised_and_unrealised_together() -> None:
    assert Balances(realized_pnl=Decimal("120.50"), unrealized_pnl=Decimal(-300)).day_pnl == Decimal("-179.50")
    assert Balances(realized_pnl=Decimal(0), unrealized_pnl=Decimal(0)).day_pnl == 0


@pytest.mark.parametrize(
    "balances", [Balances(), Balances(realized_pnl=Decimal(1)), Balances(unrealized_pnl=Decimal(1))]
)
def test_a_day_of_which_half_is_unknown_is_unknown(balances: Balances) -> None:
    assert balances.day_pnl is None
