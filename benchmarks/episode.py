"""One episode: a server, a simulator, a state folder and a seed of their own, and some hundreds of deeds in a row."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from book import losses_in, lost_and_found, settled_wrongly
from deeds import ACCOUNT, ROOTS, Deed, Truth, drawn
from judge import Case, Found, Said, faults_in
from stage import Stage
from tally import Finding, Tally
from troubles import troubles
from ways import WAYS

# Between two deeds so much time passes. A repeated wish is refused for ten seconds, and what has no id is settled
# after sixty.
_BETWEEN_SECONDS, _NOW_AND_THEN_SECONDS = (11.0, 20.0), 70.0
_THE_PERSON_LOOKS_EVERY, _OLDER_THAN = 20, timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Name:
    """By which an episode can be repeated: the seed of the campaign, and its place in it."""

    seed: int
    number: int
    mutations: int

    @property
    def has_stream(self) -> bool:
        """Every second one listens to the stream as well, which then has faults of its own."""
        return self.number % 2 == 1

    @property
    def rng(self) -> Random:
        """All chance in it."""
        return Random(f"{self.seed}/{self.number}")


def played(name: Name, home: Path) -> Tally:
    """Play one episode, and count."""
    began, tally, rng = time.perf_counter(), Tally(), name.rng
    with ExitStack() as stack:
        stage = Stage(home, name.seed * 1_000 + name.number, stack, stream=name.has_stream)
        for number in range(name.mutations):
            _one(stage, rng, tally, Finding(name.seed, name.number, number, "", ""))
            if number % _THE_PERSON_LOOKS_EVERY == _THE_PERSON_LOOKS_EVERY - 1:
                tally.by_hand += len(stage.book.settle_by_hand(stage.now - _OLDER_THAN, stage.now))
        _end(stage, tally, Finding(name.seed, name.number, name.mutations, "", ""))
    tally.seconds = time.perf_counter() - began
    return tally


def _one(stage: Stage, rng: Random, tally: Tally, place: Finding) -> None:
    """One deed with whatever goes wrong meanwhile."""
    stage.pass_time(_NOW_AND_THEN_SECONDS if rng.random() < 0.05 else rng.uniform(*_BETWEEN_SECONDS))
    root, written = rng.choice(ROOTS), stage.book.last()
    before = stage.told(truth=root)
    deed = drawn(rng, before)
    way = rng.choices([*WAYS], [often for _, often in WAYS.values()])[0]
    arms = troubles(rng, deed, stream=stage.has_stream)
    stage.arm(arms)
    began = time.perf_counter()
    said = WAYS[way][0](stage.seat, deed, Random(rng.random()))
    is_quiet = stage.is_quiet()
    lasted = time.perf_counter() - began
    when, after = stage.told(truth=root), stage.let_go(root)
    case = Case(deed, said, before, when, after)
    entries = stage.book.since(written)
    tally.count(deed, way, arms, case, lasted)
    tally.halts += stage.book.resume(stage.now)
    for kind, what in _found(case, entries, is_quiet=is_quiet and after["is_quiet"]):
        tally.findings.append(place.of(kind, f"{what}; {_in_words(deed, way, arms, said)}"))


def _found(case: Case, entries: list[Any], *, is_quiet: bool) -> Iterator[tuple[str, str]]:
    yield from faults_in(case)
    yield from losses_in(entries, case)
    yield from settled_wrongly(entries, case.after)
    if not is_quiet:
        yield "loss", "it never came to an end"


def _end(stage: Stage, tally: Tally, place: Finding) -> None:
    """Let time pass, ask for something that is denied but settles first, and count what is left."""
    nothing = Deed("change_order", {"account": ACCOUNT, "order_id": "no-such-order", "quantity": 1})
    for _ in range(3):
        stage.pass_time(_NOW_AND_THEN_SECONDS)
        stage.seat.assistant.answer(stage.seat.assistant.begin(nothing))
        stage.book.resume(stage.now)
    entries, chain = stage.book.since(0), stage.book.verified()
    shown = stage.seat.assistant.answer(stage.seat.assistant.begin(Deed("get_status", {}))).structure
    if len(shown["unknown_outcomes"]) != (left := len(stage.book.unsettled())):
        tally.findings.append(place.of("loss", f"{left} are unsettled, get_status shows {shown['unknown_outcomes']}"))
    tally.found_out(lost_and_found(entries))
    tally.left_over([entry.summary for entry in stage.book.unsettled()])
    if not chain.ok:
        tally.findings.append(place.of("loss", f"the journal is broken at {chain.broken_at}: {chain.why}"))
    for kind, what in _unknown_to_the_journal(entries, stage.told(truth=ROOTS[0])):
        tally.findings.append(place.of(kind, what))


def _unknown_to_the_journal(entries: list[Any], truth: Truth) -> Found:
    """Orders of ours that nobody wrote down."""
    own_ids = {entry.own_id for entry in entries}
    for order in truth["orders"]:
        if order["own_id"] and order["own_id"] not in own_ids:
            yield "loss", f"the journal knows nothing of {order}"


def _in_words(deed: Deed, way: str, arms: list[Any], said: list[Said]) -> str:
    answers = [f"{each.status}: {each.text[:600]}" if each.is_heard else "unheard" for each in said]
    return f"{deed.tool} {deed.arguments} {way}, {arms}; {' // '.join(answers)}"
