"""Calls that place, change and cancel orders, in one step."""

from dataclasses import replace

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.ledger import Account
from ct_mcp.simulator.orders import Order, OrderTerms
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.account_rows import market_position
from ct_mcp.simulator.rest.args import CancelOrdersArgs, ChangeArgs, NoArgs, OrderArgs, PlaceArgs
from ct_mcp.simulator.rest.intake import received
from ct_mcp.simulator.rest.order_shapes import OrderIdAnswer, OrderIdsAnswer
from ct_mcp.simulator.rest.orders_asked import labels_of, live_order, refuse_used_id, terms_of


def place_order(addon: AddOn, args: PlaceArgs) -> OrderIdAnswer:
    """Place an order. The answer says that the add-on has it, not that the broker takes it."""
    submission = received(addon, "PlaceOrder", args, args.order_id)
    account, terms = addon.account(args.account), terms_of(addon, args)
    _refuse_unless_wanted(account, terms, args)
    refuse_used_id(addon, args.order_id)
    submission.order = addon.exchange.submit(account, terms, labels_of("PlaceOrder", args, args.order_id), addon.now)
    return {"orderId": submission.order.id, "success": True}


def change_order(addon: AddOn, args: ChangeArgs) -> OrderIdAnswer:
    """Change quantity and prices of a working order; of a leg only if the ATM strategy is its own, if one is named."""
    submission = received(addon, "Change", args, args.order_id)
    order = submission.order = live_order(addon, args.account, args.order_id)
    if args.strategy_id is not None and args.strategy_id != str(order.owner_id):
        raise Refusal(400, f"Order '{args.order_id}' does not belong to strategy '{args.strategy_id}'")
    changed = {
        name: value for name in ("quantity", "limit_price", "stop_price") if (value := getattr(args, name)) is not None
    }
    addon.exchange.change(order, replace(order.terms, **changed), addon.now)
    return {"orderId": order.id, "success": True}


def cancel_order(addon: AddOn, args: OrderArgs) -> OrderIdAnswer:
    """Ask for an order to be cancelled; it may still fill before that is done."""
    submission = received(addon, "Cancel", args, args.order_id)
    submission.order = live_order(addon, args.account, args.order_id)
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


def _refuse_unless_wanted(account: Account, terms: OrderTerms, args: PlaceArgs) -> None:
    held = account.net(terms.contract)
    now, wanted = market_position(held).lower(), (args.require_market_position or "").lower()
    if wanted and now not in [state.strip() for state in wanted.split(",")]:
        raise Refusal(400, f"Market position is '{now}', required '{wanted}'. Order not placed.")
    opened = len(account.open_positions())
    if args.max_positions is not None and not held and opened >= args.max_positions:
        raise Refusal(400, f"Maximum positions reached: {opened} open, {args.max_positions} allowed. Order not placed.")
