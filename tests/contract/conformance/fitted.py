"""Our own server, whole and wired to a simulator, with what the conformance suite looks for added to it."""

from collections.abc import Callable
from inspect import getdoc
from typing import Any

import content
import questions
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import (
    CallToolResult,
    Completion,
    EmptyResult,
    JSONRPCMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    ToolAnnotations,
    UnsubscribeRequestParams,
)

from ct_mcp.server.tool_schema import StrictArguments, StrictMetadata, StrictTool

HINTS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
EVERY_KEYWORD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class Memory(EventStore):
    """What was sent on each stream, so that a client which was cut off can come back for the rest."""

    def __init__(self) -> None:
        self._sent: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Remember one message; its number is its id."""
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send again what came after it on the same stream."""
        last = int(last_event_id)
        if not 0 < last <= len(self._sent):
            return None
        stream, _ = self._sent[last - 1]
        for number, (of, message) in enumerate(self._sent[last:], last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def json_schema_2020_12_tool() -> CallToolResult:
    """Show every keyword that a schema may have."""
    return content.texts("Shown.")


def fit(server: MCPServer[Any]) -> None:
    """Add the suite's tools, as strict as ours, its resources and prompts, and what a session of 2025 may set."""
    for function in (*content.TOOLS, *questions.TOOLS):
        add_tool(server, function)
    add_tool(server, json_schema_2020_12_tool).parameters = EVERY_KEYWORD
    for uri, read, mime_type in content.RESOURCES:
        server.resource(uri, description=read.__doc__, mime_type=mime_type)(read)
    for prompt in (*content.PROMPTS, *questions.PROMPTS):
        server.add_prompt(Prompt.from_function(prompt))
    server.completion()(complete)  # type: ignore[no-untyped-call]  # the SDK's own
    handlers = server._lowlevel_server  # there is no other way to add a handler
    handlers.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    handlers.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    handlers.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)


def add_tool(server: MCPServer[Any], function: Callable[..., Any]) -> Tool:
    """Add a tool that takes its arguments as strictly as ours."""
    tool = StrictTool.from_function(function, title=function.__name__, description=getdoc(function), annotations=HINTS)
    loose = tool.fn_metadata.arg_model
    config = StrictArguments.model_config
    strict: type[ArgModelBase] = type(
        loose.__name__, (loose,), {"model_config": config, "__module__": loose.__module__}
    )
    tool.fn_metadata = StrictMetadata(
        arg_model=strict,
        output_schema=tool.fn_metadata.output_schema,
        output_model=tool.fn_metadata.output_model,
        wrap_output=tool.fn_metadata.wrap_output,
    )
    tool.parameters = strict.model_json_schema(by_alias=True)
    server._tool_manager._tools[tool.name] = tool  # the public way takes functions only
    return tool


async def complete(*_: object) -> Completion:
    """Suggest nothing."""
    return Completion(values=[], total=0, has_more=False)


async def accept(_: ServerRequestContext[Any, Any], __: object) -> EmptyResult:
    """Accept whatever is asked for."""
    return EmptyResult()
