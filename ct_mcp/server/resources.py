"""Resources: the same facts as the tools give, for clients in which the person attaches them."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource
from mcp_types import CallToolResult

from ct_mcp.domain.market import trading_day
from ct_mcp.errors import BadRequest, CtMcpError, NotFound
from ct_mcp.server.account_queries import read_accounts
from ct_mcp.server.context import ServerContext
from ct_mcp.server.format import sanitize_name
from ct_mcp.server.policy_text import policy_text
from ct_mcp.server.queries import read_orders, read_positions, time_limit
from ct_mcp.server.references import REFERENCES, Reference, ReferenceCache
from ct_mcp.server.resource_updates import ResourceKind
from ct_mcp.server.team_link import TEAM_SECONDS
from ct_mcp.server.tools.accounts import account_result, accounts_result, read_account
from ct_mcp.server.tools.journal import journal_result
from ct_mcp.server.tools.market import quotes_result
from ct_mcp.server.tools.order_queries import orders_result, orders_scope
from ct_mcp.server.tools.positions import Behind, positions_result
from ct_mcp.server.tools.watches import watches_result

JOURNAL_LINES = 20
_OWN_ALWAYS = "what we send ourselves always, changes by others only while the stream is up, which get_status tells"
_ONE_A_SECOND = "at most one notice a second."
_NOTIFICATIONS: dict[str, str] = {
    ResourceKind.ACCOUNTS: f"Can be subscribed to: {_OWN_ALWAYS}; not the P&L, that is told of the snapshot.",
    ResourceKind.SNAPSHOT: f"Can be subscribed to: {_OWN_ALWAYS}; {_ONE_A_SECOND}",
    ResourceKind.QUOTE: f"Can be subscribed to while the stream is up, which get_status tells; {_ONE_A_SECOND}",
    ResourceKind.WATCHES: "Can be subscribed to: whatever a watch tells, in whatever process it runs.",
    ResourceKind.JOURNAL: "Can be subscribed to: what this server writes to it, not what the person's own commands do.",
}
_P = ParamSpec("_P")


class ResourceReader:
    """Reads what can be attached, when somebody asks for it. Docstrings of resources are what clients show."""

    def __init__(self, context: ServerContext) -> None:
        """Touch nothing yet."""
        self._context = context
        self._references = ReferenceCache()

    async def accounts(self) -> str:
        """All accounts: kind, whether each may trade, balances, P&L of the day."""
        query = self._context.query()
        statuses = await read_accounts(query)
        return _json(accounts_result(statuses, query.notes, query.read_at))

    async def snapshot(self, account: str) -> str:
        """One account: balances, open positions and working orders."""
        query = self._context.query()
        report = await read_account(query, account)
        name = report.account.name
        positions = await read_positions(query, name)
        orders = await read_orders(query, name)
        now, notes, currency = query.read_at, query.notes, sanitize_name(report.account.currency)
        behind = Behind(orders, query.desk.contexts.contracts, {name: currency} if currency else {})
        parts = {
            "account": account_result(report, notes, now),
            "positions": positions_result(positions, now, name, behind=behind),
            "orders": orders_result(orders.open_only.rows, orders_scope(name, orders), [], now),
        }
        return _compact({part: result.structured_content for part, result in parts.items()})

    async def policy(self) -> str:
        """What this server may do: mode, limits, approvals."""
        self._context.refuse_with_faults()
        if not self._context.has_team:
            return policy_text(self._context.policy, lambda: trading_day(self._context.desk.clock()))
        from ct_mcp.desk.team_words import team_lines  # noqa: PLC0415  # the desk is loaded by the first call

        desk = self._context.desk
        standing = await desk.team.hear(TEAM_SECONDS)
        own = policy_text(desk.policy, lambda: trading_day(desk.clock()))
        lines = team_lines(standing, desk.policy, desk.clock())
        return "\n".join((own, "## Team (what stands above is narrowed by it)", *(f"- {line}" for line in lines)))

    async def quotes(self, instrument: str) -> str:
        """One instrument: bid, ask, last, change, age of the quote, tick and point value."""
        query = self._context.query()
        quotes = await query.live.quotes([instrument])
        stale_after = query.desk.policy.limits.quote_max_age_seconds
        return _json(quotes_result([instrument], quotes, stale_after, query.notes, query.desk.clock()))

    async def journal(self) -> str:
        """Our own journal, its newest lines: what was asked, denied, approved, sent and answered."""
        desk = self._context.desk
        return _json(journal_result(await desk.store.entries(JOURNAL_LINES), desk.clock()))

    async def watches(self) -> str:
        """What is being watched, and what was told last."""
        return _json(await watches_result(self._context.desk))

    async def reference(self, wanted: Reference) -> str:
        """What CrossTrade says of its own API."""
        return await self._references.read(self._context.desk, wanted)


def add_resources(server: MCPServer[ServerContext], context: ServerContext) -> None:
    """List what can be attached. Nothing is read before somebody asks for it."""
    reader = ResourceReader(context)
    _add(server, ResourceKind.ACCOUNTS, "application/json", reader.accounts)
    _add(server, ResourceKind.SNAPSHOT, "application/json", reader.snapshot)
    _add(server, ResourceKind.QUOTE, "application/json", reader.quotes)
    _add(server, "crosstrade://policy", "text/markdown", reader.policy)
    _add(server, ResourceKind.JOURNAL, "application/json", reader.journal)
    _add(server, ResourceKind.WATCHES, "application/json", reader.watches)
    for reference in REFERENCES:
        _add_reference(server, reader, reference)


def _add_reference(server: MCPServer[ServerContext], reader: ResourceReader, wanted: Reference) -> None:
    async def read() -> str:
        return await reader.reference(wanted)

    listed = FunctionResource(
        uri=f"crosstrade://reference/{wanted.uri}",
        name=wanted.uri,
        title=wanted.title,
        description=wanted.description,
        mime_type=wanted.mime_type,
        fn=_with_resource_errors(time_limit()(read)),
    )
    server.add_resource(listed)


def _add(server: MCPServer[ServerContext], uri: str, mime_type: str, read: Callable[_P, Awaitable[str]]) -> None:
    name, notifications = read.__name__, _NOTIFICATIONS.get(uri, "")
    described = " ".join(filter(None, (read.__doc__, notifications)))
    listed = server.resource(str(uri), name=name, title=name.title(), description=described, mime_type=mime_type)
    listed(_with_resource_errors(time_limit()(read)))


def _with_resource_errors(read: Callable[_P, Awaitable[str]]) -> Callable[_P, Awaitable[str]]:
    """Let our own errors keep their text; any other the SDK hides and logs.

    Raises, when called:
        ResourceError: Whatever failed.
    """

    @wraps(read)
    async def with_errors(*args: _P.args, **kwargs: _P.kwargs) -> str:
        try:
            return await read(*args, **kwargs)
        except (BadRequest, NotFound) as error:
            raise ResourceNotFoundError(str(error)) from error
        except CtMcpError as error:
            raise ResourceError(str(error)) from error

    return with_errors


def _json(result: CallToolResult) -> str:
    return _compact(result.structured_content)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
