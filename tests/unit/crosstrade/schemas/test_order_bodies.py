"""What a write says and what it hears."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.failures import json_in
from ct_mcp.crosstrade.wire import (
    Acknowledged,
    acknowledged_in,
    acknowledged_order_in,
    change_body,
    close_body,
    guarded_order_body,
    instrument_body,
    order_body,
)
from ct_mcp.crosstrade.wire_orders import order_in
from ct_mcp.crosstrade.wire_row import Reply, Row
from ct_mcp.domain.action import ChangeOrder, ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.position import Direction
from ct_mcp.errors import BadReply, BadRequest

Replies = Callable[..., Reply]
ES = Instrument("ES", 2026, 12)
STOP = PlaceOrder(
    "Sim101", ES, OrderAction.SELL, 2, OrderType.STOP_LIMIT, Decimal("6600.00"), Decimal("6601.25"), TimeInForce.GTC
)
MARKET = PlaceOrder("Sim101", ES, OrderAction.BUY, 1, OrderType.MARKET, None, None, TimeInForce.DAY, "oco-1", "Scalp")


def test_an_order_leaves_in_their_spelling_with_the_dated_instrument() -> None:
    assert json.dumps(order_body(STOP)) == (
        '{"instrument": "ES 12-26", "action": "SELL", "quantity": 2, "orderType": "STOPLIMIT", '
        '"timeInForce": "GTC", "limitPrice": 6600, "stopPrice": 6601.25}'
    )


@pytest.mark.parametrize("order_type", [OrderType.MARKET_IF_TOUCHED, OrderType.OTHER])
def test_an_order_type_that_only_describes_is_not_sent(order_type: OrderType) -> None:
    with pytest.raises(BadRequest, match=f"{order_type} describes an order and cannot be sent"):
        order_body(replace(MARKET, order_type=order_type))


def test_what_was_not_given_is_not_sent() -> None:
    assert order_body(MARKET) == {
        "instrument": "ES 12-26",
        "action": "BUY",
        "quantity": 1,
        "orderType": "MARKET",
        "timeInForce": "DAY",
        "ocoId": "oco-1",
        "strategy": "Scalp",
    }


def test_our_own_id_and_the_second_net_go_with_the_order() -> None:
    plain = guarded_order_body(STOP, "ct-1", None, None)
    assert plain == {**order_body(STOP), "orderId": "ct-1"}
    both = frozenset({Direction.LONG, Direction.FLAT})
    assert guarded_order_body(STOP, "ct-1", both, 3) == {
        **plain,
        "requireMarketPosition": "flat,long",
        "maxPositions": 3,
    }


def test_a_change_names_only_what_changes() -> None:
    assert change_body(ChangeOrder("Sim101", "a", stop_price=Decimal("6590.5"))) == {"stopPrice": 6590.5}
    assert change_body(ChangeOrder("Sim101", "a", 3, Decimal("0"), None)) == {"quantity": 3, "limitPrice": 0}
    assert change_body(ChangeOrder("Sim101", "a")) == {}


def test_a_close_says_how_much_or_all() -> None:
    assert close_body(ClosePosition("Sim101", ES)) == {"instrument": "ES 12-26"}
    assert close_body(ClosePosition("Sim101", ES, quantity=2)) == {"instrument": "ES 12-26", "quantity": 2}
    assert close_body(ClosePosition("Sim101", ES, percent=Decimal("12.5")))["percent"] == 0.125
    assert close_body(ClosePosition("Sim101", ES, percent=Decimal(100)))["percent"] == 1


@pytest.mark.parametrize(
    "close",
    [
        ClosePosition("Sim101", ES, quantity=1, percent=Decimal(50)),
        ClosePosition("Sim101", ES, percent=Decimal(0)),
        ClosePosition("Sim101", ES, percent=Decimal("100.5")),
    ],
)
def test_a_close_that_makes_no_sense_is_not_sent(close: ClosePosition) -> None:
    with pytest.raises(BadRequest):
        close_body(close)


def test_a_price_that_no_number_holds_is_not_sent() -> None:
    with pytest.raises(BadRequest, match="stopPrice NaN cannot be sent"):
        change_body(ChangeOrder("Sim101", "a", stop_price=Decimal("NaN")))


def test_an_instrument_is_named_or_left_to_the_path() -> None:
    assert instrument_body(ES) == {"instrument": "ES 12-26"}
    assert instrument_body(None) == {}


def test_an_order_is_acknowledged_by_its_id(reply: Replies) -> None:
    acknowledged = acknowledged_order_in(reply("PlaceOrder", warning="market is closed"), "Sim101")
    assert acknowledged == Acknowledged(("50cca7b8051146c684087db511107983",), warning="market is closed")


def test_several_ids_and_closed_positions_are_kept(reply: Replies) -> None:
    assert len(acknowledged_in(reply("CancelOrders"), "Sim101").order_ids) == 2
    flattened = acknowledged_in(reply("FlattenEverything"), "Sim101")
    assert flattened.order_ids == ("d99b2043460849ddae409d1b15cb92ff",)
    assert [position.net for position in flattened.closed] == [7]


def test_a_close_that_goes_on_says_what_remains(reply: Replies) -> None:
    closing = acknowledged_in(reply("ClosePosition"), "Sim101")
    assert (closing.pending, closing.remaining_quantity) == (True, 3)
    done = acknowledged_in(reply("Flatten"), "Sim101")
    assert (done.pending, done.remaining_quantity) == (None, None)


@pytest.mark.parametrize("success", [None, "true", 1])
def test_without_a_claim_of_success_nothing_is_acknowledged(reply: Replies, success: object) -> None:
    with pytest.raises(BadReply, match="success is not claimed"):
        acknowledged_in(reply("PlaceOrder", success=success), "Sim101")


def test_an_acknowledgement_without_the_orders_id_is_none(reply: Replies) -> None:
    with pytest.raises(BadReply, match="names no order"):
        acknowledged_order_in(reply("PlaceOrder", orderId=None), "Sim101")


def test_closed_positions_of_another_account_are_no_acknowledgement(reply: Replies) -> None:
    with pytest.raises(BadReply, match="not of the one"):
        acknowledged_in(reply("Flatten"), "Sim102")


PRICES = st.decimals(min_value=0, max_value=100_000, places=6).filter(bool)
INSTRUMENTS = st.builds(
    Instrument, st.sampled_from(["ES", "MES", "6J", "M2K", "CL"]), st.integers(2024, 2035), st.integers(1, 12)
)
ORDERS = st.builds(
    PlaceOrder,
    st.just("Sim101"),
    INSTRUMENTS,
    st.sampled_from(OrderAction),
    st.integers(1, 1000),
    st.sampled_from([kind for kind in OrderType if kind.can_be_sent]),
    PRICES,
    PRICES,
    st.sampled_from(TimeInForce),
)


@given(ORDERS, st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_what_we_send_is_what_we_would_read_back(order: PlaceOrder, own_id: str) -> None:
    sent = json_in(json.dumps(guarded_order_body(order, own_id, None, None)))
    assert isinstance(sent, dict)
    listed = {**sent, "id": "a", "automatedTradingOrderId": sent["orderId"], "orderState": "Working", "filled": 0}
    read = order_in(Row("row", listed, date(2026, 3, 18)), "Sim101")
    assert (read.instrument, read.action, read.quantity) == (order.instrument, order.action, order.quantity)
    assert (read.order_type, read.time_in_force, read.own_id) == (order.order_type, order.time_in_force, own_id)
    assert read.limit_price == (order.limit_price if order.order_type.needs_limit_price else None)
    assert read.stop_price == (order.stop_price if order.order_type.needs_stop_price else None)
