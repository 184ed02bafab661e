"""What the stream is worth: ``python benchmarks/live.py``; ``--quick`` for a short run, ``--json FILE`` to keep it.

Everything is measured beside its opposite, with the stream and without, in one run and in alternating order.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Self

import child
import live_soak
import live_talk
from child import Child, script
from conversation import Conversation
from figures import Figure, in_ms, load, machine, spread, table

ACCOUNT = "Sim101"
LONGEST_LIFE_SECONDS = 900.0
AT_ONCE = {"acknowledgement_seconds": 0.0, "fill_seconds": 0.0}
SLOWLY = {"acknowledgement_seconds": 0.05, "fill_seconds": 0.35}
QUIET_SECONDS = 1.1
STREAM_BEGINS_SECONDS = 1.5
QUOTE = "crosstrade://quotes/MES"


@dataclass(frozen=True, slots=True)
class Size:
    """How often each thing is done."""

    reads: int
    notices: int
    orders: int
    frames: int


FULL = Size(reads=300, notices=20, orders=20, frames=720_000)
QUICK = Size(reads=50, notices=3, orders=3, frames=30_000)


class Service(Child):
    """The simulator with its socket."""

    def __init__(self, pace: dict[str, float], home: Path, clock: str = "wall") -> None:
        """Start it and read where it listens."""
        super().__init__(script("pushing.py", json.dumps(pace), clock), home)
        told = json.loads(self.hear())
        self.url, self.token = str(told["url"]), str(told["token"])

    def asked(self, line: str) -> dict[str, Any]:
        """Say a line and hear what it comes to."""
        self.say(line.encode())
        answer: dict[str, Any] = json.loads(self.hear())
        return answer

    def requests(self) -> int:
        """How many came since this was last asked."""
        return int(self.asked("count")["requests"])


class Listener(Conversation):
    """A client that notes when each line came, whatever else it is doing."""

    def __enter__(self) -> Self:
        self._lines: Queue[tuple[bytes, float]] = Queue()
        Thread(target=self._listen, daemon=True).start()
        return self

    def hear(self) -> bytes:
        """Take the next line."""
        return self._lines.get(timeout=30)[0]

    def forget(self) -> None:
        """Pass over what came till now."""
        while not self._lines.empty():
            self._lines.get()

    def told_at(self) -> float:
        """When the next notice came."""
        while True:
            line, at = self._lines.get(timeout=30)
            if json.loads(line).get("method") == "notifications/resources/updated":
                return at

    def _listen(self) -> None:
        for line in self._from:
            self._lines.put((line, time.perf_counter()))


@dataclass(slots=True)
class Side:
    """One of two servers before the same simulator: how long its calls took, and what they cost."""

    server: Conversation
    service: Service
    seconds: list[float]
    requests: int = 0

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call, and keep the figures."""
        self.service.requests()
        result, seconds = self.server.call(tool, **arguments)
        self.seconds.append(seconds)
        self.requests += self.service.requests()
        answer: dict[str, Any] = result["structuredContent"]
        return answer

    def begin(self) -> None:
        """Forget the figures."""
        self.seconds, self.requests = [], 0


def two_sides(service: Service, home: Path, stack: ExitStack) -> tuple[Side, Side]:
    """A server with the stream and one without, both warm; the stream has heard of the account."""
    sides = [Side(stack.enter_context(_server(service, home, stream)), service, []) for stream in ("on", "off")]
    for side in sides:
        side.server.initialize()
        side.call("get_quotes", instruments=["MES", "ES"])
    time.sleep(STREAM_BEGINS_SECONDS)  # the stream begins with the first call
    for side in sides:
        _trade(side, "BUY")
    return sides[0], sides[1]


def _server(service: Service, home: Path, stream: str, kind: type[Conversation] = Conversation) -> Conversation:
    state_dir = home / f"{service.url.rpartition(':')[2]}-{stream}"
    return kind(script("fed.py", service.url, service.token, str(state_dir), stream), home)


def _trade(side: Side, action: str) -> None:
    order = {"account": ACCOUNT, "instrument": "MES", "quantity": 1, "order_type": "MARKET", "action": action}
    answer = side.call("place_order", **order)
    if answer["status"] != "filled":
        raise RuntimeError(f"the order was not filled: {answer}")


