"""Sends what a spent ticket holds, once, and answers only what was read back afterwards."""

from dataclasses import dataclass

from ct_mcp.desk.errand import Errand
from ct_mcp.desk.facts import Case
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.record import Record
from ct_mcp.desk.sending_brackets import protect
from ct_mcp.desk.sending_exits import cancel, cancel_all, close, flatten
from ct_mcp.desk.sending_orders import change, place
from ct_mcp.desk.sending_strategies import disable, enable, end, start
from ct_mcp.desk.sending_turns import flatten_and_place, replace_order, reverse
from ct_mcp.desk.watch import Pause
from ct_mcp.domain.action import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    FlattenEverything,
    OrderAsked,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
    StrategyAsked,
)
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.ticket import Ticket


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
            case ClosePosition() | Flatten() | CancelOrder() | CancelOrders():
                return await _send_exit(errand, case.action)
            case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy():
                return await _send_strategy(errand, case.action)
            case FlattenEverything():
                raise ValueError("accounts are flattened one after the other, each by a case of its own")
            case _:
                return await _send_order(errand, case.action)


async def _send_exit(errand: Errand, action: ClosePosition | Flatten | CancelOrder | CancelOrders) -> Outcome:
    match action:
        case CancelOrder():
            return await cancel(errand, action)
        case CancelOrders():
            return await cancel_all(errand, action)
        case ClosePosition():
            return await close(errand, action)
        case Flatten():  # pragma: no branch  # the set is closed
            return await flatten(errand, action)


async def _send_order(errand: Errand, action: OrderAsked | ReversePosition | ProtectPosition) -> Outcome:
    match action:
        case PlaceOrder():
            return await (flatten_and_place if action.flatten_first else place)(errand, action)
        case ChangeOrder():
            return await change(errand, action)
        case ReplaceOrder():
            return await replace_order(errand, action)
        case ReversePosition():
            return await reverse(errand, action)
        case ProtectPosition():  # pragma: no branch  # the set is closed
            return await protect(errand, action)


async def _send_strategy(errand: Errand, action: StrategyAsked) -> Outcome:
    match action:
        case StartStrategy():
            return await start(errand, action)
        case EnableStrategy():
            return await enable(errand, action)
        case DisableStrategy():
            return await disable(errand, action)
        case CloseStrategy():  # pragma: no branch  # the set is closed
            return await end(errand, action)
