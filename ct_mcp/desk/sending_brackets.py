"""Sends a bracket around a position. The call is not atomic: what it says proves nothing, what stands does."""

from ct_mcp.crosstrade.wire import Acknowledged
from ct_mcp.desk.errand import Errand
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.read_back_brackets import Bracket, from_bracket, from_refused_bracket, unread
from ct_mcp.desk.watch import Book, Stood
from ct_mcp.domain.action import ProtectPosition
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import BadRequest, Unavailable, UpstreamError


async def protect(errand: Errand, wanted: ProtectPosition) -> Outcome:
    """Put the bracket in place of the orders of the instrument, and look until it stands or is known not to."""
    view = errand.case.view
    before = frozenset(order.order_id for order in view.orders or ())
    bracket = Bracket(wanted, before, view.net_position(wanted.instrument) or 0)
    answer = await errand.once("protect", _sent(errand, wanted))
    if answer.refusal:
        book = await errand.urgent_watch.book_now(wanted.account, wanted.instrument)
        return await errand.written(from_refused_bracket(errand.after(answer), book))
    book = await errand.urgent_watch.book(
        wanted.account, wanted.instrument, bracket.is_done, Stood(instruments=(wanted.instrument,))
    )
    outcome = errand.after(answer)
    if book is None:
        return await errand.written(unread(outcome))
    is_known = not book.is_stale and await _are_known(errand, wanted, answer.taken.order_ids, book)
    return await errand.written(from_bracket(outcome, book, bracket), is_known=is_known)


async def _are_known(errand: Errand, wanted: ProtectPosition, named: tuple[str, ...], book: Book) -> bool:
    """Say whether every leg that they named stands or is over: what is known must not count as one that may come.

    A position that stands bare is mended by another stop, and the limits would count a lost one against it.
    """
    listed = {order.order_id for order in book.orders}
    unlisted = [order_id for order_id in named if order_id not in listed]
    seen = [await errand.urgent_watch.look(wanted.account, order_id) for order_id in unlisted]
    return bool(named) and all(order is not None and order.is_closed for order in seen)


async def _sent(errand: Errand, wanted: ProtectPosition) -> Acknowledged:
    """Read what is held once more, and send: on a flat account this call would open a position."""
    fields = await errand.upstream.bracket_fields()
    position = await _held_right_now(errand, wanted)
    return await errand.while_fresh.cancel_and_bracket(wanted, position, fields)


async def _held_right_now(errand: Errand, wanted: ProtectPosition) -> Position:
    try:
        positions = await errand.upstream.positions(wanted.account)
    except UpstreamError as error:
        # Their no to this read must not be told as a no to the bracket, which was not sent.
        raise Unavailable(f"positions could not be read right before the bracket: {error.what}") from None
    reviewed = errand.case.view.net_position(wanted.instrument) or 0
    held = next((position for position in positions if position.instrument == wanted.instrument), None)
    if held is None or held.direction is Direction.FLAT:
        raise BadRequest(f"{wanted.instrument} is flat by now, and a bracket without a position would open one")
    if held.net * reviewed <= 0:
        raise BadRequest(f"{wanted.instrument} was {reviewed:+d} when this was reviewed and is {held.net:+d} by now")
    return held
