"""What an account holds."""

from decimal import Decimal

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.position import Direction, Position


@pytest.mark.parametrize(("direction", "net"), [(Direction.LONG, 3), (Direction.SHORT, -3), (Direction.FLAT, 0)])
def test_a_position_has_a_signed_net(direction: Direction, net: int) -> None:
    assert Position("Sim101", Instrument("ES", 2026, 12), direction, 3, Decimal(6400)).net == net


@pytest.mark.parametrize("word", ["UNKNOWN", "Long", ""])
def test_a_direction_that_cannot_be_read_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Direction"):
        Direction(word)
