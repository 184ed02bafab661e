"""The model that real clients are driven with says the same over every wire, and walks the whole road."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.real_clients.clients import CLIENTS
from tests.contract.real_clients.model import TOOLS, scripted_model
from tests.contract.real_clients.script import LAST_WORDS, ORDER, PROMPT, Answer, Asked, Call, Offered, Say, next_step
from tests.contract.real_clients.search import WISHES, searching
from tests.contract.real_clients.wires import CHAT, CONTENTS, MESSAGES, RESPONSES, Wire

Json = dict[str, Any]
PLACE, CONFIRM = "mcp__ct-mcp__place_order", "mcp__ct-mcp__confirm_ticket"
WAITS = '{"status":"needs_approval","ticket_id":"4746c297a8bd41c6"}'
FILLED = '{"status":"filled","ticket_id":"4746c297a8bd41c6","filled_quantity":1}'
DOCS = Path(__file__).parents[3] / "docs/clients.md"


def _messages(answer: str = "") -> Json:
    said: list[Json] = [{"role": "user", "content": PROMPT}]
    if answer:
        said.append({"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": PLACE, "input": {}}]})
        result = {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": answer}]}
        said.append({"role": "user", "content": [result]})
    return {"messages": said, "tools": [{"name": PLACE}, {"name": CONFIRM}], "stream": True}


def _chat(answer: str = "") -> Json:
    said: list[Json] = [{"role": "user", "content": PROMPT}]
    if answer:
        called = {"id": "1", "function": {"name": PLACE, "arguments": "{}"}}
        said.append({"role": "assistant", "content": None, "tool_calls": [called]})
        said.append({"role": "tool", "tool_call_id": "1", "content": answer})
    return {"messages": said, "tools": [{"function": {"name": name}} for name in (PLACE, CONFIRM)], "stream": True}


def _responses(answer: str = "") -> Json:
    said: list[Json] = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}]
    if answer:
        said.append({"type": "function_call", "call_id": "1", "name": "place_order", "arguments": "{}"})
        said.append({"type": "function_call_output", "call_id": "1", "output": answer})
    tools = [{"type": "function", "name": name} for name in ("place_order", "confirm_ticket")]
    return {"input": said, "tools": [{"type": "namespace", "name": "mcp__ct_mcp", "tools": tools}], "stream": True}


def _contents(answer: str = "") -> Json:
    said: list[Json] = [{"role": "user", "parts": [{"text": PROMPT}]}]
    if answer:
        said.append({"role": "user", "parts": [{"functionResponse": {"name": PLACE, "response": {"output": answer}}}]})
    return {"contents": said, "tools": [{"functionDeclarations": [{"name": PLACE}, {"name": CONFIRM}]}]}


every_wire = pytest.mark.parametrize(
    ("wire", "request_of", "path"),
    [
        pytest.param(MESSAGES, _messages, "/v1/messages?beta=true", id="messages"),
        pytest.param(CHAT, _chat, "/v1/chat/completions", id="chat"),
        pytest.param(RESPONSES, _responses, "/v1/responses", id="responses"),
        pytest.param(CONTENTS, _contents, "/v1beta/models/m:streamGenerateContent?alt=sse", id="contents"),
    ],
)


@every_wire
def test_an_order_is_placed_confirmed_and_told_over_every_wire(
    wire: Wire, request_of: Callable[[str], Json], path: str
) -> None:
    placed, confirmed = next_step(wire.read(request_of(""))), next_step(wire.read(request_of(WAITS)))
    assert isinstance(placed, Call)
    assert isinstance(confirmed, Call)
    assert (placed.tool.name.endswith("place_order"), placed.arguments) == (True, ORDER)
    assert (confirmed.tool.name.endswith("confirm_ticket"), confirmed.arguments) == (
        True,
        {"ticket_id": "4746c297a8bd41c6"},
    )


@every_wire
def test_what_a_client_reads_from_the_stream_is_the_call(
    wire: Wire, request_of: Callable[[str], Json], path: str, tmp_path: Path
) -> None:
    with scripted_model(tmp_path) as (address, heard):
        there = urlsplit(address)
        connection = HTTPConnection(there.hostname or "", there.port)
        connection.request("POST", path, json.dumps(request_of("")))
        stream = connection.getresponse().read().decode()
        connection.close()
    events = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    said = json.dumps([json.loads(event) for event in events if event != "[DONE]"])
    assert "place_order" in said
    assert "Sim101" in said
    assert heard.tools == {"place_order", "confirm_ticket"}


def test_a_title_is_no_order() -> None:
    assert next_step(Asked(f"A title for: {PROMPT}")) == Say("Order")
    assert next_step(Asked("Is this a new topic?", (Offered(PLACE),))) == Say("Order")


def test_what_is_told_at_the_end_is_the_answer_itself() -> None:
    answers = (Answer(PLACE, WAITS), Answer(CONFIRM, FILLED))
    told = next_step(Asked(PROMPT, (Offered(PLACE), Offered(CONFIRM)), answers))
    assert told == Say(f"{LAST_WORDS}: {FILLED}")


def test_tools_that_are_deferred_are_searched_and_then_called() -> None:
    text = f"{PROMPT}\n{PLACE}\n{CONFIRM}"
    only_search, by_name = (Offered("ToolSearch"),), (Offered("tool_search"), Offered("tool_call"))
    assert next_step(Asked(text, only_search)) == Call(only_search[0], {"query": f"select:{PLACE}"})
    found = (Answer("tool_search", "its schema"),)
    assert next_step(Asked(text, by_name, found)) == Call(by_name[1], {"name": PLACE, "arguments": ORDER})


def test_each_wish_is_searched_for_once() -> None:
    tools = (Offered("ToolSearch"),)
    asked = [searching(Asked(PROMPT, tools, (Answer("ToolSearch", ""),) * done)) for done in range(len(WISHES) + 1)]
    assert [step.arguments["query"] for step in asked if isinstance(step, Call)] == list(WISHES)
    assert asked[-1] == Say(LAST_WORDS)
    assert set(WISHES.values()) <= TOOLS


def test_the_model_ends_where_no_tool_came() -> None:
    assert next_step(Asked(PROMPT, (Offered("shell"),))) == Say(f"{LAST_WORDS}: place_order is not among its 1 tools")


def test_the_contract_names_the_tools_that_are_counted() -> None:
    assert {"place_order", "get_status", "halt_trading"} <= TOOLS
    assert not {"start_strategy", "get_atm_templates"} & TOOLS


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.key)
def test_the_documents_name_the_version_that_is_driven(client: Any) -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert any(client.title in row and client.version in row for row in rows)
