"""The simulator in our own process, on loopback, with settings that lead to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_hex

from ct_mcp.config.settings import Settings
from ct_mcp.config.token import Secret
from ct_mcp.simulator.server import served
from ct_mcp.simulator.world import Simulator


@asynccontextmanager
async def simulated(settings: Settings) -> AsyncIterator[Settings]:
    """Serve a simulator whose market never closes while the block runs, and give the settings that lead to it."""
    token = token_hex(16)
    simulator = Simulator(token=token, market_hours="always")
    async with served(simulator) as url:
        yield replace(settings, base_url=url, token=Secret(token))
