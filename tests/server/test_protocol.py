"""The edge of the protocol: what is unknown is refused there, and both eras are offered."""

import pytest
from mcp import Client
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, DiscoverResult, ServerCapabilities
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.protocol import mended
from ct_mcp.server.wiring import Wiring


async def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown tool: 'flatten_everybody'") as refused:
            await client.call_tool("flatten_everybody", {})
    assert refused.value.code == INVALID_PARAMS


async def test_a_prompt_that_does_not_exist_is_an_error_of_the_protocol(connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown prompt: 'get_rich'") as refused:
            await client.get_prompt("get_rich", {})
    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("policy", [Policy(mode=Mode.READ_ONLY)], ids=["read_only"])
async def test_a_tool_that_is_not_listed_cannot_be_called_either(connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="Unknown tool: 'place_order'"):
            await client.call_tool("place_order", {})


async def test_a_cursor_that_we_never_gave_is_refused(connect) -> None:
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


async def test_discovery_names_every_revision_that_is_spoken(desk) -> None:
    server = build_server(Wiring(lambda: desk, desk.policy))
    async with Client(server, mode="auto") as client:
        discovered = client.session.discover_result
    assert sorted(discovered.supported_versions) == sorted(KNOWN_PROTOCOL_VERSIONS)


async def test_a_tool_that_joins_later_can_be_called(desk) -> None:
    server = build_server(Wiring(lambda: desk, desk.policy))

    def echo(text: str) -> str:
        """Say it again."""
        return text

    server.add_tool(echo)
    async with Client(server) as client:
        assert (await client.call_tool("echo", {"text": "again"})).content[0].text == "again"


async def test_listing_needs_no_desk(era: str) -> None:
    def no_desk() -> None:
        raise AssertionError("nothing may be built before a handler needs it")

    async with Client(build_server(Wiring(no_desk, Policy())), mode=era) as client:
        assert (await client.list_tools()).tools
        assert (await client.list_resources()).resources
        assert (await client.read_resource("crosstrade://policy")).contents


async def test_what_is_no_list_of_versions_passes_as_it_is() -> None:
    async def answered(_: object) -> DiscoverResult:
        return answer

    answer = DiscoverResult(supported_versions=["2026-07-28"], capabilities=ServerCapabilities())
    context = ServerRequestContext(
        session=None, lifespan_context=None, protocol_version="2026-07-28", method="server/discover"
    )
    assert await mended(lambda: None)(context, answered) is answer
