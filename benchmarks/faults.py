"""The campaign: thousands of mutations while everything goes wrong, held against what has really happened.

    python benchmarks/faults.py --mutations 10000 --seed 1 --workers 2
    python benchmarks/faults.py --seed 1 --episode 7        # that one alone, with all that was found
    python benchmarks/faults.py --state postgres            # two machines over a database, by cables that break

It fails where anything was duplicated, lost, or said to be what it is not.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from episode import Name, play
from figures import load, machine
from report import Report
from shared_state import database_server

MUTATIONS_EACH = 250


def main() -> int:
    """Play all episodes, print the table; 1 where a lie or a loss was found."""
    chosen = _parser().parse_args()
    before, began, whole = machine(), time.perf_counter(), Report(episodes=0)
    for report in _reports(chosen):
        whole.add(report)
        for finding in report.findings:
            print(f"{finding}\n", file=sys.stderr, flush=True)
        print(f"{whole.mutations} mutations, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    told = {**before, "load": f"{before['load']} at the start, {load()} at the end"}
    told["took"] = f"{time.perf_counter() - began:.0f} s with {chosen.workers} workers, seed {chosen.seed}"
    print("\n".join(f"{name:<9} {value}" for name, value in told.items()), whole.table(), sep="\n\n")
    if chosen.json:
        figures = {each.name: getattr(whole, each.name) for each in fields(whole)}
        kept = {"machine": told, **figures, "findings": [asdict(finding) for finding in whole.findings]}
        chosen.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 1 if whole.findings else 0


def _reports(chosen: argparse.Namespace) -> Iterator[Report]:
    state = database_server() if chosen.state == "postgres" else nullcontext("")
    folder = TemporaryDirectory(prefix="ct-mcp-campaign-", dir=chosen.state_dir, ignore_cleanup_errors=True)
    with state as database, folder as home:
        names = [replace(name, database=database) for name in _names(chosen)]
        until = time.monotonic() + chosen.minutes * 60
        if chosen.workers == 1:
            yield from (_play_in(name, home) for name in names if time.monotonic() < until)
            return
        with ProcessPoolExecutor(chosen.workers, get_context("spawn")) as pool:
            futures = [pool.submit(_play_in, name, home) for name in names]
            for future in as_completed(futures):
                if time.monotonic() > until:
                    pool.shutdown(wait=False, cancel_futures=True)
                if not future.cancelled():
                    yield future.result()


def _names(chosen: argparse.Namespace) -> list[Name]:
    if chosen.episode is not None:
        return [Name(chosen.seed, chosen.episode, chosen.each)]
    count = -(-chosen.mutations // chosen.each)
    return [
        Name(chosen.seed, number, min(chosen.each, chosen.mutations - number * chosen.each)) for number in range(count)
    ]


def _play_in(name: Name, home: str) -> Report:
    return play(name, Path(home) / str(name.number))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int, help="play this one alone")
    parser.add_argument("--each", type=int, default=MUTATIONS_EACH, help="mutations of one episode")
    parser.add_argument("--workers", type=int, choices=(1, 2, 3, 4), default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no episode after so long")
    parser.add_argument("--state", choices=("sqlite", "postgres"), default="sqlite", help="what machines share")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--state-dir", metavar="DIR", help="where the journals lie; otherwise among temporary files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
