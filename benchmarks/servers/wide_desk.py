"""The desk without a budget of requests. As in ``ct-mcp serve``, it is imported by the first call and not before."""

from datetime import datetime
from pathlib import Path

from ct_mcp.crosstrade.budget import Allowance, Bucket, allowance
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.line import utc_now
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.store.sqlite import SqliteStore


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


def wide_desk(url: str, token: str, state_dir: str, policy: Policy) -> Desk:
    """Build the desk over a real client and a real store."""
    client = CrossTrade(url, token, budget=Unmetered())
    return Desk(client, SqliteStore(Path(state_dir)), policy, clock=utc_now)
