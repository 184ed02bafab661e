"""The rules in one tuple, and the review that runs all of them."""

from dataclasses import dataclass
from enum import StrEnum

from ct_mcp.domain.action import Action
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, Rule


class Result(StrEnum):
    """How one rule came out."""

    PASSED = "passed"
    DENIED = "denied"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule by its name, how it came out, and one line of figures; ``not_checked`` is what it could not look at."""

    rule: str
    result: Result
    figures: str
    not_checked: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What all rules said of one action; ``denials`` and ``verdicts`` in the order of `RULES`."""

    denials: tuple[Denial, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def passes(self) -> bool:
        """Say whether no rule denies it."""
        return not self.denials

    @property
    def checks_not_run(self) -> tuple[str, ...]:
        """What could not be looked at, each with the name of its rule."""
        return tuple(f"{verdict.rule}: {verdict.not_checked}" for verdict in self.verdicts if verdict.not_checked)


RULES: tuple[Rule, ...] = ()


def review(action: Action, view: View, policy: Policy) -> Review:
    """Run every rule; ``policy`` must be the one narrowed to the account and root of the action."""
    findings = [(rule.__name__.replace("_", " "), rule(action, view, policy)) for rule in RULES]
    denials = tuple(finding for _, finding in findings if isinstance(finding, Denial))
    return Review(denials, tuple(_verdict(name, finding) for name, finding in findings))


def _verdict(name: str, finding: Finding) -> Verdict:
    match finding:
        case Passed():
            return Verdict(name, Result.PASSED, finding.figures, finding.not_checked)
        case NotApplicable():
            return Verdict(name, Result.NOT_APPLICABLE, finding.why)
        case Denial():
            return Verdict(name, Result.DENIED, str(finding))
