"""What stands behind a position, in words: a stop in a state that nobody knows is neither there nor missing."""

import pytest

from ct_mcp.desk.standing import standing_of
from ct_mcp.domain.order import OrderState, OrderType
from tests import factories


@pytest.mark.parametrize(
    ("state", "words", "bare", "doubtful"),
    [
        (OrderState.WORKING, ["NO STOP for 1 of 3"], 1, 0),
        (OrderState.ACCEPTED_BY_RISK, ["NO STOP for 1 of 3"], 1, 0),
        (OrderState.UNKNOWN, ["NO STOP for 1 of 3", "NOT KNOWN whether a stop stands for 2 of 3"], 3, 2),
        (OrderState.SUSPENDED, ["NO STOP for 3 of 3"], 3, 0),
    ],
)
def test_a_stop_in_a_state_that_nobody_knows_is_not_told_as_missing(
    state: OrderState, words: list[str], bare: int, doubtful: int
) -> None:
    standing = standing_of(factories.position(3), [factories.stop_order(quantity=2, state=state)], None)
    stop, *told = standing.protection
    assert stop.startswith("stop 2 of 3 at 6380")
    assert told == [*words, "no target"]
    assert (standing.bare, standing.doubtful) == (bare, doubtful)


def test_an_order_of_a_type_that_nobody_knows_may_be_the_stop() -> None:
    order = factories.stop_order(quantity=3, order_type=OrderType.OTHER, stop_price=None)
    standing = standing_of(factories.position(3), [order], None)
    assert list(standing.protection)[1:] == ["NOT KNOWN whether a stop stands for 3 of 3", "no target"]
