"""What the SDK leaves loose at the edge of the protocol, mended in one middleware.

An unknown tool is an error of the protocol and no result of a tool; a cursor that we never gave is refused; discovery
names the older revisions too, which this server speaks as well.
"""

from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

_LISTS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})


def mended(server: Callable[[], MCPServer[Any]]) -> ServerMiddleware[Any]:
    """The middleware of one server, which is asked for its tools when somebody names one."""
    known: set[str] = set()

    async def refuse_unknown_tool(name: object) -> None:
        if name not in known:
            known.update(tool.name for tool in await server().list_tools())
        if name not in known:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {str(name)[:60]!a}")

    async def mend(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        given = ctx.params or {}
        if ctx.method == "tools/call":
            await refuse_unknown_tool(given.get("name"))
        if ctx.method in _LISTS and given.get("cursor"):
            raise MCPError(INVALID_PARAMS, "Invalid cursor: every list of this server has a single page")
        answer = await call_next(ctx)
        return _with_older_versions(answer) if ctx.method == "server/discover" else answer

    return mend


def _with_older_versions(answer: HandlerResult) -> HandlerResult:
    """Add them after those that discovery itself belongs to, the newest first."""
    known = answer.get("supportedVersions") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(known, list):
        return answer
    return {**answer, "supportedVersions": [*known, *HANDSHAKE_PROTOCOL_VERSIONS[::-1]]}