def reading(times: int, home: Path) -> list[Figure]:
    """Quotes and positions, live and by request."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        live, asked = two_sides(stack.enter_context(Service(AT_ONCE, home)), home, stack)
        for tool, arguments in (
            ("get_quotes", {"instruments": ["MES", "ES"]}),
            ("get_positions", {"account": ACCOUNT}),
        ):
            _alternated(range(-10, times), live, asked, _caller(tool, arguments))
            figures += _of_reads(tool, live, asked)
    return figures


def _caller(tool: str, arguments: dict[str, Any]) -> Callable[[Side, int], object]:
    return lambda side, _: side.call(tool, **arguments)


def _alternated(turns: range, live: Side, asked: Side, call: Callable[[Side, int], object]) -> None:
    """Each side in turn first; what comes before turn zero is no figure."""
    for turn in turns:
        if turn == 0:
            live.begin()
            asked.begin()
        for side in (live, asked) if turn % 2 else (asked, live):
            call(side, turn)


def _of_reads(tool: str, live: Side, asked: Side) -> list[Figure]:
    ratio = median(live.seconds) / median(asked.seconds)
    cost = f"{live.requests} upstream requests for {len(live.seconds)} calls, by request {asked.requests}"
    beside = f"by request {in_ms(asked.seconds):.2f} ms: live is {ratio:.2f} of it; {cost}"
    slowest = f"by request {_p95(asked.seconds):.2f} ms: live is {_p95(live.seconds) / _p95(asked.seconds):.2f} of it"
    return [
        Figure(f"{tool} live, p50", in_ms(live.seconds), detail=beside),
        Figure(f"{tool} live, p95", _p95(live.seconds), detail=slowest),
    ]


def _p95(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=20)[-1] * 1000


def noticing(times: int, home: Path) -> list[Figure]:
    """From the frame's sending to the client's having the notice, each after more than a second of quiet."""
    with Service(AT_ONCE, home, "by-hand") as service, _server(service, home, "on", Listener) as server:
        assert isinstance(server, Listener)
        server.initialize()
        server.ask("resources/subscribe", {"uri": QUOTE})
        time.sleep(STREAM_BEGINS_SECONDS)
        seconds = [_noticed(service, server) for _ in range(times + 1)][1:]
    detail = f"middle half {spread(seconds)}, longest {max(seconds) * 1000:.1f}; {times} notices"
    return [Figure("quote pushed -> notice at the client, p50", in_ms(seconds), detail=detail)]


def _noticed(service: Service, server: Listener) -> float:
    time.sleep(QUIET_SECONDS)
    server.forget()
    while (left_at := service.asked("push")["left_at"]) is None:
        pass  # the market stood still in that second
    return server.told_at() - float(left_at)


def filling(times: int, home: Path) -> list[Figure]:
    """From ``place_order`` to the answer that it is filled, where the fill takes 0.4 seconds."""
    with ExitStack() as stack:
        live, asked = two_sides(stack.enter_context(Service(SLOWLY, home)), home, stack)
        _alternated(range(-2, times), live, asked, lambda side, turn: _trade(side, "SELL" if turn % 2 else "BUY"))
    ratio = median(live.seconds) / median(asked.seconds)
    detail = f"{_of_fills(live, times)}; live is {ratio:.2f} of the other"
    return [
        Figure("order that fills in 0.4 s -> told as filled, live, p50", in_ms(live.seconds), detail=detail),
        Figure("  without the stream", in_ms(asked.seconds), detail=_of_fills(asked, times)),
    ]


def _of_fills(side: Side, times: int) -> str:
    return f"middle half {spread(side.seconds)}; {side.requests / times:.1f} upstream requests each"


def main() -> None:
    """Measure everything, print the table."""
    chosen = _parser().parse_args()
    child.LONGEST_LIFE_SECONDS = LONGEST_LIFE_SECONDS
    before = machine()
    with TemporaryDirectory(prefix="ct-mcp-live-", ignore_cleanup_errors=True) as home:
        figures = measured(QUICK if chosen.quick else FULL, Path(home))
    told = {**before, "load": f"{before['load']} at the start, {load()} at the end (this run alone makes about 2)"}
    print("\n".join(f"{name:<9} {value}" for name, value in told.items()), table(figures), sep="\n\n")
    if chosen.json:
        rows = [{**asdict(each), "verdict": each.verdict} for each in figures]
        chosen.json.write_text(json.dumps({"machine": told, "figures": rows}, indent=2) + "\n", encoding="utf-8")


def measured(size: Size, home: Path) -> list[Figure]:
    """One thing after the other, never two at once."""
    steps: dict[str, Callable[[], list[Figure]]] = {
        "reading": lambda: reading(size.reads, home),
        "talking": lambda: live_talk.measure(home),
        "noticing": lambda: noticing(size.notices, home),
        "filling": lambda: filling(size.orders, home),
        "soaking": lambda: live_soak.measure(size.frames, home),
    }
    figures: list[Figure] = []
    for name, step in steps.items():
        began = time.perf_counter()
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        figures += step()
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser


if __name__ == "__main__":
    main()
