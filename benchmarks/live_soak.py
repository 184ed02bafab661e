"""An hour of two hundred frames a second over a real socket, as fast as they are taken: is anything lost or kept?

``python benchmarks/live_soak.py URL TOKEN`` listens, and answers each line on stdin with what it has heard.
"""

import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from child import Child, script
from figures import Figure

FRAMES_PER_SECOND = 200
SETTLED_AFTER = 20_000
_LOOKS = 10


def measure(frames: int, home: Path) -> list[Figure]:
    """Push so many frames, looking at memory all the while."""
    with Child(script("pushing.py", "{}", "by-hand"), home) as service:
        told = json.loads(service.hear())
        with Child([sys.executable, __file__, told["url"], told["token"]], home) as listener:
            _asked(listener)
            return _soaked(frames, service, listener)


def _soaked(frames: int, service: Child, listener: Child) -> list[Figure]:
    _pushed(SETTLED_AFTER, service, listener)
    blocks = _asked(listener)["blocks"]
    settled, cpu, began = listener.resident_mib(), listener.cpu_seconds(), time.perf_counter()
    parts = [_pushed((frames - SETTLED_AFTER) // _LOOKS, service, listener) for _ in range(_LOOKS)]
    seconds, heard = time.perf_counter() - began, _asked(listener)
    spent = (listener.cpu_seconds() or 0.0) - (cpu or 0.0)
    pushed, sizes = sum(left for left, _ in parts), [size for _, size in parts]
    return [
        *_of_memory(settled, sizes, heard["frames"]),
        Figure("  growth of what Python holds", (heard["blocks"] / blocks - 1) * 100, "%", 1.0, f"{blocks:,} blocks"),
        Figure("  frames taken in a second", pushed / seconds, "", detail=_pace(pushed, seconds, spent)),
        Figure("  frames lost, and doubts after the first ten frames", heard["missing"] + heard["doubts"], "", 0.0),
        Figure("  most events told for one frame", heard["most_events"], "", detail=f"{heard['quotes']:,} were quotes"),
    ]


def _of_memory(settled: float | None, sizes: list[float | None], frames: int) -> list[Figure]:
    name = f"RSS growth over {frames / FRAMES_PER_SECOND / 60:.0f} minutes of 200 frames a second"
    if settled is None:
        return [Figure(name, None, "%", 5.0)]
    known = [size for size in sizes if size is not None]
    curve = " ".join(f"{size:.1f}" for size in known)
    detail = f"{settled:.1f} MiB after {SETTLED_AFTER:,} frames, then {curve} at {frames:,}"
    return [Figure(name, (known[-1] / settled - 1) * 100, "%", 5.0, detail)]


def _pace(pushed: int, seconds: float, spent: float) -> str:
    processor = f"{spent / pushed * 1e6:.0f} us of our processor time for each, " if spent else ""
    return f"{processor}{pushed:,} frames in {seconds:.0f} s; the simulator, which makes them, shares the machine"


def _pushed(frames: int, service: Child, listener: Child) -> tuple[int, float | None]:
    """Let so many frames leave, and wait until the last has come; how many left, and the memory then."""
    before = _asked(listener)["seq"]
    service.say(f"soak {frames}".encode())
    left = int(json.loads(service.hear())["left"])
    deadline = time.perf_counter() + 30
    while _asked(listener)["seq"] < before + left:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{left} frames left, and not all came: {_asked(listener)}")
        time.sleep(0.01)
    return left, listener.resident_mib()


def _asked(listener: Child) -> dict[str, int]:
    listener.say(b"")
    heard: dict[str, int] = json.loads(listener.hear())
    return heard


class Ear:
    """Hears what the stream tells, as the view does, and counts."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self._hear = hear
        self.frames = self.seq = self.missing = self.doubts = self.quotes = self.events = self.most_events = 0

    def hear(self, event: Any) -> None:
        """Take what the stream tells of the last frame."""
        self.events += 1
        self.most_events = max(self.most_events, self.events)
        self.quotes += type(event).__name__ == "Tick"
        self.doubts += self.frames > 10 and type(event).__name__ == "Doubt"
        self._hear(event)

    def take(self, text: str) -> None:
        """Look at the number of a frame."""
        self.events = 0
        seq = json.loads(text).get("seq") if '"seq":' in text else None
        if seq is not None:
            self.missing += seq != self.seq + 1
            self.frames, self.seq = self.frames + 1, seq


class Tapped:
    """The socket, with the frames counted and P&L asked for two hundred times a second."""

    def __init__(self, inner: Any, ear: Ear) -> None:
        self._inner, self._ear = inner, ear

    async def recv(self) -> str:
        """Receive one frame."""
        text = str(await self._inner.recv())
        self._ear.take(text)
        return text

    async def send(self, message: str) -> None:
        """Send, more impatient than we are."""
        often = f'"interval":{1000 // FRAMES_PER_SECOND}'
        await self._inner.send(message.replace('"interval":1000', often))


async def listen(url: str, token: str) -> None:
    """Feed a view from the stream as the server does, until stdin closes."""
    from ct_mcp.crosstrade.connection import utc_now  # noqa: PLC0415  # the measuring process needs none of these
    from ct_mcp.crosstrade.stream.socket import LiveStream, over_websocket  # noqa: PLC0415
    from ct_mcp.domain.instrument import Instrument  # noqa: PLC0415
    from ct_mcp.live.cache import LinkState, LiveCache  # noqa: PLC0415

    view, opener = LiveCache(utc_now), over_websocket(url, token)
    ear = Ear(view.hear)

    @asynccontextmanager
    async def tapped() -> AsyncIterator[Tapped]:
        async with opener() as socket:
            yield Tapped(socket, ear)

    tap: Callable[[], AbstractAsyncContextManager[Any]] = tapped
    stream = LiveStream(tap)
    view.follow(stream.protocol, lambda: (LinkState.OK, ""))
    stream.want(frozenset({Instrument("MES", 2026, 12), Instrument("ES", 2026, 12)}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, ear.hear, _ours)
        await anyio.sleep(1.5)  # till then it has connected and asked for everything
        while await to_thread.run_sync(sys.stdin.readline):
            kept = ("frames", "seq", "missing", "doubts", "quotes", "most_events")
            blocks = sys.getallocatedblocks()
            print(json.dumps({name: getattr(ear, name) for name in kept} | {"blocks": blocks}), flush=True)
        tasks.cancel_scope.cancel()


async def _ours() -> bool:
    return True


if __name__ == "__main__":
    anyio.run(listen, sys.argv[1], sys.argv[2])
