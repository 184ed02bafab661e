"""The plane as one trader's machine has it: its word, questions, reports, and how it can be missing."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.team import (
    HeldPosition,
    ReportedAccount,
    SecondAnswer,
    SecondQuestion,
    SecondState,
    TeamRole,
    TeamWord,
    TraderReport,
)
from ct_mcp.errors import BadRequest, NeedsRoom, NotInTeam, StoreOutOfReach
from ct_mcp.store.plane_schema import OF_A_TEAM, member_script
from ct_mcp.store.plane_team import TeamPlane
from ct_mcp.store.plane_trader import ALONE_SECONDS, TraderPlane
from ct_mcp.store.postgres import CLOCKS_MAY_DIFFER, Patience
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Server, Team, free_port, need_server, own_team, running_server
from tests.tcp_proxy import Cable, cable_to

REPORT = TraderReport(
    machine="desk",
    version="1.0.0",
    mode="live",
    halted="",
    unknown_outcomes=0,
    policies=(1,),
    accounts=(
        ReportedAccount(
            account="Sim101",
            kind=AccountKind.SIMULATED,
            positions=(HeldPosition("ES 12-26", -2),),
            working_orders=None,
            day_pnl=Decimal("-120.50"),
            armed_until=None,
            over=("DAILY_LOSS",),
            read_at=datetime(2026, 11, 23, 15, 30, tzinfo=UTC),
        ),
    ),
)
HASTY = Patience(connect_seconds=2, lock_seconds=0.1, statement_seconds=0.3)


def utc_now() -> datetime:
    return datetime.now(UTC)


def question(ticket_id: str = "t1", seconds: float = 90, fingerprint: str = "f1") -> SecondQuestion:
    """One that is asked now, by the clock of the database's machine, which is this one."""
    now = utc_now()
    return SecondQuestion(
        ticket_id=ticket_id,
        fingerprint=fingerprint,
        heading="LIVE ACCOUNT - REAL MONEY",
        headline="Live1  Buy 2 ES 12-26",
        lines=("Risk 400.00 (USD)", ""),
        asked_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )


@pytest.fixture
async def alice(team: Team) -> AsyncIterator[TraderPlane]:
    """The plane as a trader has it who has to be under one."""
    plane = TraderPlane(team.alice, required=True, clock=utc_now)
    yield plane
    await plane.close()


@pytest.fixture
async def rita(team: Team) -> AsyncIterator[TeamPlane]:
    """The plane as a risk manager has it."""
    plane = TeamPlane(team.rita)
    yield plane
    await plane.close()


# The word


async def test_a_trader_hears_what_is_said_to_him_and_to_everybody(
    team: Team, alice: TraderPlane, rita: TeamPlane
) -> None:
    assert await alice.word() == TeamWord()
    for trader in (team.alice.user, team.bob.user, ""):
        await rita.halt(trader, f"for {trader}")
        await rita.set_policy(trader, "# the first")
        await rita.set_policy(trader, f"# for {trader}")
    for _ in range(2):  # the second time without the texts
        word = await alice.word()
        assert {each.trader: each.halt.reason for each in word.halts} == {
            "": "for ",
            team.alice.user: f"for {team.alice.user}",
        }
        assert {each.trader: each.text for each in word.policies} == {
            "": "# for ",
            team.alice.user: f"# for {team.alice.user}",
        }
        assert {each.by for each in word.policies} == {team.rita.user}
        assert word.halt == word.halts[[each.trader for each in word.halts].index(team.alice.user)].halt


async def test_a_halt_and_its_end_are_heard_with_the_next_word(alice: TraderPlane, rita: TeamPlane) -> None:
    await rita.halt("", "news")
    assert (await alice.word()).halt is not None
    assert await rita.resume("")
    assert (await alice.word()).halt is None


