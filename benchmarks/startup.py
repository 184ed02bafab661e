"""From the start of the process to the answer of ``initialize``, to the first list of tools, and the memory it took."""

from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from child import installed, script
from conversation import Conversation
from figures import Figure, in_ms, spread

LISTS = 20


class Start(NamedTuple):
    """One process, from its start to its lists of tools."""

    wall: float
    cpu: float | None
    resident_mib: float | None
    tools: list[dict[str, Any]]
    first_list: float
    lists: list[float]


def start(command: list[str], home: Path) -> Start:
    """Start it, shake hands, list the tools, and let it go."""
    with Conversation(command, home) as server:
        wall, cpu = server.initialize(), server.cpu_seconds()
        tools, first = server.tools()
        resident = server.resident_mib()
        return Start(wall, cpu, resident, tools, first, [server.tools()[1] for _ in range(LISTS)])


def measure(rounds: int, home: Path) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Start both side by side, in alternating order; the figures, and our list of tools."""
    commands = {"ours": installed("serve", "--state-dir", str(home / "serve")), "floor": script("floor.py")}
    for command in commands.values():  # so that every .pyc is there and in the cache of the disk
        start(command, home)
    starts: dict[str, list[Start]] = {"ours": [], "floor": []}
    for turn in range(rounds):
        for name in ("ours", "floor") if turn % 2 else ("floor", "ours"):
            starts[name].append(start(commands[name], home))
    return [*_times(starts["ours"], starts["floor"]), *_lists(starts["ours"]), *_memory(**starts)], starts["ours"][
        0
    ].tools


def _times(ours: list[Start], floor: list[Start]) -> list[Figure]:
    rows = [_ratio("start to initialize, wall", [one.wall for one in ours], [one.wall for one in floor])]
    ours_cpu, floor_cpu = ([one.cpu for one in starts if one.cpu is not None] for starts in (ours, floor))
    if not ours_cpu:
        return [*rows, Figure("start to initialize, CPU", None, "x floor", 1.1)]
    return [*rows, _ratio("start to initialize, CPU", ours_cpu, floor_cpu)]


def _ratio(name: str, ours: list[float], floor: list[float]) -> Figure:
    own, least = (f"{in_ms(times):.0f} ms ({spread(times)})" for times in (ours, floor))
    detail = f"{own} against {least}, {len(ours)} starts of each"
    return Figure(name, median(ours) / median(floor), "x floor", 1.1, detail)


def _lists(ours: list[Start]) -> list[Figure]:
    firsts, later = [one.first_list for one in ours], [seconds for one in ours for seconds in one.lists]
    return [
        Figure("tools/list, the first", in_ms(firsts), "ms", 5.0, f"middle half {spread(firsts)}"),
        Figure("tools/list, p50", in_ms(later), "ms", 5.0, f"middle half {spread(later)}"),
    ]


def _memory(ours: list[Start], floor: list[Start]) -> list[Figure]:
    name, (own, least) = "RSS after start", ([one.resident_mib or 0.0 for one in starts] for starts in (ours, floor))
    if not median(own):
        return [Figure(name, None, "MiB", 75.0)]
    return [Figure(name, median(own), "MiB", 75.0, f"floor {median(least):.1f} MiB")]
