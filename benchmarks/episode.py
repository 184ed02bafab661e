"""One episode: a server, a simulator, a state folder and a seed of their own, and hundreds of operations in a row."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from client_behaviours import BEHAVIOURS, OF_TWO_MACHINES
from fault_plan import plan_faults
from harness import Harness, Played
from journal_check import losses_in, lost_and_found, settled_wrongly
from judge import Found, Observation, Said, faults_in
from operations import ACCOUNT, ROOTS, Operation, Truth, draw
from report import Finding, Report

# Between two operations so much time passes. A repeated wish is refused for ten seconds, and what has no id is settled
# after sixty.
_BETWEEN_SECONDS, _NOW_AND_THEN_SECONDS = (11.0, 20.0), 70.0
_THE_PERSON_LOOKS_EVERY, _OLDER_THAN = 20, timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Name:
    """By which an episode can be repeated: the seed of the campaign, and its place in it."""

    seed: int
    number: int
    mutations: int
    database: str = ""
    """The URL of an administrator, where two machines share a database; without it there is one machine."""

    @property
    def has_stream(self) -> bool:
        """Every second one listens to the stream as well, which then has faults of its own."""
        return self.number % 2 == 1

    @property
    def rng(self) -> Random:
        """All chance in it."""
        return Random(f"{self.seed}/{self.number}")


def play(name: Name, home: Path) -> Report:
    """Play one episode, and count."""
    began, report, rng = time.perf_counter(), Report(), name.rng
    with ExitStack() as stack:
        played = Played(name.has_stream, name.database)
        harness = Harness(home, name.seed * 1_000 + name.number, stack, played)
        for number in range(name.mutations):
            _one(harness, rng, report, Finding(name.seed, name.number, number, "", ""))
            if number % _THE_PERSON_LOOKS_EVERY == _THE_PERSON_LOOKS_EVERY - 1:
                report.by_hand += len(harness.journal.settle_by_hand(harness.now - _OLDER_THAN, harness.now))
        _end(harness, report, Finding(name.seed, name.number, name.mutations, "", ""))
    report.seconds = time.perf_counter() - began
    return report


def _one(harness: Harness, rng: Random, report: Report, place: Finding) -> None:
    """One operation with whatever goes wrong meanwhile."""
    harness.pass_time(_NOW_AND_THEN_SECONDS if rng.random() < 0.05 else rng.uniform(*_BETWEEN_SECONDS))
    harness.sit_down(rng)
    root, written = rng.choice(ROOTS), harness.journal.last()
    before = harness.tell(truth=root)
    operation = draw(rng, before)
    known = OF_TWO_MACHINES if len(harness.machines) > 1 else BEHAVIOURS
    behaviour = rng.choices([*known], [often for _, often in known.values()])[0]
    arms = plan_faults(rng, operation, stream=harness.has_stream, shared=len(harness.machines) > 1)
    harness.arm(arms, rng)
    began = time.perf_counter()
    said = known[behaviour][0](harness.seat, operation, Random(rng.random()))
    is_quiet = harness.is_quiet()
    lasted = time.perf_counter() - began
    when, after = harness.tell(truth=root), harness.let_go(root, arms)
    observed = Observation(operation, said, before, when, after)
    entries = harness.journal.since(written)
    report.count(observed, behaviour, arms, lasted)
    report.halts += harness.journal.resume(harness.now)
    for kind, what in _found(observed, entries, is_quiet=is_quiet and after["is_quiet"]):
        report.findings.append(place.of(kind, f"{what}; {_describe(operation, behaviour, arms, said)}"))


def _found(observed: Observation, entries: list[Any], *, is_quiet: bool) -> Iterator[tuple[str, str]]:
    yield from faults_in(observed)
    yield from losses_in(entries, observed)
    yield from settled_wrongly(entries, observed.after)
    if not is_quiet:
        yield "loss", "it never came to an end"


def _end(harness: Harness, report: Report, place: Finding) -> None:
    """Let time pass, ask for something that is denied but settles first, and count what is left."""
    nothing = Operation("change_order", {"account": ACCOUNT, "order_id": "no-such-order", "quantity": 1})
    for _ in range(3):
        harness.pass_time(_NOW_AND_THEN_SECONDS)
        harness.seat.assistant.answer(harness.seat.assistant.begin(nothing))
        harness.journal.resume(harness.now)
    entries, chain = harness.journal.since(), harness.journal.verified()
    shown = harness.seat.assistant.answer(harness.seat.assistant.begin(Operation("get_status", {}))).structure
    if len(shown["unknown_outcomes"]) != (left := len(harness.journal.unsettled())):
        report.findings.append(place.of("loss", f"{left} are unsettled, get_status shows {shown['unknown_outcomes']}"))
    report.found_out(lost_and_found(entries))
    report.left_over([entry.summary for entry in harness.journal.unsettled()])
    if not chain.ok:
        report.findings.append(place.of("loss", f"the journal is broken at {chain.broken_at}: {chain.why}"))
    for kind, what in _unknown_to_the_journal(entries, harness.tell(truth=ROOTS[0])):
        report.findings.append(place.of(kind, what))


def _unknown_to_the_journal(entries: list[Any], truth: Truth) -> Found:
    """Orders of ours that nobody wrote down."""
    own_ids = {entry.own_id for entry in entries}
    for order in truth["orders"]:
        if order["own_id"] and order["own_id"] not in own_ids:
            yield "loss", f"the journal knows nothing of {order}"


def _describe(operation: Operation, behaviour: str, arms: list[Any], said: list[Said]) -> str:
    answers = [f"{each.status}: {each.text[:600]}" if each.is_heard else "unheard" for each in said]
    return f"{operation.tool} {operation.arguments} {behaviour}, {arms}; {' // '.join(answers)}"
