"""The contract months that a root may mean, where the list of positions holds nothing at all.

Lists have come back empty although something was held; what has left anything out has so far left out everything. A
root falls back to the front month where nothing of it is held, so an empty list would send an exit, or a sale, into
another month than the one that is held.

1. A list that holds any position is believed. One that holds none is held against the report of all accounts, which may
   be three seconds old: what that one shows is asked for by its name, and counts as held where nobody can say.
2. Orders are held against the list of all accounts where none is listed, not even one that is over.
3. Where these cannot be read an exit leaves all the same, for the front month: no exit waits for a second word.
4. What is read back after an exit may show another month that was in no list before it. That is not called flat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ct_mcp.desk.order_lists import listed_elsewhere
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.ports import BookReads
from ct_mcp.desk.remedies import position_line
from ct_mcp.desk.side_by_side import SideBySide
from ct_mcp.domain.account import AccountSnapshot, Position, account_key
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.effect import instrument_named
from ct_mcp.guard.review import Review


def months_of(root: str, positions: Iterable[Position], orders: Iterable[Order]) -> set[Instrument]:
    """Give the months of a root that are held or have orders."""
    held = {position.instrument for position in positions if position.quantity}
    ordered = {order.instrument for order in orders if not order.is_closed}
    return {instrument for instrument in held | ordered if instrument.root == root}


async def months_elsewhere(
    upstream: BookReads, account: str, root: str, positions: Sequence[Position], orders: Sequence[Order]
) -> set[Instrument]:
    """Give the months of a root that other sources know of, where the lists hold nothing at all (1, 2)."""
    if positions:
        return set()
    async with SideBySide([]) as ask:
        reports = ask.read("report", upstream.snapshot())
        elsewhere = None if orders else ask.read("orders", listed_elsewhere(upstream, account))
    shown = await held_elsewhere(upstream, account, root, _of(account, reports.value or ()))
    return months_of(root, shown, (elsewhere and elsewhere.value) or ())


async def held_elsewhere(
    upstream: BookReads, account: str, root: str, reported: Iterable[Position]
) -> tuple[Position, ...]:
    """Give what the report shows of a root, as far as it is held now, or nobody can say that it is not (1)."""
    shown = [each for each in reported if each.quantity and each.instrument.root == root]
    read = [await _now(upstream, account, each) for each in shown]
    return tuple(each for each in read if each.quantity)


async def _now(upstream: BookReads, account: str, shown: Position) -> Position:
    try:
        return await upstream.position(account, shown.instrument)
    except CtMcpError:
        return shown


def _of(account: str, reports: Iterable[AccountSnapshot]) -> tuple[Position, ...]:
    mine = (row for row in reports if account_key(row.account.name) == account_key(account))
    return tuple(held for row in mine for held in row.positions or ())


def with_months_unseen(outcome: Outcome, book: AccountState, review: Review, answered: Status) -> Outcome:
    """Say after an exit of one month which others are held that no list had shown before it (4)."""
    context = review.context
    left = instrument_named(review.command, context)
    is_by_list = context.positions is not None or (left is not None and left == context.front_taken)
    seen = {position.instrument for position in context.positions or () if position.quantity}
    others = [position for position in book.beside if left is not None and position.instrument.root == left.root]
    unseen = [position for position in others if position.instrument not in seen]
    if outcome.status is not Status.FLAT or not is_by_list or not unseen:
        return outcome
    held = tuple(f"held in another month, which no list had shown before: {position_line(each)}" for each in unseen)
    months = ", ".join(str(each.instrument) for each in unseen)
    step = f"NOT FLAT in {months}, which this exit was not for; if the person meant it, name the month in a new exit"
    return replace(outcome, status=answered, reasons=(*outcome.reasons, *held), next_step=step)
