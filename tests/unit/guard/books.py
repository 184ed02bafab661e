"""Any book at all, for what must hold on each: a position, orders, and some that were sent with an unknown outcome."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import strategies as st

from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext
from tests.factories import ES, SIM101, position


@st.composite
def an_order(draw: st.DrawFn, order_id: str) -> Order:
    """Any order in any state, part of it filled."""
    quantity = draw(st.integers(1, 5))
    return Order(
        account=SIM101,
        order_id=order_id,
        instrument=ES,
        action=draw(st.sampled_from(OrderAction)),
        order_type=draw(st.sampled_from(OrderType)),
        state=draw(st.sampled_from(OrderState)),
        quantity=quantity,
        filled=draw(st.integers(0, quantity)),
        limit_price=draw(st.sampled_from([Decimal(6400), Decimal(6390), Decimal(6410)])),
        stop_price=draw(st.sampled_from([Decimal(6400), Decimal(6390), Decimal(6410)])),
        oco_id=draw(st.sampled_from([None, None, "a", "b"])),
    )


@st.composite
def a_book(draw: st.DrawFn, view: Callable[..., RiskContext]) -> RiskContext:
    """What is held, up to four orders and up to two whose outcome is unknown."""
    net = draw(st.integers(-6, 6))
    pending = draw(st.lists(st.sampled_from([-2, -1, 1, 2]), max_size=2))
    return view(
        positions=(position(net, average_price="6400"),) if net else (),
        orders=tuple(draw(an_order(str(number))) for number in range(draw(st.integers(0, 4)))),
        pending=tuple(PendingOrder(ES, signed) for signed in pending),
    )
