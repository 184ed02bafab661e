"""What an action does to the risk, on chosen and on random books."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Command, Flatten, PlaceOrder
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of, is_partial
from ct_mcp.guard.effect_model import RiskDirection
from ct_mcp.guard.exposure import worst_case
from tests.factories import ES
from tests.unit.guard.books import a_book

SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Holds = Callable[[int], tuple[Position, ...]]


def reach(net: int, orders: Iterable[Order], pending: Iterable[PendingOrder]) -> tuple[int, int]:
    """Try every subset of fills, one of the pair around the position at most, and keep the two ends."""
    orders = list(orders)
    pair = {order.oco_id for order in orders if order.oco_id and is_pair(net, orders, order)}
    choices: dict[str, list[int]] = {}
    for order in orders:
        leaves = order.action.sign * net < 0
        group = order.oco_id if order.oco_id in pair and leaves else order.order_id
        choices.setdefault(str(group), [0]).append(order.action.sign * order.remaining)
    alone = [[0, sent.signed_quantity] for sent in pending]
    ends = [net + sum(fills) for fills in product(*choices.values(), *alone)]
    return max(ends), min(ends)


def is_pair(net: int, orders: list[Order], one: Order) -> bool:
    """Whether an order and those of its group and side are one stop and one target, none larger than the position."""
    alike = [order for order in orders if (order.oco_id, order.action) == (one.oco_id, one.action)]
    stops = [order for order in alike if order.order_type.needs_stop_price]
    small = all(order.action.sign * net <= 0 and order.remaining <= abs(net) for order in alike if order.remaining)
    return small and one.action.sign * net < 0 and len(stops) <= 1 and len(alike) - len(stops) <= 1


@st.composite
def an_order_action(draw: st.DrawFn) -> PlaceOrder | ChangeOrder:
    """Any new order, or any change of one of the first four."""
    price = st.one_of(st.none(), st.integers(6390, 6410).map(Decimal))
    if draw(st.booleans()):
        order_id, quantity = str(draw(st.integers(0, 3))), draw(st.one_of(st.none(), st.integers(1, 7)))
        return ChangeOrder("Sim101", order_id, quantity, draw(price), draw(price))
    return PlaceOrder(
        account="Sim101",
        instrument=ES,
        action=draw(st.sampled_from(OrderAction)),
        quantity=draw(st.integers(1, 7)),
        order_type=draw(st.sampled_from(OrderType)),
        limit_price=draw(price),
        stop_price=draw(price),
        time_in_force=TimeInForce.DAY,
        oco_id=draw(st.sampled_from([None, "a", "b", "c"])),
        atm_strategy=draw(st.sampled_from([None, None, None, "Tight"])),
        flatten_first=draw(st.sampled_from([False, False, False, True])),
    )


def books_after(action: PlaceOrder | ChangeOrder, orders: tuple[Order, ...]) -> list[list[Order]]:
    """Every book that may stand once the action was sent: a change may or may not have happened."""
    if isinstance(action, PlaceOrder):
        row = Order("Sim101", "new", ES, action.action, action.order_type, OrderState.WORKING, action.quantity, 0)
        return [[*orders, replace(row, oco_id=action.oco_id)]]
    changed = [
        replace(order, quantity=action.quantity) if order.order_id == action.order_id and action.quantity else order
        for order in orders
    ]
    return [list(orders), changed]


@given(st.data())
def test_the_worst_case_is_the_worst_of_all_fills(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    net, orders = book.net_position(ES) or 0, book.orders or ()
    worst = worst_case(net, orders, book.pending)
    assert (worst.most_long, worst.most_short) == reach(net, orders, book.pending)


@pytest.mark.slow
@given(st.data())
def test_nothing_that_raises_the_worst_case_is_called_reducing(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_order_action())
    if not effect_of(action, book).only_reduces:
        return
    net, orders = book.net_position(ES) or 0, book.orders or ()
    longest, shortest = reach(net, orders, book.pending)
    for after in books_after(action, orders):
        long_after, short_after = reach(net, after, book.pending)
        assert max(0, long_after) <= max(0, longest)
        assert min(0, short_after) >= min(0, shortest)


@given(st.data())
def test_a_new_order_that_reduces_stands_against_the_position_and_within_it(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_order_action())
    if isinstance(action, PlaceOrder) and effect_of(action, book).only_reduces:
        net = book.net_position(ES) or 0
        assert net * action.action.sign < 0
        assert action.quantity <= abs(net)
        assert not action.flatten_first
        assert action.atm_strategy is None


@pytest.mark.slow
@given(st.data())
def test_what_takes_protection_away_never_only_reduces(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    cancels = st.one_of(
        st.integers(0, 4).map(lambda number: CancelOrder("Sim101", str(number))),
        st.sampled_from([None, ES]).map(lambda instrument: CancelOrders("Sim101", instrument)),
    )
    action = data.draw(st.one_of(an_order_action(), cancels))
    lost = effect_of(action, book).lost
    if lost is not None and lost.is_any:
        assert effect_of(action, book).only_reduces is False
        assert effect_of(action, book).direction is RiskDirection.UNPROTECTS


@given(st.data())
def test_the_direction_is_known_whenever_the_book_is(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_order_action())
    known = isinstance(action, PlaceOrder) or any(
        order.order_id == action.order_id and not order.is_closed for order in book.orders or ()
    )
    assert (effect_of(action, book).direction is not None) is known
    assert (effect_of(action, book).only_reduces is not None) is known


@pytest.mark.parametrize(
    ("net", "changes", "expected"),
    [
        (0, {}, RiskDirection.OPENS),
        (2, {}, RiskDirection.ADDS),
        (-2, {}, RiskDirection.REDUCES),
        (-1, {}, RiskDirection.CLOSES),
        (-1, {"quantity": 2}, RiskDirection.OPENS),
        (2, {"flatten_first": True}, RiskDirection.OPENS),
        (-2, {"flatten_first": True}, RiskDirection.OPENS),
        (-2, {"atm_strategy": "Tight"}, RiskDirection.OPENS),
        (-2, {"order_type": OrderType.STOP_MARKET, "stop_price": "6410"}, RiskDirection.PROTECTS),
        (-2, {"order_type": OrderType.LIMIT, "limit_price": "6390"}, RiskDirection.REDUCES),
    ],
)
def test_a_new_order_is_judged_by_what_is_held(
    *, place: Place, view: Sees, held: Holds, net: int, changes: dict[str, object], expected: RiskDirection
) -> None:
    assert effect_of(place(**changes), view(positions=held(net))).direction is expected


def test_an_exit_that_another_exit_already_covers_would_open_the_other_side(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    assert effect_of(place(action=SELL, quantity=1), book).only_reduces is False
    assert effect_of(place(action=SELL, quantity=1), book).direction is RiskDirection.OPENS


def test_an_exit_in_the_same_oco_group_reduces(place: Place, view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2, oco_id="exit"),))
    target = place(action=SELL, quantity=2, order_type=OrderType.LIMIT, limit_price="6420", oco_id="exit")
    assert effect_of(target, book).only_reduces is True


@pytest.mark.parametrize(("action", "quantity"), [(BUY, 1), (SELL, 4)])
def test_an_order_that_hides_behind_a_larger_one_of_its_group_does_not_reduce(
    *, place: Place, view: Sees, held: Holds, resting: Rests, action: OrderAction, quantity: int
) -> None:
    book = view(positions=held(2), orders=(resting(action=action, quantity=9, oco_id="x"),))
    assert effect_of(place(action=action, quantity=quantity, oco_id="x"), book).only_reduces is False


def test_an_exit_of_unknown_outcome_counts_before_the_next_one(place: Place, view: Sees, held: Holds) -> None:
    book = view(positions=held(2), pending=(PendingOrder(ES, -2),))
    assert effect_of(place(action=SELL, quantity=2), book).only_reduces is False


@pytest.mark.parametrize("quantity", [True, 0, -1, 1.0, 2**63])
def test_a_quantity_that_counts_no_contracts_never_reduces(
    place: Place, view: Sees, held: Holds, quantity: object
) -> None:
    assert effect_of(place(action=SELL, quantity=quantity), view(positions=held(5))).only_reduces is False


@pytest.mark.parametrize(("unread"), ["positions", "orders"])
@pytest.mark.parametrize(
    "action",
    [
        ChangeOrder("Sim101", "1", quantity=1),
        CancelOrder("Sim101", "1"),
        CancelOrders("Sim101", None),
    ],
)
def test_what_was_not_read_gives_no_direction(
    place: Place, view: Sees, resting: Rests, action: Command, unread: str
) -> None:
    book = view(**{"orders": (resting(quantity=2),), unread: None})
    for asked in (action, place()):
        assert effect_of(asked, book).only_reduces is None
        assert effect_of(asked, book).direction is None


def test_exits_leave_whatever_is_known(now: object, view: Sees) -> None:
    nothing = view(account=None, positions=None, orders=None, quote=None, session=None)
    for action in (Flatten("Sim101", None), ClosePosition("Sim101", ES)):
        assert effect_of(action, nothing).is_exit
        assert effect_of(action, nothing).only_reduces is True
        assert effect_of(action, nothing).direction is RiskDirection.CLOSES
    part = effect_of(ClosePosition("Sim101", ES, quantity=1), nothing)
    assert (part.is_exit, part.only_reduces, part.direction) == (False, None, None), "it looks before it closes a part"


def test_orders_and_cancels_do_not_leave(place: Place, view: Sees) -> None:
    for action in (place(), CancelOrder("Sim101", "1"), CancelOrders("Sim101", None), ChangeOrder("Sim101", "1", 2)):
        assert not effect_of(action, view()).is_exit


@pytest.mark.parametrize(
    ("close", "partial"),
    [
        (ClosePosition("Sim101", ES), False),
        (ClosePosition("Sim101", ES, percent=Decimal("100.0")), False),
        (ClosePosition("Sim101", ES, percent=Decimal(50)), True),
        (ClosePosition("Sim101", ES, percent=Decimal("sNaN")), True),
        (ClosePosition("Sim101", ES, quantity=3), True),
    ],
)
def test_a_close_is_partial_unless_it_leaves_all(close: ClosePosition, *, partial: bool) -> None:
    assert is_partial(close) is partial


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ChangeOrder("Sim101", "1", quantity=1), RiskDirection.REDUCES),
        (ChangeOrder("Sim101", "1", quantity=2), RiskDirection.OPENS),
        (ChangeOrder("Sim101", "1", quantity=3), RiskDirection.OPENS),
        (ChangeOrder("Sim101", "1", limit_price=Decimal(6395)), RiskDirection.OPENS),
        (ChangeOrder("Sim101", "1", quantity=1, limit_price=Decimal(6395)), RiskDirection.OPENS),
        (ChangeOrder("Sim101", "1", quantity=True), RiskDirection.OPENS),
    ],
)
def test_a_change_of_an_entry_reduces_only_by_shrinking_it(
    view: Sees, resting: Rests, change: ChangeOrder, expected: RiskDirection
) -> None:
    assert effect_of(change, view(orders=(resting(quantity=2),))).direction is expected


def test_a_stop_entry_made_smaller_protects_nothing(view: Sees, stop: Rests) -> None:
    assert effect_of(ChangeOrder("Sim101", "stop", quantity=1), view(orders=(stop(quantity=2),))).direction is (
        RiskDirection.REDUCES
    )


def test_a_target_that_filled_in_part_may_be_moved(view: Sees, held: Holds, resting: Rests) -> None:
    target = resting(action=SELL, quantity=3, filled=1, state=OrderState.PART_FILLED)
    book = view(positions=held(2), orders=(target,))
    assert effect_of(ChangeOrder("Sim101", "1", limit_price=Decimal(6410)), book).only_reduces is True


def test_a_change_of_an_order_that_adds_adds(view: Sees, held: Holds, resting: Rests) -> None:
    book = view(positions=held(1), orders=(resting(),))
    assert effect_of(ChangeOrder("Sim101", "1", quantity=2), book).direction is RiskDirection.ADDS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ChangeOrder("Sim101", "stop", stop_price=Decimal(6385)), RiskDirection.PROTECTS),
        (ChangeOrder("Sim101", "stop", quantity=3), RiskDirection.PROTECTS),
        (ChangeOrder("Sim101", "stop", quantity=4), RiskDirection.OPENS),
        (ChangeOrder("Sim101", "stop", stop_price=Decimal(6370)), RiskDirection.UNPROTECTS),
        (ChangeOrder("Sim101", "stop", quantity=1), RiskDirection.UNPROTECTS),
    ],
)
def test_a_change_of_a_stop_is_judged_by_what_it_protects(
    view: Sees, held: Holds, stop: Rests, change: ChangeOrder, expected: RiskDirection
) -> None:
    assert effect_of(change, view(positions=held(3), orders=(stop(quantity=2),))).direction is expected


def test_cancelling_an_entry_reduces_and_cancelling_a_target_changes_nothing(
    view: Sees, held: Holds, resting: Rests
) -> None:
    target = resting("target", action=SELL, limit_price=Decimal(6420))
    book = view(positions=held(1), orders=(resting("entry"), target))
    assert effect_of(CancelOrder("Sim101", "entry"), book).direction is RiskDirection.REDUCES
    assert effect_of(CancelOrder("Sim101", "target"), book).direction is RiskDirection.NEUTRAL
    assert effect_of(CancelOrders("Sim101", ES), book).direction is RiskDirection.REDUCES


@pytest.mark.parametrize("action", OrderAction)
def test_cancelling_any_entry_of_a_flat_account_reduces(view: Sees, resting: Rests, action: OrderAction) -> None:
    book = view(orders=(resting(action=action),))
    assert effect_of(CancelOrder("Sim101", "1"), book).direction is RiskDirection.REDUCES


def test_cancelling_nothing_changes_nothing(view: Sees) -> None:
    assert effect_of(CancelOrders("Sim101", None), view()).direction is RiskDirection.NEUTRAL


def test_cancelling_an_order_nobody_knows_has_no_direction(view: Sees) -> None:
    assert effect_of(CancelOrder("Sim101", "nobody"), view()).only_reduces is None
