"""``ct-mcp plane``: what a risk manager sees and does at a terminal, and what no script, trader or assistant does."""

import io
import json
import subprocess
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli import pin
from ct_mcp.cli.parser import run
from ct_mcp.cli.plane import halt, resume
from ct_mcp.cli.plane_access import AtThePlane, checked, plane_url
from ct_mcp.cli.plane_policy import clear_policy, set_policy, show_policy
from ct_mcp.cli.plane_questions import tell_answer, tell_questions
from ct_mcp.cli.plane_records import tell_acts, tell_journal
from ct_mcp.cli.plane_show import tell_show
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import EVERYBODY, Member, SecondState, TeamHalt, TeamRole
from ct_mcp.errors import ConfigError, CtMcpError, Refused
from ct_mcp.store.journal import Entry, EntryKind, Verification
from ct_mcp.store.postgres_url import parse_postgres_url
from ct_mcp.store.sqlite import SqliteStore
from tests.team import NOW, RISK, FakeTeam, account, asked, report, seen, with_traders

CtMcp = Callable[..., subprocess.CompletedProcess[str]]

PIN = "pin-4711"
POLICY = "[limits]\nmax_order_contracts = 2\n"
SECRET = "the-words-of-a-password"
REST = ("questions", "answer", "journal", "acts", "sql")
ASKED_OF_A_PERSON = (
    ("resume", "alice"),
    ("resume", "--all"),
    ("policy", "set", "policy.toml"),
    ("policy", "clear"),
    ("answer", "t-4711"),
    ("serve",),
)


@dataclass
class Desk:
    """Somebody at the plane who types these lines, and what they were shown."""

    team: FakeTeam
    pins: SqliteStore
    out: io.StringIO = field(default_factory=io.StringIO)
    left: list[str] = field(default_factory=list)

    def types(self, *lines: str) -> "Desk":
        """Type these, one after the other; nothing after the last."""
        self.left.extend(lines)
        return self

    async def ask(self) -> str:
        """The next line that is typed."""
        return self.left.pop(0) if self.left else ""

    def at(self, **chosen: object) -> AtThePlane:
        """The plane, with what the command line gave."""
        usual = {"trader": None, "all": False, "reason": "", "json": False, "limit": 20, "database": None}
        return AtThePlane(self.team, self.pins, Screen(self.out), Namespace(**{**usual, **chosen}), self.ask)

    @property
    def shown(self) -> str:
        """All that they were shown, in one line."""
        return " ".join(self.out.getvalue().split())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "state")
    yield Desk(FakeTeam(), store)
    await store.close()


# Seeing


async def test_a_team_without_traders_says_so(desk: Desk) -> None:
    desk.team.people = [Member(RISK, TeamRole.RISK_MANAGER)]
    assert await tell_show(desk.at()) == 0
    assert "The team has no trader yet" in desk.shown


async def test_each_trader_has_a_line_and_what_stands_out_is_told_below(desk: Desk) -> None:
    live = account("APEX-1", kind=AccountKind.LIVE, held=[("MES 12-26", 2)], over=("DAY_LOSS_REACHED",))
    desk.team.people.append(Member("bob", TeamRole.TRADER))
    desk.team.heard = [seen("alice", report(live, account(), mode="live", unknown=1)), seen("bob", ago=200)]
    await desk.team.halt("bob", "tilt")
    assert await tell_show(desk.at()) == 0
    lines = [" ".join(line.split()) for line in desk.out.getvalue().splitlines()]
    assert "alice at desk LIVE LIVE APEX-1 +2 MES 12-26 +12.50 3 s ago" in lines
    assert "ct-mcp 1.0.0: 2 machines" in lines
    assert "alice at desk: unknown outcome: 1 order" in lines
    assert "alice at desk: over DAY_LOSS_REACHED (APEX-1)" in lines
    assert "bob at desk: silent for 3 min" in lines
    assert "bob at desk: halted at the plane (bob) by risk: tilt" in lines
    counted = "1 hold, 1 not known, 1 halted, 1 over a rule, 1 silent, 1 of unknown outcome, 2 to look at."
    assert desk.shown.endswith(f"2 traders: {counted}")


