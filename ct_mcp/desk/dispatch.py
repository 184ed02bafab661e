"""Who sends which command of a spent ticket. It stands alone since it imports every handler, and no handler it."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

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

_log = logging.getLogger(__name__)
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


def handler_of(command: Command) -> Handler:
    """Give what sends this command, of orders those apart that get exits as they fill.

    It sends once and reads back what became of it. The ticket is spent and the intent is in the journal by then. It
    raises `UpstreamError` where that certainly did not take effect (offline, refused token, rate limit), and
    `BudgetExhausted` where it was not sent, since our own request budget is empty.
    """
    if isinstance(command, PlaceOrder) and command.bracket is not None:
        return place_entry
    if isinstance(command, PlaceOrder) and command.atm_strategy is not None and not command.flatten_first:
        return place_by_template
    return HANDLERS[type(command)]


def tell_of(command: Command, listeners: Iterable[Callable[[Command], None]]) -> None:
    """Tell whoever shows things that something was sent. No fault of theirs may hide what became of it."""
    for hear in listeners:
        try:
            hear(command)
        except Exception:  # noqa: BLE001  # logged; the outcome of a send is worth more
            _log.warning("A listener failed after a send", exc_info=True)
