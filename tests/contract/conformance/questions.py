"""Tools and a prompt that ask the client: by a request in the middle before 2026, by an answer from 2026 on."""

from collections.abc import Callable, Mapping
from typing import Any

from content import AnyContext, texts
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

Answer = CallToolResult | InputRequiredResult
TEXT = {"type": "string"}
# Every kind of primitive with a default, as a form may offer them.
DEFAULTS: dict[str, dict[str, Any]] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_OPTIONS = ["option1", "option2", "option3"]
# Every way to write a choice: with and without titles, one or several, and the old one.
ENUMS: dict[str, dict[str, Any]] = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {
        "type": "string",
        "oneOf": [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second"), 1)],
    },
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {
        "type": "array",
        "items": {
            "anyOf": [
                {"const": f"value{n}", "title": f"{word} Choice"} for n, word in enumerate(("First", "Second"), 1)
            ]
        },
    },
}


def schema(fields: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """The schema of a form."""
    return {"type": "object", "properties": dict(fields), "required": list(required)}


def form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    """Ask for one field."""
    fields = schema({field: {"type": kind}}, field)
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=fields))


def sample(text: str, max_tokens: int = 100) -> CreateMessageRequest:
    """Ask the client's model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def answers_to(ctx: AnyContext, wanted: Mapping[str, InputRequest]) -> dict[str, str] | None:
    """What came back for each question, as text; None while one is missing."""
    given = ctx.input_responses or {}
    if any(name not in given for name in wanted):
        return None
    return {name: given[name].model_dump_json() for name in wanted}


def ask(wanted: dict[str, InputRequest], state: str | None = None) -> InputRequiredResult:
    """Answer with questions."""
    return InputRequiredResult(input_requests=wanted, request_state=state)


def asks_once(name: str, wanted: dict[str, InputRequest], state: str | None = None) -> Callable[..., Any]:
    """Make a tool that asks its questions, and is done once all are answered."""

    async def tool(ctx: AnyContext) -> Answer:
        answers = answers_to(ctx, wanted)
        if answers is None or ctx.request_state != state:
            return ask(wanted, state)
        return texts(f"{state or 'answered'}: {answers}")

    tool.__name__ = name
    tool.__doc__ = f"Ask for {', '.join(wanted)}."
    return tool


async def test_input_required_result_elicitation(ctx: AnyContext) -> Answer:
    """Ask for a name, and greet whoever gives it."""
    wanted: dict[str, InputRequest] = {"user_name": form("What is your name?", "name")}
    given = (ctx.input_responses or {}).get("user_name")
    name = (getattr(given, "content", None) or {}).get("name")
    return texts(f"Hello, {name}!") if isinstance(name, str) else ask(wanted)


async def test_input_required_result_multi_round(ctx: AnyContext) -> Answer:
    """Ask twice, the second time for something else."""
    first: dict[str, InputRequest] = {"step1": form("Step 1: What is your name?", "name")}
    second: dict[str, InputRequest] = {"step2": form("Step 2: What is your favorite color?", "color")}
    if ctx.request_state == "second" and answers_to(ctx, second):
        return texts("Both answered.")
    if ctx.request_state == "first" and answers_to(ctx, first):
        return ask(second, "second")
    return ask(first, "first")


async def test_input_required_result_capabilities(ctx: AnyContext) -> Answer:
    """Ask only what the client says it can answer."""
    able = ctx.client_capabilities
    wanted: dict[str, InputRequest] = {}
    if able is not None and able.elicitation is not None:
        wanted["name"] = form("What is your name?", "name")
    if able is not None and able.sampling is not None:
        wanted["greeting"] = sample("Say hello")
    return ask(wanted) if wanted and answers_to(ctx, wanted) is None else texts("Nothing to ask.")


async def elicited(ctx: AnyContext, message: str, fields: dict[str, Any]) -> CallToolResult:
    """Ask by a request in the middle of the call; connections of 2025 only."""
    answer = await ctx.session.elicit_form(message, fields, ctx.request_context.request_id)
    return texts(f"Elicitation completed: action={answer.action}, content={answer.content}")


async def test_elicitation(ctx: AnyContext, message: str) -> CallToolResult:
    """Ask for a name and an address."""
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return await elicited(ctx, message, schema(fields, *fields))


async def test_elicitation_sep1034_defaults(ctx: AnyContext) -> CallToolResult:
    """Ask with a default for everything."""
    return await elicited(ctx, "Look at the defaults", schema(DEFAULTS))


async def test_elicitation_sep1330_enums(ctx: AnyContext) -> CallToolResult:
    """Ask with every kind of choice."""
    return await elicited(ctx, "Choose", schema(ENUMS))


async def test_input_required_result_prompt(ctx: AnyContext) -> UserMessage | InputRequiredResult:
    """Ask before there is a prompt."""
    wanted: dict[str, InputRequest] = {"user_context": form("What context should the prompt use?", "context")}
    answers = answers_to(ctx, wanted)
    return ask(wanted) if answers is None else UserMessage(f"In this context: {answers['user_context']}")


ROOTS: dict[str, InputRequest] = {"client_roots": ListRootsRequest()}
CONFIRM: dict[str, InputRequest] = {"confirm": form("Please confirm", "ok", "boolean")}
THREE: dict[str, InputRequest] = {
    "user_name": form("What is your name?", "name"),
    "greeting": sample("Generate a greeting", 50),
    **ROOTS,
}
TOOLS = (
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_input_required_result_elicitation,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
    asks_once("test_streaming_elicitation", CONFIRM),
    asks_once("test_input_required_result_sampling", {"capital_question": sample("What is the capital of France?")}),
    asks_once("test_input_required_result_list_roots", ROOTS),
    asks_once("test_input_required_result_request_state", CONFIRM, "state-ok"),
    asks_once("test_input_required_result_tampered_state", CONFIRM, "untouched"),
    asks_once("test_input_required_result_multiple_inputs", THREE, "three asked"),
)
PROMPTS = (test_input_required_result_prompt,)
