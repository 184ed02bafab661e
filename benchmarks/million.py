"""A long run of the campaign in virtual time, over all its varieties, that can be interrupted and goes on where it was.

    python benchmarks/million.py --log million.jsonl                     # a million mutations, a thousand of each seed
    python benchmarks/million.py --log million.jsonl --varieties legs stream --workers 2
    python benchmarks/million.py --log million.jsonl --mutations 0       # the table of what was played so far

Each seed is played in every variety. What was played stands in the log, a line for each seed and variety with the
commit that it was played on; it is not played again, and the table says how much was played on which code. What was
found is met again by `campaign.py` with the flags that are printed beside it. It fails where anything was found.
"""

import argparse
import gc
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path

from campaign import play_one
from virtual_episode import MUTATIONS_EACH, Name

FLAGS = {"plain": "", "stream": "--stream", "legs": "--legs", "legs-stream": "--legs --stream", "watches": "--watches"}
USUAL = ("plain", "stream", "legs", "watches")


@dataclass(frozen=True, slots=True)
class Row:
    """One seed in one variety, as it was played."""

    seed: int
    variety: str
    mutations: int
    commit: str
    findings: tuple[str, ...]
    seconds: float
    cpu_seconds: float


def main() -> int:
    """Play what is left, and print the table of all that was played."""
    chosen = _parser().parse_args()
    rows, is_whole = read(chosen.log), True
    try:
        for row in _played(chosen, rows):
            rows.append(row)
            with chosen.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(row)) + "\n")
            done = sum(each.mutations for each in rows)
            what = f"seed {row.seed} {row.variety}, {len(row.findings)} findings in {row.seconds:.0f} s"
            print("\n".join((f"{done:,} of {chosen.mutations:,}: {what}", *row.findings)), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        is_whole = False
        print("interrupted: the same command goes on from here", file=sys.stderr)
    print(table(rows))
    return 1 if any(row.findings for row in rows) else 0 if is_whole else 130


def read(log: Path) -> list[Row]:
    """What was played so far; a line that an interruption has cut is played again."""
    rows = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        rows.append(Row(**{**said, "findings": tuple(said["findings"])}))
    return rows


def _played(chosen: argparse.Namespace, rows: list[Row]) -> Iterator[Row]:
    """Play until there are so many; side by side, where several are to play."""
    left, commit = chosen.mutations - sum(row.mutations for row in rows), _commit()
    parts = islice(_parts(chosen, {(row.seed, row.variety) for row in rows}), max(0, -(-left // chosen.each_seed)))
    if chosen.workers == 1:
        yield from (play(seed, variety, chosen.each_seed, commit) for seed, variety in parts)
        return
    with ProcessPoolExecutor(chosen.workers, get_context("spawn"), gc.freeze) as pool:
        running: set[Future[Row]] = set()
        try:
            for seed, variety in parts:
                running.add(pool.submit(play, seed, variety, chosen.each_seed, commit))
                if len(running) == chosen.workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in running)
        finally:
            pool.shutdown(cancel_futures=True)


def _parts(chosen: argparse.Namespace, played: set[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    every = ((seed, variety) for seed in count(chosen.seed) for variety in chosen.varieties)
    return (part for part in every if part not in played)


def play(seed: int, variety: str, mutations: int, commit: str) -> Row:
    """Play one seed in one variety."""
    logging.getLogger("ct_mcp").setLevel(logging.ERROR)
    began, cpu, flags, findings = time.perf_counter(), 0.0, FLAGS[variety], list[str]()
    for at in range(-(-mutations // MUTATIONS_EACH)):
        size = min(MUTATIONS_EACH, mutations - at * MUTATIONS_EACH)
        each = play_one(Name(seed, at, size, "--stream" in flags, "--legs" in flags, "--watches" in flags))
        cpu += each.cpu_seconds
        # An episode that is shorter than others is another story from its first letter on.
        told = flags if size == MUTATIONS_EACH else f"{flags} --each {size}".strip()
        findings += [f"{told} {finding}".strip() for finding in each.findings]
    return Row(seed, variety, mutations, commit, tuple(findings), round(time.perf_counter() - began, 1), round(cpu, 1))


def table(rows: Iterable[Row]) -> str:
    """What was played of each variety on each commit, in the order of the log; then all findings."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.commit, row.variety), []).append(row)
    lines = ["| commit | variety | seeds | mutations | in a processor second | findings |", "|---|---|---|---|---|---|"]
    for (commit, variety), group in groups.items():
        seeds = f"{min(row.seed for row in group)} to {max(row.seed for row in group)}"
        mutations, cpu = sum(row.mutations for row in group), sum(row.cpu_seconds for row in group)
        findings = sum(len(row.findings) for row in group)
        lines.append(
            f"| {commit} | {variety} | {seeds} | {mutations:,} | {mutations / max(cpu, 0.1):.0f} | {findings} |"
        )
    every = [row for group in groups.values() for row in group]
    lines.append(
        f"\n{sum(row.mutations for row in every):,} mutations, {sum(len(row.findings) for row in every)} findings"
    )
    return "\n".join([*lines, *(f"{row.commit}: {finding}" for row in every for finding in row.findings)])


def _commit() -> str:
    """The code that is played, with a mark where it is not as it was committed."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=-changed"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, help="what was played, a line for each seed and variety")
    parser.add_argument("--mutations", type=int, default=1_000_000, help="so many in all, with what the log holds")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--each-seed", type=int, default=1_000, help="mutations of one seed in one variety")
    parser.add_argument("--varieties", nargs="+", choices=FLAGS, default=USUAL)
    parser.add_argument("--workers", type=int, choices=(1, 2, 3, 4), default=1)
    return parser


if __name__ == "__main__":
    for stops in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background lets it ignore the first
        signal.signal(stops, signal.default_int_handler)
    gc.freeze()  # what was imported stays, and need not be looked through after each episode
    sys.exit(main())
