"""The campaign in virtual time: desk, client and simulator in one event loop, all of it drawn from a seed.

    python benchmarks/campaign.py --mutations 10000 --seed 1 --workers 2
    python benchmarks/campaign.py --seed 1 --episode 7       # that one alone, with its whole story
    python benchmarks/campaign.py --stream                  # with the stream, and reviews that are kept fresh
    python benchmarks/campaign.py --legs                    # with entries that get their exits as they fill
    python benchmarks/campaign.py --watches                 # with trailing stops, times to be flat by, alerts
    python benchmarks/campaign.py --weather ODD_STATE        # with one of what goes wrong more often than the others
    python benchmarks/campaign.py --planted old-review       # with a known fault: prints the seed that finds it
    python benchmarks/campaign.py --plants                   # with each of them in turn: a table

It fails where anything was found; with a planted fault, where it was not.
"""

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context

from planted import PLANTS
from virtual_episode import MUTATIONS_EACH, Finding, Name, Played, played
from virtual_network import NetworkFault
from virtual_time import nothing_collected
from virtual_watches import played_watches


def main() -> int:
    """Play all episodes, and print what was found and counted."""
    chosen = _chosen()
    logging.getLogger("ct_mcp").setLevel(logging.ERROR)  # a look that failed for a full disk is what was wanted
    if chosen.plants:
        return _every_plant(chosen)
    if chosen.episode is not None:
        leans = PLANTS[chosen.planted].weather if chosen.planted else ""
        name = _name(chosen, chosen.episode, chosen.each, leans)
        only = play_one(name, chosen.planted)
        print("\n".join(only.story))
        return int(bool(only.findings))
    if chosen.planted:
        whole, first = _searched(chosen, chosen.planted)
        told = "NOT found" if first is None else f"found after {whole.mutations} mutations: {first}"
        print(f"{PLANTS[chosen.planted].what}: {told}")
        return int(first is None)
    began, whole = time.perf_counter(), Played(Name(chosen.seed, -1, has_watches=chosen.watches))
    for each in _all(chosen, None):
        _add(whole, each)
        for finding in each.findings:
            print(f"{finding}\n", file=sys.stderr, flush=True)
        if time.perf_counter() - began > chosen.minutes * 60:
            break
    print(_table(whole, time.perf_counter() - began))
    for finding in _first_of_each_kind(whole.findings):
        print(f"\n{finding}", "", *play_one(finding.name).story, sep="\n")
    return int(bool(whole.findings))


def _searched(chosen: argparse.Namespace, planted: str) -> tuple[Played, Finding | None]:
    """Play with a fault planted until it is found."""
    whole = Played(Name(chosen.seed, -1))
    for each in _all(chosen, planted):
        _add(whole, each)
        first = next((finding for finding in each.findings if is_of(planted, finding)), None)
        if first is not None:
            return whole, first
    return whole, None


def _every_plant(chosen: argparse.Namespace) -> int:
    """Search for each planted fault, and print the table."""
    print("| planted fault | found as | episode, mutation | after mutations |\n|---|---|---|---|")
    missed = 0
    for name in PLANTS:
        whole, first = _searched(chosen, name)
        missed += first is None
        row = ("not found", "", f"not within {whole.mutations:,}")
        if first is not None:
            row = (first.kind, f"{first.name.episode}, {first.mutation}", f"{whole.mutations:,}")
        print(f"| {name}: {PLANTS[name].what} | {' | '.join(row)} |", flush=True)
    return int(bool(missed))


def play_one(name: Name, planted: str | None = None) -> Played:
    """Play one episode, perhaps with a fault planted."""
    with PLANTS[planted].planted() if planted else nullcontext(), nothing_collected():
        return played_watches(name) if name.has_watches else played(name)


def _name(chosen: argparse.Namespace, episode: int, mutations: int, leans: str) -> Name:
    weather = chosen.weather or leans
    return Name(chosen.seed, episode, mutations, chosen.stream, chosen.legs, chosen.watches, weather)


