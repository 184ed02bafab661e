"""Calls over stdio against the HTTP requests that they lead to, sent raw with httpx to the same simulator."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from child import script
from conversation import Conversation
from figures import Figure, in_ms, spread
from upstream import Replay, Upstream

ACCOUNT = "Sim101"
WARM_UP = 20


@dataclass
class Pairs:
    """Seconds of ours and of the raw requests, side by side, and the processor time that ours took."""

    ours: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self, name: str, target: float, requests: int) -> list[Figure]:
        """The median of the differences, and what it is made of."""
        beyond = [mine - raw for mine, raw in zip(self.ours, self.raw, strict=True)]
        detail = (
            f"middle half {spread(beyond)}; {in_ms(self.ours):.2f} ms less {in_ms(self.raw):.2f} ms "
            f"for {requests} upstream request{'s' if requests > 1 else ''}, {len(beyond)} of each"
        )
        cpu = in_ms(self.cpu) if any(self.cpu) else None
        return [Figure(name, in_ms(beyond), "ms", target, detail), Figure("  CPU of our server for one", cpu)]


def unmetered(upstream: Upstream, home: Path) -> Conversation:
    """Our server before that simulator, without a budget of requests."""
    return Conversation(script("unmetered.py", upstream.url, upstream.token, str(home / "unmetered")), home)


def measure(reads: int, orders: int, home: Path) -> list[Figure]:
    """Read and order; a position is held all the while, so that there is something to read."""
    with Upstream(home) as upstream, unmetered(upstream, home) as server:
        server.initialize()
        order = _order(_held(server))
        return [*_reads(reads, upstream, server), *_orders(orders, upstream, server, order), *_floor(reads, home)]


def flush(home: Path) -> Figure:
    """How long this disk takes to say that it holds what was written; an order waits for that several times."""
    seconds = []
    with (home / "flushed").open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    detail = f"middle half {spread(seconds)}"
    return Figure("  for comparison: one fsync where the journal lies", in_ms(seconds), detail=detail)


def _held(server: Conversation) -> str:
    """Buy one, and say what it is called."""
    server.call("place_order", **_order("MES"))
    answer, _ = server.call("get_positions", account=ACCOUNT)
    return str(answer["structuredContent"]["positions"][0]["instrument"])


def _reads(times: int, upstream: Upstream, server: Conversation) -> list[Figure]:
    def read() -> float:
        return server.call("get_positions", account=ACCOUNT)[1]

    with _replay(upstream, read) as replay:
        pairs = _alternated(times, server, read, replay.once)
    return pairs.figures("read call (get_positions), beyond raw httpx", 3.0, replay.requests)


def _orders(times: int, upstream: Upstream, server: Conversation, order: dict[str, Any]) -> list[Figure]:
    """Ours buy one and the raw requests sell one, so that every order meets the same account."""

    def buy() -> float:
        result, seconds = server.call("place_order", **order)
        if result["structuredContent"]["status"] != "filled":
            raise RuntimeError(f"the order was not filled: {result}")
        return seconds

    with _replay(upstream, buy) as replay:
        pairs = _alternated(times, server, buy, replay.once)
    return pairs.figures("guarded order (place_order, market), beyond raw httpx", 10.0, replay.requests)


def _replay(upstream: Upstream, call: Callable[[], float]) -> Replay:
    """See what one call sends, to send the same without us."""
    upstream.requests()
    call()
    return Replay(upstream, upstream.requests())


def _alternated(times: int, server: Conversation, ours: Callable[[], float], raw: Callable[[], float]) -> Pairs:
    for turn in range(WARM_UP):
        (ours, raw)[turn % 2]()
    pairs = Pairs()
    for turn in range(times):
        if turn % 2:
            pairs.raw.append(raw())
        before = server.cpu_seconds()
        pairs.ours.append(ours())
        pairs.cpu.append((server.cpu_seconds() or 0.0) - (before or 0.0))
        if not turn % 2:
            pairs.raw.append(raw())
    return pairs


def _order(instrument: str) -> dict[str, Any]:
    return {"account": ACCOUNT, "instrument": instrument, "action": "BUY", "quantity": 1, "order_type": "MARKET"}


def _floor(times: int, home: Path) -> list[Figure]:
    with Conversation(script("floor.py"), home) as server:
        server.initialize()
        seconds = [server.call("echo", text="x")[1] for _ in range(WARM_UP + times)][WARM_UP:]
    detail = f"middle half {spread(seconds)}"
    return [Figure("  for comparison: a call of the one-tool floor", in_ms(seconds), detail=detail)]
