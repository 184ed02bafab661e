"""Sends an entry that gets exits, ours or those of an ATM template, and says whether they stand behind what filled.

Apart from `desk/handlers/orders.py`, since whoever keeps the exits sends them by the handler of plain orders.
"""

import logging
from dataclasses import replace

from ct_mcp.desk import readback
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.exit_claims import nothing_beside
from ct_mcp.desk.exit_state import KeepsExits
from ct_mcp.desk.handlers.orders import found, place, that_must_stand
from ct_mcp.desk.handlers.refused_orders import submit_order
from ct_mcp.desk.outcome import Kept, Outcome
from ct_mcp.desk.polling import Baseline
from ct_mcp.desk.readback import LOOK_AGAIN
from ct_mcp.desk.remedies import TELL_NOW
from ct_mcp.desk.stops import alarm_of, covers_of, mending
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.duty import Duty
from ct_mcp.domain.order import Order, has_come_to_rest

_log = logging.getLogger(__name__)
_LATER = "what fills later gets its exits only while ct-mcp runs"
_UNSEEN = "should it fill, it gets its exits while ct-mcp runs"


async def place_entry(execution: CommandExecution, order: PlaceOrder) -> Outcome:
    """Place one order, and its exits as it fills; what rests is kept by the watch."""
    keeper = execution.exits
    if keeper is None:  # pragma: no cover  # every desk has one
        raise ValueError("an entry with exits needs somebody to keep them")
    stands_alone = nothing_beside(execution.review.context, order.instrument)
    duty = await keeper.begin(execution.step, order, stands_alone=stands_alone)
    try:
        return await _place_owed(execution, keeper, duty)
    finally:
        keeper.let_go(duty)


async def _place_owed(execution: CommandExecution, keeper: KeepsExits, duty: Duty) -> Outcome:
    """Send an entry that is owed exits, and give what fills at once its own."""
    order = duty.order
    answer, book = await submit_order(execution, order, that_must_stand(execution, order))
    if answer.refusal:
        await keeper.end(duty, "the entry was refused: no exits are owed")
        return execution.with_book(execution.after(answer), order.instrument, book)
    outcome, seen = await found(execution, order, answer, _has_moved)
    kept = Kept((_UNSEEN,))
    if seen is not None:
        if seen.is_closed:
            execution.journal.being_told.add(execution.own_id)
        seen, kept = await _followed(keeper, duty, seen)
        execution.journal.being_told.discard(execution.own_id)
    keeper.let_go(duty)  # what fills while this is told does not wait for that

    async def finish(told: Outcome) -> Outcome:
        """Another process may have been about its exits, and may have failed since, or be about them still."""
        alarm = kept.alarm or (await execution.journal.cry_of(execution.step) if told.filled_quantity else "")
        if told.filled_quantity and not alarm and kept.is_by_another:
            unseen = await keeper.not_seen_yet(duty, told.filled_quantity)
            alarm = unseen or await execution.journal.cry_of(execution.step)  # it may have been cried meanwhile
        return with_exits(told, replace(kept, alarm=alarm), seen)

    return await execution.report_order(outcome, seen, finish, kept.closed)


async def _followed(keeper: KeepsExits, duty: Duty, entry: Order) -> tuple[Order, Kept]:
    """Let it get its exits. A fault of ours must not hide that the entry filled; the watch goes on with it."""
    try:
        return await keeper.follow(duty, entry)
    except Exception as surprise:  # noqa: BLE001  # logged, and told first of all
        _log.warning("The exits of an entry could not be placed", exc_info=True)
        hidden = f"an internal fault ({type(surprise).__name__}) hid it"
        cry = f"it is NOT KNOWN whether a stop stands behind the {entry.filled} filled: {hidden}; ct-mcp tries again"
        return entry, Kept(alarm=cry)


async def place_by_template(execution: CommandExecution, order: PlaceOrder) -> Outcome:
    """Place one order whose exits NinjaTrader makes by a template, and wait until a stop stands behind what filled.

    What a template holds nobody tells, so its legs are told as they are read: whether a stop stands at all, and for
    how many contracts.
    """
    told = await place(execution, order)
    if not told.filled_quantity:
        return told
    book = await execution.urgent_poller.book(
        order.account, order.instrument, lambda book: not alarm_of(book.positions, book.orders), Baseline()
    )
    if book is None:
        unread = "whether the ATM template has brought a stop could not be read"
        return replace(told, warnings=(unread, *told.warnings), next_step=LOOK_AGAIN)
    told = readback.with_standing(told, book, execution.contracts)
    cry = alarm_of(book.positions, book.orders)
    if not cry:
        return told
    step = "; ".join(
        (TELL_NOW, *(mending(cover, None, book.orders) for cover in covers_of(book.positions, book.orders)))
    )
    alarm = f"{cry}; the ATM template has brought no stop for it that is seen"
    return replace(told, alarm=alarm, next_step=step)


def _has_moved(order: Order) -> bool:
    return bool(order.filled) or has_come_to_rest(order)


def with_exits(told: Outcome, kept: Kept, seen: Order | None) -> Outcome:
    """Say what became of the exits; where they do not stand, that is the first word."""
    rests = (_LATER,) if seen is not None and not seen.is_closed and not kept.alarm else ()
    told = replace(
        told,
        reasons=(*told.reasons, *kept.lines, *rests),
        warnings=(*kept.warnings, *told.warnings),
    )
    if not kept.alarm:
        return told
    step = "; ".join(dict.fromkeys(filter(None, (TELL_NOW, told.next_step, LOOK_AGAIN))))
    return replace(told, alarm=kept.alarm, next_step=step)
