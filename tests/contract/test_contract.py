"""The public contract: what every client sees of every tool, kept in ``tests/snapshots``.

After a change that is meant: ``CONTRACT=write pytest tests/server/test_contract.py``, and look at what it changed.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import Tool

from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import (
    READ_TOOLS,
    STRATEGY_READ_TOOLS,
    STRATEGY_TRADE_TOOLS,
    TRADE_TOOLS,
    build_server,
    listed_tools,
)
from ct_mcp.server.wiring import Wiring

SNAPSHOTS = Path(__file__).parent.parent / "snapshots"
DEFAULT = [function.__name__ for function, *_ in (*READ_TOOLS, *TRADE_TOOLS)]
STRATEGIES = [function.__name__ for function, *_ in (*STRATEGY_READ_TOOLS, *STRATEGY_TRADE_TOOLS)]
NAMES = [*DEFAULT, *STRATEGIES]
MOST_TOOLS, MOST_TOKENS = 25, 4000


@pytest.fixture
async def listed() -> dict[str, Tool]:
    """Every tool as a client gets it, those of toolsets that are off by default too."""
    server = build_server(Wiring(lambda: None, Policy(), toolsets=frozenset({"read", "trade", "strategies"})))
    async with Client(server) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


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


async def test_what_a_model_is_given_of_the_default_tools_stays_small(listed: dict[str, Tool], tokens) -> None:
    visible = (
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in listed.values()
        if tool.name in DEFAULT
    )
    counts = {each["name"]: tokens(json.dumps(each)) for each in visible}
    assert sum(counts.values()) <= MOST_TOKENS, counts
    assert list(counts) == [tool.name for tool in listed_tools(Wiring(lambda: None, Policy()))]
    assert len(counts) <= MOST_TOOLS


@pytest.mark.parametrize("name", NAMES)
async def test_its_schemas_are_plain_objects_that_every_client_can_read(listed: dict[str, Tool], name: str) -> None:
    for schema in (listed[name].input_schema, listed[name].output_schema):
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf", "$schema"} & set(schema)
        assert not any({"$ref", "$defs"} & set(node) for node in _nodes(schema))
        Draft202012Validator.check_schema(schema)


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
    hints = tool.annotations
    assert None not in (
        hints.read_only_hint,
        hints.destructive_hint,
        hints.idempotent_hint,
        hints.open_world_hint,
    )


async def test_only_true_reads_are_hinted_as_such(listed: dict[str, Tool]) -> None:
    reads = {name for name, tool in listed.items() if tool.annotations.read_only_hint}
    assert reads == {function.__name__ for function, *_ in (*READ_TOOLS, *STRATEGY_READ_TOOLS)}
    harmless = {name for name, tool in listed.items() if name not in reads and not tool.annotations.destructive_hint}
    assert harmless == {"halt_trading"}, "it reaches no market; everything else that is no read does"
    assert not listed["halt_trading"].annotations.open_world_hint
    assert all(name.startswith(("get_", "preview_")) for name in reads)


@pytest.mark.parametrize("name", NAMES)
async def test_a_figure_that_may_be_unknown_may_be_null(listed: dict[str, Tool], name: str) -> None:
    """Null must be among the types where it is among the answers, in words that JSON Schema has for it."""
    for node in _nodes(listed[name].output_schema):
        for field, value in node.get("properties", {}).items():
            assert "type" in value or "anyOf" in value or "enum" in value, field
            assert "nullable" not in value, field
