"""Shows what a check found to a person."""

from ct_mcp import __version__
from ct_mcp.cli.check_report import Finding, Report
from ct_mcp.cli.screen import Screen
from ct_mcp.crosstrade.drift import Difference, Drift
from ct_mcp.server.present import counted

_MORE = "  "


def show(report: Report, screen: Screen, *, simulated: bool = False) -> None:
    """Tell it all: the links, the routes, and what it comes to."""
    screen.say(f"ct-mcp {__version__}: every link from here to the broker", "bold")
    screen.say("the embedded simulator" if simulated else report.base_url)
    screen.say()
    for finding in report.findings:
        _link(finding, screen)
    for note in report.notes:
        screen.detail(f"note: {note}")
    screen.say()
    _routes(report.drift, screen)
    screen.say()
    _verdict(report, screen)


def _link(finding: Finding, screen: Screen) -> None:
    link = finding.link
    told = f"{link.name}: {link.why}" if link.why else link.name
    if finding.next_step:
        screen.bad(told if link.state == "broken" else f"{link.name}, not known: {link.why}")
        _further(f"Next: {finding.next_step}.", screen)
    elif link.state == "ok":
        screen.good(told)
    else:
        screen.detail(f"- {told}", "quiet")


def _routes(drift: Drift | None, screen: Screen) -> None:
    screen.say("The service's routes against those that this version knows", "bold")
    if drift is None:
        screen.detail("- not compared", "quiet")
        return
    for difference in drift.differences:
        _difference(difference, screen)
    if not drift.differences:
        screen.good("nothing is missing, new or changed")
    if drift.elsewhere:
        screen.detail(f"- {counted(drift.elsewhere, 'route')} of other products, which are not compared", "quiet")


def _difference(it: Difference, screen: Screen) -> None:
    where = " and ".join(it.seen_in)
    screen.bad(f"{it.kind}, by {where}: {it.name or it.theirs}")
    if it.ours:
        assumed = f" (assumed: {it.assumed})" if it.assumed else ""
        _further(f"ours    {it.ours}{assumed}", screen)
    if it.theirs and it.name:
        _further(f"theirs  {it.theirs}", screen)


def _further(text: str, screen: Screen) -> None:
    screen.say(text, indent=" " * (5 + len(screen.marks.bad)), hanging=len(_MORE))


def _verdict(report: Report, screen: Screen) -> None:
    drifted = len(report.drift.differences) if report.drift else 0
    if broken := len(report.broken):
        screen.say(
            f"{counted(broken, 'link')} to mend{', from the top' if broken > 1 else ''}{_and_drift(drifted)}", "bad"
        )
    elif drifted:
        screen.say(
            f"Every link holds, but {counted(drifted, 'route')} differ{'s' if drifted == 1 else ''}. "
            "What uses them may fail: look for a newer version of ct-mcp.",
            "bad",
        )
    else:
        screen.say("All well: every link holds, and the service is as this version knows it.", "good")


def _and_drift(drifted: int) -> str:
    return f"; {counted(drifted, 'route')} differ{'s' if drifted == 1 else ''}." if drifted else "."
