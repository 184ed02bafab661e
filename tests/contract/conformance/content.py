"""What the conformance suite looks for beside our own tools: content of every kind, resources, prompts, notices."""

from base64 import b64decode, b64encode
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ClientCapabilities,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

AnyContext = Context[Any, Any]
# One red pixel, and the head of a sound without a sample.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = b64encode(
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x00\x00\x00\x00"
).decode()


def texts(*blocks: ContentBlock | str) -> CallToolResult:
    """Make a result of blocks; a string is a block of text."""
    return CallToolResult(
        content=[TextContent(type="text", text=block) if isinstance(block, str) else block for block in blocks]
    )


def an_image() -> ImageContent:
    """One red pixel."""
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def a_resource(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    """A resource inside of something else."""
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


async def test_simple_text() -> CallToolResult:
    """Answer with text."""
    return texts("This is a simple text response for testing.")


async def test_image_content() -> CallToolResult:
    """Answer with an image."""
    return texts(an_image())


async def test_audio_content() -> CallToolResult:
    """Answer with a sound."""
    return texts(AudioContent(type="audio", data=WAV, mime_type="audio/wav"))


async def test_embedded_resource() -> CallToolResult:
    """Answer with a resource."""
    return texts(a_resource("test://embedded-resource", "This is an embedded resource content."))


async def test_multiple_content_types() -> CallToolResult:
    """Answer with a text, an image and a resource."""
    mixed = a_resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return texts("Multiple content types test:", an_image(), mixed)


async def test_error_handling() -> CallToolResult:
    """Fail, in words that the client may read."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_logging(ctx: AnyContext) -> CallToolResult:
    """Log three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)
    return texts("Logged three lines.")


async def test_logging_tool(ctx: AnyContext) -> CallToolResult:
    """Log a line, which may only arrive where this request asked for it."""
    await ctx.info("Logged")
    return texts("Logged a line.")


async def test_tool_with_progress(ctx: AnyContext) -> CallToolResult:
    """Report three steps."""
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100)
    return texts("Took three steps.")


async def test_sampling(ctx: AnyContext, prompt: str) -> CallToolResult:
    """Ask the client's model; connections of 2025 only."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    request_id = ctx.request_context.request_id
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=request_id)
    return texts(f"LLM response: {getattr(answer.content, 'text', '')}")


async def test_reconnection(ctx: AnyContext) -> CallToolResult:
    """Close the stream in the middle, so that the client has to come back for the answer."""
    await ctx.close_sse_stream()
    return texts("Reconnected.")


async def test_missing_capability(ctx: AnyContext) -> CallToolResult:
    """Need sampling, and say so to a client without it."""
    capabilities = ctx.client_capabilities
    if capabilities is not None and capabilities.sampling is not None:
        return texts("The client can sample.")
    needed = MissingRequiredClientCapabilityErrorData(
        required_capabilities=ClientCapabilities(sampling=SamplingCapability())
    )
    data = needed.model_dump(by_alias=True, mode="json", exclude_none=True)
    raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling", data)


async def test_trigger_tool_change(ctx: AnyContext) -> CallToolResult:
    """Say that the tools have changed."""
    await ctx.notify_tools_changed()
    return texts("Said so.")


async def test_trigger_prompt_change(ctx: AnyContext) -> CallToolResult:
    """Say that the prompts have changed."""
    await ctx.notify_prompts_changed()
    return texts("Said so.")


async def test_header(
    region: Annotated[str, Field(description="Also sent as a header", json_schema_extra={"x-mcp-header": "Region"})],
) -> CallToolResult:
    """Take an argument that travels in a header too."""
    return texts(region)


TOOLS = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_tool_with_logging,
    test_logging_tool,
    test_tool_with_progress,
    test_sampling,
    test_reconnection,
    test_missing_capability,
    test_trigger_tool_change,
    test_trigger_prompt_change,
    test_header,
)


def static_text() -> str:
    """Text."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """An image."""
    return b64decode(PNG)


def templated(id: str) -> str:
    """What the template makes of an id."""
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


def watched() -> str:
    """Something to subscribe to."""
    return "Watched."


RESOURCES = (
    ("test://static-text", static_text, "text/plain"),
    ("test://static-binary", static_binary, "image/png"),
    ("test://template/{id}/data", templated, "application/json"),
    ("test://watched-resource", watched, "text/plain"),
)


def test_simple_prompt() -> UserMessage:
    """One message."""
    return UserMessage("This is a simple prompt for testing.")


def test_prompt_with_arguments(
    arg1: Annotated[str, Field(description="First")], arg2: Annotated[str, Field(description="Second")]
) -> UserMessage:
    """One message made of two arguments."""
    return UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")


def test_prompt_with_embedded_resource(
    resourceUri: Annotated[str, Field(description="What to embed")],  # noqa: N803  # the suite's own spelling
) -> list[UserMessage]:
    """A resource, and what to do with it."""
    embedded = a_resource(resourceUri, "Embedded resource content for testing.")
    return [UserMessage(embedded), UserMessage("Please process the embedded resource above.")]


def test_prompt_with_image() -> list[UserMessage]:
    """An image, and what to do with it."""
    return [UserMessage(an_image()), UserMessage("Please analyze the image above.")]


PROMPTS = (test_simple_prompt, test_prompt_with_arguments, test_prompt_with_embedded_resource, test_prompt_with_image)
