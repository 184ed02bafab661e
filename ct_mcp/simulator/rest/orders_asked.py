"""What a call asks for, read against the market and the orders that there are."""

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.orders import Order, OrderLabels, OrderTerms
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.args import TermsArgs


def terms_of(addon: AddOn, args: TermsArgs) -> OrderTerms:
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


def labels_of(rpc: str, args: TermsArgs, own_id: str | None) -> OrderLabels:
    """Read what travels with an order."""
    return OrderLabels(rpc=rpc, name="Entry", own_id=own_id, oco_id=args.oco_id, template=args.strategy)


def refuse_used_id(addon: AddOn, own_id: str | None) -> None:
    """Refuse an id that was used before: NinjaTrader never forgets one.

    Raises:
        Refusal: It was used.
    """
    if own_id is not None and any(order.labels.own_id == own_id for order in addon.exchange.orders):
        raise Refusal(400, f"Order id '{own_id}' has already been used")


def live_order(addon: AddOn, account: str, any_id: str) -> Order:
    """Find an order that may still fill.

    Raises:
        Refusal: There is none of that id; the words are the ones that are promised to stay.
    """
    order = addon.find_order(account, any_id)
    if order is None or not order.is_live:
        raise gone(any_id)
    return order


def gone(any_id: str) -> Refusal:
    """Say that an order is not there or over already."""
    return Refusal(400, f"Order linked to '{any_id}' not found or already terminal.")
