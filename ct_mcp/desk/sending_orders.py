"""Sends new orders and changes of orders, and says what each was seen to come to."""

from dataclasses import replace

from ct_mcp.desk import read_back
from ct_mcp.desk.errand import Answer, Errand
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.watch import has_come_to_rest
from ct_mcp.domain.action import ChangeOrder, PlaceOrder
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Direction
from ct_mcp.guard.direction import only_reduces


async def place(errand: Errand, order: PlaceOrder) -> Outcome:
    """Place one order under our own id, and find it by that id where its answer was lost."""
    require = _that_must_stand(errand, order)
    send = errand.while_fresh.place_order(order, errand.ticket.own_id, require=require)
    answer = await errand.once("place", send)
    if answer.refusal:
        return errand.after(answer)
    order_id, seen = await found(errand, order, answer)
    return await errand.told(replace(errand.after(answer), order_id=order_id), seen)


def _that_must_stand(errand: Errand, order: PlaceOrder) -> frozenset[Direction] | None:
    """What CrossTrade is to check once more: an order that only reduces must find the position that it reduces.

    Of an order that opens or adds nothing is required: a fill meanwhile may change what it finds, and the limits,
    which count that fill, have allowed it. ``maxPositions`` is not sent, since no limit of ours says the same.
    """
    net = errand.case.view.net_position(order.instrument)
    if not net or not only_reduces(order, errand.case.view):
        return None
    return frozenset({Direction.LONG if net > 0 else Direction.SHORT})


async def found(errand: Errand, order: PlaceOrder, answer: Answer) -> tuple[str | None, Order | None]:
    """The order that was placed: by the id that they named, or else by ours."""
    order_id = answer.order_id
    if order_id is None and (found := await errand.watch.find(order.account, errand.ticket.own_id)):
        order_id = found.order_id
    return order_id, await errand.watch.order(order.account, order_id, has_come_to_rest) if order_id else None


async def change(errand: Errand, wanted: ChangeOrder) -> Outcome:
    """Change one order, and look until it stands as asked."""
    answer = await errand.once("change", errand.while_fresh.change_order(wanted))
    outcome = errand.after(answer)
    if answer.refusal:
        return outcome

    def is_done(order: Order) -> bool:
        return order.is_closed or read_back.is_changed(order, wanted)

    seen = await errand.watch.order(wanted.account, wanted.order_id, is_done)
    if seen is None or not is_done(seen):
        return await errand.written(read_back.unseen(outcome, "the change is not seen yet"))
    if not seen.is_closed:
        outcome = replace(outcome, status=Status.CHANGED, next_step="")
        return await errand.written(read_back.with_order(outcome, seen))
    return await errand.told(outcome, seen)
