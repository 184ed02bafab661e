"""Orders, executions, lifecycles and acknowledgements, as documented."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.schemas.orders import (
    Acknowledged,
    known_orders,
    parse_acknowledgement,
    parse_asked_order,
    parse_executions,
    parse_executions_of_order,
    parse_lifecycle,
    parse_order_acknowledgement,
    parse_state,
)
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.errors import BadReply

Replies = Callable[..., Reply]
Payloads = Callable[[str], dict[str, object]]


def test_orders_are_read_in_our_words(reply: Replies) -> None:
    limit, stop, both = known_orders().of(reply("ListOrders"), "Sim101")
    assert limit == Order(
        account="Sim101",
        order_id="50cca7b8051146c684087db511107983",
        instrument=Instrument("ES", 2026, 6),
        action=OrderAction.BUY,
        order_type=OrderType.LIMIT,
        state=OrderState.WORKING,
        quantity=2,
        filled=0,
        limit_price=Decimal("6601.25"),
        time_in_force=TimeInForce.DAY,
        name="Entry",
    )
    assert (stop.action, stop.order_type, stop.state) == (
        OrderAction.SELL,
        OrderType.STOP_MARKET,
        OrderState.TRIGGER_PENDING,
    )
    assert (stop.limit_price, stop.stop_price, stop.oco_id) == (None, Decimal("2650.1"), "my-oco")
    assert stop.placed_at == datetime(2026, 3, 18, 20, 51, 54, 123456, tzinfo=UTC)
    assert (both.order_id, both.action, both.state) == ("aa01", OrderAction.BUY, OrderState.PART_FILLED)
    assert (both.limit_price, both.stop_price, both.average_fill_price) == (
        Decimal("66.2"),
        Decimal("66.1"),
        Decimal("66.15"),
    )


def test_our_own_id_comes_back_as_a_field_or_inside_the_blob(reply: Replies) -> None:
    assert [order.own_id for order in known_orders().of(reply("ListOrders"), "Sim101")] == [None, "ct-7f&1", "ct-8"]


@pytest.mark.parametrize(
    "blob",
    [
        "<NinjaTrader><AutomatedTradingOrderId></AutomatedTradingOrderId></NinjaTrader>",
        "<AutomatedTradingOrderId>a<b></AutomatedTradingOrderId>",
        '<!DOCTYPE x [<!ENTITY e "ct">]><AutomatedTradingOrderId',
        "x" * 100_000,
    ],
)
def test_a_blob_without_our_id_gives_none(reply: Replies, blob: str) -> None:
    assert parse_asked_order(reply("GetOrder", userData=blob), "Sim101").own_id is None


def test_an_entity_in_the_blob_is_not_expanded(reply: Replies) -> None:
    blob = '<!DOCTYPE x [<!ENTITY e "ct">]><AutomatedTradingOrderId>&e;</AutomatedTradingOrderId>'
    assert parse_asked_order(reply("GetOrder", userData=blob), "Sim101").own_id == "&e;"


def test_an_order_is_read_flat_or_wrapped(reply: Replies) -> None:
    flat = parse_asked_order(reply("GetOrder"), "sim101")
    assert (flat.account, flat.order_type, flat.state) == ("Sim101", OrderType.MARKET, OrderState.CANCEL_PENDING)
    assert (flat.limit_price, flat.stop_price, flat.average_fill_price) == (None, None, None)
    assert parse_asked_order(reply("GetOrder.wrapped"), "Sim101").order_id == flat.order_id


def test_a_fill_at_zero_has_no_price(reply: Replies) -> None:
    """It is the price of what has not filled: exits that stand so far from it would stand anywhere."""
    read = parse_asked_order(reply("GetOrder", filled=1, averageFillPrice=Decimal("0.0")), "Sim101")
    assert (read.filled, read.average_fill_price) == (1, None)


@pytest.mark.parametrize("counted", [0, 1])
def test_an_order_that_reads_filled_has_filled_all_of_it_whatever_is_counted(reply: Replies, counted: int) -> None:
    price = Decimal("6050.75")
    row = reply("GetOrder", orderState="Filled", quantity=2, filled=counted, averageFillPrice=price)
    read = parse_asked_order(row, "Sim101")
    assert (read.filled, read.average_fill_price) == (2, price)


@pytest.mark.parametrize("word", ["Cancelled", "PartFilled", "Working"])
def test_of_any_other_order_what_is_counted_has_filled(reply: Replies, word: str) -> None:
    read = parse_asked_order(reply("GetOrder", orderState=word, quantity=2, filled=1), "Sim101")
    assert read.filled == 1


def test_orders_of_every_account_each_name_theirs(reply: Replies) -> None:
    assert [order.account for order in known_orders().of(reply("GetAllOrders"), None)] == ["Sim101", "APEX1234"]
    with pytest.raises(BadReply, match="not of the one"):
        known_orders().of(reply("GetAllOrders"), "Sim101")


@pytest.mark.parametrize(
    "changes",
    [
        {"orderAction": "Hold"},
        {"orderAction": None},
        {"orderType": None},
        {"orderType": " "},
        {"orderState": None},
        {"orderId": None},
        {"quantity": "1.5"},
        {"filled": None},
        {"orderType": "Limit", "limitPrice": None},
        {"account": "Sim102"},
        {"instrument": None},
    ],
)
def test_an_order_that_cannot_be_understood_is_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_asked_order(reply("GetOrder", **changes), "Sim101")


@pytest.mark.parametrize(
    ("word", "order_type"),
    [
        ("MIT", OrderType.MARKET_IF_TOUCHED),
        ("MarketIfTouched", OrderType.MARKET_IF_TOUCHED),
        ("TrailingStop", OrderType.OTHER),
        ("Unknown", OrderType.OTHER),
        ("\u202estop", OrderType.OTHER),
    ],
)
def test_an_order_of_a_type_that_we_do_not_place_counts_like_any_other(
    reply: Replies, payload: Payloads, word: str, order_type: OrderType
) -> None:
    rows = payload("ListOrders")["orders"]
    assert isinstance(rows, list)
    rows[1] |= {"orderType": word, "limitPrice": None, "stopPrice": "?"}
    limit, touched, _ = known_orders().of(reply("ListOrders", orders=rows), "Sim101")
    assert limit.order_type is OrderType.LIMIT
    assert (touched.order_type, touched.limit_price, touched.stop_price) == (order_type, None, None)
    assert (touched.order_id, touched.action, touched.remaining) == ("676173541025", OrderAction.SELL, 1)
    assert (touched.oco_id, touched.is_closed) == ("my-oco", False)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Working", OrderState.WORKING),
        ("PARTFILLED", OrderState.PART_FILLED),
        ("Part Filled", OrderState.PART_FILLED),
        ("canceled", OrderState.CANCELLED),
        ("ChangeSubmitted", OrderState.CHANGE_SUBMITTED),
        ("AcceptedByRisk", OrderState.ACCEPTED_BY_RISK),
        ("Suspended", OrderState.SUSPENDED),
        ("Unknown", OrderState.UNKNOWN),
        ("Expired", OrderState.UNKNOWN),
        ("", OrderState.UNKNOWN),
    ],
)
def test_states_are_read_in_any_case_and_what_is_new_is_unknown(word: str, state: OrderState) -> None:
    assert parse_state(word) is state


@pytest.mark.parametrize(
    ("word", "shown"),
    [("Held\u202eAtDesk", 'UNKNOWN ("HeldAtDesk")'), ("Unknown", "UNKNOWN"), (" ", "UNKNOWN")],
)
def test_a_state_that_nobody_knows_is_alive_and_shown_in_their_word(reply: Replies, word: str, shown: str) -> None:
    order = parse_asked_order(reply("GetOrder", orderState=word), "Sim101")
    assert (order.is_closed, order.state_text) == (False, shown)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nativeError": "Account is set to\u200b liquidation only."}, "Account is set to liquidation only."),
        ({"error": "OrderRejected"}, "OrderRejected"),
        ({"error": "OrderRejected", "nativeError": "No margin"}, "No margin"),
        ({"error": "NoError", "nativeError": ""}, None),
        ({"nativeError": "x" * 5000}, "x" * 199 + "…"),
        ({}, None),
    ],
    ids=["native", "code", "both", "none", "endless", "missing"],
)
def test_their_words_on_a_rejection_are_kept_cleaned(
    reply: Replies, changes: dict[str, object], said: str | None
) -> None:
    events = [{"event": "OrderUpdate", "orderState": "Rejected", **changes}]
    lifecycle = parse_lifecycle(reply("GetOrderLifecycle", events=events, count=1), "Sim101")
    assert lifecycle.last_said == said


def test_a_time_in_force_that_we_do_not_know_is_not_guessed(reply: Replies) -> None:
    assert parse_asked_order(reply("GetOrder"), "Sim101").time_in_force is TimeInForce.GTC
    assert parse_asked_order(reply("GetOrder", timeInForce="Gtd"), "Sim101").time_in_force is None


def test_a_lifecycle_is_told_oldest_first(reply: Replies) -> None:
    lifecycle = parse_lifecycle(reply("GetOrderLifecycle"), "Sim101")
    assert (lifecycle.own_id, lifecycle.account, lifecycle.last_state) == ("ct-7f", "Sim101", OrderState.FILLED)
    assert [event.event for event in lifecycle.events] == ["PlaceOrder", "OrderUpdate", "OrderUpdate"]
    assert lifecycle.events[0].state is None
    assert lifecycle.events[0].at == datetime(2026, 5, 22, 14, 30, 12, 118000, tzinfo=UTC)


def test_a_lifecycle_with_an_event_of_unknown_time_keeps_their_order(reply: Replies) -> None:
    events = [{"event": "b"}, {"event": "a", "epoch": 1, "orderState": "Odd"}]
    lifecycle = parse_lifecycle(reply("GetOrderLifecycle", events=events, count=2, account=None), "Sim101")
    assert [event.event for event in lifecycle.events] == ["b", "a"]
    assert (lifecycle.account, lifecycle.last_state) == (None, OrderState.UNKNOWN)


def test_the_lifecycle_of_another_accounts_order_is_refused(reply: Replies) -> None:
    with pytest.raises(BadReply, match="not of the one"):
        parse_lifecycle(reply("GetOrderLifecycle"), "Sim102")


def test_executions_say_which_way_they_traded_and_when(reply: Replies) -> None:
    sold, bought = parse_executions(reply("ListExecutions"), "Sim101")
    assert (sold.action, sold.quantity, sold.price) == (OrderAction.SELL, 1, Decimal("5804.5"))
    assert sold.at == datetime(2025, 9, 27, 1, 9, 38, 373000, tzinfo=UTC)
    assert bought.action is OrderAction.BUY


def test_an_execution_without_its_direction_is_still_an_execution(reply: Replies, payload: Payloads) -> None:
    row = {**payload("GetExecution"), "marketPosition": None, "epoch": None}
    (execution,) = parse_executions(reply("ListExecutions", executions=[row], count=1), "Sim101")
    assert (execution.execution_id, execution.action, execution.at) == ("550837ff9e784c2895ef6dab22d06be0", None, None)


def test_the_executions_of_one_order_all_name_it(reply: Replies, payload: Payloads) -> None:
    assert len(parse_executions_of_order(reply("ListExecutions"), "Sim101")) == 2
    rows = payload("ListExecutions")["executions"]
    assert isinstance(rows, list)
    for other in (None, "another"):
        rows[1]["orderId"] = other
        with pytest.raises(BadReply, match="same order"):
            parse_executions_of_order(reply("ListExecutions", executions=rows), "Sim101")


def test_an_order_is_acknowledged_by_its_id(reply: Replies) -> None:
    acknowledged = parse_order_acknowledgement(reply("PlaceOrder", warning="market is closed"), "Sim101")
    assert acknowledged == Acknowledged(("50cca7b8051146c684087db511107983",), warning="market is closed")


def test_several_ids_and_closed_positions_are_kept(reply: Replies) -> None:
    assert len(parse_acknowledgement(reply("CancelOrders"), "Sim101").order_ids) == 2
    flattened = parse_acknowledgement(reply("FlattenEverything"), "Sim101")
    assert flattened.order_ids == ("d99b2043460849ddae409d1b15cb92ff",)
    assert [position.net for position in flattened.closed] == [7]


def test_a_close_that_goes_on_says_what_remains(reply: Replies) -> None:
    closing = parse_acknowledgement(reply("ClosePosition"), "Sim101")
    assert (closing.pending, closing.remaining_quantity) == (True, 3)
    done = parse_acknowledgement(reply("Flatten"), "Sim101")
    assert (done.pending, done.remaining_quantity) == (None, None)


@pytest.mark.parametrize("success", [None, "true", 1])
def test_without_a_claim_of_success_nothing_is_acknowledged(reply: Replies, success: object) -> None:
    with pytest.raises(BadReply, match="success is not claimed"):
        parse_acknowledgement(reply("PlaceOrder", success=success), "Sim101")


def test_an_acknowledgement_without_the_orders_id_is_none(reply: Replies) -> None:
    with pytest.raises(BadReply, match="names no order"):
        parse_order_acknowledgement(reply("PlaceOrder", orderId=None), "Sim101")


def test_closed_positions_of_another_account_are_no_acknowledgement(reply: Replies) -> None:
    with pytest.raises(BadReply, match="not of the one"):
        parse_acknowledgement(reply("Flatten"), "Sim102")
