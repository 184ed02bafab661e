"""Resources: the same facts as the tools give, for clients in which the person attaches them."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource
from mcp_types import CallToolResult

from ct_mcp.errors import BadRequest, CtMcpError, NotFound
from ct_mcp.server.answers.account import account_answer
from ct_mcp.server.answers.accounts import accounts_answer
from ct_mcp.server.answers.journal import journal_answer
from ct_mcp.server.answers.orders import orders_answer
from ct_mcp.server.answers.policy import policy_text
from ct_mcp.server.answers.positions import positions_answer
from ct_mcp.server.answers.quotes import quotes_answer
from ct_mcp.server.holdings import read_positions
from ct_mcp.server.reading import in_time
from ct_mcp.server.references import REFERENCES, Library, Reference
from ct_mcp.server.standing import read_accounts
from ct_mcp.server.tools.account import read_account
from ct_mcp.server.topics import Kind
from ct_mcp.server.wiring import Wiring, reading_in

JOURNAL_LINES = 20
_OURS_ALWAYS = "what we send ourselves always, changes by others only while the stream is up, which get_status tells"
NOTICES: dict[str, str] = {
    Kind.ACCOUNTS: f"Can be subscribed to: {_OURS_ALWAYS}; not the P&L, that is told of the snapshot.",
    Kind.SNAPSHOT: f"Can be subscribed to: {_OURS_ALWAYS}; at most one notice a second.",
    Kind.QUOTE: "Can be subscribed to while the stream is up, which get_status tells; at most one notice a second.",
    Kind.JOURNAL: "Can be subscribed to: what this server writes to it, not what the person's own commands do.",
}
_P = ParamSpec("_P")


class Shelf:
    """What can be attached, read from the desk of one server when somebody asks for it."""

    def __init__(self, wiring: Wiring) -> None:
        """Touch nothing yet."""
        self._wiring = wiring
        self._library = Library()

    async def accounts(self) -> str:
        """All accounts: kind, whether each may trade, balances, P&L of the day."""
        reading = reading_in(self._wiring)
        standings = await read_accounts(reading)
        return _json(accounts_answer(standings, reading.notes, reading.read_at))

    async def snapshot(self, account: str) -> str:
        """One account: balances, open positions and working orders."""
        reading = reading_in(self._wiring)
        report = await read_account(reading, account)
        name = report.account.name
        positions = await read_positions(reading, name)
        orders = await reading.live.orders(name, active_only=True)
        now, notes = reading.read_at, reading.notes
        parts = {
            "account": account_answer(report, notes, now),
            "positions": positions_answer(positions, now, name),
            "orders": orders_answer([order for order in orders if not order.is_closed], name, [], now),
        }
        return _compact({part: answer.structured_content for part, answer in parts.items()})

    async def policy(self) -> str:
        """What this server may do: mode, limits, approvals."""
        return policy_text(self._wiring.policy)

    async def quotes(self, instrument: str) -> str:
        """One instrument: bid, ask, last, change, age of the quote, tick and point value."""
        reading = reading_in(self._wiring)
        quotes = await reading.live.quotes([instrument])
        stale_after = reading.desk.policy.limits.quote_max_age_seconds
        return _json(quotes_answer([instrument], quotes, stale_after, reading.notes, reading.desk.clock()))

    async def journal(self) -> str:
        """Our own journal, its newest lines: what was asked, denied, approved, sent and answered."""
        desk = self._wiring.desk
        return _json(journal_answer(await desk.store.entries(JOURNAL_LINES), desk.clock()))

    async def reference(self, wanted: Reference) -> str:
        """What CrossTrade says of its own API."""
        return await self._library.read(self._wiring.desk, wanted)


def add_resources(server: MCPServer[Wiring], wiring: Wiring) -> None:
    """List what can be attached. Nothing is read before somebody asks for it."""
    shelf = Shelf(wiring)
    _add(server, Kind.ACCOUNTS, "application/json", shelf.accounts)
    _add(server, Kind.SNAPSHOT, "application/json", shelf.snapshot)
    _add(server, Kind.QUOTE, "application/json", shelf.quotes)
    _add(server, "crosstrade://policy", "text/markdown", shelf.policy)
    _add(server, Kind.JOURNAL, "application/json", shelf.journal)
    for reference in REFERENCES:
        _add_reference(server, shelf, reference)


def _add_reference(server: MCPServer[Wiring], shelf: Shelf, wanted: Reference) -> None:
    async def read() -> str:
        return await shelf.reference(wanted)

    listed = FunctionResource(
        uri=f"crosstrade://reference/{wanted.uri}",
        name=wanted.uri,
        title=wanted.title,
        description=wanted.description,
        mime_type=wanted.mime_type,
        fn=_told(in_time()(read)),
    )
    server.add_resource(listed)


def _add(server: MCPServer[Wiring], uri: str, mime_type: str, read: Callable[_P, Awaitable[str]]) -> None:
    name, notices = read.__name__, NOTICES.get(uri, "")
    described = " ".join(filter(None, (read.__doc__, notices)))
    listed = server.resource(str(uri), name=name, title=name.title(), description=described, mime_type=mime_type)
    listed(_told(in_time()(read)))


def _told(read: Callable[_P, Awaitable[str]]) -> Callable[_P, Awaitable[str]]:
    """The one door for errors of resources: the text of our own passes, everything else the SDK hides and logs."""

    @wraps(read)
    async def told(*args: _P.args, **kwargs: _P.kwargs) -> str:
        try:
            return await read(*args, **kwargs)
        except (BadRequest, NotFound) as error:
            raise ResourceNotFoundError(str(error)) from error
        except CtMcpError as error:
            raise ResourceError(str(error)) from error

    return told


def _json(answer: CallToolResult) -> str:
    return _compact(answer.structured_content)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
