"""The README says which tool reaches which endpoint of CrossTrade: here each is seen to."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\S+) \| `[A-Z]+ /\S+` \| (.+) \|$", README, re.MULTILINE)
REACHED_BY = {
    rpc: [name for name in re.findall(r"`([^`]+)`", by) if name not in ("flatten_first", "order_id")]
    for rpc, by in ROWS
    if not by.startswith("none")
}
NEVER_REACHED = {rpc for rpc, by in ROWS if by.startswith("none")}
ON = {"account": "Sim101"}
MES = {**ON, "instrument": "MES"}
ORDER = {**MES, "action": "BUY", "quantity": 1, "order_type": "MARKET"}
LOW, LOWER = {"order_type": "LIMIT", "limit_price": 6000.0}, {"order_type": "LIMIT", "limit_price": 5999.0}
START = {**MES, "strategy_class": "HoldLong", "mode": "account", "period_type": "minute", "period": 5}


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked, and prices may be far away."""
    limits = Limits(price_band_ticks=400, max_order_risk=Decimal(10_000), max_orders_per_minute=100)
    return Policy(simulated=Approval.NONE, exits_simulated=Approval.NONE, limits=limits)


@pytest.fixture
def era() -> str:
    """What leaves is the same in both."""
    return "auto"


class Tour:
    """Calls tools, and keeps which endpoints each of them reached."""

    def __init__(self, client: Client, sim: Simulator) -> None:
        self.client, self.sim = client, sim
        self.reached: dict[str, set[str | None]] = {}

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool that must succeed, and let the market have some seconds."""
        before = len(self.sim.requests)
        told = await self.client.call_tool(tool, arguments)
        assert not told.is_error, told.content
        self._keep(tool, before)
        self.sim.advance(10)
        data: dict[str, Any] = told.structured_content
        return data

    async def read(self, uri: str) -> None:
        """Read a resource."""
        before = len(self.sim.requests)
        await self.client.read_resource(uri)
        self._keep(uri, before)

    def _keep(self, name: str, before: int) -> None:
        self.reached.setdefault(name, set()).update(seen.rpc for seen in list(self.sim.requests)[before:])


@pytest.fixture
async def tour(desk: Desk, policy: Policy, sim: Simulator, era: str) -> AsyncIterator[Tour]:
    """Somebody who tries every tool of every toolset."""
    context = ServerContext(lambda: desk, policy, toolsets=frozenset({"read", "trade", "strategies"}))
    async with Client(build_server(context), mode=era) as client:
        yield Tour(client, sim)


async def _reads(tour: Tour) -> None:
    for tool in ("get_status", "get_accounts", "get_positions", "get_orders", "get_strategies", "get_atm_templates"):
        await tour.call(tool)
    for tool in ("get_account", "get_positions", "get_orders", "get_executions"):
        await tour.call(tool, **ON)
    await tour.call("get_quotes", instruments=["MES"])
    await tour.call("get_bars", instrument="MES")
    await tour.call("get_session", instrument="MES")
    for document in ("llms.txt", "llms-full.txt", "openapi.json", "endpoints"):
        await tour.read(f"crosstrade://reference/{document}")


async def _orders(tour: Tour) -> None:
    filled = await tour.call("place_order", **ORDER)
    for tool in ("get_order", "get_executions"):
        await tour.call(tool, **ON, order_id=filled["order_id"])
    tour.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions", times=1)
    await tour.call("get_positions", **ON)
    rests = await tour.call("place_order", **{**ORDER, **LOW})
    await tour.call("change_order", **ON, order_id=rests["order_id"], limit_price=5998.0)
    other = await tour.call("replace_order", **{**ORDER, **LOWER}, order_id=rests["order_id"])
    await tour.call("cancel_order", **ON, order_id=other["order_id"])
    await tour.call("place_order", **{**ORDER, **LOW})
    await tour.call("cancel_orders", **ON)


async def _positions(tour: Tour) -> None:
    await tour.call("reverse_position", **MES)
    await tour.call("place_order", **ORDER, flatten_first=True)
    await tour.call("protect_position", **MES, stop_loss=6000.0)
    await tour.call("close_position", **MES)
    await tour.call("place_order", **{**ORDER, **LOW})
    await tour.call("flatten", **MES)
    await tour.call("flatten_everything")


async def _strategies(tour: Tour) -> None:
    started = await tour.call("start_strategy", **START)
    for tool in ("disable_strategy", "enable_strategy", "close_strategy"):
        await tour.call(tool, **ON, strategy_id=started["strategy_id"])


@pytest.mark.slow
async def test_each_endpoint_is_reached_by_the_tools_that_the_readme_names_and_the_others_by_none(tour: Tour) -> None:
    for part in (_reads, _orders, _positions, _strategies):
        await part(tour)
    missing = [f"{name}: {rpc}" for rpc, names in REACHED_BY.items() for name in names if rpc not in tour.reached[name]]
    assert missing == []
    assert not NEVER_REACHED & set().union(*tour.reached.values())
