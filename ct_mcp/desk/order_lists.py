"""A second word on a list of orders that holds nothing at all, where something is held.

Lists have come back empty although orders stood; what has left anything out has so far left out everything. So a list
that holds any order, over or not, is believed, and one that holds none is held against the list of all accounts:

1. What that one shows stands. It was asked for later, so this is no older than the first list.
2. Where it cannot be read (not every add-on has it) nobody knows whether a stop stands. That denies nothing, since the
   position may really be bare; but what is placed on that word is not placed unasked (`desk/approval.py`).
3. What waits for nothing is not held up by it: whole exits, cancels, and the stop of an entry that has just filled,
   which is owed whatever else stands.

It stands alone because reviews and what is read back after a send need the same word.
"""

from collections.abc import Iterable, Sequence

from ct_mcp.desk.ports import BookReads
from ct_mcp.desk.side_by_side import Reading
from ct_mcp.domain.account import Position, account_key
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError


def tells_too_little(orders: Sequence[Order] | None, positions: Iterable[Position] | None) -> bool:
    """Say whether a list with orders that are over is empty beside something that is held."""
    return orders == () and any(position.quantity for position in positions or ())


async def listed_elsewhere(upstream: BookReads, account: str) -> tuple[Order, ...] | None:
    """Give what stands in an account by the list of all accounts; None where that could not be read."""
    try:
        rows = await upstream.all_orders(active_only=True)
    except CtMcpError:
        return None
    return tuple(row for row in rows if account_key(row.account) == account_key(account) and not row.is_closed)


async def borne_out(
    upstream: BookReads,
    account: str,
    orders: Reading[tuple[Order, ...]],
    positions: Reading[tuple[Position, ...]],
) -> Reading[tuple[Order, ...]]:
    """Give the orders of an account once a second list was asked, if that is needed and was not done yet."""
    if orders.is_borne_out is not None or not tells_too_little(orders.value, positions.value):
        return orders
    elsewhere = await listed_elsewhere(upstream, account)
    return Reading(elsewhere or (), is_borne_out=elsewhere is not None)


def is_each_once(positions: Sequence[Position]) -> bool:
    """Say whether no contract is listed twice: nobody can say whether two rows add up or repeat each other."""
    held = [position.instrument for position in positions if position.quantity]
    return len(set(held)) == len(held)
