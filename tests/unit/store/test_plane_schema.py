"""The plane in the database: what each role can see and do there by hand, and the scripts of an administrator."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from ct_mcp.domain.team import TeamRole
from ct_mcp.store import journal_table
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.plane_schema import OF_A_TEAM, member_script, plane_script
from ct_mcp.store.postgres import PostgresDatabase
from ct_mcp.store.postgres_schema import script
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Server, Team, own_team

ByHand = psycopg.Connection[Any]
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
REFUSED = "permission denied|must be owner|cannot set parameter"
ASK = "SELECT ask('t1', 'f1', 'SIMULATED', 'Buy 1 ES', ARRAY['a line'], now(), now() + interval '90 seconds', true)"
REPORT = "SELECT report('pc', '{}')"

# What no member may do, whatever the role.
BY_HAND = [
    "INSERT INTO members VALUES (session_user::text, 'risk_manager')",
    "UPDATE members SET role = 'risk_manager'",
    "INSERT INTO halts VALUES ('', 'me', now(), 'why')",
    "DELETE FROM halts",
    "INSERT INTO policies VALUES (1, '', '', 'me', now())",
    "UPDATE policies SET text = ''",
    "INSERT INTO questions VALUES ('t', 'me', 'f', '', '', '{}', now(), now(), true)",
    "UPDATE questions SET state = 'approved', by = 'me', at = now()",
    "DELETE FROM questions",
    "INSERT INTO reports VALUES ('bob', 'pc', '{}', now())",
    "UPDATE reports SET report = '{}'",
    "INSERT INTO acts VALUES (1, '', 'me', 'halted', '', '{}', '', '')",
    "UPDATE acts SET by = 'me'",
    "DELETE FROM acts",
    "TRUNCATE acts",
    "UPDATE acts_end SET sequence = 0",
    "SELECT 1 FROM acts_end FOR UPDATE",
    "BEGIN; LOCK TABLE acts IN SHARE MODE",
    "UPDATE schema_version SET version = 0",
    "SELECT 1 FROM members",
    "SELECT 1 FROM questions",
    "SELECT 1 FROM reports",
    "UPDATE seen_questions SET state = 'approved', by = 'me', at = now()",
    "UPDATE seen_halts SET reason = 'x'",
    "DELETE FROM seen_policies",
    "INSERT INTO seen_members VALUES ('x', 'trader')",
    "BEGIN; LOCK TABLE seen_acts IN SHARE MODE",
    "SELECT act('halted', '', '{}', now())",
    "SELECT enrol(session_user::text, 'risk_manager')",
    "SELECT dismiss('bob')",
    "SELECT let_in(session_user::text)",
    "SELECT shut_out('bob')",
    "SELECT open_journal('bob')",
    "SELECT journal_rights('bob', true)",
    "SELECT take_turn_as_risk_manager()",
    "CREATE TABLE more (one INTEGER)",
    "CREATE VIEW more AS SELECT 1",
    "CREATE FUNCTION more() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA more",
    "DROP FUNCTION my_role()",
    "DROP TABLE acts",
    "ALTER TABLE acts DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "GRANT ALL ON halts TO PUBLIC",
]
BY_RISK_MANAGERS = [
    "SELECT halt('', 'why')",
    "SELECT resume('')",
    "SELECT set_policy('', '')",
    "SELECT decide('', '', true)",
]
# What a risk manager may not do in the schema of a trader, whose journal is open to him.
IN_A_TRADERS_SCHEMA = [
    "INSERT INTO journal SELECT * FROM journal",
    "UPDATE journal SET summary = 'x'",
    "DELETE FROM outstanding",
    "SELECT 1 FROM tickets",
    "SELECT 1 FROM visible_tickets",
    "UPDATE tickets SET state = 'approved'",
    "SELECT 1 FROM pin",
    "SELECT 1 FROM halt",
    "DELETE FROM halt",
    "INSERT INTO armings VALUES ('', 'Sim101', '', '')",
    "SELECT take_turn()",
    "SELECT 1 FROM journal_end FOR UPDATE",
    "BEGIN; LOCK TABLE journal IN SHARE MODE",
    "CREATE TABLE more (one INTEGER)",
]


@pytest.fixture
def alice(team: Team) -> Iterator[ByHand]:
    """A trader with a program of her own."""
    with team.by_hand(team.alice) as connection:
        yield connection


@pytest.fixture
def rita(team: Team) -> Iterator[ByHand]:
    """A risk manager with a program of her own."""
    with team.by_hand(team.rita) as connection:
        yield connection


def did(team: Team) -> list[str]:
    with team.database.connected("ct_mcp_plane") as connection:
        return [act for (act,) in connection.execute("SELECT act FROM acts ORDER BY sequence").fetchall()]


@pytest.mark.parametrize("statement", [*BY_HAND, *BY_RISK_MANAGERS])
def test_a_trader_changes_nothing_by_hand(alice: ByHand, team: Team, statement: str) -> None:
    with pytest.raises(psycopg.Error, match=REFUSED):
        alice.execute(statement.encode())
    assert did(team) == []


@pytest.mark.parametrize("statement", BY_HAND)
def test_a_risk_manager_changes_nothing_by_hand(rita: ByHand, team: Team, statement: str) -> None:
    with pytest.raises(psycopg.Error, match=REFUSED):
        rita.execute(statement.encode())
    assert did(team) == []


def test_nobody_becomes_another_member(alice: ByHand, team: Team) -> None:
    for statement in ("SET ROLE", "SET SESSION AUTHORIZATION"):
        with pytest.raises(psycopg.Error, match="permission denied"):
            alice.execute(f'{statement} "{team.rita.user}"'.encode())


def test_who_acts_is_who_has_logged_in_whatever_is_set(rita: ByHand, team: Team) -> None:
    rita.execute("SET application_name = 'sam'; CREATE TEMP TABLE members AS SELECT 'x' AS name, 'trader' AS role")
    rita.execute("SELECT halt('', 'why')")
    with team.database.connected("ct_mcp_plane") as connection:
        assert connection.execute("SELECT by FROM halts").fetchall() == [(team.rita.user,)]


def test_tables_of_ones_own_stand_for_none_of_the_planes(alice: ByHand, team: Team) -> None:
    """Else a trader would be whatever he writes into a table of the same name."""
    alice.execute("SET search_path = pg_temp, ct_mcp_plane")
    alice.execute("CREATE TEMP TABLE members (name text, role text)")
    alice.execute("INSERT INTO members VALUES (session_user::text, 'risk_manager')")
    assert alice.execute("SELECT my_role()").fetchone() == ("trader",)
    assert alice.execute("SELECT count(*) FROM ct_mcp_plane.seen_members").fetchone() == (1,)


def test_a_trader_sees_what_is_his_own_and_what_is_said_to_everybody(alice: ByHand, rita: ByHand, team: Team) -> None:
    with team.by_hand(team.bob) as bob:
        bob.execute(ASK.encode())
        bob.execute(REPORT.encode())
    for trader in ("", team.alice.user, team.bob.user):
        rita.execute("SELECT halt(%s, 'why'), set_policy(%s, %s)", (trader, trader, f"# {trader}"))
    seen = {
        name: {trader for (trader,) in alice.execute(f"SELECT {column} FROM {name}".encode()).fetchall()}
        for name, column in {
            "seen_members": "name",
            "seen_halts": "trader",
            "seen_policies": "trader",
            "seen_questions": "trader",
            "seen_reports": "trader",
            "seen_acts": "trader",
            "seen_end": "hash",
        }.items()
    }
    own = {team.alice.user}
    assert seen == {
        "seen_members": own,
        "seen_halts": own | {""},
        "seen_policies": own | {""},
        "seen_questions": set(),
        "seen_reports": set(),
        "seen_acts": own | {""},
        "seen_end": set(),
    }
    assert rita.execute("SELECT count(*) FROM seen_halts").fetchone() == (3,)
    assert rita.execute("SELECT count(*) FROM seen_questions").fetchone() == (1,)


def test_a_function_of_a_traders_own_is_not_shown_what_others_told(alice: ByHand, team: Team) -> None:
    """Cheap conditions go first, unless the view is a barrier."""
    with team.by_hand(team.bob) as bob:
        bob.execute(REPORT.encode())
    alice.execute(
        "CREATE FUNCTION pg_temp.look(told text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 "
        "AS 'BEGIN RAISE EXCEPTION ''seen''; END'"
    )
    assert alice.execute("SELECT 1 FROM seen_reports WHERE pg_temp.look(report)").fetchall() == []


def test_a_trader_who_holds_what_is_his_holds_up_no_halt(alice: ByHand, rita: ByHand, team: Team) -> None:
    alice.execute(ASK.encode())
    alice.execute("BEGIN")
    for statement in (ASK, ASK.replace("t1", "t2"), REPORT, "SELECT * FROM word('{}')"):
        alice.execute(statement.encode())
    rita.execute("SET lock_timeout = '100ms'")
    rita.execute("SELECT halt('', 'why')")
    rita.execute("SELECT decide('t1', 'f1', true)")
    alice.execute("COMMIT")
    assert did(team) == ["halted", "second_yes"]


# The journal of a trader


@pytest.fixture
def kept(team: Team) -> Team:
    """A team whose first trader keeps the state in the same database."""
    team.keep_state_of(team.alice)
    with closing(PostgresDatabase(team.alice)) as database:
        database.write(journal_table.append, NewEntry(EntryKind.ASKED, "x"), NOW)
    return team


@pytest.mark.parametrize("statement", IN_A_TRADERS_SCHEMA)
def test_a_risk_manager_reads_a_journal_and_does_nothing_else_there(kept: Team, statement: str) -> None:
    with kept.by_hand(kept.rita) as rita:
        rita.execute(f'SET search_path = "{kept.alice.user}"'.encode())
        assert rita.execute("SELECT count(*) > 0 FROM journal").fetchone() == (True,)
        with pytest.raises(psycopg.Error, match="permission denied"):
            rita.execute(statement.encode())


def may_take_turns(team: Team, role: PostgresUrl, trader: str) -> bool:
    with team.database.connected() as connection:
        row = connection.execute(
            "SELECT has_function_privilege(%s, format('%%I.take_turn()', %s::text), 'EXECUTE')", (role.user, trader)
        ).fetchone()
        return bool(row and row[0])


def test_nobody_else_takes_the_turn_of_a_trader(team: Team) -> None:
    """Whoever could, would hold up all that is written, exits as well."""
    stranger = f"stranger-{team.bob.user}"
    team.run(script(stranger))
    assert not may_take_turns(team, team.rita, stranger)


def test_what_an_older_version_left_open_is_shut_before_a_journal_is_opened(team: Team) -> None:
    team.keep_state_of(team.bob)
    team.run(f'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "{team.bob.user}" TO PUBLIC')
    assert may_take_turns(team, team.rita, team.bob.user)
    team.run(member_script(team.bob.user, TeamRole.TRADER))
    assert not may_take_turns(team, team.rita, team.bob.user)
    assert may_take_turns(team, team.bob, team.bob.user)


def test_no_trader_reads_the_journal_of_another(kept: Team) -> None:
    with kept.by_hand(kept.bob) as bob, pytest.raises(psycopg.Error, match="permission denied for schema"):
        bob.execute(f'SELECT * FROM "{kept.alice.user}".journal'.encode())


def may_read(team: Team, reader: PostgresUrl, trader: str) -> bool:
    with team.database.connected() as connection:
        row = connection.execute(
            "SELECT has_schema_privilege(%(reader)s, %(trader)s, 'USAGE') "
            "AND has_table_privilege(%(reader)s, format('%%I.journal', %(trader)s::text), 'SELECT')",
            {"reader": reader.user, "trader": trader},
        ).fetchone()
        return bool(row and row[0])


@pytest.mark.parametrize(
    "order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)], ids=["plane-member-state", "plane-state-member", "state-plane-member"]
)
def test_the_scripts_can_be_run_in_any_order_and_again(postgres: Server, order: tuple[int, ...]) -> None:
    with own_team(postgres) as team:
        trader = f"new-{team.alice.user}"
        scripts = (plane_script(), member_script(trader, TeamRole.TRADER), script(trader))
        for _ in range(2):
            for number in order:
                team.run(scripts[number])
            assert may_read(team, team.rita, trader)
            assert not may_read(team, team.bob, trader)
        assert did(team) == ["member_added"] * 5, "and nothing twice"


def test_a_member_before_the_plane_is_refused_in_words(postgres: Server) -> None:
    with own_team(postgres) as team:
        team.run("DROP SCHEMA ct_mcp_plane CASCADE")
        with pytest.raises(psycopg.Error, match="run first what `ct-mcp plane sql` prints"):
            team.run(member_script(team.alice.user, TeamRole.TRADER))


def test_who_becomes_a_trader_again_is_no_risk_manager_any_more(kept: Team) -> None:
    kept.run(member_script(kept.sam.user, TeamRole.TRADER))
    try:
        assert not may_read(kept, kept.sam, kept.alice.user)
        with kept.by_hand(kept.sam) as sam, pytest.raises(psycopg.Error, match="permission denied"):
            sam.execute("SELECT halt('', 'why')")
    finally:
        kept.run(member_script(kept.sam.user, TeamRole.RISK_MANAGER))
    assert may_read(kept, kept.sam, kept.alice.user)
    assert did(kept) == ["member_added"] * 2


def test_who_is_removed_sees_nothing_and_shows_nothing(kept: Team) -> None:
    with kept.by_hand(kept.alice) as alice:
        alice.execute(REPORT.encode())
        kept.run(*[member_script(kept.alice.user, None)] * 2)
        try:
            for statement in ("SELECT * FROM word('{}')", REPORT, ASK, "SELECT * FROM seen_halts"):
                with pytest.raises(psycopg.Error, match=r"permission denied|does not exist"):
                    alice.execute(statement.encode())
            assert not may_read(kept, kept.rita, kept.alice.user)
            assert did(kept) == ["member_removed"]
        finally:
            kept.run(member_script(kept.alice.user, TeamRole.TRADER))
    assert may_read(kept, kept.rita, kept.alice.user)


def test_an_administrator_needs_a_role_of_their_own(team: Team) -> None:
    with pytest.raises(psycopg.Error, match="a member needs a role of its own"):
        team.run(member_script(team.at.user, TeamRole.RISK_MANAGER))
    assert did(team) == []


def test_a_schema_that_somebody_else_made_is_refused(postgres: Server) -> None:
    with own_team(postgres) as team:
        team.run("DROP SCHEMA ct_mcp_plane CASCADE", f'CREATE SCHEMA ct_mcp_plane AUTHORIZATION "{team.alice.user}"')
        with pytest.raises(psycopg.Error, match="somebody else owns the schema"):
            team.run(plane_script())


def test_a_newer_plane_is_left_alone(postgres: Server) -> None:
    with own_team(postgres) as team:
        team.run("UPDATE schema_version SET version = 99")
        for again in (plane_script(), member_script(team.alice.user, TeamRole.TRADER)):
            with pytest.raises(psycopg.Error, match=r"a newer ct-mcp has made this schema|of another version"):
                team.run(again)


def test_a_role_with_quotation_marks_in_its_name_is_a_member(team: Team) -> None:
    odd = f"""o'hara "the" {team.alice.user}"""
    team.run(member_script(odd, TeamRole.TRADER), script(odd))
    assert may_read(team, team.rita, odd)
    team.run(member_script(odd, None))


