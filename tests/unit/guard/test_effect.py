"""What an action does to the risk, on chosen and on random books."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.action import Action, CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.domain.position import Direction, Position
from ct_mcp.guard.direction import RiskDirection, is_partial, leaves_position, only_reduces, risk_direction
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.policy import PendingOrder, View
from ct_mcp.guard.protection import unprotects

ES = Instrument("ES", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., View]
Holds = Callable[[int], tuple[Position, ...]]


def reach(net: int, orders: Iterable[Order], pending: Iterable[PendingOrder]) -> tuple[int, int]:
    """Try every subset of fills, one member of an OCO group at most, and keep the two ends."""
    choices: dict[str, list[int]] = {}
    for order in orders:
        choices.setdefault(order.oco_id or order.order_id, [0]).append(order.action.sign * order.remaining)
    alone = [[0, sent.signed_quantity] for sent in pending]
    ends = [net + sum(fills) for fills in product(*choices.values(), *alone)]
    return max(ends), min(ends)


@st.composite
def an_order(draw: st.DrawFn, order_id: str) -> Order:
    """Any order in any state, part of it filled."""
    quantity = draw(st.integers(1, 5))
    return Order(
        account="Sim101",
        order_id=order_id,
        instrument=ES,
        action=draw(st.sampled_from(OrderAction)),
        order_type=draw(st.sampled_from(OrderType)),
        state=draw(st.sampled_from(OrderState)),
        quantity=quantity,
        filled=draw(st.integers(0, quantity)),
        limit_price=Decimal(6400),
        stop_price=Decimal(6400),
        oco_id=draw(st.sampled_from([None, None, "a", "b"])),
    )


@st.composite
def a_book(draw: st.DrawFn, view: Sees) -> View:
    """A position, some orders and some that were sent with an unknown outcome."""
    net = draw(st.integers(-6, 6))
    direction = Direction.LONG if net > 0 else Direction.SHORT
    orders = tuple(draw(an_order(str(number))) for number in range(draw(st.integers(0, 4))))
    pending = draw(st.lists(st.sampled_from([-2, -1, 1, 2]), max_size=2))
    return view(
        positions=(Position("Sim101", ES, direction, abs(net), Decimal(6400)),) if net else (),
        orders=orders,
        pending=tuple(PendingOrder(ES, signed) for signed in pending),
    )


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


@given(st.data())
def test_nothing_that_raises_the_worst_case_is_called_reducing(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_order_action())
    if not only_reduces(action, book):
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
    if isinstance(action, PlaceOrder) and only_reduces(action, book):
        net = book.net_position(ES) or 0
        assert net * action.action.sign < 0
        assert action.quantity <= abs(net)
        assert not action.flatten_first
        assert action.atm_strategy is None


@given(st.data())
def test_what_takes_protection_away_never_only_reduces(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    cancels = st.one_of(
        st.integers(0, 4).map(lambda number: CancelOrder("Sim101", str(number))),
        st.sampled_from([None, ES]).map(lambda instrument: CancelOrders("Sim101", instrument)),
    )
    action = data.draw(st.one_of(an_order_action(), cancels))
    lost = unprotects(action, book)
    if lost is not None and lost.is_any:
        assert only_reduces(action, book) is False
        assert risk_direction(action, book) is RiskDirection.UNPROTECTS


@given(st.data())
def test_the_direction_is_known_whenever_the_book_is(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_order_action())
    known = isinstance(action, PlaceOrder) or any(
        order.order_id == action.order_id and not order.is_closed for order in book.orders or ()
    )
    assert (risk_direction(action, book) is not None) is known
    assert (only_reduces(action, book) is not None) is known


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
    assert risk_direction(place(**changes), view(positions=held(net))) is expected


def test_an_exit_that_another_exit_already_covers_would_open_the_other_side(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    assert only_reduces(place(action=SELL, quantity=1), book) is False
    assert risk_direction(place(action=SELL, quantity=1), book) is RiskDirection.OPENS


def test_an_exit_in_the_same_oco_group_reduces(place: Place, view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2, oco_id="exit"),))
    target = place(action=SELL, quantity=2, order_type=OrderType.LIMIT, limit_price="6420", oco_id="exit")
    assert only_reduces(target, book) is True


@pytest.mark.parametrize(("action", "quantity"), [(BUY, 1), (SELL, 4)])
def test_an_order_that_hides_behind_a_larger_one_of_its_group_does_not_reduce(
    *, place: Place, view: Sees, held: Holds, resting: Rests, action: OrderAction, quantity: int
) -> None:
    book = view(positions=held(2), orders=(resting(action=action, quantity=9, oco_id="x"),))
    assert only_reduces(place(action=action, quantity=quantity, oco_id="x"), book) is False


def test_an_exit_of_unknown_outcome_counts_before_the_next_one(place: Place, view: Sees, held: Holds) -> None:
    book = view(positions=held(2), pending=(PendingOrder(ES, -2),))
    assert only_reduces(place(action=SELL, quantity=2), book) is False


@pytest.mark.parametrize("quantity", [True, 0, -1, 1.0, 2**63])
def test_a_quantity_that_counts_no_contracts_never_reduces(
    place: Place, view: Sees, held: Holds, quantity: object
) -> None:
    assert only_reduces(place(action=SELL, quantity=quantity), view(positions=held(5))) is False


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
    place: Place, view: Sees, resting: Rests, action: Action, unread: str
) -> None:
    book = view(**{"orders": (resting(quantity=2),), unread: None})
    for asked in (action, place()):
        assert only_reduces(asked, book) is None
        assert risk_direction(asked, book) is None


def test_exits_leave_whatever_is_known(now: object, view: Sees) -> None:
    nothing = view(account=None, positions=None, orders=None, quote=None, session=None)
    for action in (Flatten("Sim101", None), ClosePosition("Sim101", ES)):
        assert leaves_position(action)
        assert only_reduces(action, nothing) is True
        assert risk_direction(action, nothing) is RiskDirection.CLOSES
    assert risk_direction(ClosePosition("Sim101", ES, quantity=1), nothing) is RiskDirection.REDUCES


def test_orders_and_cancels_do_not_leave(place: Place) -> None:
    for action in (place(), CancelOrder("Sim101", "1"), CancelOrders("Sim101", None), ChangeOrder("Sim101", "1", 2)):
        assert not leaves_position(action)


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
    assert risk_direction(change, view(orders=(resting(quantity=2),))) is expected


def test_a_stop_entry_made_smaller_protects_nothing(view: Sees, stop: Rests) -> None:
    assert risk_direction(ChangeOrder("Sim101", "stop", quantity=1), view(orders=(stop(quantity=2),))) is (
        RiskDirection.REDUCES
    )


def test_a_target_that_filled_in_part_may_be_moved(view: Sees, held: Holds, resting: Rests) -> None:
    target = resting(action=SELL, quantity=3, filled=1, state=OrderState.PART_FILLED)
    book = view(positions=held(2), orders=(target,))
    assert only_reduces(ChangeOrder("Sim101", "1", limit_price=Decimal(6410)), book) is True


def test_a_change_of_an_order_that_adds_adds(view: Sees, held: Holds, resting: Rests) -> None:
    book = view(positions=held(1), orders=(resting(),))
    assert risk_direction(ChangeOrder("Sim101", "1", quantity=2), book) is RiskDirection.ADDS


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
    assert risk_direction(change, view(positions=held(3), orders=(stop(quantity=2),))) is expected


def test_cancelling_an_entry_reduces_and_cancelling_a_target_changes_nothing(
    view: Sees, held: Holds, resting: Rests
) -> None:
    target = resting("target", action=SELL, limit_price=Decimal(6420))
    book = view(positions=held(1), orders=(resting("entry"), target))
    assert risk_direction(CancelOrder("Sim101", "entry"), book) is RiskDirection.REDUCES
    assert risk_direction(CancelOrder("Sim101", "target"), book) is RiskDirection.NEUTRAL
    assert risk_direction(CancelOrders("Sim101", ES), book) is RiskDirection.REDUCES


@pytest.mark.parametrize("action", OrderAction)
def test_cancelling_any_entry_of_a_flat_account_reduces(view: Sees, resting: Rests, action: OrderAction) -> None:
    book = view(orders=(resting(action=action),))
    assert risk_direction(CancelOrder("Sim101", "1"), book) is RiskDirection.REDUCES


def test_cancelling_nothing_changes_nothing(view: Sees) -> None:
    assert risk_direction(CancelOrders("Sim101", None), view()) is RiskDirection.NEUTRAL


def test_cancelling_an_order_nobody_knows_has_no_direction(view: Sees) -> None:
    assert only_reduces(CancelOrder("Sim101", "nobody"), view()) is None
