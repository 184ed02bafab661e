"""The benchmarks: ``python benchmarks/run.py``; ``--quick`` for a short run, ``--json FILE`` to keep the figures."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import calls
import memory
import startup
import tokens
from figures import Figure, load, machine, table


@dataclass(frozen=True, slots=True)
class Size:
    """How often each thing is done."""

    starts: int
    reads: int
    orders: int
    calls: int


FULL = Size(starts=15, reads=500, orders=200, calls=10_000)
QUICK = Size(starts=4, reads=100, orders=40, calls=1_000)


def main() -> None:
    """Measure everything, print the table."""
    chosen = _parser().parse_args()
    before = machine()
    with TemporaryDirectory(prefix="ct-mcp-benchmarks-", dir=chosen.state_dir, ignore_cleanup_errors=True) as home:
        figures = measured(QUICK if chosen.quick else FULL, Path(home))
    told = {**before, "load": f"{before['load']} at the start, {load()} at the end (this run alone makes about 1)"}
    print("\n".join(f"{name:<9} {value}" for name, value in told.items()), table(figures), sep="\n\n")
    if chosen.json:
        rows = [{**asdict(each), "verdict": each.verdict} for each in figures]
        chosen.json.write_text(json.dumps({"machine": told, "figures": rows}, indent=2) + "\n", encoding="utf-8")


def measured(size: Size, home: Path) -> list[Figure]:
    """One thing after the other, never two at once."""
    tools: list[dict[str, Any]] = []
    figures: list[Figure] = []

    def starts() -> list[Figure]:
        rows, listed = startup.measure(size.starts, home)
        tools.extend(listed)
        return rows

    steps: dict[str, Callable[[], list[Figure]]] = {
        "starting": starts,
        "calling": lambda: calls.measure(size.reads, size.orders, home),
        "remembering": lambda: memory.measure(size.calls, home),
        "counting": lambda: [*tokens.of_bars(tools, home), *tokens.of_tools(tools)],
    }
    for name, step in steps.items():
        print(f"{name} ...", file=sys.stderr)
        figures += step()
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: half a minute instead of two or three")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument(
        "--state-dir", metavar="DIR", help="where the journal lies meanwhile; otherwise among temporary files"
    )
    return parser


if __name__ == "__main__":
    main()
