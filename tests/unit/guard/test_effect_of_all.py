"""What every action does to the risk, on random books: nothing that raises the worst case is called reducing."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.effect_model import RiskDirection
from tests.factories import ES
from tests.unit.guard.books import a_book

SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Holds = Callable[[int], tuple[Position, ...]]
Book = tuple[int, tuple[Order, ...]]
START = StartStrategy("Sim101", "Breakout", ES, HostMode.ACCOUNT, BarType.MINUTE, 5)
EXITS: tuple[Command, ...] = (
    Flatten("Sim101", ES),
    ClosePosition("Sim101", ES),
    CloseStrategy("Sim101", "77"),
)


def fills(orders: Iterable[Order], pending: Iterable[PendingOrder]) -> Iterator[int]:
    """Every net change that some subset of fills makes, one member of an OCO group at most."""
    choices: dict[str, list[int]] = {}
    for order in orders:
        group = f"in {order.oco_id}" if order.oco_id else f"alone {order.order_id}"
        choices.setdefault(group, [0]).append(order.action.sign * order.remaining)
    alone = [[0, sent.signed_quantity] for sent in pending]
    return map(sum, product(*choices.values(), *alone))


def reach(net: int, orders: Iterable[Order], pending: Iterable[PendingOrder]) -> tuple[int, int]:
    """Contracts that may come to be held long, and short."""
    ends = [net + filled for filled in fills(orders, pending)]
    return max(0, *ends, 0), max(0, *(-end for end in ends), 0)


def row(order: PlaceOrder, order_id: str = "new") -> Order:
    """A new order once it works."""
    listed = Order("Sim101", order_id, ES, order.action, order.order_type, OrderState.WORKING, order.quantity, 0)
    return replace(listed, oco_id=order.oco_id)


@st.composite
def a_new_order(draw: st.DrawFn) -> PlaceOrder:
    """Any new order that may also be a replacement."""
    price = st.one_of(st.none(), st.integers(6390, 6410).map(Decimal))
    return PlaceOrder(
        account="Sim101",
        instrument=ES,
        action=draw(st.sampled_from(OrderAction)),
        quantity=draw(st.integers(1, 5)),
        order_type=draw(st.sampled_from(OrderType)),
        limit_price=draw(price),
        stop_price=draw(price),
        time_in_force=TimeInForce.DAY,
        oco_id=draw(st.sampled_from([None, "a", "b", "c"])),
        atm_strategy=draw(st.sampled_from([None, None, None, "Tight"])),
    )


def an_action() -> st.SearchStrategy[Command]:
    """Everything that can be asked, of the first five orders where one is named."""
    order_id, price = st.integers(0, 4).map(str), st.one_of(st.none(), st.integers(6385, 6415).map(Decimal))
    account = st.just("Sim101")
    return st.one_of(
        a_new_order(),
        a_new_order().map(lambda order: replace(order, flatten_first=True)),
        st.builds(ChangeOrder, account, order_id, st.one_of(st.none(), st.integers(1, 6)), price, price),
        st.builds(ReplaceOrder, account, order_id, a_new_order()),
        st.builds(CancelOrder, account, order_id),
        st.builds(CancelOrders, account, st.sampled_from([None, ES])),
        st.builds(ProtectPosition, account, st.just(ES), price, price),
        st.sampled_from([*EXITS, ReversePosition("Sim101", ES), START]),
        st.sampled_from([EnableStrategy("Sim101", "77"), DisableStrategy("Sim101", "77")]),
    )


def books_after(action: Command, book: RiskContext) -> list[Book]:
    """Every book that may stand once an action was sent that is called reducing."""
    net, orders = book.net_position(ES) or 0, book.orders or ()
    match action:
        case PlaceOrder():
            return [(net, (*orders, row(action)))]
        case ChangeOrder():
            changed = (
                replace(o, quantity=action.quantity or o.quantity) for o in orders if o.order_id == action.order_id
            )
            others = tuple(order for order in orders if order.order_id != action.order_id)
            return [(net, orders), (net, (*others, *changed))]
        case ReplaceOrder() | CancelOrder() | CancelOrders():
            gone = effect_of(action, book).cancels or ()
            new = (row(action.order),) if isinstance(action, ReplaceOrder) else ()
            left = tuple(order for order in orders if order not in gone)
            return [(net, orders), (net, left), (net, (*left, *new)), (net, (*orders, *new))]
        case ProtectPosition():
            return list(books_around(action, net, orders))
        case _:
            return [(net, orders), (net, ())] if isinstance(action, DisableStrategy) else [(0, ())]


def books_around(protect: ProtectPosition, net: int, orders: tuple[Order, ...]) -> Iterator[Book]:
    """The orders may fill until they are cancelled; the bracket is then clamped to what is left, or not placed."""
    for filled in fills(orders, ()):
        left = net + filled
        size = min(abs(net), abs(left)) if left * net > 0 else 0
        leaves = PlaceOrder("Sim101", ES, SELL if net > 0 else BUY, size, OrderType.LIMIT, None, None, TimeInForce.GTC)
        prices = [price for price in (protect.take_profit_price, protect.stop_loss_price) if price is not None]
        yield left, tuple(row(replace(leaves, oco_id="pair"), str(price)) for price in prices if size)


@pytest.mark.slow
@given(st.data())
def test_nothing_that_raises_the_worst_case_is_called_reducing(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_action())
    if not effect_of(action, book).only_reduces:
        return
    long, short = reach(book.net_position(ES) or 0, book.orders or (), book.pending)
    for net, orders in books_after(action, book):
        # What was sent to close all waits for nothing, not even for what is still unknown.
        pending = () if effect_of(action, book).is_exit else book.pending
        long_after, short_after = reach(net, orders, pending)
        assert long_after <= long
        assert short_after <= short


@pytest.mark.slow
@given(st.data())
def test_what_takes_protection_away_never_only_reduces(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_action())
    lost = effect_of(action, book).lost
    if lost is not None and lost.is_any:
        assert effect_of(action, book).only_reduces is False
        assert effect_of(action, book).direction is RiskDirection.UNPROTECTS


@pytest.mark.slow
@given(st.data())
def test_a_reducing_action_is_never_said_to_open_or_add(view: Sees, data: st.DataObject) -> None:
    book, action = data.draw(a_book(view)), data.draw(an_action())
    direction, reduces = effect_of(action, book).direction, effect_of(action, book).only_reduces
    raises = {RiskDirection.OPENS, RiskDirection.ADDS, RiskDirection.UNPROTECTS}
    if direction is not None and reduces is not None:
        assert (direction in raises) is not reduces
    else:
        assert not reduces


@given(st.data())
def test_a_reverse_reaches_no_further_than_is_said_whenever_the_orders_fill(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    net, orders = book.net_position(ES) or 0, [order for order in book.orders or () if not order.oco_id]
    after = effect_of(ReversePosition("Sim101", ES), replace(book, orders=tuple(orders))).after
    if after is None:
        assert net == 0
        return
    loose = [order.action.sign * order.remaining for order in orders] + [sent.signed_quantity for sent in book.pending]
    for moments in product((-1, 0, 1), repeat=len(loose)):
        # Filled before the reverse, never, or after it.
        before = sum(size for size, moment in zip(loose, moments, strict=True) if moment < 0)
        later = sum(size for size, moment in zip(loose, moments, strict=True) if moment > 0)
        assert after.most_short <= -(net + before) + later <= after.most_long


@given(st.data())
def test_a_reverse_never_only_reduces(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    assert effect_of(ReversePosition("Sim101", ES), book).only_reduces is False


@pytest.mark.slow
@given(st.data())
def test_a_bracket_that_only_reduces_covers_the_position_where_a_stop_stood(view: Sees, data: st.DataObject) -> None:
    book = data.draw(a_book(view))
    price = st.one_of(st.none(), st.integers(6385, 6415).map(Decimal))
    protect = ProtectPosition("Sim101", ES, data.draw(price), data.draw(price))
    net, orders = book.net_position(ES) or 0, book.orders or ()
    leaving = SELL if net > 0 else BUY
    stops = [o for o in orders if o.order_type.needs_stop_price and o.action is leaving and o.remaining]
    if effect_of(protect, book).only_reduces:
        assert net
        if stops:
            assert protect.stop_loss_price is not None
            moves = [(protect.stop_loss_price - (stop.stop_price or 0)) * leaving.sign for stop in stops]
            assert max(moves) <= 0


@pytest.mark.parametrize("action", EXITS)
def test_every_exit_closes_whatever_is_known(view: Sees, action: Command) -> None:
    nothing = view(account=None, positions=None, orders=None, quote=None, session=None)
    assert effect_of(action, nothing).is_exit
    assert not effect_of(action, nothing).sends_orders
    assert effect_of(action, nothing).only_reduces is True
    assert effect_of(action, nothing).direction is RiskDirection.CLOSES


@pytest.mark.parametrize("action", [START, EnableStrategy("Sim101", "77")])
def test_a_strategy_opens_whatever_is_known(view: Sees, action: Command) -> None:
    nothing = view(positions=None, orders=None)
    assert effect_of(action, nothing).sends_orders
    assert effect_of(action, nothing).only_reduces is False
    assert effect_of(action, nothing).direction is RiskDirection.OPENS


@pytest.mark.parametrize(
    ("book", "reduces", "direction"),
    [
        ({}, True, RiskDirection.NEUTRAL),
        ({"net": 2}, False, RiskDirection.UNPROTECTS),
        ({"net": 2, "orders": None}, False, RiskDirection.UNPROTECTS),
        ({"pending": (PendingOrder(ES, 1),)}, False, RiskDirection.UNPROTECTS),
        ({"positions": None}, None, None),
    ],
)
def test_a_paused_strategy_may_leave_any_position_alone(
    *, view: Sees, held: Holds, book: dict[str, object], reduces: bool | None, direction: RiskDirection | None
) -> None:
    changes = dict(book)
    net = changes.pop("net", 0)
    seen = view(**{"positions": held(int(str(net))), **changes})
    assert effect_of(DisableStrategy("Sim101", "77"), seen).only_reduces is reduces
    assert effect_of(DisableStrategy("Sim101", "77"), seen).direction is direction


@pytest.mark.parametrize(
    ("net", "old", "new", "expected"),
    [
        (0, {}, {}, RiskDirection.OPENS),
        (2, {}, {}, RiskDirection.ADDS),
        (2, {"action": SELL}, {"action": SELL}, RiskDirection.REDUCES),
        (2, {"action": SELL, "quantity": 2}, {"action": SELL}, RiskDirection.OPENS),
        (-3, {}, {"order_type": OrderType.STOP_MARKET, "stop_price": "6410"}, RiskDirection.PROTECTS),
    ],
)
def test_a_replacement_is_judged_as_if_both_orders_could_fill(
    *,
    place: Place,
    view: Sees,
    held: Holds,
    resting: Rests,
    net: int,
    old: dict[str, object],
    new: dict[str, object],
    expected: RiskDirection,
) -> None:
    book = view(positions=held(net), orders=(resting(**old),))
    assert effect_of(ReplaceOrder("Sim101", "1", place(**new)), book).direction is expected


def test_a_replacement_of_an_order_nobody_knows_has_no_direction(place: Place, view: Sees) -> None:
    assert effect_of(ReplaceOrder("Sim101", "1", place()), view()).direction is None


def test_a_reverse_opens_the_other_side(view: Sees, held: Holds) -> None:
    reverse = ReversePosition("Sim101", ES)
    assert effect_of(reverse, view(positions=held(2))).direction is RiskDirection.OPENS
    assert effect_of(reverse, view(positions=None)).direction is None
    assert effect_of(reverse, view()).direction is None


@pytest.mark.parametrize(
    ("target", "stop_price", "expected"),
    [
        ("6420", "6385", RiskDirection.PROTECTS),
        (None, "6380", RiskDirection.PROTECTS),
        (None, "6379.75", RiskDirection.UNPROTECTS),
        ("6420", None, RiskDirection.UNPROTECTS),
        (None, "NaN", RiskDirection.UNPROTECTS),
        (None, None, RiskDirection.UNPROTECTS),
    ],
)
def test_a_bracket_is_judged_by_the_stop_that_goes_for_it(
    *, view: Sees, held: Holds, stop: Rests, target: str | None, stop_price: str | None, expected: RiskDirection
) -> None:
    book = view(positions=held(3), orders=(stop(quantity=2),))
    protect = ProtectPosition("Sim101", ES, target and Decimal(target), stop_price and Decimal(stop_price))  # type: ignore[arg-type]
    assert effect_of(protect, book).direction is expected
    assert effect_of(protect, book).only_reduces is (expected is RiskDirection.PROTECTS)


def test_a_bracket_around_a_bare_position_never_lessens_anything(view: Sees, held: Holds, resting: Rests) -> None:
    book = view(positions=held(-2), orders=(resting(quantity=1),))
    assert effect_of(ProtectPosition("Sim101", ES, Decimal(6390), None), book).direction is RiskDirection.REDUCES
    assert effect_of(ProtectPosition("Sim101", ES, None, Decimal(6500)), book).direction is RiskDirection.PROTECTS


def test_a_bracket_around_nothing_opens(view: Sees, held: Holds) -> None:
    protect = ProtectPosition("Sim101", ES, Decimal(6410), Decimal(6390))
    assert effect_of(protect, view()).direction is RiskDirection.OPENS
    assert effect_of(protect, view(positions=held(2), pending=(PendingOrder(ES, -2),))).direction is RiskDirection.OPENS
    assert effect_of(protect, view(positions=None)).direction is None
    assert effect_of(protect, view(positions=held(2), orders=None)).direction is None
