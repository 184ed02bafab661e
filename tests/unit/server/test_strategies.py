"""Strategies and templates as they were read: what is unknown is said so, and a state is not taken for a deed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import TextContent

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.strategy import Strategy, StrategyState
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.tools.strategies import SAYS_LITTLE, strategies_result, to_parameter
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.simulator import Simulator
from tests.unit.server.conftest import text_of

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
START = {
    "account": "Sim101",
    "strategy_class": "OpeningRangeBreakout",
    "instrument": "MES",
    "mode": "account",
    "period_type": "minute",
    "period": 5,
}


@pytest.fixture
async def client(desk: Desk, policy: Policy, era: str) -> AsyncIterator[Client]:
    """A client of a server whose operator wants strategies."""
    context = ServerContext(lambda: desk, policy, toolsets=frozenset({"read", "trade", "strategies"}))
    async with Client(build_server(context), mode=era) as client:
        yield client


async def _asked(client: Client, tool: str, **arguments: object) -> tuple[str, dict[str, Any]]:
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert not result.is_error, content.text
    (schema,) = (each.output_schema for each in (await client.list_tools()).tools if each.name == tool)
    Draft202012Validator(schema).validate(result.structured_content)
    assert "None" not in content.text
    return content.text, result.structured_content


async def test_strategies_are_listed_with_their_parameters_and_a_caution(client: Client) -> None:
    text, data = await _asked(client, "get_strategies")
    assert data["scope"] == "all accounts"
    assert [(one["account"], one["strategy_class"], one["enabled"], one["state"]) for one in data["strategies"]] == [
        ("Sim101", "SampleMACrossOver", True, "REALTIME"),
        ("APEX-482910", "OpeningRangeBreakout", False, "REALTIME"),
    ], "one that is over is left out"
    first = data["strategies"][0]
    assert (first["instrument"], first["mode"]) == ("ES 09-26", "chart")
    assert first["parameters"] == {"Fast": "10", "Slow": "25"}
    assert data["notes"] == [SAYS_LITTLE]
    assert f"note: {SAYS_LITTLE}" in text
    assert f"strategies that are not over: 2; all accounts, read {data['read_at']}" in text
    for one in data["strategies"]:
        assert one["strategy_id"] in text
    assert "parameters: Fast=10, Slow=25" in text
    assert "APEX-482910" in text
    assert "disabled" in text


async def test_one_account_is_read_from_the_reliable_list(client: Client, sim: Simulator) -> None:
    sim.faults.arm(Lag.STALE_STRATEGY_LIST)
    text, data = await _asked(client, "get_strategies", account="sim101")
    assert [one["account"] for one in data["strategies"]] == ["Sim101"]
    assert (data["scope"], "Sim101, read" in text) == ("Sim101", True)
    assert not sim.requests_of("ListStrategies")


async def test_no_strategies_are_said_to_be_none(desk: Desk) -> None:
    result = strategies_result([], "Sim101", [], NOW)
    assert result.structured_content["strategies"] == []
    assert result.structured_content["notes"] == []
    assert text_of(result) == "strategies that are not over: none; Sim101, read 2026-09-09T14:30:00Z"


def test_what_ninjatrader_did_not_say_is_unknown_in_both_halves() -> None:
    result = strategies_result([Strategy("Sim101", "7", StrategyState.UNKNOWN)], "Sim101", [], NOW)
    (row,) = result.structured_content["strategies"]
    assert (row["enabled"], row["strategy_class"], row["instrument"], row["mode"]) == (None, None, None, None)
    line = text_of(result).splitlines()[1]
    assert line == (
        "Sim101  id 7  class unknown  name unknown  instrument unknown  enabled or not is unknown  state UNKNOWN  "
        "mode unknown  parameters: none"
    )


async def test_a_hostile_name_is_one_harmless_line(client: Client, sim: Simulator) -> None:
    sim.faults.arm(Fault.HOSTILE_TEXT)
    text, data = await _asked(client, "get_strategies")
    assert len(text.splitlines()) == 1 + len(data["strategies"]) + len(data["notes"])
    assert all(line.isprintable() for line in text.splitlines())
    assert all(one["name"].isprintable() for one in data["strategies"])


async def test_templates_are_named_exactly(client: Client) -> None:
    text, data = await _asked(client, "get_atm_templates")
    assert "Scalp 8x8" in data["templates"]
    assert text.splitlines()[1:] == data["templates"]
    assert data["read_at"] in text


@pytest.mark.parametrize("tool", ["get_strategies", "get_atm_templates"])
async def test_a_failed_read_is_an_error_and_never_an_empty_list(client: Client, sim: Simulator, tool: str) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    result = await client.call_tool(tool, {})
    assert result.is_error
    assert text_of(result).startswith("ADDON_OFFLINE")


@pytest.mark.parametrize("policy", [Policy(mode=Mode.READ_ONLY)], ids=["read_only"])
async def test_strategies_can_be_read_where_nothing_trades(client: Client) -> None:
    assert (await _asked(client, "get_strategies"))[1]["strategies"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"Fast": [1]}, "parameters.Fast"),
        ({"Fast": {"a": 1}}, "parameters.Fast"),
        ({"x" * 101: 1}, "at most 100 characters"),
        ({"Label": "x" * 301}, "at most 300 characters"),
        ({f"P{number}": number for number in range(51)}, "at most 50 items"),
        ([], "parameters: Input should be a valid dictionary"),
        ("Fast=1", "parameters: Input should be a valid dictionary"),
    ],
)
async def test_parameters_that_are_no_plain_values_are_refused(
    client: Client, sim: Simulator, parameters: object, said: str
) -> None:
    result = await client.call_tool("start_strategy", {**START, "parameters": parameters})
    assert result.is_error
    assert said in text_of(result)
    assert text_of(result).startswith("REQUEST_INVALID")
    assert not sim.requests_of("StartStrategy")


@pytest.mark.parametrize(
    ("field", "value"),
    [("period", True), ("period", "5"), ("period", 0), ("period", 5.5), ("mode", "Account"), ("period_type", "Minute")],
)
async def test_nothing_that_decides_a_start_is_mended(
    client: Client, sim: Simulator, field: str, value: object
) -> None:
    result = await client.call_tool("start_strategy", {**START, field: value})
    assert result.is_error
    assert text_of(result).startswith(f"REQUEST_INVALID: {field}")
    assert not sim.requests_of("StartStrategy")


@pytest.mark.parametrize(
    ("value", "kept"), [(True, True), (5, 5), ("morning", "morning"), (0.1, Decimal("0.1")), (0.0, Decimal("0.0"))]
)
def test_a_parameter_keeps_its_kind(value: str | bool | float, kept: object) -> None:
    assert (to_parameter(value), type(to_parameter(value))) == (kept, type(kept))
