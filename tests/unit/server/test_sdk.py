"""What we need of the SDK beyond its interface, and the edge of the protocol; each fails when the SDK changes."""

from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, NoReturn, cast

import anyio
import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.tools import Tool
from mcp.server.session import ServerSession
from mcp.shared._context_streams import create_context_streams
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_PARAMS,
    DiscoverResult,
    EmptyResult,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    JSONRPCResponse,
    NotificationParams,
    ServerCapabilities,
    SubscribeRequestParams,
)
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.sdk import (
    add_request_handler,
    connection_of,
    on_disconnect,
    on_initialized,
    protocol_middleware,
    run_over,
    sender_context,
)
from ct_mcp.server.stdio import InflightLimiter, Reader
from tests.conftest import Connect
from tests.unit.server.conftest import text_of

ignore_older_era = pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
Ctx = ServerRequestContext[Any, Any]


@pytest.fixture
def bare() -> MCPServer[Any]:
    """The SDK as it is, with one tool."""
    server: MCPServer[Any] = MCPServer("bare")
    server.add_tool(echo)
    return server


def echo(text: str = "") -> str:
    """Say it again."""
    return text


# Handlers and connections


@ignore_older_era
async def test_a_handler_that_is_added_is_called_and_advertised(bare: MCPServer[Any]) -> None:
    asked = list[str]()

    async def subscribe(_: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        asked.append(params.uri)
        return EmptyResult()

    add_request_handler(bare, "resources/subscribe", SubscribeRequestParams, subscribe)
    async with Client(bare, mode="legacy") as client:
        resources = client.server_capabilities.resources
        assert resources is not None
        assert resources.subscribe is True
        await client.subscribe_resource("crosstrade://accounts")
    assert asked == ["crosstrade://accounts"]


async def test_what_runs_for_a_connection_begins_with_it_and_is_cancelled_at_its_end(bare: MCPServer[Any]) -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def stay(_: Ctx, __: NotificationParams) -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    on_initialized(bare, stay)
    with anyio.fail_after(5):
        async with Client(bare, mode="legacy") as client:
            await began.wait()
            assert text_of(await client.call_tool("echo", {"text": "meanwhile"})) == "meanwhile"
            assert not ended.is_set()
        await ended.wait()


async def test_requests_of_one_client_share_a_connection_that_says_when_it_ends(bare: MCPServer[Any]) -> None:
    seen, gone = list[object](), list[object]()

    async def note(ctx: Ctx, call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/call":
            connection = connection_of(ctx.session)
            if connection not in seen:
                on_disconnect(connection, partial(gone.append, connection))
            seen.append(connection)
        return await call_next(ctx)

    bare.middleware.append(note)
    async with Client(bare, mode="legacy") as first, Client(bare, mode="legacy") as second:
        for client in (first, first, second):
            await client.call_tool("echo", {})
        assert seen[0] is seen[1]
        assert seen[1] is not seen[2]
        assert gone == []
    assert sorted(map(id, gone)) == sorted({id(connection) for connection in seen})


# Streams


def initialize() -> SessionMessage:
    """The first request of a client of the 2025 protocol."""
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="initialize", params=about))


async def test_a_server_runs_over_streams_of_ours_until_the_client_ends_and_keeps_its_context(
    bare: MCPServer[Any],
) -> None:
    word = ContextVar("word", default="none")
    heard = list[str]()

    async def note(ctx: Ctx, call_next: CallNext) -> HandlerResult:
        heard.append(word.get())
        return await call_next(ctx)

    bare.middleware.append(note)
    to_server, from_client = create_context_streams[SessionMessage | Exception](1)
    to_client, from_server = create_context_streams[SessionMessage](1)

    async def ask() -> None:
        word.set("the sender's")
        await to_server.send(initialize())

    limiter = InflightLimiter()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as refusals:
            refusals.start_soon(limiter.send_refusals, to_client)
            async with anyio.create_task_group() as tasks, from_server:
                tasks.start_soon(run_over, bare, Reader(from_client, limiter), to_client)
                tasks.start_soon(ask)
                answer = (await from_server.receive()).message
                assert isinstance(answer, JSONRPCResponse)
                assert answer.result["serverInfo"]["name"] == "bare"
                await to_server.aclose()
            refusals.cancel_scope.cancel()
    assert heard == ["the sender's"]


async def test_a_stream_without_a_context_of_the_sender_says_so() -> None:
    plain_in, plain = anyio.create_memory_object_stream[SessionMessage | Exception](1)
    told_in, told = create_context_streams[SessionMessage | Exception](1)
    async with plain_in, plain, told_in, told:
        assert sender_context(plain) is None
        await told_in.send(initialize())
        await told.receive()
        assert isinstance(sender_context(told), type(copy_context()))


# What the SDK does by itself: where one of these fails, a correction of ours may have become needless


async def test_the_sdk_makes_a_result_of_an_unknown_tool(bare: MCPServer[Any]) -> None:
    async with Client(bare) as client:
        assert (await client.call_tool("unknown", {})).is_error


async def test_the_sdk_takes_any_cursor(bare: MCPServer[Any]) -> None:
    async with Client(bare) as client:
        assert (await client.list_tools(cursor="page-2")).tools


async def test_the_sdk_leaves_older_revisions_out_of_discovery(bare: MCPServer[Any]) -> None:
    async with Client(bare, mode="auto") as client:
        discovered = client.session.discover_result
    assert discovered is not None
    assert set(discovered.supported_versions) < set(KNOWN_PROTOCOL_VERSIONS)


