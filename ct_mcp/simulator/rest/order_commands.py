"""Endpoints that place, change and cancel orders, and those that reverse, replace or bracket.

The latter do one thing, wait, and do another; `ct_mcp.simulator.commands` tells what happens in between.
"""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from dataclasses import replace
from typing import Annotated, NotRequired

from pydantic import Field

from ct_mcp.simulator import commands
from ct_mcp.simulator.accounts import SimAccount, SimPosition
from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.commands import CANCEL_AND_BRACKET, BracketRequest, DeferredOrder, Steps
from ct_mcp.simulator.orders import OrderLabels, OrderTerms, SimOrder, SimOrderType, SimTimeInForce
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.rest.orders import OrderArgs
from ct_mcp.simulator.rest.positions import market_position
from ct_mcp.simulator.rest.wire import (
    AccountArgs,
    AccountInstrumentArgs,
    ActionArg,
    NoArgs,
    OptionalTextArg,
    PriceArg,
    QuantityArg,
    SuccessBody,
    any_case,
    enum_schema,
)

_OrderTypeArg = Annotated[
    SimOrderType, any_case(SimOrderType), enum_schema("MARKET", "LIMIT", "STOPMARKET", "STOPLIMIT")
]
_TimeInForceArg = Annotated[SimTimeInForce, any_case(SimTimeInForce), enum_schema("DAY", "GTC")]


class TermsArgs(AccountInstrumentArgs):
    """An order to be placed; the fields that every way of placing has."""

    action: ActionArg
    quantity: QuantityArg
    order_type: _OrderTypeArg
    time_in_force: _TimeInForceArg
    limit_price: PriceArg | None = None
    stop_price: PriceArg | None = None
    oco_id: OptionalTextArg = None
    strategy: OptionalTextArg = None


class PlaceArgs(TermsArgs):
    """An order to be placed, with the newer fields."""

    order_id: OptionalTextArg = None
    require_market_position: OptionalTextArg = None
    max_positions: Annotated[int, Field(ge=0)] | None = None


class ReplaceArgs(TermsArgs):
    """The order to be cancelled and the one to be placed instead."""

    order_id: Annotated[str, Field(min_length=1)]


class ChangeArgs(OrderArgs):
    """One order and its new terms."""

    quantity: QuantityArg | None = None
    limit_price: PriceArg | None = None
    stop_price: PriceArg | None = None
    strategy_id: OptionalTextArg = None


class BracketArgs(AccountInstrumentArgs):
    """Exits that are to protect a position; at least one of the two prices. `action` opened the position."""

    action: ActionArg
    quantity: QuantityArg
    take_profit: PriceArg | None = None
    stop_loss: PriceArg | None = None
    delay: Annotated[int, Field(ge=0, le=10_000, description="Milliseconds between cancelling and placing.")] = 250


class CancelOrdersArgs(AccountArgs):
    """An account, and perhaps one instrument in it."""

    instrument: OptionalTextArg = None


class OrderIdBody(SuccessBody):
    """The id of the order that was placed, cancelled or changed."""

    orderId: str
    warning: NotRequired[str]


class OrderIdsBody(SuccessBody):
    """The ids of the orders that were cancelled or placed."""

    orderIds: list[str]
    warning: NotRequired[str]


def place_order(addon: AddOn, args: PlaceArgs) -> OrderIdBody:
    """Place an order. The answer says that the add-on has it, not that the broker takes it."""
    call = addon.log_call("PlaceOrder", args, args.order_id)
    account, terms = addon.account(args.account), _terms_of(addon, args)
    _refuse_unmet_conditions(account, terms, args)
    _refuse_used_id(addon, args.order_id)
    call.order = addon.exchange.submit(account, terms, _labels_of("PlaceOrder", args, args.order_id), addon.now)
    return {"orderId": call.order.id, "success": True}


