"""Orders, their history and executions, written as the service writes them."""

import json
from html import escape

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.orders import Execution, Order
from ct_mcp.simulator.record import Submission, Transition
from ct_mcp.simulator.rest.account_rows import market_position
from ct_mcp.simulator.rest.hostile import spoken
from ct_mcp.simulator.rest.order_shapes import ExecutionRow, LifecycleEvent, OrderAnswer, OrderRow, OwnerStrategy
from ct_mcp.simulator.rest.times import milliseconds, seven_digits, three_digits

_NO_GTD = "2099-12-01T00:00:00.0000000"


def order_row(addon: AddOn, order: Order) -> OrderRow:
    """Write an order as it stands in a list."""
    terms, labels = order.terms, order.labels
    return {
        "id": order.id,
        "orderId": None,
        "ocoId": labels.oco_id or "",
        "name": spoken(addon.faults, labels.name),
        "account": order.account,
        "instrument": terms.contract.name,
        "orderType": terms.order_type,
        "orderState": order.state,
        "orderAction": terms.action,
        "quantity": terms.quantity,
        "limitPrice": terms.limit_price,
        "stopPrice": terms.stop_price,
        "filled": order.filled,
        "averageFillPrice": order.average_fill_price,
        "timeInForce": terms.time_in_force,
        "time": seven_digits(addon.local(order.placed_at)),
        "ownerStrategy": _owner(order),
        "userData": _user_data(order),
        "automatedTradingOrderId": _automated_id(order),
    }


def order_answer(addon: AddOn, order: Order) -> OrderAnswer:
    """Write an order by itself."""
    terms = order.terms
    return {
        "account": order.account,
        "orderId": order.id,
        "instrument": terms.contract.name,
        "instrumentType": "Future",
        "orderType": terms.order_type,
        "orderState": order.state,
        "quantity": terms.quantity,
        "averageFillPrice": order.average_fill_price,
        "filled": order.filled,
        "fromEntrySignal": None,
        "gtd": _NO_GTD,
        "hasOverfill": False,
        "isBacktestOrder": False,
        "limitPrice": terms.limit_price,
        "limitPriceChanged": 0.0,
        "name": spoken(addon.faults, order.labels.name),
        "ocoId": order.labels.oco_id or "",
        "orderAction": terms.action,
        "quantityChanged": 0,
        "stopPrice": terms.stop_price,
        "stopPriceChanged": 0.0,
        "time": seven_digits(addon.local(order.placed_at)),
        "timeInForce": terms.time_in_force,
        "ownerStrategy": _owner(order),
        "userData": _user_data(order),
        "success": True,
    }


def execution_row(addon: AddOn, execution: Execution) -> ExecutionRow:
    """Write an execution."""
    order = execution.order
    contract = order.terms.contract
    return {
        "id": execution.id,
        "type": "NinjaTrader.Cbi.Execution",
        "time": seven_digits(addon.local(execution.at)),
        "epoch": milliseconds(execution.at),
        "name": spoken(addon.faults, order.labels.name),
        "orderId": order.id,
        "account": order.account,
        "serverName": addon.habits.computer,
        "instrument": contract.name,
        "instrumentType": "Future",
        "position": abs(execution.position),
        "marketPosition": market_position(order.terms.action.sign),
        "positionStrategy": 0,
        "price": contract.product.price(execution.ticks),
        "quantity": execution.quantity,
        "commission": execution.commission,
        "fee": execution.fee,
    }


def submission_event(submission: Submission, *, raw: bool) -> LifecycleEvent:
    """Write down that a call was received."""
    event: LifecycleEvent = {
        "timestamp": three_digits(submission.at),
        "epoch": float(milliseconds(submission.at)),
        "source": "api_received",
        "event": submission.rpc,
        "orderState": None,
        "orderId": submission.given_id,
        "account": submission.account,
    }
    if raw:
        event["raw"] = json.dumps(submission.said, default=str)
    return event


def transition_event(addon: AddOn, transition: Transition, *, raw: bool) -> LifecycleEvent:
    """Write down that an order came into a state."""
    event: LifecycleEvent = {
        "timestamp": three_digits(transition.at),
        "epoch": float(milliseconds(transition.at)),
        "source": "order_update",
        "event": "OrderUpdate",
        "orderState": transition.state,
        "orderId": transition.order.id,
        "account": transition.order.account,
        "filled": transition.filled,
    }
    if transition.error:
        event["nativeError"] = spoken(addon.faults, transition.error)
    if raw:
        event["raw"] = json.dumps(order_row(addon, transition.order))
    return event


def execution_event(addon: AddOn, execution: Execution, *, raw: bool) -> LifecycleEvent:
    """Write down that an order filled."""
    row = execution_row(addon, execution)
    event: LifecycleEvent = {
        "timestamp": three_digits(execution.at),
        "epoch": float(row["epoch"]),
        "source": "execution",
        "event": "Fill",
        "orderState": None,
        "orderId": row["orderId"],
        "account": row["account"],
        "executionId": row["id"],
        "price": row["price"],
        "quantity": row["quantity"],
    }
    if raw:
        event["raw"] = json.dumps(row)
    return event


def _owner(order: Order) -> OwnerStrategy:
    name = order.labels.owner or order.labels.template
    return {"id": order.owner_id, "name": name, "displayName": name}


def _automated_id(order: Order) -> str | None:
    """Only an entry with a template and the legs of its bracket carry the id that the caller gave the entry."""
    entry = order.labels.entry or order
    return entry.labels.own_id if entry.labels.template is not None else None


def _user_data(order: Order) -> str | None:
    own_id = _automated_id(order)
    if own_id is None:
        return None
    return f"<NinjaTrader><AutomatedTradingOrderId>{escape(own_id)}</AutomatedTradingOrderId></NinjaTrader>"
