"""The simulator in a process of its own: no rate limit, orders that fill at once, and every request kept whole.

Says its address and token in one line of JSON; answers each line on stdin with the requests since the last one.
"""

import json
import sys
from collections import deque

import anyio
from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings


class Recorder:
    """Keeps the last requests with query and body, so that they can be sent again without ct-mcp."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests: deque[dict[str, str]] = deque(maxlen=100)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, and keep what arrived; what is no request, like a socket, is none of ours."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = {"method": scope["method"], "path": scope["raw_path"].decode(), "body": ""}
        if scope["query_string"]:
            request["path"] += "?" + scope["query_string"].decode()
        self._requests.append(request)

        async def heard() -> Message:
            message = await receive()
            request["body"] += message.get("body", b"").decode()
            return message

        await self._app(scope, heard, send)

    def taken(self) -> list[dict[str, str]]:
        """Take what was kept."""
        requests = list(self._requests)
        self._requests.clear()
        return requests


async def main() -> None:
    """Serve until stdin closes."""
    at_once = ExchangePace(acknowledgement_seconds=0.0, fill_seconds=0.0)
    simulator = Simulator(market_hours="always", settings=SimulatorSettings(pace=at_once, rate_limit=None))
    simulator.app = recorder = Recorder(simulator.app)
    async with served(simulator) as url:
        print(json.dumps({"url": url, "token": simulator.token}), flush=True)
        while await to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(recorder.taken()), flush=True)


if __name__ == "__main__":
    anyio.run(main)
