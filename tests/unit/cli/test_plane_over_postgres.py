"""``ct-mcp plane`` as processes against a real PostgreSQL: what a risk manager does, and what two traders then hear."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

import pytest

from ct_mcp.domain.team import SecondQuestion, SecondState
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres import PostgresStore
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Team, as_text
from tests.team import account, report

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

POLICY = '[limits]\nmax_order_contracts = 2\n\n[team]\nsecond_yes = "live"\n'


@pytest.fixture
async def alice(team: Team) -> AsyncIterator[TraderPlane]:
    """The plane as a machine of alice's has it."""
    plane = TraderPlane(team.alice, required=True)
    yield plane
    await plane.close()


@pytest.fixture
async def bob(team: Team) -> AsyncIterator[TraderPlane]:
    """The plane as a machine of bob's has it."""
    plane = TraderPlane(team.bob, required=True)
    yield plane
    await plane.close()


def as_member(member: PostgresUrl) -> dict[str, str]:
    """The environment of a member's terminal."""
    return {"CT_MCP_PLANE": as_text(member)}


def question(ticket_id: str = "t-4711") -> SecondQuestion:
    """What a trader's desk asks the team."""
    now = datetime.now(UTC)
    lines = ("Position flat now, +2 after", "Risk 100.00 (USD, over 80 ticks)")
    return SecondQuestion(
        ticket_id, "ab12cd34", "LIVE ACCOUNT - REAL MONEY", "BUY 2 MES", lines, now, now + timedelta(seconds=85)
    )


async def test_two_traders_rows_are_shown_and_a_trader_sees_the_own_alone(
    ct_mcp: CtMcp, team: Team, alice: TraderPlane, bob: TraderPlane
) -> None:
    now = datetime.now(UTC)
    await alice.report(report(account(held=[("MES 12-26", 2)], read_at=now), mode="live"))
    await bob.report(report(account(read_at=now)))
    told = json.loads(ct_mcp("plane", "show", "--json", **as_member(team.rita)).stdout)
    assert [(one["trader"], one["silent"], one["accounts"][0]["stands"]) for one in told["machines"]] == [
        (team.alice.user, False, "+2 MES 12-26"),
        (team.bob.user, False, "flat"),
    ]
    own = json.loads(ct_mcp("plane", "show", "--json", **as_member(team.bob)).stdout)
    assert [one["trader"] for one in own["machines"]] == [team.bob.user]


async def test_everybody_is_halted_from_a_script_and_resumed_only_at_a_terminal(
    ct_mcp: CtMcp, at_a_terminal: AtATerminal, team: Team, alice: TraderPlane, bob: TraderPlane
) -> None:
    halted = ct_mcp("plane", "halt", "--all", "--reason", "fomc", **as_member(team.rita))
    assert halted.returncode == 0, halted.stderr
    for trader in (alice, bob):
        halt = (await trader.word()).halt
        assert halt is not None
        assert (halt.by, halt.reason) == (team.rita.user, "fomc")
    assert ct_mcp("plane", "resume", "--all", given="resume\n", **as_member(team.rita)).returncode == 2
    terminal = at_a_terminal("plane", "resume", "--all", **as_member(team.sam))
    terminal.until("fomc")
    terminal.until("> ")
    terminal.types("resume")
    terminal.until("Resumed: everybody")
    assert terminal.ends() == 0
    assert (await alice.word()).halt is None


async def test_a_policy_that_was_shown_and_typed_reaches_the_traders(
    at_a_terminal: AtATerminal, team: Team, tmp_path: Path, alice: TraderPlane, bob: TraderPlane
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY, encoding="utf-8")
    terminal = at_a_terminal("plane", "policy", "set", str(file), "--trader", team.alice.user, **as_member(team.rita))
    terminal.until("+ max_order_contracts = 2")
    terminal.until("> ")
    assert not (await alice.word()).policies
    terminal.types("set")
    terminal.until("holds, for")
    assert terminal.ends() == 0
    assert [policy.text for policy in (await alice.word()).policies] == [POLICY]
    assert not (await bob.word()).policies


async def test_a_second_question_is_answered_at_a_terminal_and_the_trader_hears_it(
    ct_mcp: CtMcp, at_a_terminal: AtATerminal, team: Team, alice: TraderPlane
) -> None:
    await alice.ask(question())
    listed = ct_mcp("plane", "questions", **as_member(team.rita))
    assert "ct-mcp plane answer t-4711" in listed.stdout
    terminal = at_a_terminal("plane", "answer", "t-4711", **as_member(team.rita))
    terminal.until("LIVE ACCOUNT - REAL MONEY")
    terminal.until("Risk 100.00")
    terminal.until("> ")
    terminal.types("yes")
    terminal.until("That is not the text")
    terminal.until("> ")
    terminal.types(f"{team.alice.user} ab12")
    terminal.until("Your yes is kept")
    assert terminal.ends() == 0
    answer = await alice.answer("t-4711")
    assert answer is not None
    assert (answer.state, answer.by) == (SecondState.APPROVED, team.rita.user)


