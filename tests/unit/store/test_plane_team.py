"""The plane as risk managers have it: halts, policies, second answers, the acts, and the journals of traders."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from ct_mcp.domain.team import Member, SecondQuestion, SecondState, TeamHalt, TeamRole
from ct_mcp.errors import BadRequest, NotInTeam, StoreOutOfReach
from ct_mcp.store import journal_table
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.plane_schema import member_script
from ct_mcp.store.plane_team import TeamPlane
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres import Patience, PostgresDatabase
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Team, free_port

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.fixture
async def rita(team: Team) -> AsyncIterator[TeamPlane]:
    plane = TeamPlane(team.rita)
    yield plane
    await plane.close()


@pytest.fixture
async def sam(team: Team) -> AsyncIterator[TeamPlane]:
    plane = TeamPlane(team.sam, patience=Patience(lock_seconds=60, statement_seconds=60))
    yield plane
    await plane.close()


@pytest.fixture
async def looks_on(team: Team) -> AsyncIterator[TeamPlane]:
    """A trader who looks at the plane."""
    plane = TeamPlane(team.alice)
    yield plane
    await plane.close()


async def asked(by: PostgresUrl, ticket_id: str = "t1", seconds: float = 90) -> SecondQuestion:
    """Have a trader ask a second person."""
    now = datetime.now(UTC)
    question = SecondQuestion(
        ticket_id, "f1", "LIVE", "Live1  Buy 2 ES", ("Risk 400.00",), now, now + timedelta(seconds=seconds)
    )
    plane = TraderPlane(by, required=True)
    await plane.ask(question)
    await plane.close()
    return question


async def acts(plane: TeamPlane) -> list[str]:
    return [each.act for each in reversed(await plane.acts(100))]


async def test_each_member_learns_its_role_and_risk_managers_all_members(
    team: Team, rita: TeamPlane, looks_on: TeamPlane
) -> None:
    assert (await rita.role(), await looks_on.role()) == (TeamRole.RISK_MANAGER, TeamRole.TRADER)
    everybody = {member.name: member.role for member in await rita.members()}
    assert everybody.items() >= {team.bob.user: TeamRole.TRADER, team.sam.user: TeamRole.RISK_MANAGER}.items()
    assert await looks_on.members() == (Member(team.alice.user, TeamRole.TRADER),)


# Halts


async def test_the_first_halt_stands_and_is_lifted_once(team: Team, rita: TeamPlane, sam: TeamPlane) -> None:
    halt = await rita.halt(team.alice.user, "over the limit")
    assert (halt.trader, halt.halt.by, halt.halt.reason) == (team.alice.user, team.rita.user, "over the limit")
    assert await sam.halt(team.alice.user, "me too") == halt
    assert await rita.halts() == (halt,)
    assert [await sam.resume(team.alice.user) for _ in range(2)] == [True, False]
    assert await rita.halts() == ()
    assert await acts(rita) == ["halted", "resumed"]


async def test_everybody_is_halted_by_one_row(team: Team, rita: TeamPlane) -> None:
    await rita.halt(team.alice.user, "over the limit")
    halt = await rita.halt("", "news")
    assert await rita.halts() == (halt, (await rita.halts())[1])
    assert not await rita.resume(team.bob.user)
    assert await rita.resume("")
    assert [each.trader for each in await rita.halts()] == [team.alice.user], "that of one trader stays"


async def test_two_risk_managers_who_halt_at_once_make_one_halt(team: Team, rita: TeamPlane, sam: TeamPlane) -> None:
    found: list[TeamHalt] = []

    async def halt(plane: TeamPlane) -> None:
        found.append(await plane.halt("", "news"))

    async with anyio.create_task_group() as tasks:
        for plane in (rita, sam) * 3:
            tasks.start_soon(halt, plane)
    assert len(set(found)) == 1
    assert await acts(rita) == ["halted"]
    assert (await rita.verify()).ok


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
async def test_a_halt_needs_a_reason_of_some_length(rita: TeamPlane, reason: str) -> None:
    with pytest.raises(BadRequest, match="needs a reason"):
        await rita.halt("", reason)


async def test_who_is_no_member_is_neither_halted_nor_narrowed(rita: TeamPlane) -> None:
    for call in (rita.halt("nobody", "why"), rita.set_policy("nobody", "# x")):
        with pytest.raises(BadRequest, match="no member of the team has this name"):
            await call
    assert not await rita.resume("nobody")
    assert await acts(rita) == []


# Policies


async def test_policies_have_numbers_and_the_newest_counts(team: Team, rita: TeamPlane, sam: TeamPlane) -> None:
    one = await rita.set_policy(team.alice.user, "# one")
    two = await sam.set_policy("", "# two")
    assert [each.number for each in (one, two)] == [1, 2]
    assert await sam.set_policy("", "# two") == two, "the same is not set again"
    three = await rita.set_policy("", "")
    assert await rita.policies() == (three, two, one)
    assert [(each.by, each.text) for each in (one, two, three)] == [
        (team.rita.user, "# one"),
        (team.sam.user, "# two"),
        (team.rita.user, ""),
    ]
    assert await acts(rita) == ["policy_set"] * 3


async def test_who_acts_waits_for_who_acts(team: Team, sam: TeamPlane) -> None:
    """Else two policies would get one number."""
    numbers: list[int] = []

    async def set_another() -> None:
        numbers.append((await sam.set_policy("", "# another")).number)

    with team.by_hand(team.rita) as rita, team.database.connected() as looker:
        rita.execute("BEGIN; SELECT set_policy('', '# one')")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(set_another)
            while looker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is None:
                await anyio.lowlevel.checkpoint()
            rita.execute("COMMIT")
    assert numbers == [2]
    assert (await sam.verify()).ok


async def test_a_policy_that_holds_is_listed_however_long_ago_it_was_set(team: Team, rita: TeamPlane) -> None:
    await rita.set_policy(team.alice.user, "# long ago")
    team.run("INSERT INTO policies SELECT n, '', '# ' || n, 'x', now() FROM generate_series(2, 300) AS n")
    listed = await rita.policies()
    assert (len(listed), listed[0].number, listed[-1].text) == (201, 300, "# long ago")


async def test_a_policy_beyond_measure_is_refused(rita: TeamPlane) -> None:
    with pytest.raises(BadRequest, match="64 kB at most"):
        await rita.set_policy("", "#" * 66_000)


# Second answers


@pytest.mark.parametrize("yes", [True, False])
async def test_the_first_answer_counts(team: Team, rita: TeamPlane, sam: TeamPlane, yes: bool) -> None:
    question = await asked(team.alice)
    given = await rita.decide("t1", "f1", yes)
    assert (given.state, given.by) == (SecondState.APPROVED if yes else SecondState.DECLINED, team.rita.user)
    assert await rita.decide("t1", "f1", yes) == given, "an answer of which nobody heard is given again"
    for plane, other in ((sam, True), (sam, False), (rita, not yes)):
        with pytest.raises(BadRequest, match="answered before, and the first answer counts"):
            await plane.decide("t1", "f1", other)
    (stands,) = await sam.questions()
    assert (stands.trader, stands.question, stands.answer) == (team.alice.user, question, given)
    assert await acts(rita) == ["second_yes" if yes else "second_no"]


async def test_an_answer_is_to_what_was_shown(team: Team, rita: TeamPlane) -> None:
    await asked(team.alice)
    for ticket_id, fingerprint in (("t1", "f2"), ("t2", "f1"), ("", "")):
        with pytest.raises(BadRequest, match="nobody asks this of a second person"):
            await rita.decide(ticket_id, fingerprint, True)
    assert await acts(rita) == []


async def test_nobody_answers_too_late(team: Team, rita: TeamPlane) -> None:
    await asked(team.alice, seconds=-0.001)
    with pytest.raises(BadRequest, match="the question has expired"):
        await rita.decide("t1", "f1", True)
    assert await rita.questions() == ()
    assert await acts(rita) == []


async def test_a_risk_manager_who_trades_is_not_the_second_person_to_himself(
    team: Team, rita: TeamPlane, sam: TeamPlane
) -> None:
    await asked(team.rita)
    for yes in (True, False):
        with pytest.raises(BadRequest, match="a question of their own"):
            await rita.decide("t1", "f1", yes)
    assert (await sam.decide("t1", "f1", True)).by == team.sam.user


async def test_of_two_who_answer_at_once_one_counts(team: Team, rita: TeamPlane, sam: TeamPlane) -> None:
    await asked(team.alice)
    refused: list[str] = []

    async def decide(plane: TeamPlane, yes: bool) -> None:
        try:
            await plane.decide("t1", "f1", yes)
        except BadRequest as no:
            refused.append(no.what)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(decide, rita, True)
        tasks.start_soon(decide, sam, False)
    assert len(refused) == len(await acts(rita)) == 1


# Who may not


Call = Callable[[TeamPlane], Awaitable[object]]
OF_RISK_MANAGERS: dict[str, Call] = {
    "halt": lambda plane: plane.halt("", "why"),
    "resume": lambda plane: plane.resume(""),
    "set_policy": lambda plane: plane.set_policy("", ""),
    "decide": lambda plane: plane.decide("t1", "f1", True),
    "verify": lambda plane: plane.verify(),
}


@pytest.mark.parametrize("call", OF_RISK_MANAGERS.values(), ids=OF_RISK_MANAGERS)
async def test_a_trader_is_told_that_only_a_risk_manager_may(team: Team, looks_on: TeamPlane, call: Call) -> None:
    await asked(team.alice)
    with pytest.raises(BadRequest, match="only a risk manager"):
        await call(looks_on)


READS: dict[str, Call] = {
    "members": lambda plane: plane.members(),
    "role": lambda plane: plane.role(),
    "journal": lambda plane: plane.journal("x", 1),
}


@pytest.mark.parametrize("call", (OF_RISK_MANAGERS | READS).values(), ids=OF_RISK_MANAGERS | READS)
async def test_who_is_no_member_is_told_so(team: Team, trader: PostgresUrl, call: Call) -> None:
    for at, said in ((replace(trader, database=team.at.database), "is no member"), (trader, "holds no plane")):
        plane = TeamPlane(at)
        with pytest.raises(NotInTeam, match=said):
            await call(plane)
        await plane.close()


async def test_a_risk_manager_without_rights_is_told_whom_to_ask(team: Team) -> None:
    plane = TeamPlane(team.sam)
    team.run("DO $$ BEGIN EXECUTE format('REVOKE %I FROM %I', team_group('risk'), '" + team.sam.user + "'); END $$")
    try:
        with pytest.raises(StoreOutOfReach, match=r"the role may not do what it must.*what `ct-mcp plane sql` prints"):
            await plane.halt("", "why")
    finally:
        team.run(member_script(team.sam.user, TeamRole.RISK_MANAGER))
    await plane.halt("", "why")
    await plane.close()


async def test_a_plane_that_cannot_be_reached_is_said(team: Team) -> None:
    plane = TeamPlane(replace(team.rita, port=free_port()))
    with pytest.raises(StoreOutOfReach, match="it cannot be reached"):
        await plane.halt("", "why")
    await plane.close()


# The acts


async def test_acts_say_who_did_what_to_whom_and_are_chained(team: Team, rita: TeamPlane, looks_on: TeamPlane) -> None:
    await rita.halt(team.alice.user, 'it\'s "over": ünïcode, 1:x,')
    await rita.set_policy(team.bob.user, "# x")
    newest, oldest = await rita.acts(10)
    assert (oldest.sequence, oldest.act, oldest.by, oldest.trader) == (1, "halted", team.rita.user, team.alice.user)
    assert (newest.sequence, newest.act, newest.previous_hash) == (2, "policy_set", oldest.hash)
    assert (await rita.halts())[0].halt.at == oldest.at
    found = await rita.verify()
    assert (found.ok, found.count, found.last_hash) == (True, 2, newest.hash)
    assert await looks_on.acts(10) == (oldest,), "a trader sees what concerns him"


@pytest.mark.parametrize(
    ("statement", "broken_at", "why"),
    [
        ("UPDATE acts SET by = 'x' WHERE sequence = 2", 2, "do not match its hash"),
        ("UPDATE acts SET detail = '{}' WHERE sequence = 1", 1, "do not match its hash"),
        ("DELETE FROM acts WHERE sequence = 2", 2, "it is missing"),
        ("DELETE FROM acts WHERE sequence = 3", 3, "it is missing"),
        ("UPDATE acts SET previous_hash = hash WHERE sequence = 2", 2, "does not follow"),
        ("UPDATE acts_end SET sequence = 2", 4, "there is more than was done"),
    ],
)
async def test_what_was_changed_behind_our_back_is_found(
    team: Team, rita: TeamPlane, statement: str, broken_at: int, why: str
) -> None:
    await rita.halt("", "news")
    await rita.resume("")
    await rita.halt("", "news")
    assert (await rita.verify()).ok
    team.run_unguarded(statement)
    found = await rita.verify()
    assert (found.ok, found.broken_at) == (False, broken_at)
    assert why in found.why


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM halts WHERE trader = ''", "halts"),
        ("UPDATE halts SET reason = 'x'", "halts"),
        ("INSERT INTO halts VALUES ('nobody', 'x', now(), 'x')", "halts"),
        ("SELECT act('halted', '', '[]', now()), act('policy_set', '', '{}', now())", "halts"),
        ("UPDATE policies SET text = '' WHERE number = 1", "policies"),
        ("DELETE FROM policies WHERE number = 2", "policies"),
        ("UPDATE questions SET state = 'approved' WHERE ticket_id = 't1'", "second answers"),
        ("UPDATE questions SET state = 'approved', by = 'x', at = now() WHERE ticket_id = 't2'", "second answers"),
    ],
)
async def test_what_stands_otherwise_than_by_the_acts_is_found(
    team: Team, rita: TeamPlane, statement: str, what: str
) -> None:
    await rita.halt("", "news")
    await rita.halt(team.alice.user, "over")
    await rita.halt(team.bob.user, "over")
    await rita.resume(team.bob.user)
    await rita.set_policy("", "# one")
    await rita.set_policy(team.alice.user, "# two")
    await asked(team.alice)
    await asked(team.alice, "t2")
    await rita.decide("t1", "f1", False)
    assert (await rita.verify()).ok
    team.run_unguarded(statement)
    found = await rita.verify()
    assert (found.ok, found.broken_at, found.why) == (False, found.count, f"the {what} are not what the acts say")


async def test_a_chain_of_many_acts_is_checked_in_parts(team: Team, rita: TeamPlane) -> None:
    team.run("SELECT act('member_added', 'x', '{}', clock_timestamp()) FROM generate_series(1, 2100)")
    assert (await rita.verify()).count == 2100


# Journals of traders


async def test_the_journal_of_who_keeps_it_in_this_database_is_read(team: Team, rita: TeamPlane) -> None:
    team.keep_state_of(team.bob)
    with closing(PostgresDatabase(team.bob)) as database:
        for text in ("one", "two"):
            database.write(journal_table.append, NewEntry(EntryKind.ASKED, text), NOW)
    assert [entry.summary for entry in await rita.journal(team.bob.user, 10)][:2] == ["two", "one"]
    assert (await rita.verify_journal(team.bob.user)).ok


async def test_the_journal_of_who_keeps_it_elsewhere_is_not(team: Team, rita: TeamPlane) -> None:
    for trader in (team.rita.user, "nobody", 'o"; DROP'):
        with pytest.raises(BadRequest, match="the state is elsewhere"):
            await rita.journal(trader, 10)
