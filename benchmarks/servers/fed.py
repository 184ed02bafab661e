"""Our server as ``ct-mcp serve`` puts it together, with its stream or without, and with no budget of requests."""

import sys
from pathlib import Path

import anyio
from unmetered import WIDE
from wide_desk import Unmetered

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.crosstrade.stream.socket import LiveStream, over_websocket
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import Feed
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.stdio import serve_stdio
from ct_mcp.store.sqlite import SqliteStore


async def main(url: str, token: str, state_dir: str, stream: str) -> None:
    """Serve over stdio until stdin closes; ``stream`` is on or off, and begins with the first call."""
    policy, store, view = Policy(limits=WIDE, simulated=Approval.NONE), SqliteStore(Path(state_dir)), LiveCache(utc_now)

    async def pause(seconds: float) -> bool:
        return await view.pause(seconds, anyio.sleep)

    async with anyio.create_task_group() as tasks:

        def build_desk() -> Desk:
            if stream == "on":
                tasks.start_soon(Feed(LiveStream(over_websocket(url, token)), view, store, utc_now).run)
            return Desk(CrossTrade(url, token, budget=Unmetered()), store, policy, clock=utc_now, pause=pause)

        await serve_stdio(build_server(ServerContext(build_desk, policy).fed_by(lambda: view)))
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4])