async def test_a_policy_that_is_another_under_a_known_number_is_read_anew(
    team: Team, alice: TraderPlane, rita: TeamPlane
) -> None:
    """A backup was put back: numbers that were given since are given again."""
    await rita.set_policy("", "# of before")
    assert [each.text for each in (await alice.word()).policies] == ["# of before"]
    team.empty()
    await rita.set_policy("", "# of after")
    assert [(each.number, each.text) for each in (await alice.word()).policies] == [(1, "# of after")]


async def test_tables_that_became_newer_meanwhile_are_noticed(postgres: Server) -> None:
    with own_team(postgres) as own:
        plane = TraderPlane(own.alice, required=True)
        await plane.word()
        own.run("UPDATE schema_version SET version = 99")
        for _ in range(2):
            with pytest.raises(StoreOutOfReach, match=f"version 99, this ct-mcp knows {OF_A_TEAM.version}"):
                await plane.word()
        own.run("UPDATE schema_version SET version = 0")
        with pytest.raises(StoreOutOfReach, match="must run what `ct-mcp plane sql` prints"):
            await plane.word()
        await plane.close()


# Who is in no team


async def test_who_is_no_member_is_told_where_the_plane_was_asked_for(team: Team, trader: PostgresUrl) -> None:
    plane = TraderPlane(replace(trader, database=team.at.database), required=True)
    for call in (plane.word, lambda: plane.ask(question()), lambda: plane.report(REPORT), lambda: plane.answer("t1")):
        with pytest.raises(NotInTeam, match="this role is no member of the team there") as told:
            await call()
    assert "`ct-mcp plane sql`" in told.value.advice
    await plane.close()


async def test_a_database_without_a_plane_is_told_where_the_plane_was_asked_for(trader: PostgresUrl) -> None:
    plane = TraderPlane(trader, required=True)
    with pytest.raises(NotInTeam, match="it holds no plane over a team"):
        await plane.word()
    await plane.close()


async def test_who_was_taken_out_of_the_team_is_told_at_once(team: Team, alice: TraderPlane) -> None:
    """Nothing is out of reach then, and no grace is due."""
    await alice.word()
    team.run(member_script(team.alice.user, None))
    try:
        for _ in range(2):
            with pytest.raises(NotInTeam, match="this role is no member of the team there"):
                await alice.word()
    finally:
        team.run(member_script(team.alice.user, TeamRole.TRADER))
    await alice.word()


async def test_a_plane_that_was_taken_away_is_told_at_once(postgres: Server) -> None:
    with own_team(postgres) as own:
        plane = TraderPlane(own.alice, required=True)
        await plane.word()
        own.run("DROP SCHEMA ct_mcp_plane CASCADE")
        with pytest.raises(NotInTeam, match="it holds no plane over a team"):
            await plane.word()
        await plane.close()


async def test_who_is_in_no_team_hears_nothing_and_asks_again_after_a_while(team: Team) -> None:
    elapsed = [0.0]
    plane = TraderPlane(team.alice, required=False, elapsed=lambda: elapsed[0])
    rita = TeamPlane(team.rita)
    await rita.halt("", "news")
    team.run(f"SELECT dismiss('{team.alice.user}')")
    try:
        assert await plane.word() == TeamWord()
        assert await plane.answer("t1") is None
        await plane.report(REPORT)
        with pytest.raises(NotInTeam):
            await plane.ask(question())
    finally:
        team.run(f"SELECT enrol('{team.alice.user}', 'trader')")
    assert await plane.word() == TeamWord(), "nothing was asked"
    elapsed[0] = ALONE_SECONDS
    assert (await plane.word()).halt is not None
    await plane.close()
    await rita.close()


# Questions


async def test_an_answer_is_read_by_who_asked(team: Team, alice: TraderPlane, rita: TeamPlane) -> None:
    assert await alice.answer("t1") is None
    await alice.ask(question())
    assert await alice.answer("t1") == SecondAnswer("f1", SecondState.WAITING)
    given = await rita.decide("t1", "f1", True)
    assert await alice.answer("t1") == given
    assert (given.state, given.by) == (SecondState.APPROVED, team.rita.user)


