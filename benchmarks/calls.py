"""Calls over stdio against the HTTP requests that they lead to, sent raw with httpx to the same simulator."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child import script
from conversation import Conversation
from figures import Figure, in_ms, spread
from upstream import Replay, Upstream

ACCOUNT = "Sim101"
WARM_UP = 20
FEW = 20
ORDERS_OF_A_TURN = 3  # ours, and two that are sent raw: every list of orders that is read holds all of the day


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of ours beside its raw requests, in seconds; ``cpu`` is the processor time that ours took."""

    ours: float
    cpu: float
    blocking: float
    waiting: float


def unmetered(upstream: Upstream, home: Path) -> Conversation:
    """Our server before that simulator, without a budget of requests."""
    return Conversation(script("unmetered.py", upstream.url, upstream.token, str(home / "unmetered")), home)


def measure(reads: int, orders: int, home: Path) -> list[Figure]:
    """Read and order; a position is held all the while, so that there is something to read."""
    with Upstream(home) as upstream, unmetered(upstream, home) as server:
        server.initialize()
        order = _order(_held(server))
        figures = [*_reads(reads, upstream, server), *_orders(orders, upstream, server, order), _flush(home)]
    return [*figures, _floor(reads, home)]


def _flush(home: Path) -> Figure:
    """How long this disk takes to say that it holds what was written; an order waits for that several times."""
    seconds = []
    with (home / "flushed").open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    detail = f"middle half {spread(seconds)}"
    return Figure("  one fsync where the journal lies", in_ms(seconds), detail=detail)


def _held(server: Conversation) -> str:
    """Buy, and say what it is called."""
    server.call("place_order", **_order("MES"))
    answer, _ = server.call("get_positions", account=ACCOUNT)
    return str(answer["structuredContent"]["positions"][0]["instrument"])


def _reads(times: int, upstream: Upstream, server: Conversation) -> list[Figure]:
    def read() -> float:
        return server.call("get_positions", account=ACCOUNT)[1]

    with _replay(upstream, read) as replay:
        turns = _alternated(times, server, read, replay)
    return _figures("read call (get_positions)", 1.5, turns, replay.requests)


def _orders(times: int, upstream: Upstream, server: Conversation, order: dict[str, Any]) -> list[Figure]:
    """Ours buy two, and each of the raw ones sells one, so that every order meets the same account."""

    def buy() -> float:
        result, seconds = server.call("place_order", **order)
        if result["structuredContent"]["status"] != "filled":
            raise RuntimeError(f"the order was not filled: {result}")
        return seconds

    with _replay(upstream, buy) as replay:
        turns = _alternated(times, server, buy, replay)
    first, last = turns[:FEW], turns[-FEW:]
    listed = ORDERS_OF_A_TURN * (WARM_UP + times)
    rows = _figures(f"guarded order (place_order, market), {FEW} of a day", 8.0, first, replay.requests)
    return [*rows, *_figures(f"guarded order with {listed} orders of the day listed", None, last, replay.requests)]


def _replay(upstream: Upstream, call: Callable[[], float]) -> Replay:
    """See what one call sends, to send the same without us."""
    upstream.requests()
    call()
    return Replay(upstream, upstream.requests())


def _alternated(times: int, server: Conversation, call: Callable[[], float], replay: Replay) -> list[Turn]:
    def ours() -> tuple[float, float]:
        before = server.cpu_seconds() or 0.0
        return call(), (server.cpu_seconds() or 0.0) - before

    def one(turn: int) -> Turn:
        if turn % 2:
            blocking, (seconds, cpu), waiting = replay.blocking(), ours(), replay.waiting()
        else:
            waiting, (seconds, cpu), blocking = replay.waiting(), ours(), replay.blocking()
        return Turn(seconds, cpu, blocking, waiting)

    return [one(turn) for turn in range(-WARM_UP, times)][WARM_UP:]


def _figures(name: str, target: float | None, turns: list[Turn], requests: int) -> list[Figure]:
    """The medians of the differences, and what they are made of."""
    ours, cpu = [turn.ours for turn in turns], [turn.cpu for turn in turns]
    rows = [_beyond(f"{name}, beyond raw httpx", target, ours, [turn.blocking for turn in turns], requests)]
    rows += [_beyond("  beyond httpx.AsyncClient", None, ours, [turn.waiting for turn in turns], requests)]
    return [*rows, Figure("  processor time of our server", in_ms(cpu) if any(cpu) else None)]


def _beyond(name: str, target: float | None, ours: list[float], raw: list[float], requests: int) -> Figure:
    beyond = [mine - theirs for mine, theirs in zip(ours, raw, strict=True)]
    plural = "s" if requests > 1 else ""
    detail = (
        f"middle half {spread(beyond)}; {in_ms(ours):.2f} ms less {in_ms(raw):.2f} ms "
        f"for {requests} upstream request{plural}, {len(beyond)} of each"
    )
    return Figure(name, in_ms(beyond), "ms", target, detail)


def _order(instrument: str) -> dict[str, Any]:
    return {"account": ACCOUNT, "instrument": instrument, "action": "BUY", "quantity": 2, "order_type": "MARKET"}


def _floor(times: int, home: Path) -> Figure:
    with Conversation(script("floor.py"), home) as server:
        server.initialize()
        seconds = [server.call("echo", text="x")[1] for _ in range(WARM_UP + times)][WARM_UP:]
    detail = f"middle half {spread(seconds)}"
    return Figure("for comparison: a call of the one-tool floor", in_ms(seconds), detail=detail)
