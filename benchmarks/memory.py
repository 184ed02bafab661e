"""Whether memory grows with the number of calls."""

from pathlib import Path

from calls import ACCOUNT, unmetered
from conversation import Conversation
from figures import Figure
from upstream import Upstream

LOADED_AFTER = 100


def measure(calls: int, home: Path) -> list[Figure]:
    """Make that many read calls; growth counts from the hundredth on, when all that is imported late is there."""
    name = f"RSS growth over {calls:,} read calls"
    with Upstream(home) as upstream, unmetered(upstream, home) as server:
        server.initialize()
        started = server.resident_mib()
        if started is None:
            return [Figure(name, None, "%", 5.0)]
        loaded = _after(LOADED_AFTER, server)
        ended = _after(calls - LOADED_AFTER, server)
    detail = f"{started:.1f} MiB at the start, {loaded:.1f} after {LOADED_AFTER} calls, {ended:.1f} at the end"
    return [
        Figure(name, (ended / loaded - 1) * 100, "%", 5.0, detail),
        Figure("  the same from the start, before the first call", (ended / started - 1) * 100, "%"),
    ]


def _after(calls: int, server: Conversation) -> float:
    for _ in range(calls):
        server.call("get_positions", account=ACCOUNT)
    return server.resident_mib() or 0.0
