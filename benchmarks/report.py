"""What a campaign counts, and the table that it prints."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import median, quantiles

from fault_plan import Arm
from judge import KINDS, Observation

_CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One lie or loss, and where it is met again."""

    seed: int
    episode: int
    mutation: int
    kind: str
    what: str

    def of(self, kind: str, what: str) -> "Finding":
        """The same place, with what was found there."""
        return replace(self, kind=kind, what=what)

    def __str__(self) -> str:
        place = f"--seed {self.seed} --episode {self.episode}, mutation {self.mutation}"
        return f"{self.kind.upper()} ({place}): {self.what}"


@dataclass(slots=True)
class Report:
    """The figures of one episode, or of many."""

    mutations: int = 0
    calls: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    armed: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    found: dict[str, list[float]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)
    halts: int = 0
    by_hand: int = 0
    episodes: int = 1
    seconds: float = 0.0

    def count(self, observed: Observation, behaviour: str, arms: Iterable[Arm], lasted: float) -> None:
        """Count one operation."""
        self.mutations += 1
        self.calls += len(observed.said)
        self.tools[observed.operation.tool] += 1
        self.behaviours[behaviour] += 1
        self.lasted.append(lasted)
        self.writes.update(observed.writes)
        self.armed.update(fault for fault, _, _ in arms)
        for truth in (observed.when, observed.after):
            self.struck.update(truth["struck"])
        for said in observed.said:
            self.answers[said.status or ("error" if said.is_heard else "unheard")] += 1
            if said.status == "denied":
                codes = (_CODE.match(reason) for reason in said.structure["reasons"])
                self.denials.update(code[0] for code in codes if code)

    def found_out(self, found: Iterable[tuple[str, float]]) -> None:
        """Count who found out what became of what was lost, and after how long."""
        for who, seconds in found:
            self.found.setdefault(who, []).append(seconds)

    def left_over(self, summaries: Iterable[str]) -> None:
        """Count what is left, by what it was."""
        self.left.update(summary.split("  ")[-1].split(" ")[0] for summary in summaries)

    def add(self, other: "Report") -> None:
        """Take the figures of another episode in."""
        for name in ("tools", "behaviours", "answers", "denials", "writes", "armed", "struck", "left"):
            getattr(self, name).update(getattr(other, name))
        for name in ("mutations", "calls", "halts", "by_hand", "episodes", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings += other.findings
        self.lasted += other.lasted
        for who, seconds in other.found.items():
            self.found.setdefault(who, []).extend(seconds)

    def table(self) -> str:
        """The figures as the README shows them."""
        kinds = Counter(finding.kind for finding in self.findings)
        rows = [
            ("mutations · episodes", f"{self.mutations:,} · {self.episodes}"),
            ("calls that were made for them", f"{self.calls:,}: {_listed(self.behaviours)}"),
            ("writes that reached the simulator", f"{self.writes.total():,}: {_listed(self.writes)}"),
            ("faults that struck", f"{self.struck.total():,}, of {len(self.struck)} kinds"),
            *((f"**{_PLURAL[kind]}**", f"**{kinds[kind]}**") for kind in KINDS),
            ("answers", _listed(self.answers)),
            ("denials, by the rule", _listed(self.denials)),
            ("halts by the automatic rule, lifted by the person", f"{self.halts:,}"),
            ("lost or not seen at once", f"{sum(map(len, self.found.values())):,}"),
            *((f"… {_BY[who]}", _spread(self.found.get(who, []))) for who in _BY),
            ("… left at the end of its episode", f"{self.left.total()}: {_listed(self.left)}"),
            ("one mutation, with all its calls", _spread(self.lasted, digits=3)),
        ]
        return "\n".join(["| what | measured |", "|---|---|", *(f"| {what} | {measured} |" for what, measured in rows)])


_PLURAL = {
    "duplicate": "duplicates",
    "loss": "losses",
    "false flat": "false flat",
    "false filled": "false filled",
    "false rejected": "false rejected",
}
_BY = {
    "itself": "settled by the call that sent it",
    "later": "settled by a look before a later action",
    "person": "settled by the person, by hand",
}


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


def _spread(seconds: list[float], digits: int = 1) -> str:
    if len(seconds) < 2:
        return f"{len(seconds)}"
    late = quantiles(seconds, n=20, method="inclusive")[-1]
    figures = f"{median(seconds):.{digits}f} s, {late:.{digits}f} s, {max(seconds):.{digits}f} s"
    return f"{len(seconds):,}; median, 95th of a hundred, longest: {figures}"