async def test_a_trader_cannot_answer_halt_or_set_whatever_is_typed(
    ct_mcp: CtMcp, at_a_terminal: AtATerminal, team: Team, alice: TraderPlane
) -> None:
    await alice.ask(question())
    terminal = at_a_terminal("plane", "answer", "t-4711", **as_member(team.alice))
    terminal.until("only a risk manager")
    assert terminal.ends() == 1
    refused = ct_mcp("plane", "halt", team.bob.user, **as_member(team.alice))
    assert refused.returncode == 1
    assert "only a risk manager" in refused.stderr
    answer = await alice.answer("t-4711")
    assert answer is not None
    assert answer.state is SecondState.WAITING


async def test_the_acts_say_who_did_what_and_their_chain_is_whole(ct_mcp: CtMcp, team: Team) -> None:
    ct_mcp("plane", "halt", team.alice.user, "--reason", "tilt", **as_member(team.rita))
    told = ct_mcp("plane", "acts", **as_member(team.sam))
    assert told.returncode == 0, told.stderr
    assert f"{team.rita.user} halted {team.alice.user}" in " ".join(told.stdout.split())
    assert "Whole:" in told.stdout
    team.run_unguarded("UPDATE acts SET detail = '{}' WHERE act = 'halted'")
    assert ct_mcp("plane", "acts", **as_member(team.sam)).returncode == 1


async def test_a_traders_journal_is_read_where_the_state_is_in_this_database(ct_mcp: CtMcp, team: Team) -> None:
    elsewhere = ct_mcp("plane", "journal", team.bob.user, **as_member(team.rita))
    assert elsewhere.returncode == 1
    assert "the state is elsewhere" in elsewhere.stderr
    team.keep_state_of(team.alice)
    store = PostgresStore(team.alice)
    await store.append(NewEntry(EntryKind.ERROR, "something went wrong"), datetime.now(UTC))
    await store.close()
    opened = ct_mcp("plane", "sql", "--trader", team.alice.user)
    team.run(opened.stdout)
    told = ct_mcp("plane", "journal", team.alice.user, **as_member(team.rita))
    assert told.returncode == 0, told.stderr
    assert "something went wrong" in told.stdout
    assert "Whole: 1 entries" in told.stdout


async def test_who_is_no_member_is_told_so(ct_mcp: CtMcp, team: Team) -> None:
    stranger = team.member("mallory")
    team.run(ct_mcp("plane", "sql", "--remove", stranger.user).stdout)
    told = ct_mcp("plane", "show", **as_member(stranger))
    assert told.returncode == 1
    assert "member" in told.stderr
    assert stranger.password not in told.stderr + told.stdout


async def test_the_page_halts_and_answers_at_the_real_plane(
    at_a_terminal: AtATerminal, team: Team, alice: TraderPlane
) -> None:
    await alice.report(report(account(read_at=datetime.now(UTC))))
    await alice.ask(question())
    terminal = at_a_terminal("plane", "serve", "--no-browser", **as_member(team.rita))
    terminal.until("  http://")
    url = f"http://{terminal.line()}"
    terminal.until("until Ctrl-C")
    terminal.until("No PIN is set on this machine")
    browser = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))

    def opens(address: str, **form: str) -> str:
        origin = re.match(r"http://[^/]+", address)
        assert origin is not None
        data = urlencode(form).encode() if form else None
        with closing(browser.open(Request(address, data, {"Origin": origin[0]}), timeout=60)) as answer:
            text: str = answer.read().decode()
        return text

    (path,) = re.findall(r"0;url=(/s/[^/]+)/", opens(url))
    base = f"{url.partition('/open/')[0]}{path}"
    page = opens(f"{base}/")
    assert team.alice.user in page
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
    opens(f"{base}/halt", csrf=csrf, trader=team.alice.user, reason="tilt")
    halt = (await alice.word()).halt
    assert halt is not None
    assert halt.reason == "tilt"
    csrf = re.findall(r'name="csrf" value="([^"]+)"', opens(f"{base}/ticket/t-4711"))[0]
    assert "It can never be sent." in opens(f"{base}/ticket/t-4711/decline", csrf=csrf)
    answer = await alice.answer("t-4711")
    assert answer is not None
    assert answer.state is SecondState.DECLINED
    terminal.interrupts()
    terminal.until("The page of the team has ended")
    assert terminal.ends() == 0
