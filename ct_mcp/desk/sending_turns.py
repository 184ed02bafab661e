"""Sends what leaves one thing and places another: reverse, flatten first, replace. Both legs are read back."""

from dataclasses import replace

from ct_mcp.desk.errand import Answer, Errand
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.read_back import with_position
from ct_mcp.desk.read_back_turns import (
    from_flat_place,
    from_lost_replace,
    from_refused_replace,
    from_replace,
    from_reverse,
    is_turned,
    signed_fill,
    strays,
)
from ct_mcp.desk.sending_orders import found
from ct_mcp.desk.watch import Book, Stood, has_come_to_rest
from ct_mcp.domain.action import PlaceOrder, ReplaceOrder, ReversePosition
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError


async def reverse(errand: Errand, wanted: ReversePosition) -> Outcome:
    """Turn a position round, and look until the other side is held at its size."""
    held = errand.case.view.net_position(wanted.instrument) or 0
    answer = await errand.once("reverse", errand.while_fresh.reverse(wanted.account, wanted.instrument))
    if answer.refusal:
        return errand.after(answer)
    leg = await _seen(errand, wanted.account, answer.order_id)
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, lambda book: is_turned(book, held, leg), Stood()
    )
    return await errand.settled(lambda outcome, read: from_reverse(outcome, read, held, leg), answer, book)


async def flatten_and_place(errand: Errand, order: PlaceOrder) -> Outcome:
    """Leave what is held in the instrument and place an order, which they do even if the leaving has not worked."""
    before = frozenset(standing.order_id for standing in errand.case.view.orders or ())
    answer = await errand.once("place", errand.while_fresh.flat_place(order, errand.ticket.own_id))
    if answer.refusal:
        return errand.after(answer)
    order_id, seen = await found(errand, order, answer)

    def is_done(book: Book) -> bool:
        return book.net == signed_fill(seen) and not strays(book, seen, before)

    book = await errand.urgent_watch.book(order.account, order.instrument, is_done, Stood((order.instrument,)))
    outcome = replace(errand.after(answer), order_id=order_id)
    return await errand.written(from_flat_place(outcome, book, seen, before))


async def replace_order(errand: Errand, wanted: ReplaceOrder) -> Outcome:
    """Cancel one order and place another. It takes no id of ours, so a lost answer stays unknown."""
    send = errand.while_fresh.replace_order(wanted.account, wanted.order_id, wanted.order)
    answer = await errand.once("replace", send)
    if answer.order_id is None:
        return await _not_named(errand, wanted, answer)
    new = await errand.watch.order(wanted.account, answer.order_id, has_come_to_rest)
    old = await errand.watch.order(wanted.account, wanted.order_id, lambda order: order.is_closed)
    outcome = replace(errand.after(answer), order_id=answer.order_id)
    reviewed = errand.case.view.order(wanted.order_id)
    told = from_replace(outcome, wanted, old, new, filled=reviewed.filled if reviewed else 0)
    return await errand.written(await _with_position(errand, told, wanted, (old, new)))


async def _not_named(errand: Errand, wanted: ReplaceOrder, answer: Answer) -> Outcome:
    """They said no, or nothing: say how the old order reads, and what is there that was not before."""
    old = await errand.watch.order(wanted.account, wanted.order_id, lambda order: order.is_closed)
    outcome = errand.after(answer)
    if answer.refusal:
        told = from_refused_replace(outcome, old)
        return await _with_position(errand, told, wanted, (old,))
    told = from_lost_replace(outcome, old, await _others(errand, wanted))
    return await errand.written(await _with_position(errand, told, wanted, (old,)))


async def _others(errand: Errand, wanted: ReplaceOrder) -> tuple[Order, ...] | None:
    """The orders of the instrument that were not there when it was reviewed; None where they could not be read."""
    before = {order.order_id for order in errand.case.view.orders or ()} | {wanted.order_id}
    try:
        orders = await errand.upstream.orders(wanted.account, active_only=True)
    except CtMcpError:
        return None
    mine = [order for order in orders if order.instrument == wanted.order.instrument]
    return tuple(order for order in mine if order.order_id not in before)


async def _with_position(
    errand: Errand, told: Outcome, wanted: ReplaceOrder, orders: tuple[Order | None, ...]
) -> Outcome:
    if not any(order is not None and order.filled for order in orders):
        return told
    net = await errand.watch.net_position(wanted.account, wanted.order.instrument)
    return with_position(told, net, None)


async def _seen(errand: Errand, account: str, order_id: str | None) -> Order | None:
    return None if order_id is None else await errand.urgent_watch.order(account, order_id, has_come_to_rest)