def change_order(addon: AddOn, args: ChangeArgs) -> OrderIdBody:
    """Change quantity and prices of a working order; of a leg only if the ATM strategy is its own, if one is named."""
    call = addon.log_call("Change", args, args.order_id)
    order = call.order = _live_order(addon, args.account, args.order_id)
    if args.strategy_id is not None and args.strategy_id != str(order.owner_id):
        raise RequestRefused(400, f"Order '{args.order_id}' does not belong to strategy '{args.strategy_id}'")
    changed = args.model_dump(include={"quantity", "limit_price", "stop_price"}, exclude_none=True)
    addon.exchange.change(order, replace(order.terms, **changed), addon.now)
    return {"orderId": order.id, "success": True}


def cancel_order(addon: AddOn, args: OrderArgs) -> OrderIdBody:
    """Ask for an order to be cancelled; it may still fill before that is done."""
    call = addon.log_call("Cancel", args, args.order_id)
    call.order = _live_order(addon, args.account, args.order_id)
    addon.exchange.cancel(call.order, addon.now)
    return {"orderId": call.order.id, "success": True}


def cancel_orders(addon: AddOn, args: CancelOrdersArgs) -> OrderIdsBody:
    """Cancel the working orders of an account, or those of one instrument."""
    name = addon.account(args.account).spec.name
    instrument = addon.contract(args.instrument).name if args.instrument else None
    return _cancel_each(addon, addon.exchange.live_orders(name, instrument))


def cancel_all_orders(addon: AddOn, _: NoArgs) -> OrderIdsBody:
    """Cancel the working orders of all accounts."""
    orders = [each for name in addon.exchange.accounts for each in addon.exchange.live_orders(name)]
    return _cancel_each(addon, orders)


def reverse(addon: AddOn, args: AccountInstrumentArgs) -> Steps[OrderIdBody]:
    """Reverse a position at its size. The answer names the order of the new position."""
    call = addon.log_call("Reverse", args)
    account, contract = addon.account(args.account), addon.contract(args.instrument)
    terms = commands.reversing_terms(_open_position(account, contract, args.account))
    new = DeferredOrder(account, terms, OrderLabels(rpc="Reverse", name="Entry"))
    call.order = yield from commands.close_and_place(addon.exchange, new, addon.now)
    return {"orderId": call.order.id, "success": True}


def reverse_position(addon: AddOn, args: TermsArgs) -> Steps[OrderIdBody]:
    """Close a position, wait about five seconds at most, then place an order, even if the close has not worked."""
    call = addon.log_call("ReversePosition", args)
    account, terms = addon.account(args.account), _terms_of(addon, args)
    _open_position(account, terms.contract, args.account)
    new = DeferredOrder(account, terms, _labels_of("ReversePosition", args, None))
    call.order = yield from commands.close_and_place(addon.exchange, new, addon.now)
    return {"orderId": call.order.id, "success": True}


def flat_place(addon: AddOn, args: PlaceArgs) -> Steps[OrderIdBody]:
    """Close the position of the instrument, if there is one, wait as ReversePosition does, and place the order."""
    call = addon.log_call("FlatPlace", args, args.order_id)
    account, terms = addon.account(args.account), _terms_of(addon, args)
    _refuse_used_id(addon, args.order_id)
    new = DeferredOrder(account, terms, _labels_of("FlatPlace", args, args.order_id))
    call.order = yield from commands.close_and_place(addon.exchange, new, addon.now)
    return {"orderId": call.order.id, "success": True}


def replace_order(addon: AddOn, args: ReplaceArgs) -> Steps[OrderIdBody]:
    """Cancel an order and place another; only if the first was there and was cancelled."""
    call = addon.log_call("CancelReplace", args, args.order_id)
    terms, old = _terms_of(addon, args), _live_order(addon, args.account, args.order_id)
    new = DeferredOrder(addon.account(args.account), terms, _labels_of("CancelReplace", args, None))
    call.order = yield from commands.cancel_and_place(addon.exchange, old, new, addon.now)
    if call.order is not None:
        return {"orderId": call.order.id, "success": True}
    if old.is_live:
        raise RequestRefused(400, f"Order '{args.order_id}' was not cancelled in time. The new order was not placed.")
    raise _order_gone(args.order_id)


