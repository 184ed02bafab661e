"""What is held right before the wire: the review's word while it is fresh, and otherwise one more reading.

It stands apart from the sends that ask it: a bracket on a flat account opens, and what turns a position or flattens
first does so at whatever size it finds when it arrives, which may not be the one that was shown.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ct_mcp.desk.ports import Reads
from ct_mcp.desk.warm_review import HOLDS_SECONDS
from ct_mcp.domain.account import Position
from ct_mcp.errors import OrderDenied, Unavailable, UpstreamError
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.review import Review
from ct_mcp.text import contracts

# About what one reading takes: what was asked for so long ago has only just been answered.
_JUST_ASKED_SECONDS = 0.75
_ASK_AGAIN = "ask for it again if the person still wants it: it is then judged and shown by what is held"


async def positions_now(upstream: Reads, review: Review, clock: Callable[[], datetime]) -> tuple[Position, ...]:
    """Give the positions of the account, read once more where those of the review may be of before.

    Raises:
        Unavailable: They could not be read. Their no to this read must not be told as a no to the write.
    """
    just_read = _just_read(review.context, clock())
    if just_read is not None:
        return just_read
    try:
        return await upstream.positions(review.command.account)
    except UpstreamError as error:
        raise Unavailable(f"positions could not be read right before it was to be sent: {error.what}") from None


async def leaves_what_was_shown(upstream: Reads, review: Review, clock: Callable[[], datetime]) -> None:
    """Pass over what turns a position or flattens it first if that is still the one that was reviewed.

    Raises:
        OrderDenied: Another one is held by now.
        Unavailable: As in `positions_now`.
    """
    order = review.effect.order
    if order is None or not order.flatten_first:
        return
    now = replace(review.context, positions=await positions_now(upstream, review, clock))
    before, held = (context.net_position(order.instrument) for context in (review.context, now))
    if held == before:
        return
    raise OrderDenied(
        f"{order.instrument} was {contracts(before)} when this was reviewed and reads {contracts(held)} by now, "
        "and it would leave as much as it finds",
        next_step=_ASK_AGAIN,
    )


def _just_read(context: RiskContext, now: datetime) -> tuple[Position, ...] | None:
    """Give the positions of the review that sends, where another reading would tell nothing newer; else None.

    They were asked for a moment ago; or the stream, which speaks of the account, has told of no change in it since.
    """
    read_at = context.read_at or context.book_asked_at
    longest = HOLDS_SECONDS if context.read_at else _JUST_ASKED_SECONDS
    age = None if read_at is None else (now - read_at).total_seconds()
    return context.positions if age is not None and 0 <= age <= longest else None
