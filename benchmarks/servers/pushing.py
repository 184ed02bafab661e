"""The simulator in a process of its own, with its socket: it counts requests and says when a frame was sent.

Takes its pace as JSON; says its address and token in one line of JSON, then answers each line on stdin:
``count`` the requests since the last one; ``push`` moves its clock a second and says when the quote left; ``soak N``
moves its clock by five milliseconds again and again, as fast as frames leave, until N have left.
"""

import json
import sys
import time
from typing import Any

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ct_mcp.simulator.clock import ManualClock, wall_clock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.simulator.stream.assumptions import StreamAssumptions

STEP_SECONDS = 0.005
MOST_WAITING = 500
_MOMENTS = 1_000


class Turnstile:
    """Counts what comes in over HTTP and what goes out over the socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0
        self.frames = 0
        self.quote_left_at: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        self.requests += scope["type"] == "http"
        await self._app(scope, receive, self._counted(send) if scope["type"] == "websocket" else send)

    def _counted(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            text = message.get("text") or ""
            if self.quote_left_at is None and '"type":"marketData"' in text:
                self.quote_left_at = time.perf_counter()
            self.frames += '"seq":' in text
            await send(message)

        return sent


class Pump:
    """Answers what is asked on stdin."""

    def __init__(self, simulator: Simulator, turnstile: Turnstile) -> None:
        self._simulator = simulator
        self._turnstile = turnstile

    async def answer(self, line: str) -> dict[str, float | None]:
        """One answer for one line."""
        match line.split():
            case ["push"]:
                return await self._push()
            case ["soak", number]:
                return await self._soak(int(number))
        requests, self._turnstile.requests = self._turnstile.requests, 0
        return {"requests": requests}

    async def _push(self) -> dict[str, float | None]:
        self._turnstile.quote_left_at = None
        self._simulator.advance(1.0)
        for _ in range(_MOMENTS):
            if self._turnstile.quote_left_at is not None:
                break
            await anyio.sleep(0.001)
        return {"left_at": self._turnstile.quote_left_at}

    async def _soak(self, frames: int) -> dict[str, float | None]:
        """Push no more than so many frames ahead of the reader: a queue that overflows would drop them."""
        before, began = self._turnstile.frames, time.perf_counter()
        while self._turnstile.frames - before < frames:
            for _ in range(MOST_WAITING // 10):
                self._simulator.advance(STEP_SECONDS)
            ahead = self._turnstile.frames
            while self._turnstile.frames - ahead < MOST_WAITING // 10:
                await checkpoint()
        return {"left": self._turnstile.frames - before, "seconds": time.perf_counter() - began}


async def main(pace: dict[str, Any], *, by_hand: bool) -> None:
    """Serve until stdin closes."""
    settings = SimulatorSettings(
        pace=ExchangePace(**pace), rate_limit=None, stream=StreamAssumptions(shortest_interval_seconds=STEP_SECONDS)
    )
    clock = ManualClock(wall_clock()) if by_hand else wall_clock
    simulator = Simulator(market_hours="always", clock=clock, settings=settings)
    simulator.app = turnstile = Turnstile(simulator.app)
    pump = Pump(simulator, turnstile)
    async with served(simulator) as url:
        print(json.dumps({"url": url, "token": simulator.token}), flush=True)
        while line := await to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(await pump.answer(line)), flush=True)


async def _main() -> None:
    await main(json.loads(sys.argv[1]), by_hand=sys.argv[2] == "by-hand")


if __name__ == "__main__":
    anyio.run(_main)
