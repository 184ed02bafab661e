"""Calls that look at orders and executions."""

from datetime import timedelta

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.orders import Execution, Order
from ct_mcp.simulator.record import Submission, Transition
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.args import (
    AllOrdersArgs,
    ExecutionArgs,
    ExecutionsArgs,
    LifecycleArgs,
    OrderArgs,
    OrdersArgs,
)
from ct_mcp.simulator.rest.order_rows import (
    execution_event,
    execution_row,
    order_answer,
    order_row,
    submission_event,
    transition_event,
)
from ct_mcp.simulator.rest.order_shapes import (
    AllOrdersAnswer,
    ExecutionAnswer,
    ExecutionsAnswer,
    LifecycleAnswer,
    LifecycleEvent,
    OrderAnswer,
    OrdersAnswer,
    StatusAnswer,
)

_LOOKBACK_AT_MOST = 900
_PRUNED_AFTER = timedelta(days=1)


def list_orders(addon: AddOn, args: OrdersArgs) -> OrdersAnswer:
    """List the orders of an account; with `activeOnly=false` also those that are done and not yet pruned."""
    name = addon.account(args.account).spec.name
    orders = [order for order in _known(addon, active_only=args.active_only) if order.account == name]
    return {"success": True, "orders": [order_row(addon, order) for order in orders]}


def list_all_orders(addon: AddOn, args: AllOrdersArgs) -> AllOrdersAnswer:
    """List the orders of all accounts."""
    rows = [order_row(addon, order) for order in _known(addon, active_only=args.active_only)]
    return {"orders": rows, "count": len(rows), "success": True}


def get_order(addon: AddOn, args: OrderArgs) -> OrderAnswer:
    """Show one order."""
    return order_answer(addon, _order(addon, args))


def get_order_status(addon: AddOn, args: OrderArgs) -> StatusAnswer:
    """Show the state of one order; the cheapest poll."""
    return {"status": _order(addon, args).state, "success": True}


def get_order_lifecycle(addon: AddOn, args: LifecycleArgs) -> LifecycleAnswer:
    """Show the history of one order. The account is no filter, and the caller's own id always finds it."""
    order = _order_of_any_account(addon, args.order_id)
    events = [_event(addon, entry, raw=args.include_raw) for entry in addon.exchange.record.of(args.order_id, order)]
    events = events[: args.limit]
    if order is not None and args.include_fills and len(events) < args.limit:
        fills = [each for each in addon.exchange.executions if each.order is order]
        events += [execution_event(addon, fill, raw=args.include_raw) for fill in fills]
        events = sorted(events, key=lambda event: event["epoch"])[: args.limit]
    return {
        "success": True,
        "orderId": order.id if order else args.order_id,
        "originalOrderId": order.labels.own_id if order else None,
        "account": order.account if order else args.account,
        "count": len(events),
        "events": events,
    }


def list_executions(addon: AddOn, args: ExecutionsArgs) -> ExecutionsAnswer:
    """List the executions of an account in the last seconds, a quarter of an hour at most."""
    name = addon.account(args.account).spec.name
    since = addon.now - timedelta(seconds=min(args.lookback_time, _LOOKBACK_AT_MOST))
    recent = [each for each in addon.exchange.executions if each.order.account == name and each.at >= since]
    return {"executions": [execution_row(addon, each) for each in recent], "success": True}


def get_execution(addon: AddOn, args: ExecutionArgs) -> ExecutionAnswer:
    """Show one execution."""
    found = _execution(addon, args)
    return {**execution_row(addon, found), "success": True}


def list_executions_of_order(addon: AddOn, args: OrderArgs) -> ExecutionsAnswer:
    """List the executions of one order, however old they are."""
    order = _order(addon, args)
    fills = [each for each in addon.exchange.executions if each.order is order]
    return {"executions": [execution_row(addon, each) for each in fills], "success": True}


def _known(addon: AddOn, *, active_only: bool) -> list[Order]:
    """List the orders that NinjaTrader still holds: the live ones, and for a day those that are done."""
    since = addon.now - _PRUNED_AFTER
    return [order for order in addon.exchange.orders if order.is_live or (not active_only and order.placed_at >= since)]


def _order(addon: AddOn, args: OrderArgs) -> Order:
    order = addon.find_order(args.account, args.order_id)
    if order is None:
        raise Refusal(400, f"Order linked to '{args.order_id}' not found")
    return order


def _order_of_any_account(addon: AddOn, any_id: str) -> Order | None:
    return next((order for order in addon.exchange.orders if any_id in (order.id, order.labels.own_id)), None)


def _execution(addon: AddOn, args: ExecutionArgs) -> Execution:
    name = addon.account(args.account).spec.name
    for execution in addon.exchange.executions:
        if execution.id == args.execution_id and execution.order.account == name:
            return execution
    raise Refusal(400, f"Execution '{args.execution_id}' not found")


def _event(addon: AddOn, entry: Submission | Transition, *, raw: bool) -> LifecycleEvent:
    if isinstance(entry, Submission):
        return submission_event(entry, raw=raw)
    return transition_event(addon, entry, raw=raw)
