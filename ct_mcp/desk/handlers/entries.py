"""Sends an entry that was approved with exits, and gives its fills their stop and targets before anything is told.

It stands alone, since whoever keeps the exits sends them by the handler of plain orders.
"""

from dataclasses import replace

from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.handlers.orders import found, that_must_stand
from ct_mcp.desk.outcome import Kept, Outcome
from ct_mcp.desk.polling import has_come_to_rest
from ct_mcp.desk.readback import LOOK_AGAIN
from ct_mcp.desk.remedies import TELL_NOW
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import Order

_LATER = "what fills later gets its exits only while ct-mcp runs"
_UNSEEN = "should it fill, it gets its exits while ct-mcp runs"


async def place_entry(execution: CommandExecution, order: PlaceOrder) -> Outcome:
    """Place one order, and its exits as it fills; what rests is kept by the watch."""
    keeper = execution.exits
    if keeper is None:  # pragma: no cover  # every desk has one
        raise ValueError("an entry with exits needs somebody to keep them")
    duty = await keeper.begin(execution.step, order)
    send = execution.while_fresh.place_order(order, execution.own_id, require=that_must_stand(execution, order))
    answer = await execution.submit("place", send)
    if answer.refusal:
        await keeper.end(duty, "the entry was refused: no exits are owed")
        return await execution.with_what_stands(execution.after(answer), order.instrument)
    outcome, seen = await found(execution, order, answer, _has_moved)
    kept = Kept((_UNSEEN,))
    if seen is not None:
        if seen.is_closed:
            execution.journal.being_told.add(execution.own_id)
        seen, kept = await keeper.follow(duty, seen)
        execution.journal.being_told.discard(execution.own_id)
    return with_exits(await execution.report_order(outcome, seen), kept, seen)


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
