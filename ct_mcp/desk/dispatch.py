"""Sends one command of a spent ticket, once."""

from collections.abc import Awaitable, Callable, Mapping

from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.handlers.brackets import protect
from ct_mcp.desk.handlers.entries import place_by_template, place_entry
from ct_mcp.desk.handlers.exits import cancel, cancel_all, close, flatten
from ct_mcp.desk.handlers.orders import change, place, replace_order, reverse
from ct_mcp.desk.handlers.strategies import disable, enable, end, start
from ct_mcp.desk.handlers.watches import set_watch
from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.watch import SetWatch
from ct_mcp.guard.effect import is_exit_of_entry

Handler = Callable[..., Awaitable[Outcome]]

HANDLERS: Mapping[type[Command], Handler] = {
    PlaceOrder: place,
    ChangeOrder: change,
    ReplaceOrder: replace_order,
    CancelOrder: cancel,
    CancelOrders: cancel_all,
    ClosePosition: close,
    Flatten: flatten,
    ReversePosition: reverse,
    ProtectPosition: protect,
    StartStrategy: start,
    EnableStrategy: enable,
    DisableStrategy: disable,
    CloseStrategy: end,
    SetWatch: set_watch,
}
"""Who sends what. These are the only callers of the upstream's writes."""


async def send(execution: CommandExecution) -> Outcome:
    """Send one command and read back what became of it. The ticket is spent and the intent is in the journal by now.

    Raises:
        UpstreamError: It certainly did not take effect (offline, refused token, rate limit).
        BudgetExhausted: It was not sent, since our own request budget is empty.
    """
    command = execution.review.command
    outcome = await _handler(command)(execution, command)
    return outcome if is_exit_of_entry(command) else await execution.with_outstanding(outcome)


def _handler(command: Command) -> Handler:
    """Of orders those apart that get exits as they fill."""
    if isinstance(command, PlaceOrder) and command.bracket is not None:
        return place_entry
    if isinstance(command, PlaceOrder) and command.atm_strategy is not None and not command.flatten_first:
        return place_by_template
    return HANDLERS[type(command)]
