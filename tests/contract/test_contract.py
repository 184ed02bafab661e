"""The public contract: what every client sees of every tool, kept in ``tests/contract/snapshots``.

After a change that is meant: ``CONTRACT=write pytest tests/contract/test_contract.py``, and look at what it changed.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import Tool, ToolAnnotations

from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import (
    CHART_TOOLS,
    READ_TOOLS,
    STRATEGY_READ_TOOLS,
    STRATEGY_TRADE_TOOLS,
    TRADE_TOOLS,
    WATCH_TOOLS,
    build_server,
    listed_tools,
)
from ct_mcp.server.context import ServerContext
from tests.conftest import Tokens

SNAPSHOTS = Path(__file__).with_name("snapshots")
DEFAULT = [function.__name__ for function, *_ in (*READ_TOOLS, *TRADE_TOOLS, *WATCH_TOOLS)]
STRATEGIES = [function.__name__ for function, *_ in (*STRATEGY_READ_TOOLS, *STRATEGY_TRADE_TOOLS)]
CHARTS = [function.__name__ for function, *_ in CHART_TOOLS]
NAMES = [*DEFAULT, *STRATEGIES, *CHARTS]
MOST_TOOLS, MOST_TOKENS = 30, 4_500
IN_TEXT_ALONE = {"get_bars", "get_trades", "get_performance", "chart_bars"}


def _no_desk() -> Desk:
    raise AssertionError("listing needs no desk")


@pytest.fixture(scope="module")
def listed() -> dict[str, Tool]:
    """Every tool as a client gets it, those of toolsets that are off by default too; they are listed once for all."""
    toolsets = frozenset({"read", "trade", "strategies", "charts"})
    server = build_server(ServerContext(_no_desk, Policy(), toolsets=toolsets))

    async def tools() -> list[Tool]:
        async with Client(server) as client:
            return (await client.list_tools()).tools

    return {tool.name: tool for tool in anyio.run(tools)}


def _hints(tool: Tool) -> ToolAnnotations:
    assert tool.annotations is not None
    return tool.annotations


def _contract(tool: Tool) -> dict[str, Any]:
    return tool.model_dump(mode="json", by_alias=True, exclude_none=True)


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


@pytest.mark.parametrize("name", NAMES)
async def test_a_tool_keeps_its_contract(listed: dict[str, Tool], name: str) -> None:
    snapshot = SNAPSHOTS / f"{name}.json"
    contract = _contract(listed[name])
    if os.environ.get("CONTRACT") == "write":
        snapshot.write_text(json.dumps(contract, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    assert json.loads(snapshot.read_text(encoding="utf-8")) == contract


def test_no_snapshot_is_of_a_tool_that_is_gone() -> None:
    assert sorted(file.stem for file in SNAPSHOTS.glob("*.json")) == sorted(NAMES)


async def test_what_a_model_is_given_of_the_default_tools_stays_small(listed: dict[str, Tool], tokens: Tokens) -> None:
    visible = (
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in listed.values()
        if tool.name in DEFAULT
    )
    counts = {each["name"]: tokens(json.dumps(each, ensure_ascii=False, separators=(",", ":"))) for each in visible}
    assert sum(counts.values()) <= MOST_TOKENS, counts
    assert list(counts) == [tool.name for tool in listed_tools(ServerContext(_no_desk, Policy()))]
    assert len(counts) <= MOST_TOOLS


@pytest.mark.parametrize("name", NAMES)
async def test_its_schemas_are_plain_objects_that_every_client_can_read(listed: dict[str, Tool], name: str) -> None:
    assert (listed[name].output_schema is None) is (name in IN_TEXT_ALONE)
    for schema in filter(None, (listed[name].input_schema, listed[name].output_schema)):
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf", "$schema"} & set(schema)
        assert not any({"$ref", "$defs"} & set(node) for node in _nodes(schema))
        Draft202012Validator.check_schema(schema)


WORDS = frozenset({"type", "properties", "required", "enum", "default", "description", "items", "additionalProperties"})
BOUNDS = frozenset({"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "anyOf", "title", "const"})


def _words(schema: Any) -> Iterator[str]:
    """The words of JSON schema that it uses; names of properties are none, nor are values."""
    if not isinstance(schema, dict):
        return
    yield from schema
    for value in schema.get("properties", {}).values():
        yield from _words(value)
    for value in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        yield from _words(value)


async def test_a_tool_that_is_deferred_is_found_by_the_words_of_a_trader(listed: dict[str, Tool]) -> None:
    said = {
        name: f"{name} {tool.description} {(tool.meta or {})['anthropic/searchHint']}" for name, tool in listed.items()
    }
    asked = {
        "buy futures contract": "place_order",
        "candles chart": "get_bars",
        "current price": "get_quotes",
        "profit and loss today": "get_accounts",
        "stop loss": "protect_position",
        "trading status": "get_status",
        "where is my stop": "get_positions",
        "how many contracts": "preview_order",
    }
    assert [
        words for words, name in asked.items() if not set(words.split()) <= set(said[name].casefold().split())
    ] == []
    always = {name for name, tool in listed.items() if (tool.meta or {}).get("anthropic/alwaysLoad")}
    assert always == {"get_status", "place_order", "confirm_ticket"}


@pytest.mark.parametrize("name", NAMES)
async def test_its_schemas_use_no_word_that_a_client_may_not_know(listed: dict[str, Tool], name: str) -> None:
    """Some clients hand schemas on unchanged to models that refuse all tools for one word of one of them."""
    tool = listed[name]
    assert {*_words(tool.input_schema), *_words(tool.output_schema or {})} <= WORDS | BOUNDS


@pytest.mark.parametrize("name", NAMES)
async def test_its_arguments_are_closed_and_all_described(listed: dict[str, Tool], name: str) -> None:
    schema = listed[name].input_schema
    assert schema["additionalProperties"] is False
    undescribed = [field for field, value in schema["properties"].items() if not value.get("description")]
    assert undescribed == []
    assert all("anyOf" not in node for node in _nodes(schema))


@pytest.mark.parametrize("name", NAMES)
async def test_it_has_a_title_a_description_and_every_hint(listed: dict[str, Tool], name: str) -> None:
    tool = listed[name]
    assert tool.title
    assert tool.description
    hints = _hints(tool)
    assert None not in (
        hints.read_only_hint,
        hints.destructive_hint,
        hints.idempotent_hint,
        hints.open_world_hint,
    )


async def test_only_true_reads_are_hinted_as_such(listed: dict[str, Tool]) -> None:
    reads = {name for name, tool in listed.items() if _hints(tool).read_only_hint}
    watching = {"get_watches", "wait_for"}
    assert reads == {function.__name__ for function, *_ in (*READ_TOOLS, *STRATEGY_READ_TOOLS, *CHART_TOOLS)} | watching
    harmless = {name for name, tool in listed.items() if name not in reads and not _hints(tool).destructive_hint}
    assert harmless == {"halt_trading", "end_watch"}, "they reach no market; everything else that is no read does"
    assert not _hints(listed["halt_trading"]).open_world_hint
    assert all(name.startswith(("get_", "preview_", "wait_", "chart_")) for name in reads)


@pytest.mark.parametrize("name", NAMES)
async def test_a_figure_that_may_be_unknown_may_be_null(listed: dict[str, Tool], name: str) -> None:
    """Null must be among the types where it is among the answers, in words that JSON Schema has for it."""
    for node in _nodes(listed[name].output_schema or {}):
        for field, value in node.get("properties", {}).items():
            assert "type" in value or "anyOf" in value or "enum" in value, field
            assert "nullable" not in value, field
