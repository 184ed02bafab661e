"""A trader's own commands and server over the real plane of a team: what it says is told, and nothing here lifts it."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from ct_mcp.cli.check_team import team_findings
from ct_mcp.cli.runtime import Runtime, team_of, utc_now
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.desk.membership import Membership
from ct_mcp.domain.team import EVERYBODY, SecondQuestion, SecondState
from ct_mcp.live.cache import LinkState
from ct_mcp.store.plane_team import TeamPlane
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Team, free_port

AtATerminal = Callable[..., Any]
CtMcp = Callable[..., subprocess.CompletedProcess[str]]
SECOND = '[limits]\nmax_order_contracts = 1\n[team]\nsecond_yes = "all"\ngrace_seconds = 60'


def url_of(member: PostgresUrl) -> str:
    """Write it out, with the password, as a variable may have it."""
    return str(member).replace(f"{member.user}@", f"{member.user}:{member.password}@")


@pytest.fixture
def settings(team: Team, tmp_path: Path) -> Settings:
    """Those of alice, whose state is in a folder."""
    return Settings(tmp_path / "state", plane=team.alice, token=Secret("token"))


async def heard(settings: Settings) -> Membership:
    """How it stands after the plane was asked once."""
    team = team_of(settings)
    await team.hear()
    await team.close()
    return team


async def test_a_risk_managers_word_reaches_the_trader_it_is_meant_for(team: Team, settings: Settings) -> None:
    rita = TeamPlane(team.rita, utc_now)
    await rita.set_policy(EVERYBODY, SECOND)
    await rita.halt(team.alice.user, "tilt")
    await rita.close()
    alice, bob = await heard(settings), await heard(replace(settings, plane=team.bob))
    assert alice.standing is not None
    assert alice.standing.halt is not None
    assert (alice.standing.halt.by, alice.standing.halt.reason) == (team.rita.user, "tilt")
    assert bob.standing is not None
    assert bob.standing.halt is None
    assert bob.policy.limits.max_order_contracts == 1


async def test_the_plane_is_asked_where_the_state_is_and_is_no_team_where_there_is_none(
    team: Team, trader: PostgresUrl, tmp_path: Path
) -> None:
    rita = TeamPlane(team.rita, utc_now)
    await rita.halt(EVERYBODY, "news")
    await rita.close()
    beside = await heard(Settings(tmp_path / "one", state=team.alice))
    assert beside.standing is not None
    assert beside.standing.halt is not None
    nobodys = await heard(Settings(tmp_path / "two", state=trader))
    assert nobodys.standing is not None
    assert (nobodys.standing.halt, nobodys.standing.lost) == (None, None)
    named = await heard(Settings(tmp_path / "three", plane=trader))
    assert named.standing is not None
    assert named.standing.lost is not None, "who names one is told that it is none"
    assert named.standing.lost.is_over(utc_now())


async def test_the_check_says_whether_it_is_reached_and_what_holds(team: Team, settings: Settings) -> None:
    rita = TeamPlane(team.rita, utc_now)
    (well,) = await team_findings(settings)
    assert (well.link.state, well.link.why) == (LinkState.OK, f"{team.alice}; it wants nothing of you")
    await rita.set_policy(EVERYBODY, SECOND)
    await rita.halt(EVERYBODY, "news")
    await rita.close()
    (well,) = await team_findings(settings)
    assert f"HALTED by {team.rita.user} of the team at " in well.link.why
    assert f"policy 1 for everybody, set by {team.rita.user} at " in well.link.why
    assert "need a second person's yes beside yours" in well.link.why
    assert "openings go on for 60 s" in well.link.why
    away = replace(settings, plane=replace(team.alice, port=free_port()))
    (broken,) = await team_findings(away)
    assert broken.link.state is LinkState.BROKEN
    assert "it was never heard; nothing opens until it answers; exits work" in broken.link.why
    assert "ct-mcp check" in broken.next_step
    assert await team_findings(Settings(settings.state_dir)) == ()


async def test_halting_and_resuming_say_that_only_a_risk_manager_lifts_a_halt_of_the_team(
    at_a_terminal: AtATerminal, team: Team, tmp_path: Path
) -> None:
    rita = TeamPlane(team.rita, utc_now)
    await rita.halt(EVERYBODY, "enough for today")
    await rita.close()
    for command, says in (("halt", "Trading is halted"), ("resume", "Trading is halted")):
        terminal = at_a_terminal(command, "--state-dir", str(tmp_path / "state"), CT_MCP_PLANE=url_of(team.alice))
        terminal.until(says)
        if command == "resume":
            terminal.until("> ")
            terminal.types("resume")
            terminal.until("Trading goes on")
        terminal.until("Your team has halted you")
        terminal.until("enough for today")
        terminal.until("only a risk manager of the team")
        assert terminal.ends() == (1 if command == "resume" else 0)


async def test_a_machine_reports_before_anybody_has_called_a_tool(team: Team, settings: Settings) -> None:
    runtime = Runtime(settings)
    await runtime.report()
    assert not runtime.is_used, "no client of the service was made"
    kept = [file.name for file in await to_thread.run_sync(lambda: list(settings.state_dir.iterdir()))]
    assert [name[:5] for name in kept] == ["team-"], "and no state but the plane's last word"
    await runtime.close()
    rita = TeamPlane(team.rita, utc_now)
    (seen,) = await rita.traders()
    await rita.close()
    assert seen.trader == team.alice.user
    assert seen.report is not None
    assert (seen.report.mode, seen.report.accounts) == ("sim", ())


async def test_a_question_is_answered_by_a_second_person_and_by_nobody_else(team: Team, settings: Settings) -> None:
    alice, rita, now = team_of(settings), TeamPlane(team.rita, utc_now), utc_now()
    assert alice.link is not None
    question = SecondQuestion("t-1", "f-1", "SIM", "BUY 1", ("line",), now, now + timedelta(seconds=60))
    await alice.link.plane.ask(question)
    (asked,) = await rita.questions()
    assert asked.trader == team.alice.user
    await rita.decide("t-1", "f-1", yes=True)
    answer = await alice.link.plane.answer("t-1")
    assert answer is not None
    assert (answer.state, answer.by) == (SecondState.APPROVED, team.rita.user)
    await alice.close()
    await rita.close()
