"""Our server with every trade tool, no budget of requests, wide limits, and waits that last a hundredth.

Only so can thousands of lost answers be looked up in minutes. What is waited for, and how often, is as in the product.
A file says how many tickets are being spent: a call whose client has gone goes on unseen.
"""

import gc
import sys
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from shifted import Shifted
from unmetered import WIDE

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.reads import ClientOptions
from ct_mcp.crosstrade.request import CallTimeouts
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk
    from ct_mcp.store.sql_store import SqlStore

SHORTER = 100
WAITS = CallTimeouts(connect_seconds=1.0, read_seconds=0.25, bars_seconds=0.25, write_seconds=0.25, turn_seconds=1.0)
# Resting orders stand far away, so that the market does nothing to them. Repeated calls are refused as in the product.
LIMITS = replace(
    WIDE,
    max_order_contracts=1_000,
    max_order_notional=Decimal(10**12),
    max_order_risk=Decimal(10**12),
    price_band_ticks=100_000,
    duplicate_window_seconds=10.0,
)
POLICY = Policy(limits=LIMITS, simulated=Approval.NONE, exits_simulated=Approval.NONE)


async def hurried(seconds: float) -> None:
    """Wait a hundredth of it."""
    await anyio.sleep(seconds / SHORTER)


class Parts:
    """The parts of `ct-mcp serve`, with a clock, waits, limits and a budget of the campaign's own."""

    def __init__(self, url: str, token: str, folder: Path, clock: Shifted) -> None:
        self.live = LiveCache(clock)
        self._address, self._folder, self._clock = (url, token), folder, clock
        (folder / "under-way").unlink(missing_ok=True)  # of a process before this one, which was killed

    def desk(self) -> "Desk":
        """Build the desk over a real client and a real store."""
        from wide_desk import NobodyListens, Unmetered, Watched  # noqa: PLC0415  # late, as in serve

        transport = NobodyListens(self._folder / "unreachable")
        options = ClientOptions(transport=transport, budget=Unmetered(), sleep=hurried, clock=self._clock)
        client = CrossTrade(*self._address, WAITS, **options)
        desk = Watched(client, self._store, POLICY, clock=self._clock, pause=self._pause)
        desk.tell_in(self._folder / "under-way")
        return desk

    async def feed(self) -> None:
        """Feed what is known from the stream, until this is cancelled."""
        from ct_mcp.crosstrade.stream.socket import LiveStream, over_websocket  # noqa: PLC0415
        from ct_mcp.live.feed import Feed  # noqa: PLC0415

        stream = LiveStream(over_websocket(*self._address), pause=hurried, look_every_seconds=0.1)
        await Feed(stream, self.live, self._store, self._clock).run()

    async def _pause(self, seconds: float) -> bool:
        return await self.live.pause(seconds, hurried)

    @cached_property
    def _store(self) -> "SqlStore":
        from ct_mcp.store.sqlite import SqliteStore  # noqa: PLC0415

        shared = self._folder / "database"
        return self._shared(shared.read_text(encoding="utf-8")) if shared.exists() else SqliteStore(self._folder)

    def _shared(self, url: str) -> "SqlStore":
        """As in `ct-mcp serve`, but by the clock of the campaign, which is nobody's."""
        from ct_mcp.store.alone import ExitsAlone  # noqa: PLC0415
        from ct_mcp.store.postgres import PostgresDatabase  # noqa: PLC0415
        from ct_mcp.store.postgres_url import parse_postgres_url  # noqa: PLC0415
        from ct_mcp.store.sql_store import SqlStore  # noqa: PLC0415

        database = PostgresDatabase(parse_postgres_url(url))
        return SqlStore(ExitsAlone(database, self._folder, "", self._clock, lambda: self._clock().timestamp()))


async def serve(url: str, token: str, state_dir: str, clock_file: str, stream: str) -> None:
    """Serve over stdio until stdin closes."""
    parts = Parts(url, token, Path(state_dir), Shifted(Path(clock_file)))
    async with anyio.create_task_group() as tasks:

        def build_desk() -> "Desk":
            if stream == "stream":
                tasks.start_soon(parts.feed)
            return parts.desk()

        wiring = ServerContext(build_desk, POLICY, toolsets=frozenset({"read", "trade", "strategies"}))
        await build_server(wiring.fed_by(lambda: parts.live)).run_stdio_async()
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    gc.freeze()
    url, token, state_dir, clock_file, stream = sys.argv[1:]
    anyio.run(serve, url, token, state_dir, clock_file, stream)
