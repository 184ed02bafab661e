"""What a check found: each link with the one thing to do about it, the drift, and the exit code."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from ct_mcp.crosstrade.drift import Drift
from ct_mcp.crosstrade.words import redacted
from ct_mcp.server.answers.status import Link

ALL_WELL, BROKEN, DRIFTED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One link; ``next_step`` is empty where there is nothing to mend."""

    link: Link
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found; ``drift`` is None where no list of routes could be read."""

    base_url: str
    findings: tuple[Finding, ...]
    drift: Drift | None
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The links about which there is something to do."""
        return tuple(finding for finding in self.findings if finding.next_step)

    @property
    def exit_code(self) -> int:
        """For scripts. A broken link comes before drift, which may then be known in part only."""
        if self.broken:
            return BROKEN
        return DRIFTED if self.drift and self.drift.differences else ALL_WELL


def hiding(report: Report, secrets: Sequence[str]) -> Report:
    """The report with the token hidden wherever somebody else's words may have brought it."""
    drift = report.drift and replace(
        report.drift,
        differences=tuple(
            replace(each, name=redacted(each.name, secrets), theirs=redacted(each.theirs, secrets))
            for each in report.drift.differences
        ),
    )
    return replace(
        report,
        findings=tuple(_hidden(finding, secrets) for finding in report.findings),
        drift=drift,
        notes=tuple(redacted(note, secrets) for note in report.notes),
    )


def _hidden(finding: Finding, secrets: Sequence[str]) -> Finding:
    link = finding.link
    shown = Link(redacted(link.name, secrets), link.state, redacted(link.why, secrets))
    return Finding(shown, redacted(finding.next_step, secrets))


def as_json(report: Report) -> dict[str, object]:
    """The report for scripts."""
    return {
        "exit_code": report.exit_code,
        "base_url": report.base_url,
        "links": [
            {"link": one.link.name, "state": one.link.state, "why": one.link.why, "next_step": one.next_step}
            for one in report.findings
        ],
        "drift": None if report.drift is None else _drift(report.drift),
        "notes": list(report.notes),
    }


def _drift(drift: Drift) -> dict[str, object]:
    return {
        "differences": [asdict(difference) for difference in drift.differences],
        "compared": dict(drift.compared),
        "routes_of_other_products": drift.elsewhere,
    }
