"""Looks once more before a stop is told as lost: the fill that took it along may be newer than the position beside it.

Positions and orders are two readings. Where a target fills between them, its stop is gone from the orders, and the
position is still held as it was read: it would be told as bare, with the call for a stop that would open. It stands
alone, since what is said of a reading (`desk/readback.py`) asks nobody.
"""

from collections.abc import Iterator
from dataclasses import replace

from ct_mcp.desk.polling import AccountPoller, AccountState
from ct_mcp.desk.stops import lost_in
from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.protection import leaving
from ct_mcp.guard.review import Review


async def looked_again(
    poller: AccountPoller, review: Review, book: AccountState, instrument: Instrument | None
) -> AccountState:
    """Give the account, or one instrument of it, as it reads by now where that may be so; else as it was read."""
    if not any(_has_been_left(review, book)):
        return book
    again = await poller.book_now(review.command.account, instrument) or book
    return replace(book, positions=again.positions, orders=again.orders, over=again.over)


def _has_been_left(review: Review, book: AccountState) -> Iterator[Position]:
    """Give the positions that have lost their stop, and that an order which stood before has left since."""
    before = {order.order_id: order.filled for order in review.context.orders or ()}
    listed = {order.order_id: order for order in (*book.orders, *book.over, *book.ended)}
    more = [each for name, each in listed.items() if name in before and each.filled > before[name]]
    for cover in lost_in(review, book.positions, book.orders, book.ended):
        side = cover.held.instrument, leaving(cover.held.net)
        if any((order.instrument, order.action) == side for order in more):
            yield cover.held
