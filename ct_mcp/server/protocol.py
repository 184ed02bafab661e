"""What the SDK leaves loose at the edge of the protocol, mended in one middleware.

An unknown tool or prompt is an error of the protocol and no result; a cursor that we never gave is refused; discovery
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

_NAMED = {"tools/call": "tool", "prompts/get": "prompt"}


def mended(server: Callable[[], MCPServer[Any]]) -> ServerMiddleware[Any]:
    """The middleware of one server, which is asked for its tools and prompts when somebody names one."""
    known: set[tuple[str, str]] = set()

    async def refuse_unknown(kind: str, name: object) -> None:
        if (kind, name) not in known:
            listed = await (server().list_tools() if kind == "tool" else server().list_prompts())
            known.update((kind, item.name) for item in listed)
        if (kind, name) not in known:
            raise MCPError(INVALID_PARAMS, f"Unknown {kind}: {str(name)[:60]!a}")

    async def mend(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        given = ctx.params or {}
        if kind := _NAMED.get(ctx.method):
            await refuse_unknown(kind, given.get("name"))
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
