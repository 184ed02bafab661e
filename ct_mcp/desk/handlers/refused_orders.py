"""Submits an order, and holds a no against what stands right after it: some were placed all the same.

It stands apart from the handlers, since both that of plain orders and that of entries submit by it.
"""

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.submission import Submission
from ct_mcp.domain.account import Direction
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError, NotFound, OrderRejected, OutcomeUnknown


async def submit_order(
    execution: CommandExecution, order: PlaceOrder, require: frozenset[Direction] | None
) -> tuple[Submission, AccountState | None]:
    """Submit an order. A no beside what reads like the order is none; with what was read after a no, to be told.

    It is looked at before the answer is written down: what is refused there is over for good. One that must find a
    position was refused where somebody's exit was quicker, which reads like it, and asked again it finds none either.
    """
    book: AccountState | None = None

    async def heard() -> Acknowledged:
        nonlocal book
        try:
            return await execution.while_fresh.place_order(order, execution.own_id, require=require)
        except (OrderRejected, NotFound) as no:
            book = await execution.book_believed(order.instrument)
            if (beside := await _new_in(book, execution, order, by_id_alone=require is not None)) is not None:
                raise OutcomeUnknown(f"{no.what}; but not there before was {order_line(beside)}") from None
            raise

    return await execution.submit("place", heard()), book


async def _new_in(
    book: AccountState | None, execution: CommandExecution, order: PlaceOrder, *, by_id_alone: bool
) -> Order | None:
    """Give what reads like the order that was sent; one that is over and filled nothing bears their no out."""
    try:
        is_ours = await execution.ours(order)
    except CtMcpError:
        return None
    listed = (*book.orders, *book.over) if book is not None else ()
    alive = [each for each in listed if (each.filled or not each.is_closed) and is_ours(each)]
    return next((each for each in alive if each.own_id == execution.own_id or not by_id_alone), None)
