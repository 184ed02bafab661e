"""When an exit that they took is known to have come to nothing: then it keeps the next one from nothing. Pure."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from ct_mcp.desk import remedies
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.readback import their_words
from ct_mcp.domain.order import Order, OrderState, OrderType

_REFUSED = (OrderState.REJECTED, OrderState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RefusedExits:
    """Orders that read like those of an exit, and as refused.

    ``is_known`` where each position that is still held has one that is its own beyond doubt: it alone could be, it is
    over, and what it has left is what is held. Then nothing of that exit can come any more. ``has_left`` says that
    something was left all the same: of several positions one, or a part.
    """

    orders: tuple[Order, ...] = ()
    is_known: bool = False
    has_left: bool = False


def refused_among(
    rows: Iterable[Order], held: int, part: int | None, is_ours: Callable[[Order], bool], named: Collection[str] = ()
) -> RefusedExits:
    """Find the order at the market that was to leave so many signed contracts, or a ``part`` of them, and is refused.

    An exit carries no id of ours. Where somebody else's could be meant, or where ours may not be listed yet, it is not
    known: another exit would then turn the position round. ``named`` are ids that they gave when they took it.
    """
    mine = [row for row in rows if row.order_type is OrderType.MARKET and is_ours(row)]
    mine = [row for row in mine if row.order_id in named] or mine
    refused = tuple(row for row in mine if row.state in _REFUSED)
    is_alone = len(mine) == len(refused) == 1
    return RefusedExits(refused, is_alone and _has_left(refused[0], held, part))


def _has_left(order: Order, held: int, part: int | None) -> bool:
    """Say whether what an order has not filled is what is still held of what it was to leave."""
    return order.quantity == part if part is not None else order.quantity - order.filled == abs(held)


def with_refused_exits(outcome: Outcome, refused: RefusedExits) -> Outcome:
    """Name what reads like the order of an exit and was refused; it carries no id of ours, so it may be another.

    Where it is known to be that of this exit, nothing is on its way any more, and the next exit leaves at once. It is
    called rejected only where nothing was left.
    """
    whose = "it is the one of this exit" if refused.is_known else "it may be the one of this exit"
    lines = (
        f"an order at the market that would have left {order.instrument} reads {order.state}: {their_words(order)}; "
        f"{whose}"
        for order in refused.orders
    )
    outcome = replace(outcome, reasons=(*outcome.reasons, *lines))
    if not refused.is_known or outcome.status is not Status.ACCEPTED:
        return outcome
    step = f"NOT done: {remedies.TELL_NOW}; nothing of this exit is on its way any more, the next one leaves at once"
    return replace(outcome, status=outcome.status if refused.has_left else Status.REJECTED, next_step=step)
