"""Endpoints that read orders: lists, one order, and its state."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from datetime import timedelta
from html import escape
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.fault_responses import with_hostile_text
from ct_mcp.simulator.orders import SimOrder
from ct_mcp.simulator.rest.wire import AccountArgs, Args, SuccessBody, dotnet_time

_NO_GTD = "2099-12-01T00:00:00.0000000"
_PRUNED_AFTER = timedelta(days=1)


class OrdersArgs(AccountArgs):
    """An account, and whether only live orders are listed."""

    active_only: bool = True


class AllOrdersArgs(Args):
    """Whether only live orders are listed."""

    active_only: bool = True


class OrderArgs(AccountArgs):
    """One order."""

    order_id: Annotated[str, Field(min_length=1, description="The id from the placement, or the caller's own.")]


class OwnerStrategyJson(TypedDict):
    """ATM strategy that an order belongs to."""

    id: int | None
    name: str | None
    displayName: str | None


class OrderJson(TypedDict):
    """One order in a list: its id is under `id`, and `orderId` is null."""

    id: str
    orderId: str | None
    ocoId: str
    name: str
    account: str
    instrument: str
    orderType: str
    orderState: str
    orderAction: str
    quantity: int
    limitPrice: float
    stopPrice: float
    filled: int
    averageFillPrice: float
    timeInForce: str
    time: str
    ownerStrategy: OwnerStrategyJson
    userData: str | None
    automatedTradingOrderId: str | None


class OrdersBody(SuccessBody):
    """The orders of an account."""

    orders: list[OrderJson]


class AllOrdersBody(OrdersBody):
    """The orders of all accounts."""

    count: int


class OrderBody(SuccessBody):
    """One order by itself: its id is under `orderId`."""

    account: str
    orderId: str
    instrument: str
    instrumentType: str
    orderType: str
    orderState: str
    quantity: int
    averageFillPrice: float
    filled: int
    fromEntrySignal: str | None
    gtd: str
    hasOverfill: bool
    isBacktestOrder: bool
    limitPrice: float
    limitPriceChanged: float
    name: str
    ocoId: str
    orderAction: str
    quantityChanged: int
    stopPrice: float
    stopPriceChanged: float
    time: str
    timeInForce: str
    ownerStrategy: OwnerStrategyJson
    userData: str | None


class OrderStatusBody(SuccessBody):
    """The state of one order."""

    status: str


def order_json(addon: AddOn, order: SimOrder) -> OrderJson:
    """Write an order as it is in a list."""
    terms, labels = order.terms, order.labels
    return {
        "id": order.shown_id,
        "orderId": None,
        "ocoId": labels.oco_id or "",
        "name": with_hostile_text(addon.faults, labels.name),
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
        "time": dotnet_time(addon.local(order.placed_at)),
        "ownerStrategy": _owner(order),
        "userData": _user_data(order),
        "automatedTradingOrderId": _automated_id(order),
    }


def order_body(addon: AddOn, order: SimOrder) -> OrderBody:
    """Write an order by itself."""
    terms = order.terms
    return {
        "account": order.account,
        "orderId": order.shown_id,
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
        "name": with_hostile_text(addon.faults, order.labels.name),
        "ocoId": order.labels.oco_id or "",
        "orderAction": terms.action,
        "quantityChanged": 0,
        "stopPrice": terms.stop_price,
        "stopPriceChanged": 0.0,
        "time": dotnet_time(addon.local(order.placed_at)),
        "timeInForce": terms.time_in_force,
        "ownerStrategy": _owner(order),
        "userData": _user_data(order),
        "success": True,
    }


def _owner(order: SimOrder) -> OwnerStrategyJson:
    name = order.labels.owner or order.labels.template
    return {"id": order.owner_id, "name": name, "displayName": name}


def _automated_id(order: SimOrder) -> str | None:
    """Only an entry with a template and the legs of its bracket carry the id that the caller gave the entry."""
    entry = order.labels.entry or order
    return entry.labels.own_id if entry.labels.template is not None else None


def _user_data(order: SimOrder) -> str | None:
    own_id = _automated_id(order)
    if own_id is None:
        return None
    return f"<NinjaTrader><AutomatedTradingOrderId>{escape(own_id)}</AutomatedTradingOrderId></NinjaTrader>"


def list_orders(addon: AddOn, args: OrdersArgs) -> OrdersBody:
    """List the orders of an account; with `activeOnly=false` also those that are done and not yet pruned."""
    name = addon.account(args.account).spec.name
    orders = [order for order in _known(addon, active_only=args.active_only) if order.account == name]
    return {"success": True, "orders": [order_json(addon, order) for order in orders]}


def list_all_orders(addon: AddOn, args: AllOrdersArgs) -> AllOrdersBody:
    """List the orders of all accounts."""
    rows = [order_json(addon, order) for order in _known(addon, active_only=args.active_only)]
    return {"orders": rows, "count": len(rows), "success": True}


def get_order(addon: AddOn, args: OrderArgs) -> OrderBody:
    """Show one order."""
    return order_body(addon, find_order(addon, args))


def get_order_status(addon: AddOn, args: OrderArgs) -> OrderStatusBody:
    """Show the state of one order; the cheapest poll."""
    return {"status": find_order(addon, args).state, "success": True}


def _known(addon: AddOn, *, active_only: bool) -> list[SimOrder]:
    """List the orders that NinjaTrader still keeps: the live ones, and for a day those that are done."""
    since = addon.now - _PRUNED_AFTER
    return [order for order in addon.exchange.orders if order.is_live or (not active_only and order.placed_at >= since)]


def find_order(addon: AddOn, args: OrderArgs) -> SimOrder:
    """Find an order of an account.

    Raises:
        RequestRefused: There is none of that id.
    """
    order = addon.find_order(args.account, args.order_id)
    if order is None:
        raise RequestRefused(400, f"Order linked to '{args.order_id}' not found")
    return order