def test_what_was_done_and_what_was_set_is_rewritten_by_nobody(team: Team) -> None:
    """Not even by whoever owns the tables, unless what guards them is taken away first."""
    with team.by_hand(team.rita) as rita:
        rita.execute("SELECT set_policy('', 'mode = \"read\"')")
    for statement in ("DELETE FROM acts", "UPDATE acts SET by = 'x'", "TRUNCATE acts", "UPDATE policies SET text = ''"):
        with pytest.raises(psycopg.IntegrityError):
            team.run(statement)


def test_two_teams_of_one_server_know_nothing_of_each_other(postgres: Server, team: Team) -> None:
    with own_team(postgres) as other:
        team.keep_state_of(team.alice)
        stranger = replace(other.rita, database=team.at.database)
        with team.by_hand(stranger) as connection:
            for statement in ("SELECT * FROM word('{}')", f'SELECT * FROM "{team.alice.user}".journal'):
                with pytest.raises(psycopg.Error, match=r"does not exist|permission denied for schema"):
                    connection.execute(statement.encode())


def test_tables_that_are_named_are_used_as_a_traders_are(team: Team) -> None:
    with closing(PostgresDatabase(team.alice, tables=OF_A_TEAM)) as database:
        assert database.at_once(lambda connection: connection.execute("SELECT my_role()").fetchone()) == ("trader",)