async def test_sixty_traders_keep_to_the_width_of_the_screen(desk: Desk) -> None:
    desk.team = with_traders(60)
    await tell_show(desk.at())
    assert max(map(len, desk.out.getvalue().splitlines())) < 80
    assert "60 traders" in desk.shown


async def test_a_script_gets_the_same_as_json_with_null_for_what_is_not_known(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.team.heard = [seen("alice", report(account(held=None, pnl=None, read_at=None)))]
    await desk.team.halt(EVERYBODY, "fomc")
    assert await tell_show(desk.at(json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["everybody_halted"] == {"by": RISK, "at": "2026-11-23T15:30:00Z", "reason": "fomc"}
    (machine,) = told["machines"]
    assert (machine["trader"], machine["silent"], machine["heard_seconds_ago"]) == ("alice", False, 3)
    (told_account,) = machine["accounts"]
    assert [told_account[name] for name in ("positions", "day_pnl", "read_at")] == [None, None, None]


# Halts


async def test_halting_one_and_everybody_is_kept_with_its_reason(desk: Desk) -> None:
    assert await halt(desk.at(trader="alice", reason=" tilt\u202e ")) == 0
    assert await halt(desk.at(all=True, reason="fomc")) == 0
    assert [(each.trader, each.halt.reason) for each in desk.team.standing] == [("alice", "tilt"), (EVERYBODY, "fomc")]
    assert "ct-mcp plane resume alice" in desk.shown
    assert "ct-mcp plane resume --all" in desk.shown


async def test_the_first_halt_stands_and_is_told(desk: Desk) -> None:
    await desk.team.halt("alice", "the first")
    assert await halt(desk.at(trader="alice", reason="the second")) == 0
    assert "was halted before, by risk" in desk.shown
    assert "the first" in desk.shown


async def test_a_halt_of_nobody_is_refused_and_names_those_that_there_are(desk: Desk) -> None:
    with pytest.raises(Refused, match="no trader alcie") as refused:
        await halt(desk.at(trader="alcie"))
    assert "alice" in refused.value.advice
    assert not desk.team.standing


async def test_resuming_shows_who_halted_and_why_and_wants_the_word(desk: Desk) -> None:
    await desk.team.halt("alice", "tilt")
    assert await resume(desk.types("resume").at(trader="alice")) == 0
    assert "by risk" in desk.shown
    assert "tilt" in desk.shown
    assert not desk.team.standing


@pytest.mark.parametrize("typed", ["", "yes", "RESUME", "resume it"])
async def test_any_other_word_leaves_it_halted(desk: Desk, typed: str) -> None:
    await desk.team.halt("alice", "tilt")
    assert await resume(desk.types(typed).at(trader="alice")) == 1
    assert desk.team.standing


async def test_a_halt_that_came_in_place_of_the_one_that_was_shown_is_not_lifted(desk: Desk) -> None:
    await desk.team.halt("alice", "tilt")

    async def meanwhile() -> str:
        desk.team.standing = [TeamHalt("alice", Halt("another", NOW, "much worse"))]
        return "resume"

    assert await resume(replace(desk.at(trader="alice"), ask=meanwhile)) == 1
    assert [each.halt.reason for each in desk.team.standing] == ["much worse"]


async def test_where_nothing_is_halted_what_else_stands_is_told(desk: Desk) -> None:
    await desk.team.halt(EVERYBODY, "fomc")
    assert await resume(desk.at(trader="alice")) == 0
    assert "has not halted alice" in desk.shown
    assert "Halted still: everybody" in desk.shown


@pytest.mark.parametrize(("typed", "code"), [(PIN, 0), ("another", 1)])
async def test_where_a_pin_is_set_what_decides_asks_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    await set_pin(desk.pins, PIN, datetime.now(UTC), cost=16)
    monkeypatch.setattr(pin, "read_secret", lambda _: typed)
    await desk.team.halt("alice", "tilt")
    desk.team.asked = [asked()]
    assert await resume(desk.types("resume").at(trader="alice")) == code
    assert await tell_answer(desk.types("alice ab12").at(ticket="t-4711")) == code
    assert desk.team.asked[0].answer.state is (SecondState.APPROVED if code == 0 else SecondState.WAITING)
    assert bool(desk.team.standing) is bool(code)


# Policies


def a_file(tmp_path: Path, text: str | bytes) -> str:
    """A file with this in it."""
    file = tmp_path / "policy.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


async def test_a_policy_is_set_once_its_changes_were_shown_and_the_word_was_typed(desk: Desk, tmp_path: Path) -> None:
    await desk.team.set_policy(EVERYBODY, "[limits]\nmax_order_contracts = 5\n")
    assert await set_policy(desk.types("set").at(file=a_file(tmp_path, POLICY))) == 0
    assert "- max_order_contracts = 5" in desk.shown
    assert "+ max_order_contracts = 2" in desk.shown
    assert (await desk.team.policies())[0].text == POLICY


@pytest.mark.parametrize("typed", ["", "yes", "clear", "SET"])
async def test_any_other_word_sets_nothing(desk: Desk, tmp_path: Path, typed: str) -> None:
    assert await set_policy(desk.types(typed).at(file=a_file(tmp_path, POLICY))) == 1
    assert not desk.team.set_so_far


async def test_all_that_is_wrong_with_a_policy_is_told_before_anything_is_set(desk: Desk, tmp_path: Path) -> None:
    faulty = a_file(tmp_path, 'toolsets = "x"\n[limits]\nmax_order_contracts = -1\n')
    assert await set_policy(desk.types("set").at(file=faulty)) == 1
    assert "toolsets: unknown key" in desk.shown
    assert "max_order_contracts: found -1" in desk.shown
    assert not desk.team.set_so_far


@pytest.mark.parametrize(
    ("text", "fault"), [(b"\xff\xfe", "not UTF-8"), ("x" * 70000, "longer than"), (" \n", "says nothing")]
)
async def test_what_is_no_text_of_a_policy_is_refused(
    desk: Desk, tmp_path: Path, text: str | bytes, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        await set_policy(desk.types("set").at(file=a_file(tmp_path, text)), lambda _: ())


async def test_a_policy_that_somebody_sets_meanwhile_stays(desk: Desk, tmp_path: Path) -> None:
    async def meanwhile() -> str:
        await desk.team.set_policy(EVERYBODY, "mode = 'read_only'\n")
        return "set"

    assert await set_policy(replace(desk.at(file=a_file(tmp_path, POLICY)), ask=meanwhile)) == 1
    assert (await desk.team.policies())[0].text == "mode = 'read_only'\n"


async def test_the_very_policy_that_is_set_is_not_set_again(desk: Desk, tmp_path: Path) -> None:
    await desk.team.set_policy("alice", f"mode = 'sim'\n\n{POLICY}")
    file = a_file(tmp_path, f"mode = 'sim'\n\n{POLICY}")
    assert await set_policy(desk.types("set").at(file=file, trader="alice")) == 0
    assert len(desk.team.set_so_far) == 1


async def test_clearing_shows_what_goes(desk: Desk) -> None:
    await desk.team.set_policy("alice", POLICY)
    assert await clear_policy(desk.types("clear").at(trader="alice")) == 0
    assert "- max_order_contracts = 2" in desk.shown
    assert (await desk.team.policies())[0].text == ""
    assert await clear_policy(desk.at(trader="alice")) == 0
    assert "nothing is set" in desk.shown


async def test_of_a_trader_both_policies_are_shown(desk: Desk) -> None:
    await desk.team.set_policy("alice", POLICY)
    await desk.team.set_policy(EVERYBODY, "mode = 'sim'\n")
    assert await show_policy(desk.at(trader="alice")) == 0
    assert "For everybody: policy #2" in desk.shown
    assert "For alice: policy #1" in desk.shown


def test_the_example_of_the_documents_can_be_set() -> None:
    assert not checked(
        'mode = "sim"\n[limits]\nmax_order_contracts = 2\n[team]\nsecond_yes = "live"\ngrace_seconds = 300\n'
    )


# Second questions


async def test_what_waits_is_listed_with_the_command_that_answers_it(desk: Desk) -> None:
    desk.team.asked = [asked(), asked(ticket_id="t-2", trader="bob")]
    assert await tell_questions(desk.at()) == 0
    assert "ct-mcp plane answer t-4711" in desk.shown
    assert "APEX-482910 BUY 2 MES 12-26 MARKET" in desk.shown
    desk.team.asked = []
    await tell_questions(desk.at())
    assert "Nothing waits for a second person." in desk.shown


async def test_the_whole_question_is_shown_and_the_phrase_is_a_yes(desk: Desk) -> None:
    desk.team.asked = [asked(lines=("Risk 100", "WARNING: near the day's loss"))]
    assert await tell_answer(desk.types("alice ab12").at(ticket="t-4711")) == 0
    assert "LIVE ACCOUNT - REAL MONEY" in desk.shown
    assert "WARNING: near the day's loss" in desk.shown
    assert desk.team.asked[0].answer.state is SecondState.APPROVED


async def test_no_declines_enter_leaves_it_open_and_a_wrong_text_asks_again(desk: Desk) -> None:
    desk.team.asked = [asked()]
    assert await tell_answer(desk.types("").at(ticket="t-4711")) == 1
    assert "Left open." in desk.shown
    assert await tell_answer(desk.types("yes", "bob AB12", "No").at(ticket="t-4711")) == 0
    assert desk.shown.count("That is not the text") == 2
    assert desk.team.asked[0].answer.state is SecondState.DECLINED


async def test_an_id_is_found_by_its_beginning_where_it_alone_begins_so(desk: Desk) -> None:
    desk.team.asked = [asked(ticket_id="abc-1"), asked(ticket_id="abc-2"), asked(ticket_id="abx-9")]
    assert await tell_answer(desk.at(ticket="abc")) == 1
    assert "it may be over" in desk.shown
    assert await tell_answer(desk.types("no").at(ticket="abx")) == 0
    assert await tell_answer(desk.at(ticket="")) == 1


async def test_what_is_over_by_the_planes_clock_is_not_answered(desk: Desk) -> None:
    desk.team.asked = [asked()]
    desk.team.at = desk.team.asked[0].question.expires_at
    assert await tell_answer(desk.types("alice ab12").at(ticket="t-4711")) == 1
    assert "decide" not in desk.team.asked_for


# Records


async def test_a_traders_journal_is_read_newest_last_and_its_chain_is_checked(desk: Desk) -> None:
    lines = ("BUY 2 MES", "BUY 1 MES")
    desk.team.entries["alice"] = tuple(
        Entry(2 - at, NOW, EntryKind.INTENT, line, "APEX-1", "t", None, None, True, "", {}, "", "")
        for at, line in enumerate(lines)
    )
    assert await tell_journal(desk.at(trader="alice")) == 0
    assert desk.shown.index("BUY 1 MES") < desk.shown.index("BUY 2 MES")
    assert "Whole: 2 entries" in desk.shown


async def test_the_planes_own_acts_are_told_and_a_broken_chain_is_an_error(desk: Desk) -> None:
    await desk.team.halt("alice", "tilt")
    assert await tell_acts(desk.at()) == 0
    assert "risk halted alice: tilt" in desk.shown
    desk.team.found = Verification(ok=False, count=3, last_hash="", broken_at=4, why="it does not follow")
    assert await tell_acts(desk.at()) == 1
    assert "Broken at #4" in desk.shown


# Who may


@pytest.mark.parametrize(
    ("work", "chosen"),
    [
        (halt, {"trader": "alice"}),
        (resume, {"trader": "alice"}),
        (clear_policy, {"trader": None}),
        (tell_answer, {"ticket": "t-4711"}),
        (tell_journal, {"trader": "alice"}),
    ],
)
async def test_a_trader_is_told_that_a_risk_manager_is_needed_and_by_whom_not(
    desk: Desk, work: Callable[[AtThePlane], Any], chosen: dict[str, object]
) -> None:
    await desk.team.halt("alice", "tilt")
    await desk.team.set_policy(EVERYBODY, POLICY)
    desk.team.asked, desk.team.me = [asked()], TeamRole.TRADER
    before = list(desk.team.set_so_far), list(desk.team.standing)
    with pytest.raises(Refused, match="only a risk manager"):
        await work(desk.types("alice ab12", "clear", "resume").at(**chosen))
    assert (desk.team.set_so_far, desk.team.standing) == before
    assert desk.team.asked[0].answer.state is SecondState.WAITING


async def test_a_trader_may_look_at_the_own_rows(desk: Desk) -> None:
    desk.team.me, desk.team.heard = TeamRole.TRADER, [seen("alice")]
    assert await tell_show(desk.at()) == 0
    assert await tell_acts(desk.at()) == 0
    assert "those that concern you" in desk.shown


@pytest.mark.parametrize("arguments", ASKED_OF_A_PERSON, ids=" ".join)
def test_what_decides_is_taken_from_no_pipe(ct_mcp: CtMcp, arguments: tuple[str, ...]) -> None:
    """An assistant with a shell of the risk manager's machine has no terminal, whatever it writes into a pipe."""
    ended = ct_mcp("plane", *arguments, "--database", "postgresql://risk@127.0.0.1:1/team", given="resume\nset\nyes\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "needs a terminal that a person types at" in ended.stderr


@pytest.mark.parametrize(
    "words", ["show", "serve", "halt", "resume", "policy show", "policy set", "policy clear", *REST]
)
def test_the_help_of_each_tells_its_exit_codes(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["plane", *words.split(), "--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "exit codes: 0 " in told.lower()
    assert words == "sql" or "--database URL" in told


# Where the database is


def test_a_password_on_the_command_line_is_refused_and_not_repeated(ct_mcp: CtMcp) -> None:
    for url in (
        f"postgresql://risk:{SECRET}@db.example/team",
        f"postgresql://risk@db.example/team?password={SECRET}",
        f"postgresql://risk:{SECRET}@db example:port/team",
    ):
        ended = ct_mcp("plane", "show", "--database", url)
        assert ended.returncode == 2
        assert "--database: expected" in ended.stderr
        assert SECRET not in ended.stdout + ended.stderr


def test_where_no_database_is_named_it_says_how_to_name_one(ct_mcp: CtMcp, tmp_path: Path) -> None:
    ended = ct_mcp("plane", "show", "--state-dir", str(tmp_path / "state"))
    assert ended.returncode == 2
    assert "CT_MCP_PLANE" in ended.stderr


def test_a_database_out_of_reach_is_told_in_words_with_the_code_of_a_failure(ct_mcp: CtMcp, tmp_path: Path) -> None:
    at = "postgresql://risk@127.0.0.1:1/team"
    ended = ct_mcp("plane", "show", "--database", at, "--state-dir", str(tmp_path / "state"))
    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_flag_comes_before_the_settings_and_the_shared_state_is_the_last_resort(tmp_path: Path) -> None:
    state = parse_postgres_url("postgresql://alice@db.example/team")
    settings = Settings(tmp_path, state=state)
    assert plane_url(Namespace(database=None), settings) == state
    flag = "postgresql://risk@other.example/team"
    assert str(plane_url(Namespace(database=flag), settings)) == flag


async def test_a_command_that_is_told_leads_to_the_same_plane(desk: Desk) -> None:
    at = desk.at(database="postgresql://risk@db.example/team?sslmode=verify-full&x", state_dir=None, config="c d.toml")
    typed = at.typed("answer", "t-1")
    assert typed.startswith("ct-mcp plane answer t-1 --database ")
    assert "'postgresql://risk@db.example/team?sslmode=verify-full&x'" in typed
    assert "'c d.toml'" in typed


async def test_what_the_plane_refuses_is_an_error_with_its_words(desk: Desk) -> None:
    desk.team.is_out_of_reach = True
    with pytest.raises(CtMcpError, match="cannot be reached"):
        await tell_show(desk.at())
