"""Endpoints of executions, and of the history of one order."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

import json
from datetime import timedelta
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.fault_responses import with_hostile_text
from ct_mcp.simulator.orders import OrderTransition, ReceivedCall, SimExecution, SimOrder
from ct_mcp.simulator.rest.orders import OrderArgs, find_order, order_json
from ct_mcp.simulator.rest.positions import market_position
from ct_mcp.simulator.rest.wire import AccountArgs, SuccessBody, dotnet_time, epoch_milliseconds, iso_time_utc

_LONGEST_LOOKBACK_SECONDS = 900


class LifecycleArgs(OrderArgs):
    """One order, and how much of its history."""

    include_fills: bool = True
    include_raw: bool = False
    limit: Annotated[int, Field(ge=1, le=2000)] = 200


class ExecutionsArgs(AccountArgs):
    """An account and how far to look back."""

    lookback_time: Annotated[int, Field(ge=1, description="Seconds; 900 at most.")] = 320


class ExecutionArgs(AccountArgs):
    """One execution."""

    execution_id: Annotated[str, Field(min_length=1)]


class LifecycleEventJson(TypedDict):
    """One event of an order."""

    timestamp: str
    epoch: float
    source: str
    event: str
    orderState: str | None
    orderId: str | None
    account: str
    filled: NotRequired[int]
    executionId: NotRequired[str]
    price: NotRequired[float]
    quantity: NotRequired[int]
    nativeError: NotRequired[str]
    raw: NotRequired[str]


class LifecycleBody(SuccessBody):
    """The history of one order."""

    orderId: str
    originalOrderId: str | None
    account: str
    count: int
    events: list[LifecycleEventJson]


class ExecutionJson(TypedDict):
    """One execution; `time` is the computer's own and has no offset."""

    id: str
    type: str
    time: str
    epoch: int
    name: str
    orderId: str
    account: str
    serverName: str
    instrument: str
    instrumentType: str
    position: int
    marketPosition: str
    positionStrategy: int
    price: float
    quantity: int
    commission: float
    fee: float


class ExecutionBody(ExecutionJson, SuccessBody):
    """One execution by itself."""


class ExecutionsBody(SuccessBody):
    """Several executions."""

    executions: list[ExecutionJson]


def execution_json(addon: AddOn, execution: SimExecution) -> ExecutionJson:
    """Write an execution."""
    order = execution.order
    contract = order.terms.contract
    return {
        "id": execution.id,
        "type": "NinjaTrader.Cbi.Execution",
        "time": dotnet_time(addon.local(execution.at)),
        "epoch": epoch_milliseconds(execution.at),
        "name": with_hostile_text(addon.faults, order.labels.name),
        "orderId": order.shown_id,
        "account": order.account,
        "serverName": addon.assumptions.computer,
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


def call_event(call: ReceivedCall, *, raw: bool) -> LifecycleEventJson:
    """Write the receipt of a call."""
    event: LifecycleEventJson = {
        "timestamp": iso_time_utc(call.at),
        "epoch": float(epoch_milliseconds(call.at)),
        "source": "api_received",
        "event": call.rpc,
        "orderState": None,
        "orderId": call.given_id,
        "account": call.account,
    }
    if raw:
        event["raw"] = json.dumps(call.arguments, default=str)
    return event


def transition_event(addon: AddOn, transition: OrderTransition, *, raw: bool) -> LifecycleEventJson:
    """Write a state that an order has had."""
    event: LifecycleEventJson = {
        "timestamp": iso_time_utc(transition.at),
        "epoch": float(epoch_milliseconds(transition.at)),
        "source": "order_update",
        "event": "OrderUpdate",
        "orderState": transition.state,
        "orderId": transition.order.shown_id,
        "account": transition.order.account,
        "filled": transition.filled,
    }
    if transition.error:
        event["nativeError"] = with_hostile_text(addon.faults, transition.error)
    if raw:
        event["raw"] = json.dumps(order_json(addon, transition.order))
    return event


def execution_event(addon: AddOn, execution: SimExecution, *, raw: bool) -> LifecycleEventJson:
    """Write a fill of an order."""
    row = execution_json(addon, execution)
    event: LifecycleEventJson = {
        "timestamp": iso_time_utc(execution.at),
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


def get_order_lifecycle(addon: AddOn, args: LifecycleArgs) -> LifecycleBody:
    """Show the history of one order. The account is no filter, and the caller's own id always finds it."""
    order = _order_of_any_account(addon, args.order_id)
    events = [
        _event(addon, entry, raw=args.include_raw) for entry in addon.exchange.record.history_of(args.order_id, order)
    ]
    events = events[: args.limit]
    if order is not None and args.include_fills and len(events) < args.limit:
        fills = [each for each in addon.exchange.executions if each.order is order]
        events += [execution_event(addon, fill, raw=args.include_raw) for fill in fills]
        events = sorted(events, key=lambda event: event["epoch"])[: args.limit]
    return {
        "success": True,
        "orderId": order.shown_id if order else args.order_id,
        "originalOrderId": order.labels.own_id if order else None,
        "account": order.account if order else args.account,
        "count": len(events),
        "events": events,
    }


def list_executions(addon: AddOn, args: ExecutionsArgs) -> ExecutionsBody:
    """List the executions of an account in the last seconds, a quarter of an hour at most."""
    name = addon.account(args.account).spec.name
    since = addon.now - timedelta(seconds=min(args.lookback_time, _LONGEST_LOOKBACK_SECONDS))
    recent = [each for each in addon.exchange.executions if each.order.account == name and each.at >= since]
    return {"executions": [execution_json(addon, each) for each in recent], "success": True}


def get_execution(addon: AddOn, args: ExecutionArgs) -> ExecutionBody:
    """Show one execution."""
    found = _find_execution(addon, args)
    return {**execution_json(addon, found), "success": True}


def list_executions_of_order(addon: AddOn, args: OrderArgs) -> ExecutionsBody:
    """List the executions of one order, however old they are."""
    order = find_order(addon, args)
    fills = [each for each in addon.exchange.executions if each.order is order]
    return {"executions": [execution_json(addon, each) for each in fills], "success": True}


def _order_of_any_account(addon: AddOn, any_id: str) -> SimOrder | None:
    return next(
        (order for order in addon.exchange.orders if any_id in (order.id, order.number, order.labels.own_id)), None
    )


def _find_execution(addon: AddOn, args: ExecutionArgs) -> SimExecution:
    name = addon.account(args.account).spec.name
    for execution in addon.exchange.executions:
        if execution.id == args.execution_id and execution.order.account == name:
            return execution
    raise RequestRefused(400, f"Execution '{args.execution_id}' not found")


def _event(addon: AddOn, entry: ReceivedCall | OrderTransition, *, raw: bool) -> LifecycleEventJson:
    if isinstance(entry, ReceivedCall):
        return call_event(entry, raw=raw)
    return transition_event(addon, entry, raw=raw)
