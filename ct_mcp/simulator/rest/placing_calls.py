"""Calls that place, change, replace and cancel orders."""

from dataclasses import replace

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.closing import Scope, flatten
from ct_mcp.simulator.ledger import Account
from ct_mcp.simulator.orders import Order, OrderLabels, OrderTerms
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.account_rows import market_position
from ct_mcp.simulator.rest.args import (
    CancelOrdersArgs,
    ChangeArgs,
    NoArgs,
    OrderArgs,
    PlaceArgs,
    ReplaceArgs,
    TermsArgs,
)
from ct_mcp.simulator.rest.intake import received
from ct_mcp.simulator.rest.order_shapes import OrderIdAnswer, OrderIdsAnswer


def place_order(addon: AddOn, args: PlaceArgs) -> OrderIdAnswer:
    """Place an order. The answer says that the add-on has it, not that the broker takes it."""
    submission = received(addon, "PlaceOrder", args, args.order_id)
    account, terms = addon.account(args.account), _terms(addon, args)
    _refuse_unless_wanted(account, terms, args)
    _refuse_used_id(addon, args.order_id)
    submission.order = addon.exchange.submit(account, terms, _labels("PlaceOrder", args, args.order_id), addon.now)
    return {"orderId": submission.order.id, "success": True}


def flat_place(addon: AddOn, args: PlaceArgs) -> OrderIdAnswer:
    """Leave the position of the instrument, and place the order whether or not there was one."""
    submission = received(addon, "FlatPlace", args, args.order_id)
    account, terms = addon.account(args.account), _terms(addon, args)
    _refuse_used_id(addon, args.order_id)
    flatten(addon.exchange, Scope("FlatPlace", account, terms.contract), addon.now)
    submission.order = addon.exchange.submit(account, terms, _labels("FlatPlace", args, args.order_id), addon.now)
    return {"orderId": submission.order.id, "success": True}


def replace_order(addon: AddOn, args: ReplaceArgs) -> OrderIdAnswer:
    """Cancel an order and place another; only if the first was there to be cancelled."""
    submission = received(addon, "CancelReplace", args, args.order_id)
    terms, old = _terms(addon, args), _live_order(addon, args.account, args.order_id)
    addon.exchange.cancel(old, addon.now)
    labels = _labels("CancelReplace", args, None)
    submission.order = addon.exchange.submit(addon.account(args.account), terms, labels, addon.now)
    return {"orderId": submission.order.id, "success": True}


def change_order(addon: AddOn, args: ChangeArgs) -> OrderIdAnswer:
    """Change quantity and prices of a working order."""
    submission = received(addon, "Change", args, args.order_id)
    order = submission.order = _live_order(addon, args.account, args.order_id)
    changed = {
        name: value for name in ("quantity", "limit_price", "stop_price") if (value := getattr(args, name)) is not None
    }
    addon.exchange.change(order, replace(order.terms, **changed), addon.now)
    return {"orderId": order.id, "success": True}


def cancel_order(addon: AddOn, args: OrderArgs) -> OrderIdAnswer:
    """Ask for an order to be cancelled; it may still fill before that is done."""
    submission = received(addon, "Cancel", args, args.order_id)
    submission.order = _live_order(addon, args.account, args.order_id)
    addon.exchange.cancel(submission.order, addon.now)
    return {"orderId": submission.order.id, "success": True}


def cancel_orders(addon: AddOn, args: CancelOrdersArgs) -> OrderIdsAnswer:
    """Cancel the working orders of an account, or those of one instrument."""
    name = addon.account(args.account).spec.name
    instrument = addon.contract(args.instrument).name if args.instrument else None
    return _cancelled(addon, addon.exchange.live_orders(name, instrument))


def cancel_all_orders(addon: AddOn, _: NoArgs) -> OrderIdsAnswer:
    """Cancel the working orders of all accounts."""
    return _cancelled(addon, [each for name in addon.exchange.accounts for each in addon.exchange.live_orders(name)])


def _cancelled(addon: AddOn, orders: list[Order]) -> OrderIdsAnswer:
    for order in orders:
        addon.exchange.cancel(order, addon.now)
    return {"orderIds": [order.id for order in orders], "success": True}


def _terms(addon: AddOn, args: TermsArgs) -> OrderTerms:
    """Read what is asked of the market.

    Raises:
        Refusal: A price that the kind of order needs is missing.
    """
    kind = args.order_type
    if (kind.has_limit and args.limit_price is None) or (kind.has_stop and args.stop_price is None):
        raise Refusal(400, "Invalid request")
    return OrderTerms(
        contract=addon.contract(args.instrument),
        action=args.action,
        quantity=args.quantity,
        order_type=kind,
        time_in_force=args.time_in_force,
        limit_price=(args.limit_price or 0.0) if kind.has_limit else 0.0,
        stop_price=(args.stop_price or 0.0) if kind.has_stop else 0.0,
    )


def _labels(rpc: str, args: TermsArgs, own_id: str | None) -> OrderLabels:
    return OrderLabels(rpc=rpc, name="Entry", own_id=own_id, oco_id=args.oco_id, template=args.strategy)


def _refuse_unless_wanted(account: Account, terms: OrderTerms, args: PlaceArgs) -> None:
    held = account.net(terms.contract)
    now, wanted = market_position(held).lower(), (args.require_market_position or "").lower()
    if wanted and now not in [state.strip() for state in wanted.split(",")]:
        raise Refusal(400, f"Market position is '{now}', required '{wanted}'. Order not placed.")
    opened = len(account.open_positions())
    if args.max_positions is not None and not held and opened >= args.max_positions:
        raise Refusal(400, f"Maximum positions reached: {opened} open, {args.max_positions} allowed. Order not placed.")


def _refuse_used_id(addon: AddOn, own_id: str | None) -> None:
    """NinjaTrader never forgets an id."""
    if own_id is not None and any(order.labels.own_id == own_id for order in addon.exchange.orders):
        raise Refusal(400, f"Order id '{own_id}' has already been used")


def _live_order(addon: AddOn, account: str, any_id: str) -> Order:
    order = addon.find_order(account, any_id)
    if order is None or not order.is_live:
        raise Refusal(400, f"Order linked to '{any_id}' not found or already terminal.")
    return order
