"""Accounts, and what they hold."""

from decimal import Decimal

import pytest

from ct_mcp.domain.account import Account, AccountKind, Balances, Direction, Position
from ct_mcp.domain.instrument import Instrument


def test_the_days_result_is_realised_and_unrealised_together() -> None:
    assert Balances(realized_pnl=Decimal("120.50"), unrealized_pnl=Decimal(-300)).day_pnl == Decimal("-179.50")
    assert Balances(realized_pnl=Decimal(0), unrealized_pnl=Decimal(0)).day_pnl == 0


@pytest.mark.parametrize(
    "balances", [Balances(), Balances(realized_pnl=Decimal(1)), Balances(unrealized_pnl=Decimal(1))]
)
def test_a_day_of_which_half_is_unknown_is_unknown(balances: Balances) -> None:
    assert balances.day_pnl is None


@pytest.mark.parametrize(
    ("status", "connected"), [("Connected", True), ("CONNECTED", True), ("ConnectionLost", False), (None, None)]
)
def test_only_one_word_means_connected_and_none_is_unknown(status: str | None, connected: bool | None) -> None:
    assert Account("Sim101", AccountKind.SIMULATED, connection_status=status).is_connected is connected


@pytest.mark.parametrize(("direction", "net"), [(Direction.LONG, 3), (Direction.SHORT, -3), (Direction.FLAT, 0)])
def test_a_position_has_a_signed_net(direction: Direction, net: int) -> None:
    assert Position("Sim101", Instrument("ES", 2026, 12), direction, 3, Decimal(6400)).net == net


@pytest.mark.parametrize("word", ["UNKNOWN", "Long", ""])
def test_a_direction_that_cannot_be_read_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Direction"):
        Direction(word)
