"""Any arguments for any tool: an answer, or a refusal in words; never a fault of ours, and nothing sent by nonsense."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import A_TRADING_MORNING

ALL = frozenset({"read", "trade", "strategies", "charts"})
SNAPSHOTS = Path(__file__).parents[2] / "contract" / "snapshots"
SCHEMAS = {
    tool["name"]: tool["inputSchema"].get("properties", {})
    for tool in (json.loads(file.read_text(encoding="utf-8")) for file in sorted(SNAPSHOTS.glob("*.json")))
    if isinstance(tool, dict) and "inputSchema" in tool
}
FIELDS = sorted({field for fields in SCHEMAS.values() for field in fields})
SENSE = st.sampled_from(
    ["Sim101", "APEX-482910", "MES", "MES 09-26", "ES1!", "BUY", "SELL", "MARKET", "LIMIT", "STOP_LIMIT", "DAY", "GTC"]
) | st.sampled_from(
    ["1m", "1d", "2026-09-09", "2026-09-09T14:00:00Z", "334081723", "HoldLong", "account", "minute", "all", "risk"]
)
ODD: st.SearchStrategy[object] = st.sampled_from(
    ["", " ", "null", "nan", "\x00", "\ud800", "\u202eSim101", "../..", "Sim101/orders/place", "?a=b", "x" * 70_000]
) | st.sampled_from(
    [10**30, -(10**30), 1e308, 5e-324, -0.0, 10**400, [], [[]], {}, {"a": {"b": []}}, ["Sim101"] * 300, True, None]
)
VALUE = st.one_of(SENSE, ODD, st.integers(-3, 9), st.floats(allow_nan=False), st.text(max_size=12))


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """One tool with arguments of which some may fit."""
    name = draw(st.sampled_from(sorted(SCHEMAS)))
    known = {field: draw(_fitting(shape)) for field, shape in SCHEMAS[name].items() if draw(st.booleans())}
    odd = draw(st.dictionaries(st.sampled_from([*FIELDS, "x", "\ud800", "y" * 20_000]), VALUE, max_size=1))
    return name, known | odd


def _fitting(shape: dict[str, Any]) -> st.SearchStrategy[object]:
    """What stands in the schema, mostly."""
    fits: dict[str, st.SearchStrategy[object]] = {
        "integer": st.integers(-1, 400),
        "number": st.floats(-10, 1e6) | st.sampled_from([6400, 0.25, 1e-9]),
        "boolean": st.booleans(),
        "array": st.lists(SENSE, max_size=3),
    }
    if "enum" in shape:
        return st.sampled_from([*shape["enum"], "x"])
    return fits.get(str(shape.get("type")), SENSE) | VALUE


async def _called(server: MCPServer, made: list[tuple[str, dict[str, object]]]) -> list[CallToolResult]:
    async with Client(server, mode="auto") as client:
        return [await client.call_tool(name, arguments) for name, arguments in made]


async def _answers(made: list[tuple[str, dict[str, object]]], folder: Path) -> tuple[list[CallToolResult], Simulator]:
    clock = ManualClock(A_TRADING_MORNING)
    sim = Simulator(seed=7, clock=clock, token="t", settings=SimulatorSettings(rate_limit=None))

    async def pause(seconds: float) -> None:
        clock.advance(seconds)

    store = SqliteStore(folder)
    async with CrossTrade("https://sim.invalid", "t", transport=sim.transport(), clock=clock, sleep=pause) as upstream:
        policy = Policy(wait_seconds=1)
        desk = Desk(upstream, store, policy, clock=clock, pause=pause)
        try:
            return await _called(build_server(ServerContext(lambda: desk, policy, toolsets=ALL)), made), sim
        finally:
            await store.close()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(calls(), min_size=4, max_size=10))
def test_any_arguments_are_answered_in_words(made: list[tuple[str, dict[str, object]]]) -> None:
    with TemporaryDirectory() as folder:
        answers, sim = asyncio.run(_answers(made, Path(folder)))
    for (name, arguments), answer in zip(made, answers, strict=True):
        text = "".join(part.text for part in answer.content if isinstance(part, TextContent))
        assert text.strip()
        assert "INTERNAL_FAULT" not in text, f"{name} {arguments!r:.300}"
        assert "JOURNAL_UNAVAILABLE" not in text, f"{name} {arguments!r:.300}"
        assert not answer.is_error or len(text) < 4000, f"{name} {arguments!r:.300}: {len(text)}"
    opening = ("PlaceOrder", "FlatPlace", "Change", "CancelReplace", "Reverse", "StartStrategy", "EnableStrategy")
    assert not sim.requests_of(*opening), "nobody has said yes"
