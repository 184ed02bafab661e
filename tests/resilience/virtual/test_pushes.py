"""In virtual time the simulator wakes when something happens, and tells its stream of it in that moment."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from virtual_pushes import woken_where_it_counts
from virtual_time import play
from websockets.exceptions import ConnectionClosed

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.faults import StreamFault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

BEGINS_AT = datetime(2026, 9, 9, 14, 30, 0, 300_000, tzinfo=UTC)
SUBSCRIBES = json.dumps({"action": "subscribe", "id": "1", "instruments": ["ES 09-26"], "events": ["executions"]})


def _clock() -> datetime:
    try:
        return BEGINS_AT + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:  # before the loop runs
        return BEGINS_AT


async def _hears_for_a_minute(simulator: Simulator, frames: list[tuple[float, str]]) -> None:
    """Listen for a minute: an order is sent after 10.2 s, and the connection is cut after 60."""
    loop = asyncio.get_running_loop()

    def _submits() -> None:
        account = simulator.exchange.accounts["Sim101"]
        terms = OrderTerms(simulator.addon.contract("ES 09-26"), Action.BUY, 1, SimOrderType.MARKET)
        simulator.addon.wake()
        simulator.exchange.submit(account, terms, OrderLabels(rpc="ByHand"), simulator.addon.now)

    loop.call_at(10.2, _submits)
    loop.call_at(60.0, simulator.exchange.faults.arm, StreamFault.SOCKET_CUT)
    async with simulator.connect() as socket:
        await socket.send(SUBSCRIBES)
        with suppress(ConnectionClosed):
            while text := await socket.recv():
                frames.append((loop.time(), str(json.loads(text).get("type"))))
    frames.append((loop.time(), "cut"))


def test_what_happens_is_told_in_its_moment_though_few_moments_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = Simulator(seed=7, clock=_clock, token="t", settings=SimulatorSettings(rate_limit=None))
    wakes, frames, wake = list[datetime](), list[tuple[float, str]](), AddOn.wake

    def _is_counted(self: AddOn) -> None:
        wakes.append(self.now)
        wake(self)

    monkeypatch.setattr(AddOn, "wake", _is_counted)

    with woken_where_it_counts():
        play(lambda: _hears_for_a_minute(simulator, frames), Random(1))

    filled = [at for at, kind in frames if kind == "executionUpdate"]
    quotes = [at for at, kind in frames if kind == "marketData"]
    assert filled == [pytest.approx(10.4, abs=0.001)], "accepted after 0.05 s, filled 0.15 s later"
    assert len(quotes) >= 50
    assert all(later - one == pytest.approx(round(later - one), abs=0.001) for one, later in pairwise(quotes))
    assert 60.0 <= frames[-1][0] <= 61.01, "what comes unannounced is met within a second"
    assert len(wakes) < 150, "twenty times a second would be 1,200"