def _all(chosen: argparse.Namespace, planted: str | None) -> Iterator[Played]:
    """Every episode in its order, whoever plays it."""
    count, leans = -(-chosen.mutations // chosen.each), PLANTS[planted].weather if planted else ""
    names = [_name(chosen, at, min(chosen.each, chosen.mutations - at * chosen.each), leans) for at in range(count)]
    if chosen.workers == 1:
        yield from (play_one(name, planted) for name in names)
        return
    with ProcessPoolExecutor(chosen.workers, get_context("spawn"), gc.freeze) as pool:
        futures = [pool.submit(play_one, name, planted) for name in names]
        try:
            yield from (future.result() for future in futures)
        finally:
            pool.shutdown(cancel_futures=True)


def is_of(planted: str, finding: Finding) -> bool:
    """Say whether the planted fault led to a finding: its episode has none of the sort without the plant."""
    plant = PLANTS[planted]
    if not plant.is_found_by(finding.kind, finding.what):
        return False
    return not any(plant.is_found_by(other.kind, other.what) for other in play_one(finding.name).findings)


def _add(whole: Played, each: Played) -> None:
    whole.mutations += each.mutations
    whole.findings += each.findings
    whole.answers += each.answers
    whole.writes += each.writes
    whole.struck += each.struck
    whole.legs += each.legs
    whole.virtual_seconds += each.virtual_seconds
    whole.cpu_seconds += each.cpu_seconds


def _first_of_each_kind(findings: list[Finding]) -> list[Finding]:
    return list({finding.kind: finding for finding in reversed(findings)}.values())


def _table(whole: Played, seconds: float) -> str:
    kinds = Counter(finding.kind for finding in whole.findings)
    rate = whole.mutations / whole.cpu_seconds if whole.cpu_seconds else 0.0
    rows = (
        ("mutations", f"{whole.mutations:,} in {whole.virtual_seconds / 3600:,.1f} virtual hours"),
        ("took", f"{seconds:,.0f} s, {rate:,.0f} mutations in a second of processor time"),
        ("writes", _listed(whole.writes)),
        ("answers", _listed(whole.answers)),
        ("faults that struck", _listed(whole.struck)),
        *(
            (("watches" if whole.name.has_watches else "entries with exits", _listed(whole.legs)),)
            if whole.legs
            else ()
        ),
        ("**findings**", f"**{_listed(kinds)}**"),
    )
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {what} | {measured} |" for what, measured in rows)])


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


def _chosen() -> argparse.Namespace:
    parser = _parser()
    chosen = parser.parse_args()
    if chosen.weather and chosen.watches:
        parser.error("--weather is about everything but --watches")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int, help="play this one alone, and tell its story")
    parser.add_argument("--each", type=int, default=MUTATIONS_EACH, help="mutations of one episode")
    parser.add_argument("--workers", type=int, choices=(1, 2, 3, 4), default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="play no longer than so")
    parser.add_argument("--plants", action="store_true", help="put each known fault back in turn")
    parser.add_argument("--stream", action="store_true", help="one process hears the stream, and keeps reviews fresh")
    parser.add_argument("--legs", action="store_true", help="entries with exits, which a watch of each process keeps")
    parser.add_argument("--watches", action="store_true", help="watches, under deaths, sleeps and clocks set wrong")
    faults = [fault.name for fault in NetworkFault]
    parser.add_argument(
        "--weather", choices=faults, default="", metavar="FAULT", help=f"more often: {', '.join(faults)}"
    )
    parser.add_argument(
        "--planted", choices=sorted(PLANTS), help="put this known fault back, and stop where it is found"
    )
    return parser


if __name__ == "__main__":
    gc.freeze()  # what was imported stays, and need not be looked through after each episode
    sys.exit(main())
