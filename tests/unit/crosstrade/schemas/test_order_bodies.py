"""What is sent to place, change and close."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.schemas.order_bodies import (
    change_body,
    close_body,
    guarded_order_body,
    instrument_body,
    order_body,
)
from ct_mcp.crosstrade.schemas.orders import parse_asked_order
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.domain.account import Direction
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.errors import BadRequest

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
    plain = guarded_order_body(STOP, "ct-1", None)
    assert plain == {**order_body(STOP), "orderId": "ct-1"}
    both = frozenset({Direction.LONG, Direction.FLAT})
    assert guarded_order_body(STOP, "ct-1", both) == {**plain, "requireMarketPosition": "flat,long"}


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
    sent = parse_json(json.dumps(guarded_order_body(order, own_id, None)))
    assert isinstance(sent, dict)
    listed = {**sent, "id": "a", "automatedTradingOrderId": sent["orderId"], "orderState": "Working", "filled": 0}
    read = parse_asked_order(Reply("GetOrder", listed, datetime(2026, 3, 18, tzinfo=UTC)), "Sim101")
    assert (read.instrument, read.action, read.quantity) == (order.instrument, order.action, order.quantity)
    assert (read.order_type, read.time_in_force, read.own_id) == (order.order_type, order.time_in_force, own_id)
    assert read.limit_price == (order.limit_price if order.order_type.needs_limit_price else None)
    assert read.stop_price == (order.stop_price if order.order_type.needs_stop_price else None)
