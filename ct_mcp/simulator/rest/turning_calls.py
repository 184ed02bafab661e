"""Calls that leave or cancel something, wait, and place an order: they do one thing and then another."""

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.bracketing import RPC, Bracket, bracketed
from ct_mcp.simulator.ledger import Account, Position
from ct_mcp.simulator.orders import OrderLabels
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.args import AccountInstrumentArgs, BracketArgs, PlaceArgs, ReplaceArgs, TermsArgs
from ct_mcp.simulator.rest.intake import received
from ct_mcp.simulator.rest.order_shapes import OrderIdAnswer, OrderIdsAnswer
from ct_mcp.simulator.rest.orders_asked import gone, labels_of, live_order, refuse_used_id, terms_of
from ct_mcp.simulator.steps import Steps
from ct_mcp.simulator.turning import Entry, replaced, the_other_way, turned


def reverse(addon: AddOn, args: AccountInstrumentArgs) -> Steps[OrderIdAnswer]:
    """Turn a position around at its size. The answer names the order of the new position."""
    submission = received(addon, "Reverse", args)
    account, contract = addon.account(args.account), addon.contract(args.instrument)
    terms = the_other_way(_held(account, contract, args.account))
    entry = Entry(account, terms, OrderLabels(rpc="Reverse", name="Entry"))
    submission.order = yield from turned(addon.exchange, entry, addon.now)
    return {"orderId": submission.order.id, "success": True}


def reverse_position(addon: AddOn, args: TermsArgs) -> Steps[OrderIdAnswer]:
    """Close a position, wait about five seconds at most, then place an order, even if the close has not worked."""
    submission = received(addon, "ReversePosition", args)
    account, terms = addon.account(args.account), terms_of(addon, args)
    _held(account, terms.contract, args.account)
    entry = Entry(account, terms, labels_of("ReversePosition", args, None))
    submission.order = yield from turned(addon.exchange, entry, addon.now)
    return {"orderId": submission.order.id, "success": True}


def flat_place(addon: AddOn, args: PlaceArgs) -> Steps[OrderIdAnswer]:
    """Leave the position of the instrument, if there is one, wait as ReversePosition does, and place the order."""
    submission = received(addon, "FlatPlace", args, args.order_id)
    account, terms = addon.account(args.account), terms_of(addon, args)
    refuse_used_id(addon, args.order_id)
    entry = Entry(account, terms, labels_of("FlatPlace", args, args.order_id))
    submission.order = yield from turned(addon.exchange, entry, addon.now)
    return {"orderId": submission.order.id, "success": True}


def replace_order(addon: AddOn, args: ReplaceArgs) -> Steps[OrderIdAnswer]:
    """Cancel an order and place another; only if the first was there and was cancelled."""
    submission = received(addon, "CancelReplace", args, args.order_id)
    terms, old = terms_of(addon, args), live_order(addon, args.account, args.order_id)
    entry = Entry(addon.account(args.account), terms, labels_of("CancelReplace", args, None))
    submission.order = yield from replaced(addon.exchange, old, entry, addon.now)
    if submission.order is not None:
        return {"orderId": submission.order.id, "success": True}
    if old.is_live:
        raise Refusal(400, f"Order '{args.order_id}' was not cancelled in time. The new order was not placed.")
    raise gone(args.order_id)


def cancel_and_bracket(addon: AddOn, args: BracketArgs) -> Steps[OrderIdsAnswer]:
    """Cancel the orders of an instrument, wait, then place a target and a stop as one OCO pair.

    Nothing protects the position in between. It is not placed if the position has gone meanwhile, and is placed
    if there was none at the beginning.
    """
    if args.take_profit is None and args.stop_loss is None:
        raise Refusal(400, "Invalid request")
    said = [received(addon, RPC, args) for price in (args.take_profit, args.stop_loss) if price is not None]
    account, contract = addon.account(args.account), addon.contract(args.instrument)
    prices = (args.take_profit, args.stop_loss)
    wanted = Bracket(account, contract, args.action, args.quantity, *prices, delay_seconds=args.delay / 1000)
    orders = yield from bracketed(addon.exchange, wanted, addon.now)
    for submission, order in zip(said, orders, strict=False):
        submission.order = order
    answer: OrderIdsAnswer = {"orderIds": [order.id for order in orders], "success": True}
    if not orders:
        answer["warning"] = f"Position in '{contract.name}' is flat. Bracket not placed."
    return answer


def _held(account: Account, contract: Contract, named: str) -> Position:
    """Find the position that is to be turned; the account is named as the caller has named it."""
    position = account.positions.get(contract)
    if position is None or not position.quantity:
        raise Refusal(400, f"No position found for instrument '{contract.name}' in account '{named}'")
    return position
