"""The simulator in a process of its own, which misbehaves when told to and knows what has really happened.

Says its address and token in one line of JSON, then answers each line on stdin: ``{"arm": [[fault, rpc, times], ...]}``
with nothing, ``{"truth": ROOT}`` with the truth, ``{"disarm": true, "truth": ROOT}`` with the truth once nothing is
under way any more.
"""

import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from shifted import Shifted
from starlette.types import ASGIApp, Receive, Scope, Send

from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.faults import AnyFault, Fault, Lag, StreamFault
from ct_mcp.simulator.orders import SimOrder
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

ACCOUNT = "Sim101"
_QUIET_WITHIN_SECONDS = 5.0


class Busy:
    """Counts the requests that are being answered, and knows whether anybody looked after the last write had ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._end = anyio.Event()
        self.under_way = 0
        self._writes_ended, self._writes_seen = 0, 0

    @property
    def has_unread_write(self) -> bool:
        """Whether a write ended after the last read had begun: nobody could have read what it would do."""
        return self._writes_seen < self._writes_ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; a socket stays open and is not waited for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.under_way += 1
        is_read, ended_before = scope["method"] == "GET", self._writes_ended
        try:
            await self._app(scope, receive, send)
        finally:
            self.under_way -= 1
            if is_read:
                self._writes_seen = max(self._writes_seen, ended_before)
            else:
                self._writes_ended += 1
            self._end.set()
            self._end = anyio.Event()

    async def is_quiet(self) -> bool:
        """Wait until all of them are answered; False where one is not."""
        with anyio.move_on_after(_QUIET_WITHIN_SECONDS):
            while self.under_way:
                await self._end.wait()
            return True
        return False


class World:
    """The simulator, and what is remembered beside it."""

    def __init__(self, seed: int, clock: Shifted) -> None:
        at_once = ExchangePace(acknowledgement_seconds=0.0, fill_seconds=0.0)
        settings = SimulatorSettings(pace=at_once, rate_limit=None)
        self.simulator = Simulator(seed=seed, clock=clock, market_hours="always", settings=settings)
        self.simulator.app = self.busy = Busy(self.simulator.app)
        self._struck: Counter[str] = Counter()
        self._take = self.simulator.faults.take
        self.simulator.faults.take = self._counted  # type: ignore[method-assign]  # nobody else can tell what struck

    def _counted(self, fault: AnyFault, rpc: str | None = None) -> bool:
        struck = self._take(fault, rpc)
        self._struck[fault.value] += struck
        return struck

    async def obeyed(self, said: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        simulator = self.simulator
        for fault, rpc, times in said.get("arm", ()):
            simulator.faults.arm(_fault(fault), rpc=rpc, times=times)
        is_quiet = True
        if said.get("disarm"):
            simulator.faults.disarm()
            is_quiet = await self.busy.is_quiet()
        if "truth" not in said:
            return {}
        for _ in range(2):
            simulator.addon.wake()
        unread = self.busy.has_unread_write
        return {**self._truth(), "has_unread_write": unread, "price": self._price(said["truth"]), "is_quiet": is_quiet}

    def _truth(self) -> dict[str, Any]:
        """Every order there ever was, what is held, which strategies run, and the writes since the last truth."""
        simulator = self.simulator
        held = simulator.exchange.accounts[ACCOUNT].open_positions()
        writes = [[seen.rpc, seen.accepted] for seen in simulator.requests if seen.method != "GET"]
        struck, self._struck = self._struck, Counter()
        simulator.requests.clear()
        return {
            "at": simulator.addon.now.isoformat(),
            "orders": [_told(order) for order in simulator.exchange.orders if order.account == ACCOUNT],
            "held": {position.contract.name: position.quantity for position in held},
            "strategies": {each.id: [str(each.state), each.is_enabled] for each in simulator.strategies.all},
            "writes": writes,
            "struck": dict(+struck),
        }

    def _price(self, root: str) -> list[Any]:
        """The last price of the front month, its tick, its name."""
        now: datetime = self.simulator.addon.now
        contract = self.simulator.market.front(root, now)
        tick = float(contract.product.tick_size)
        return [self.simulator.market.top(contract, now).last * tick, tick, contract.name]


def _told(order: SimOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "own_id": order.labels.own_id,
        "rpc": order.labels.rpc,
        "instrument": order.terms.contract.name,
        "signed": order.terms.action.sign * order.terms.quantity,
        "prices": [order.terms.limit_price, order.terms.stop_price],
        "state": str(order.state),
        "filled": order.filled,
        "is_live": order.is_live,
    }


def _fault(name: str) -> AnyFault:
    kinds: tuple[type[AnyFault], ...] = (Fault, Lag, StreamFault)
    return next(kind(name) for kind in kinds if name in set(kind))


class Hurry:
    """Stands for the end of the simulator, which its calls in steps wait for: each step lasts a moment, not 50 ms."""

    async def wait(self) -> None:
        """Wait a moment."""
        await anyio.sleep(0.0005)

    def set(self) -> None:
        """Nothing waits for longer than that."""


async def main(seed: str, clock_file: str) -> None:
    """Serve until stdin closes."""
    world = World(int(seed), Shifted(Path(clock_file)))
    async with served(world.simulator) as url:
        world.simulator.addon.closing = Hurry()  # type: ignore[assignment]  # it is waited for, and set, no more
        print(json.dumps({"url": url, "token": world.simulator.token}), flush=True)
        while line := await to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(await world.obeyed(json.loads(line))), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