async def test_the_sdk_drops_unknown_arguments_converts_the_others_and_reads_null_in_a_text() -> None:
    def place(quantity: int, instrument: str | None = "all") -> None:
        """Place."""

    loose = Tool.from_function(place).fn_metadata
    assert loose.validate_arguments({"quantity": "3", "more": 1}) == {"quantity": 3, "instrument": "all"}
    assert loose.validate_arguments({"quantity": True}) == {"quantity": 1, "instrument": "all"}
    assert loose.validate_arguments({"quantity": 1, "instrument": "null"})["instrument"] is None


# The protocol


async def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown tool: 'flatten_everybody'") as refused:
            await client.call_tool("flatten_everybody", {})
    assert refused.value.code == INVALID_PARAMS


async def test_a_prompt_that_does_not_exist_is_an_error_of_the_protocol(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown prompt: 'get_rich'") as refused:
            await client.get_prompt("get_rich", {})
    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("policy", [Policy(mode=Mode.READ_ONLY)], ids=["read_only"])
async def test_a_tool_that_is_not_listed_cannot_be_called_either(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown tool: 'place_order'"):
            await client.call_tool("place_order", {})


async def test_a_cursor_that_we_never_gave_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for listing in (
            client.list_tools,
            client.list_resources,
            client.list_resource_templates,
            client.list_prompts,
        ):
            with pytest.raises(MCPError, match="Invalid cursor") as refused:
                await listing(cursor="page-2")
            assert refused.value.code == INVALID_PARAMS


async def test_discovery_names_every_revision_that_is_spoken(desk: Desk) -> None:
    server = build_server(ServerContext(lambda: desk, desk.policy))
    async with Client(server, mode="auto") as client:
        discovered = client.session.discover_result
    assert discovered is not None
    assert sorted(discovered.supported_versions) == sorted(KNOWN_PROTOCOL_VERSIONS)


async def test_a_tool_that_joins_later_can_be_called(desk: Desk) -> None:
    server = build_server(ServerContext(lambda: desk, desk.policy))

    def echo(text: str) -> str:
        """Say it again."""
        return text

    server.add_tool(echo)
    async with Client(server) as client:
        assert text_of(await client.call_tool("echo", {"text": "again"})) == "again"


async def test_listing_needs_no_desk(era: str) -> None:
    def no_desk() -> NoReturn:
        raise AssertionError("nothing may be built before a handler needs it")

    async with Client(build_server(ServerContext(no_desk, Policy())), mode=era) as client:
        assert (await client.list_tools()).tools
        assert (await client.list_resources()).resources
        assert (await client.read_resource("crosstrade://policy")).contents


async def test_what_is_no_list_of_versions_passes_as_it_is() -> None:
    async def answered(_: object) -> DiscoverResult:
        return answer

    answer = DiscoverResult(supported_versions=["2026-07-28"], capabilities=ServerCapabilities())
    context = ServerRequestContext(
        session=cast(ServerSession, None),
        lifespan_context=None,
        protocol_version="2026-07-28",
        method="server/discover",
    )
    assert await protocol_middleware(lambda: cast(MCPServer[Any], None))(context, answered) is answer


def request(number: int, method: str, *, modern: bool = True, **params: object) -> SessionMessage:
    """What a client writes; one of the newer protocol says with each request who it is."""
    about = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "impatient", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    given = {**params, **({"_meta": about} if modern else {})}
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=given))


async def said_to(server: MCPServer[Any], *written: SessionMessage) -> dict[object, object]:
    """Write everything at once, as a client whose server was slow to start; gives the answers by their numbers."""
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](len(written))
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](len(written))
    answers = dict[object, object]()
    for message in written:
        to_server.send_nowait(message)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, from_server:
            tasks.start_soon(run_over, server, from_client, to_client)
            while len(answers) < len(written):
                answer = (await from_server.receive()).message
                assert isinstance(answer, JSONRPCResponse | JSONRPCError)
                answers[answer.id] = answer.result if isinstance(answer, JSONRPCResponse) else answer.error
            await to_server.aclose()
    return answers


async def test_a_client_whose_discovery_was_late_and_that_says_hello_meanwhile_is_served(bare: MCPServer[Any]) -> None:
    hello = initialize()
    call = request(3, "tools/list", modern=False)
    answers = await said_to(bare, request(0, "server/discover"), request(9, "server/discover"), hello, call)
    assert cast("dict[str, Any]", answers[0])["supportedVersions"]
    assert cast("dict[str, Any]", answers[9])["supportedVersions"]
    assert cast("dict[str, Any]", answers[1])["serverInfo"]["name"] == "bare"
    assert cast("dict[str, Any]", answers[3])["tools"][0]["name"] == "echo"


async def test_a_client_that_goes_on_with_the_newer_protocol_after_discovery_is_served(bare: MCPServer[Any]) -> None:
    answers = await said_to(bare, request(0, "server/discover"), request(1, "tools/list"))
    assert cast("dict[str, Any]", answers[1])["tools"][0]["name"] == "echo"


async def test_what_was_asked_in_the_newer_protocol_still_decides(bare: MCPServer[Any]) -> None:
    late = request(7, "initialize", modern=False, **cast("JSONRPCRequest", initialize().message).params or {})
    answers = await said_to(bare, request(0, "tools/list"), late, request(8, "server/discover"))
    assert cast("ErrorData", answers[7]).code == -32022
    assert cast("dict[str, Any]", answers[8])["supportedVersions"]