async def test_the_same_question_again_changes_nothing(alice: TraderPlane, rita: TeamPlane) -> None:
    asked = question()
    await alice.ask(asked)
    await rita.decide("t1", "f1", False)
    await alice.ask(asked)
    found = await alice.answer("t1")
    assert found is not None
    assert found.state is SecondState.DECLINED


async def test_another_question_under_the_same_ticket_is_refused(
    team: Team, alice: TraderPlane, rita: TeamPlane
) -> None:
    await alice.ask(question())
    with pytest.raises(BadRequest, match="asked otherwise about this ticket"):
        await alice.ask(question(fingerprint="f2"))
    bob = TraderPlane(team.bob, required=True)
    with pytest.raises(BadRequest, match="asked otherwise about this ticket"):
        await bob.ask(question())
    assert await bob.answer("t1") is None
    await bob.close()
    (waits,) = await rita.questions()
    assert (waits.trader, waits.answer) == (team.alice.user, SecondAnswer("f1", SecondState.WAITING))


async def test_a_question_comes_as_it_was_asked(team: Team, alice: TraderPlane, rita: TeamPlane) -> None:
    asked = replace(question(), simulated=True, lines=("", "half a \ud800", "\0", "'; DROP TABLE acts --", '"{}\\'))
    await alice.ask(asked)
    (waits,) = await rita.questions()
    assert waits.question == replace(asked, lines=("", "half a \\ud800", "\\x00", "'; DROP TABLE acts --", '"{}\\'))


