"""Sends what leaves: cancels, closes and flattens. They may use the reserve of the request budget."""

from dataclasses import replace

from ct_mcp.desk import read_back
from ct_mcp.desk.errand import Answer, Errand
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.watch import Book
from ct_mcp.domain.action import CancelOrder, CancelOrders, ClosePosition, Flatten
from ct_mcp.errors import CtMcpError


async def cancel(errand: Errand, wanted: CancelOrder) -> Outcome:
    """Cancel one order. "Not found or already terminal" is no failure: it may have filled, so look."""
    answer = await errand.once("cancel", errand.urgent.cancel_order(wanted.account, wanted.order_id))
    outcome = errand.after(answer)
    seen = await errand.urgent_watch.order(wanted.account, wanted.order_id, lambda order: order.is_closed)
    if seen is not None and seen.is_closed:
        return await errand.told(replace(outcome, reasons=()), seen)
    if answer.refusal:
        return outcome
    return await errand.written(read_back.unseen(outcome, "the cancel is not seen yet"))


async def cancel_all(errand: Errand, wanted: CancelOrders) -> Outcome:
    """Cancel the orders of an account, or of one instrument in it."""
    answer = await errand.once("cancel", errand.urgent.cancel_orders(wanted.account, wanted.instrument))
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, lambda book: not book.orders, errand.stood(answer)
    )
    return await errand.settled(read_back.from_cancels, answer, book)


async def close(errand: Errand, wanted: ClosePosition) -> Outcome:
    """Close a position, or a part of it."""
    answer = await errand.once("close", errand.urgent.close_position(wanted))
    goal = read_back.largest_left(wanted, errand.case.view.net_position(wanted.instrument))
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, lambda book: read_back.has_left(book.net, goal), errand.stood(answer)
    )
    return await errand.settled(lambda outcome, read: read_back.from_close(outcome, read, goal), answer, book)


async def flatten(errand: Errand, wanted: Flatten) -> Outcome:
    """Flatten an account, or one instrument in it, and cancel what that leaves standing."""
    answer = await errand.once("flatten", errand.urgent.flatten(wanted.account, wanted.instrument))
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, lambda book: not book.positions, errand.stood(answer)
    )
    # Orders are cancelled only once no position is left: a stop that still protects one must stand.
    if book is not None and book.orders and not book.positions:
        answer, book = await _cancel_leftovers(errand, wanted, answer)
    return await errand.settled(read_back.from_flatten, answer, book)


async def _cancel_leftovers(errand: Errand, wanted: Flatten, answer: Answer) -> tuple[Answer, Book | None]:
    """Cancel what a flatten leaves standing: a resting entry without a position would fill later."""
    try:
        await errand.record.intent(errand.ticket, errand.case)
        second = await errand.once("cancel", errand.urgent.cancel_orders(wanted.account, wanted.instrument))
        trouble = (*second.reasons, *second.warnings)
    except CtMcpError as error:
        # The flatten before it was sent, so this error must not speak for the whole.
        trouble = (f"the orders left standing were not cancelled: {error.what}",)
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, lambda book: book.is_flat, errand.stood(answer)
    )
    return replace(answer, trouble=(*answer.trouble, *trouble)), book
