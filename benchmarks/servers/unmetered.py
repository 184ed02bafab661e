"""Our server as ``ct-mcp serve`` puts it together, but with no budget of requests and with limits that never bind.

CrossTrade allows three requests a second, so that the real budget would be the only thing measured. It is replaced
here, in a composition of its own, and can be switched off nowhere else.
"""

import gc
import sys
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

gc.disable()

from ct_mcp.crosstrade.budget import Allowance, Bucket, allowance  # noqa: E402  # as in serve: no collecting until here
from ct_mcp.crosstrade.client import CrossTrade  # noqa: E402
from ct_mcp.crosstrade.line import utc_now  # noqa: E402
from ct_mcp.desk.desk import Desk  # noqa: E402
from ct_mcp.domain.ticket import Approval  # noqa: E402
from ct_mcp.guard.policy import Limits, Policy  # noqa: E402
from ct_mcp.server.app import build_server  # noqa: E402
from ct_mcp.server.wiring import Wiring  # noqa: E402
from ct_mcp.store.sqlite import SqliteStore  # noqa: E402

WIDE = Limits(
    max_position_contracts=1_000_000,
    max_day_loss=Decimal(1_000_000_000),
    max_orders_per_minute=1_000_000,
    max_orders_per_day=1_000_000,
    duplicate_window_seconds=0.0,
)


class Unmetered:
    """A budget that keeps nobody waiting."""

    async def wait(self, now: datetime, *, urgent: bool) -> float:
        """Let it go at once."""
        return 0.0

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Pass over it; the simulator of the benchmarks has no rate limit."""

    async def snapshot(self, now: datetime) -> Allowance:
        """Say that all is left."""
        return allowance(Bucket(), now)


def main(url: str, token: str, state_dir: str) -> None:
    """Serve over stdio until stdin closes."""
    policy = Policy(limits=WIDE, simulated=Approval.NONE)
    client = CrossTrade(url, token, budget=Unmetered())
    store = SqliteStore(Path(state_dir))

    async def close() -> None:
        await client.__aexit__(None, None, None)
        await store.close()

    wiring = Wiring(partial(Desk, client, store, policy, clock=utc_now), policy, close=close)
    server = build_server(wiring)
    gc.freeze()
    gc.enable()
    server.run("stdio")


if __name__ == "__main__":
    main(*sys.argv[1:])