@pytest.mark.parametrize(
    "changed",
    [
        {"lines": ("x" * 66_000,)},
        {"lines": ("",) * 2001},
        {"headline": "x" * 5000},
        {"ticket_id": "x" * 600},
        {"expires_at": utc_now() + timedelta(hours=9)},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_question_beyond_measure_is_refused(alice: TraderPlane, changed: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="too long"):
        await alice.ask(replace(question(), **changed))  # type: ignore[arg-type]


async def test_so_many_wait_and_no_more(alice: TraderPlane) -> None:
    await alice.ask(question("over", seconds=-1))
    for number in range(20):
        await alice.ask(question(f"t{number}"))
    with pytest.raises(NeedsRoom, match="20 questions wait"):
        await alice.ask(question("one more"))
    await alice.ask(question("t0"))


async def test_questions_of_long_ago_are_forgotten_and_what_was_answered_stays_in_the_acts(
    team: Team, alice: TraderPlane, rita: TeamPlane
) -> None:
    await alice.ask(question("old"))
    await rita.decide("old", "f1", True)
    team.run_unguarded("UPDATE questions SET expires_at = now() - interval '31 days'")
    await alice.ask(question("new"))
    assert await alice.answer("old") is None
    (act,) = await rita.acts(10)
    assert '"ticket_id": "old"' in act.detail
    assert "Buy 2 ES 12-26" in act.detail


@pytest.mark.parametrize("sign", [1, -1])
async def test_nobody_is_asked_by_a_machine_whose_clock_is_not_the_databases(team: Team, sign: int) -> None:
    off = sign * (CLOCKS_MAY_DIFFER + timedelta(seconds=60))
    plane = TraderPlane(team.alice, required=True, clock=lambda: utc_now() + off)
    with pytest.raises(StoreOutOfReach, match=r"the clock of this machine is 6[0-9] s"):
        await plane.ask(question())
    assert await plane.word() == TeamWord(), "but halts are heard"
    await plane.close()


# Reports


async def test_a_report_takes_the_place_of_the_one_before(team: Team, alice: TraderPlane, rita: TeamPlane) -> None:
    await alice.report(replace(REPORT, mode="read"))
    await alice.report(REPORT)
    await alice.report(replace(REPORT, machine="laptop\0"))
    desk, laptop = await rita.traders()
    assert (desk.trader, desk.machine, desk.report) == (team.alice.user, "desk", REPORT)
    assert laptop.machine == "laptop\\x00"
    assert abs(await rita.now() - desk.heard_at) < timedelta(minutes=5)
    assert await rita.acts(10) == (), "a report is no act"


async def test_a_report_beyond_measure_is_refused(alice: TraderPlane) -> None:
    for report in (
        replace(REPORT, halted="x" * 66_000),
        replace(REPORT, machine="x" * 201),
        replace(REPORT, machine=""),
    ):
        with pytest.raises(BadRequest, match="too long"):
            await alice.report(report)


async def test_of_so_many_machines_the_last_are_kept(alice: TraderPlane, rita: TeamPlane) -> None:
    for number in range(22):
        await alice.report(replace(REPORT, machine=f"{number:02}"))
    assert [seen.machine for seen in await rita.traders()] == [f"{number:02}" for number in range(2, 22)]


async def test_what_one_trader_writes_hides_no_other(team: Team, alice: TraderPlane, rita: TeamPlane) -> None:
    await alice.report(REPORT)
    with team.by_hand(team.bob) as bob:
        bob.execute("SELECT report('pc', '{\"machine\": 1}')")
    assert {seen.trader: seen.report for seen in await rita.traders()} == {team.alice.user: REPORT, team.bob.user: None}


# Out of reach


@pytest.fixture
def cable(team: Team) -> Iterator[Cable]:
    assert team.at.port is not None
    with cable_to(team.at.host, team.at.port) as cable:
        yield cable


@pytest.fixture
async def behind(team: Team, cable: Cable) -> AsyncIterator[TraderPlane]:
    """The plane behind a cable."""
    plane = TraderPlane(replace(team.alice, port=cable.port), required=True, patience=HASTY)
    yield plane
    await plane.close()


async def test_a_connection_that_broke_while_idle_is_made_anew(
    cable: Cable, behind: TraderPlane, rita: TeamPlane
) -> None:
    await behind.word()
    cable.cut()
    await rita.halt("", "news")
    assert (await behind.word()).halt is not None


async def test_a_word_whose_answer_was_lost_is_asked_again(cable: Cable, behind: TraderPlane, rita: TeamPlane) -> None:
    await behind.word()
    await rita.halt("", "news")
    cable.loses_answer_to = b"word("
    assert (await behind.word()).halt is not None


async def test_a_cable_that_falls_silent_is_given_up_and_found_again(cable: Cable, behind: TraderPlane) -> None:
    await behind.word()
    cable.silence()
    with pytest.raises(StoreOutOfReach):
        await behind.word()
    cable.speak()
    assert await behind.word() == TeamWord()


async def test_who_is_cancelled_waits_for_no_answer(team: Team) -> None:
    plane = TraderPlane(team.alice, required=True, patience=Patience(lock_seconds=5, statement_seconds=5))
    with team.database.connected("ct_mcp_plane") as holder, team.database.connected() as looker:
        holder.execute("BEGIN; LOCK TABLE members IN ACCESS EXCLUSIVE MODE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plane.word)
            while looker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is None:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        holder.execute("ROLLBACK")
    assert await plane.word() == TeamWord()
    await plane.close()


async def test_a_plane_that_cannot_be_reached_is_no_missing_team(team: Team) -> None:
    for required in (True, False):
        plane = TraderPlane(replace(team.alice, port=free_port()), required=required)
        with pytest.raises(StoreOutOfReach, match="it cannot be reached"):
            await plane.word()
        await plane.close()


async def test_a_server_that_was_restarted_has_forgotten_no_halt_no_policy_and_no_answer() -> None:
    need_server()
    with running_server(synchronous_commit="on") as server:
        own = Team(server)
        alice, rita = TraderPlane(own.alice, required=True), TeamPlane(own.rita)
        await rita.halt("", "news")
        await rita.set_policy("", "# kept")
        await alice.ask(question())
        await rita.decide("t1", "f1", True)
        before = await alice.word(), await alice.answer("t1")
        server.stop()
        with pytest.raises(StoreOutOfReach):
            await alice.word()
        server.start()
        assert (await alice.word(), await alice.answer("t1")) == before
        assert (await rita.verify()).ok
        await alice.close()
        await rita.close()
