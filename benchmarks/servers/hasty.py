"""Our server with every trade tool, no budget of requests, wide limits, and waits that last a hundredth.

Only so can thousands of lost answers be looked up in minutes. What is waited for, and how often, is as in the product.
A file says how many tickets are being spent: a call whose client has gone goes on unseen.
"""

import gc
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from shifted import Shifted
from unmetered import WIDE

from ct_mcp.crosstrade.line import Timeouts
from ct_mcp.domain.ticket import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.wiring import Wiring

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk

SHORTER = 100
WAITS = Timeouts(connect_seconds=1.0, read_seconds=0.25, bars_seconds=0.25, write_seconds=0.25, turn_seconds=1.0)
# Resting orders stand far away, so that the market does nothing to them. Repeated calls are refused as in the product.
LIMITS = replace(
    WIDE,
    max_order_contracts=1_000,
    max_order_notional=Decimal(10**12),
    max_order_risk=Decimal(10**12),
    price_band_ticks=100_000,
    duplicate_window_seconds=10.0,
)


async def hurried(seconds: float) -> None:
    """Wait a hundredth of it."""
    await anyio.sleep(seconds / SHORTER)


def main(url: str, token: str, state_dir: str, clock_file: str) -> None:
    """Serve over stdio until stdin closes."""
    policy = Policy(limits=LIMITS, simulated=Approval.NONE, exits_simulated=Approval.NONE)
    clock = Shifted(Path(clock_file))

    def furnish() -> "Desk":
        from wide_desk import NobodyListens, Unmetered, Watched  # noqa: PLC0415  # late, as in serve

        from ct_mcp.crosstrade.client import CrossTrade  # noqa: PLC0415
        from ct_mcp.store.sqlite import SqliteStore  # noqa: PLC0415

        line = NobodyListens(Path(state_dir) / "unreachable")
        client = CrossTrade(url, token, WAITS, transport=line, budget=Unmetered(), sleep=hurried, clock=clock)
        desk = Watched(client, SqliteStore(Path(state_dir)), policy, clock=clock, pause=hurried)
        desk.tell_in(Path(state_dir) / "under-way")
        return desk

    gc.freeze()
    build_server(Wiring(furnish, policy, toolsets=frozenset({"read", "trade", "strategies"}))).run("stdio")


if __name__ == "__main__":
    main(*sys.argv[1:])
