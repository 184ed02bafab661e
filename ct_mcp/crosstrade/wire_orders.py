"""Their orders, executions and lifecycles → ours."""

import html
import re

from ct_mcp.crosstrade.wire_row import Reply, Row
from ct_mcp.crosstrade.words import folded
from ct_mcp.domain.order import (
    Execution,
    Lifecycle,
    LifecycleEvent,
    Order,
    OrderAction,
    OrderState,
    OrderType,
    TimeInForce,
)

# Read with a pattern: an XML parser would follow whatever a name or a signal put into the blob.
_OWN_ID = re.compile(r"<AutomatedTradingOrderId>([^<>]{1,200})</AutomatedTradingOrderId>")
_ACTIONS = {
    "buy": OrderAction.BUY,
    "buytocover": OrderAction.BUY,
    "sell": OrderAction.SELL,
    "sellshort": OrderAction.SELL,
}
_TYPES = {folded(kind): kind for kind in OrderType} | {"mit": OrderType.MARKET_IF_TOUCHED}
_STATES = {folded(state): state for state in OrderState} | {"canceled": OrderState.CANCELLED}
_FILL_ACTIONS = {"long": OrderAction.BUY, "short": OrderAction.SELL}


def orders_in(reply: Reply, asked: str | None) -> tuple[Order, ...]:
    """Every row of one account, or of all where ``asked`` is None."""
    return tuple(order_in(row, asked) for row in reply.rows("orders"))


def asked_order_in(reply: Reply, asked: str) -> Order:
    """One order. Its id may differ from the one that was asked for: NinjaTrader and brokers assign new ones."""
    return order_in(reply.single("order", proof="orderState"), asked)


def order_in(row: Row, asked: str | None) -> Order:
    """One order; it may carry its id under either of two names."""
    order_type, filled = _type(row), row.whole("filled")
    return Order(
        account=row.account(asked),
        order_id=row.text("id", "orderId"),
        instrument=row.instrument(),
        action=_action(row),
        order_type=order_type,
        state=state_from(row.text("orderState")),
        quantity=row.whole("quantity"),
        filled=filled,
        # Unused prices are 0.0 and never null, so what the type does not use is not read at all.
        limit_price=row.price("limitPrice") if order_type.needs_limit_price else None,
        stop_price=row.price("stopPrice") if order_type.needs_stop_price else None,
        average_fill_price=row.price_or_none("averageFillPrice") if filled else None,
        time_in_force=_time_in_force(row),
        oco_id=row.text_or_none("ocoId"),
        name=row.label("name"),
        own_id=own_id_in(row),
        placed_at=row.at("epoch", "time"),
    )


def status_in(reply: Reply) -> OrderState:
    """The state alone."""
    return state_from(reply.single("order", proof="status").text("status"))


def state_from(word: str) -> OrderState:
    """Read a state in any case and spacing; what we do not know is UNKNOWN, which never counts as closed."""
    return _STATES.get(folded(word), OrderState.UNKNOWN)


def own_id_in(row: Row) -> str | None:
    """The id that we gave the order, which comes back on some orders only."""
    if plain := row.text_or_none("automatedTradingOrderId"):
        return plain
    found = _OWN_ID.search(row.text_or_none("userData") or "")
    return html.unescape(found[1]) if found else None


def lifecycle_in(reply: Reply, asked: str) -> Lifecycle:
    """The history of an order, oldest first.

    The service does not look at the account that it is asked with, so another account's order is refused here.
    """
    head = reply.single("lifecycle", proof="orderId")
    events = tuple(_event(row) for row in reply.rows("events"))
    if all(event.at is not None for event in events):
        events = tuple(sorted(events, key=lambda event: event.at or reply.now))
    return Lifecycle(
        order_id=head.text("orderId"),
        own_id=head.text_or_none("originalOrderId"),
        account=head.account(asked) if head.text_or_none("account") else None,
        events=events,
    )


def executions_in(reply: Reply, asked: str) -> tuple[Execution, ...]:
    """Every execution of one account."""
    return tuple(execution_in(row, asked) for row in reply.rows("executions"))


def executions_of_order_in(reply: Reply, asked: str) -> tuple[Execution, ...]:
    """All of one order; its id may differ from the one that was asked with, but not from row to row."""
    executions = executions_in(reply, asked)
    order_ids = {execution.order_id for execution in executions}
    if None in order_ids or len(order_ids) > 1:
        reply.top.refuse("its rows do not all name the same order")
    return executions


def asked_execution_in(reply: Reply, asked: str, execution_id: str) -> Execution:
    """The execution that was asked for, and no other."""
    row = reply.single("execution", proof="id")
    execution = execution_in(row, asked)
    if execution.execution_id != execution_id:
        row.refuse("it is another execution than the one that was asked for")
    return execution


def execution_in(row: Row, asked: str) -> Execution:
    """One execution; its time is read from the epoch, since the text lacks its zone."""
    return Execution(
        account=row.account(asked),
        execution_id=row.text("id"),
        order_id=row.text_or_none("orderId"),
        instrument=row.instrument(),
        # On an execution the market position is the direction of the fill, not of what stands afterwards.
        action=_FILL_ACTIONS.get(folded(row.text_or_none("marketPosition") or "")),
        quantity=row.whole("quantity"),
        price=row.price("price"),
        at=row.at("epoch", "time"),
        name=row.label("name"),
    )


def _event(row: Row) -> LifecycleEvent:
    state = row.text_or_none("orderState")
    return LifecycleEvent(
        at=row.at("epoch", "timestamp"),
        source=row.label("source") or "",
        event=row.label("event") or "",
        state=None if state is None else state_from(state),
        order_id=row.text_or_none("orderId"),
    )


def _action(row: Row) -> OrderAction:
    word = folded(row.text("orderAction", "action"))
    return _ACTIONS[word] if word in _ACTIONS else row.refuse("its action is none that we know")


def _type(row: Row) -> OrderType:
    """A type that the service cannot place still makes an order that counts, and that can be cancelled."""
    return _TYPES.get(folded(row.text("orderType")), OrderType.OTHER)


def _time_in_force(row: Row) -> TimeInForce | None:
    word = (row.text_or_none("timeInForce") or "").strip().upper()
    return TimeInForce(word) if word in TimeInForce.__members__ else None
