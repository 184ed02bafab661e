"""Whether memory grows with the number of calls."""

from pathlib import Path

from calls import ACCOUNT, unmetered
from figures import Figure
from upstream import Upstream

SETTLED_AFTER = 1000


def measure(calls: int, home: Path) -> list[Figure]:
    """Make that many read calls; growth is counted from the thousandth on, when everything has been loaded."""
    name = f"RSS growth over {calls:,} read calls"
    with Upstream(home) as upstream, unmetered(upstream, home) as server:
        server.initialize()
        started = server.resident_mib()
        if started is None:
            return [Figure(name, None, "%", 10.0)]
        for _ in range(SETTLED_AFTER):
            server.call("get_positions", account=ACCOUNT)
        settled = server.resident_mib() or 0.0
        for _ in range(calls):
            server.call("get_positions", account=ACCOUNT)
        ended = server.resident_mib() or 0.0
    detail = f"{started:.1f} MiB at the start, {settled:.1f} after {SETTLED_AFTER:,} calls, {ended:.1f} at the end"
    return [Figure(name, (ended / settled - 1) * 100, "%", 10.0, detail)]
