"""The simulator as one object."""

from datetime import UTC, datetime

import httpx
import pytest

from ct_mcp.simulator.accounts import AccountSpec
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ORDER = {"instrument": "ES", "action": "BUY", "quantity": 25, "orderType": "MARKET", "timeInForce": "DAY"}


async def _story(seed: int) -> list[str]:
    """Trade a little and write down everything that was said."""
    sim = Simulator(seed=seed, clock=ManualClock(NOW), token="t")
    headers = {"Authorization": "Bearer t"}
    said = []
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        for method, path, body in (
            ("GET", "/market/quote?instrument=ES,NQ,CL,GC", None),
            ("POST", "/accounts/Sim101/orders/place", ORDER),
            ("GET", "/accounts/snapshot", None),
            ("POST", "/positions/flatten", {}),
            ("GET", "/accounts/Sim101/executions", None),
            ("GET", "/orders?activeOnly=false", None),
        ):
            said.append((await http.request(method, path, json=body)).text)
            sim.advance(7.3)
    return said


async def test_a_world_follows_from_its_seed_and_its_clock() -> None:
    assert await _story(1) == await _story(1)
    assert await _story(1) != await _story(2)


def test_a_world_can_be_built_outside_an_event_loop_and_by_the_wall_clock() -> None:
    sim = Simulator(market_hours="always")
    sim.advance()
    assert sim.addon.now.tzinfo is UTC
    assert sim.market.is_open(sim.addon.now)


def test_hours_that_nobody_keeps_are_refused() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        Simulator(market_hours="sometimes")


def test_the_accounts_can_be_others() -> None:
    spec = AccountSpec(9, "Paper", "Paper", "Simulator", "Sim", cash=1_000.0)
    sim = Simulator(clock=ManualClock(NOW), settings=SimulatorSettings(accounts=(spec,)))
    assert list(sim.exchange.accounts) == ["Paper"]
    assert spec.is_simulated
