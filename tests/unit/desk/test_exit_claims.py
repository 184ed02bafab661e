"""How much of what is held is still what an entry has filled."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.exit_claims import Move, left_of, moves_of
from ct_mcp.desk.polling import AccountState
from ct_mcp.domain.order import Execution, Order, OrderAction, OrderState, OrderType
from tests.factories import ES, NOW, SIM101, order, position

OURS = Move(2, is_ours=True)
MARKET = {"order_type": OrderType.MARKET, "limit_price": None, "state": OrderState.FILLED}
ENTRY = order("entry", quantity=2, filled=2, **MARKET)


def row(name: str, action: OrderAction, size: int) -> Order:
    return order(name, action=action, quantity=size, filled=size, **MARKET)


def fill(name: str, action: OrderAction, size: int, seconds: int) -> Execution:
    at = NOW + timedelta(seconds=seconds)
    return Execution(SIM101, f"of-{name}", name, ES, action, size, Decimal(6400), at)


@pytest.mark.parametrize(
    ("net", "moves", "left"),
    [
        (2, [OURS], 2),
        (5, [OURS], 2),  # three were held before
        (2, [OURS, Move(-2), Move(2)], 0),  # left, and another trade since
        (2, [OURS, Move(2), Move(-2)], 2),  # added to, and that taken off again
        (4, [OURS, Move(3), Move(-1)], 2),
        (4, [OURS, Move(-1), Move(3)], 1),
        (4, [OURS, Move(-1)], 2),  # of the three that were held before
        (1, [OURS, Move(-4)], 1),
        (-1, [OURS, Move(-3)], 0),
        (2, [Move(-3), OURS, Move(3)], 2),  # a short of somebody's, who has bought it back
        (1, [OURS, Move(-2), Move(1), Move(2, is_ours=True), Move(-2)], 1),
    ],
)
def test_others_leave_what_is_theirs_first(net: int, moves: list[Move], left: int) -> None:
    assert left_of(net, 1, moves) == left
    assert left_of(-net, -1, [Move(-move.signed, is_ours=move.is_ours) for move in moves]) == left


def test_what_filled_before_the_entry_did_is_not_counted() -> None:
    rows = (ENTRY, row("morning", OrderAction.SELL, 5), row("earlier", OrderAction.SELL, 1))
    fills = [fill("earlier", OrderAction.SELL, 1, -60), fill("entry", OrderAction.BUY, 2, 0)]
    book = AccountState((position(2),), (), over=rows)
    assert moves_of(ENTRY, book, fills, are_all_told=True) == [OURS]


def test_an_order_that_may_have_filled_at_any_time_counts_as_later_and_sells_first() -> None:
    rows = (ENTRY, row("bought", OrderAction.BUY, 1), row("sold", OrderAction.SELL, 1))
    book = AccountState((position(2),), (), over=rows)
    assert moves_of(ENTRY, book, [], are_all_told=False) == [OURS, Move(-1), Move(1)]


def test_what_is_told_came_after_what_is_told_no_more() -> None:
    rows = (ENTRY, row("again", OrderAction.BUY, 2), row("left", OrderAction.SELL, 2))
    book = AccountState((position(2),), (), over=rows)
    fills = [fill("again", OrderAction.BUY, 2, 3600)]
    assert moves_of(ENTRY, book, fills, are_all_told=False) == [OURS, Move(-2), Move(2)]
