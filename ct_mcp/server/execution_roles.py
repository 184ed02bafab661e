"""Says what an execution was for: entry, exit, stop or target, by our journal or by the name of its order.

NinjaTrader names the legs of a template ``Stop1`` and ``Target1``, what leaves a position ``Close`` or ``Exit``. A name
is somebody's choice, so what the journal knows of an order of ours comes first; what neither tells is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.order import Execution
from ct_mcp.errors import CtMcpError
from ct_mcp.server.queries import Query

if TYPE_CHECKING:  # the rules and the store are loaded by the first call
    from ct_mcp.guard.effect import Role
    from ct_mcp.store.journal import Entry

Roles = Mapping[str, "Role"]
"""By the ids of orders."""
NO_ROLES: Roles = MappingProxyType({})

OLDER = (
    "older ones than 15 minutes: what is on record with day='today' or a date; else in NinjaTrader's Trade Performance "
    "window, and what ct-mcp sent in get_journal"
)
_LOOK_BACK = 200
_NAMES = {
    "stop": "stop",
    "stop loss": "stop",
    "stoploss": "stop",
    "trailing stop": "stop",
    "target": "target",
    "profit target": "target",
    "take profit": "target",
    "exit": "exit",
    "exit on session close": "exit",
    "close": "exit",
    "close position": "exit",
    "entry": "entry",
}
"""What orders are called by others, and their role."""


def role_of(execution: Execution, roles: Roles) -> "Role | None":
    """Say what one execution was for; None where neither the journal nor the name tells."""
    if (known := roles.get(execution.order_id or "")) is not None:
        return known
    from ct_mcp.guard.effect import Role  # noqa: PLC0415

    named = _NAMES.get((execution.name or "").casefold().rstrip("0123456789").strip())
    return None if named is None else Role(named)


async def read_roles(query: Query, executions: Sequence[Execution]) -> Roles:
    """Look up in the journal what the orders of some executions were sent for; without it their names alone tell."""
    roles: dict[str, Role] = {}
    try:
        for account in sorted({execution.account for execution in executions}):
            story = await query.desk.store.entries(_LOOK_BACK, account)
            wanted = {each.order_id for each in executions if each.order_id and each.account == account}
            for entry in _that_name(story, wanted):
                ticket = await query.desk.store.ticket(entry.ticket_id or "")
                role = None if ticket is None else _role_in(ticket, entry, story)
                if role is not None:
                    roles[str(entry.detail["order_id"])] = role
    except CtMcpError as error:
        query.note(f"what the orders were sent for could not be looked up in the journal: {error.what}")
    return roles


def _that_name(story: "Iterable[Entry]", order_ids: set[str]) -> "list[Entry]":
    """Give for each order the oldest entry that names it: a later change or cancel names it as well."""
    named = {str(entry.detail["order_id"]): entry for entry in story if entry.detail.get("order_id") in order_ids}
    return [*named.values()]


def _role_in(ticket: Ticket, entry: "Entry", story: "Iterable[Entry]") -> "Role | None":
    from ct_mcp.guard.effect import role_sent  # noqa: PLC0415
    from ct_mcp.store.journal import EntryKind  # noqa: PLC0415

    commands = (each for n, each in enumerate(ticket.commands) if ticket.own_id_of(n) == entry.own_id)
    intents = (each for each in story if each.kind is EntryKind.INTENT and each.own_id == entry.own_id)
    command, intent = next(commands, None), next(intents, None)
    if command is None or intent is None:
        return None
    starts = intent.detail.get("position_before")
    return role_sent(command, starts if isinstance(starts, list) else [])
