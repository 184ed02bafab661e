"""Sends what a spent ticket holds, once, and answers only what was read back afterwards."""

from dataclasses import dataclass

from ct_mcp.desk.errand import Errand
from ct_mcp.desk.facts import Case
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.record import Record
from ct_mcp.desk.sending_exits import cancel, cancel_all, close, flatten
from ct_mcp.desk.sending_orders import change, place
from ct_mcp.desk.watch import Pause
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.ticket import Ticket
from ct_mcp.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Sender:
    """The only caller of the upstream's writes. The ticket is spent and the intent is in the journal by now."""

    upstream: Upstream
    record: Record
    pause: Pause

    async def send(self, ticket: Ticket, case: Case) -> Outcome:
        """Send it and read back what became of it.

        Raises:
            UpstreamError: It certainly did not take effect (offline, refused token, rate limit).
            BudgetExhausted: It was not sent, since our own request budget is empty.
        """
        errand = Errand(ticket, case, self.upstream, self.record, self.pause)
        match case.action:
            case PlaceOrder() as order:
                return await place(errand, order)
            case ChangeOrder() as wanted:
                return await change(errand, wanted)
            case CancelOrder() as cancelled:
                return await cancel(errand, cancelled)
            case CancelOrders() as cancels:
                return await cancel_all(errand, cancels)
            case ClosePosition() as closing:
                return await close(errand, closing)
            case Flatten() as flattening:
                return await flatten(errand, flattening)
            case _:
                raise BadRequest("the desk does not send this yet", next_step="do it in NinjaTrader")