def cancel_and_bracket(addon: AddOn, args: BracketArgs) -> Steps[OrderIdsBody]:
    """Cancel the orders of an instrument, wait, then place a target and a stop as one OCO pair.

    Nothing protects the position in between. The pair is not placed if the position is closed meanwhile, and is
    placed if there was none at the beginning.
    """
    prices = (args.take_profit, args.stop_loss)
    if prices == (None, None):
        raise RequestRefused(400, "Invalid request")
    calls = [addon.log_call(CANCEL_AND_BRACKET, args) for price in prices if price is not None]
    account, contract = addon.account(args.account), addon.contract(args.instrument)
    wanted = BracketRequest(account, contract, args.action, args.quantity, *prices, delay_seconds=args.delay / 1000)
    orders = yield from commands.cancel_and_bracket(addon.exchange, wanted, addon.now)
    for call, order in zip(calls, orders, strict=False):
        call.order = order
    answer: OrderIdsBody = {"orderIds": [order.id for order in orders], "success": True}
    if not orders:
        answer["warning"] = f"Position in '{contract.name}' is flat. Bracket not placed."
    return answer


def _terms_of(addon: AddOn, args: TermsArgs) -> OrderTerms:
    """Return the terms that are asked for.

    Raises:
        RequestRefused: A price that the order type needs is missing, or there is no such instrument.
    """
    kind = args.order_type
    if (kind.has_limit and args.limit_price is None) or (kind.has_stop and args.stop_price is None):
        raise RequestRefused(400, "Invalid request")
    return OrderTerms(
        contract=addon.contract(args.instrument),
        action=args.action,
        quantity=args.quantity,
        order_type=kind,
        time_in_force=args.time_in_force,
        limit_price=(args.limit_price or 0.0) if kind.has_limit else 0.0,
        stop_price=(args.stop_price or 0.0) if kind.has_stop else 0.0,
    )


def _labels_of(rpc: str, args: TermsArgs, own_id: str | None) -> OrderLabels:
    return OrderLabels(rpc=rpc, name="Entry", own_id=own_id, oco_id=args.oco_id, template=args.strategy)


def _refuse_unmet_conditions(account: SimAccount, terms: OrderTerms, args: PlaceArgs) -> None:
    """Refuse an order whose conditions on the positions of the account are not met."""
    held = account.net(terms.contract)
    now, wanted = market_position(held).lower(), (args.require_market_position or "").lower()
    if wanted and now not in [state.strip() for state in wanted.split(",")]:
        raise RequestRefused(400, f"Market position is '{now}', required '{wanted}'. Order not placed.")
    opened, most = len(account.open_positions()), args.max_positions
    if most is not None and not held and opened >= most:
        raise RequestRefused(400, f"Maximum positions reached: {opened} open, {most} allowed. Order not placed.")


def _refuse_used_id(addon: AddOn, own_id: str | None) -> None:
    """Refuse an id that was used before: NinjaTrader never forgets one."""
    if own_id is not None and any(order.labels.own_id == own_id for order in addon.exchange.orders):
        raise RequestRefused(400, f"Order id '{own_id}' has already been used")


def _live_order(addon: AddOn, account: str, any_id: str) -> SimOrder:
    """Find an order that may still fill.

    Raises:
        RequestRefused: There is none of that id; the service promises to keep the wording.
    """
    order = addon.find_order(account, any_id)
    if order is None or not order.is_live:
        raise _order_gone(any_id)
    return order


def _order_gone(any_id: str) -> RequestRefused:
    return RequestRefused(400, f"Order linked to '{any_id}' not found or already terminal.")


def _cancel_each(addon: AddOn, orders: list[SimOrder]) -> OrderIdsBody:
    for order in orders:
        addon.exchange.cancel(order, addon.now)
    return {"orderIds": [order.id for order in orders], "success": True}


def _open_position(account: SimAccount, contract: SimContract, account_name: str) -> SimPosition:
    """Find the position that is to be reversed; an error names the account as the caller has named it."""
    position = account.positions.get(contract)
    if position is None or not position.quantity:
        raise RequestRefused(400, f"No position found for instrument '{contract.name}' in account '{account_name}'")
    return position
