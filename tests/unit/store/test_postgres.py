"""The engine over PostgreSQL: who may do what, turns, clocks, what is run again, and every failure in plain words."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import psycopg
import pytest

from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table, postgres
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.postgres import CLOCKS_MAY_DIFFER, Patience, PostgresDatabase
from ct_mcp.store.postgres_failures import describe_failure
from ct_mcp.store.postgres_schema import OURS_ALONE, STEPS, script
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.schema import migrate
from ct_mcp.store.sql import SqlConnection
from tests.postgres import Server, free_port, need_server, running_server
from tests.tcp_proxy import Cable, cable_to

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
SOON = Patience(lock_seconds=0.2, held_seconds=60)


@pytest.fixture
def database(trader: PostgresUrl) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(trader)) as database:
        yield database


def write(database: PostgresDatabase, text: str = "x") -> None:
    database.write(journal_table.append, NewEntry(EntryKind.ASKED, text), NOW)


def written(database: PostgresDatabase) -> list[str]:
    return [entry.summary for entry in database.read(journal_table.newest, 100, None, None)]


def failure_of(database: PostgresDatabase) -> str:
    with closing(database), pytest.raises(StoreFailed) as failed:
        write(database)
    return str(failed.value)


def columns_of_a_file() -> set[tuple[str, str, bool]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        return {
            (table, column, bool(required or key))
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for _, column, _, required, _, key in connection.execute(f"PRAGMA table_info({table})").fetchall()
            if not table.startswith("sqlite_")
        }


def test_both_engines_have_the_same_tables_and_columns(postgres: Server, trader: PostgresUrl) -> None:
    """A table that is new in one is new in the other: `store/schema.py`, `store/postgres_schema.py`."""
    with postgres.connected() as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, is_nullable = 'NO' FROM information_schema.columns "
            "JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_schema = %s AND table_type = 'BASE TABLE'",
            (trader.user,),
        ).fetchall()
    ours = {row for row in rows if row[0] not in OURS_ALONE and row[1] != "rowid"}
    assert ours == columns_of_a_file()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET summary = 'x'",
        "DELETE FROM journal",
        "TRUNCATE journal",
        "UPDATE journal_end SET sequence = 0",
        "DELETE FROM tickets",
        "UPDATE tickets SET summary = 'x'",
        "UPDATE ticket_services SET service = 'x'",
        "UPDATE day_losses SET figure = '0'",
        "DELETE FROM day_losses",
        "DELETE FROM pin",
        "DELETE FROM duties",
        "DELETE FROM watch_parts",
        "UPDATE lease_epochs SET epoch = 0",
        "INSERT INTO lease_epochs VALUES ('', 'exits', 9)",
        "DELETE FROM lease_epochs",
        "UPDATE schema_version SET version = 0",
        "DROP TRIGGER journal_keeps_its_words ON journal",
        "ALTER TABLE journal DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "CREATE TABLE more (one INTEGER)",
        "DROP TABLE journal",
    ],
)
def test_the_role_may_do_nothing_that_the_store_does_not_do(database: PostgresDatabase, statement: str) -> None:
    with pytest.raises(StoreFailed, match=r"the role may not do what it must.*(permission denied|must be owner)"):
        database.write(_run, statement)


def _run(connection: SqlConnection, statement: str) -> None:
    connection.execute(statement)


def test_a_trader_finds_nothing_of_another(postgres: Server, database: PostgresDatabase) -> None:
    with postgres.own_trader() as other, closing(PostgresDatabase(other)) as theirs:
        write(theirs, "theirs")
        write(database, "ours")
        assert (written(database), written(theirs)) == (["ours"], ["theirs"])
        for table in ("journal", "tickets", "halt"):
            with pytest.raises(StoreFailed, match="permission denied for schema"):
                database.read(_run, f'SELECT * FROM "{other.user}".{table}')
        with pytest.raises(StoreFailed, match="permission denied for schema"):
            database.write(_run, f'SELECT "{other.user}".take_turn()')


def test_what_an_administrator_runs_can_be_run_again(postgres: Server, database: PostgresDatabase) -> None:
    write(database)
    with postgres.connected() as connection:
        connection.execute(script(database_role(database)).encode())
    assert written(database) == ["x"]
    assert database.read(journal_table.verify).ok


def test_a_schema_that_the_role_owns_is_refused(postgres: Server) -> None:
    """It could drop what guards the tables."""
    with postgres.own_trader("owner of 'its' schema") as trader, postgres.connected() as connection:
        owner = trader.user.replace('"', '""')
        connection.execute(f'DROP SCHEMA "{owner}" CASCADE; CREATE SCHEMA "{owner}" AUTHORIZATION "{owner}"'.encode())
        with pytest.raises(psycopg.Error, match="the role owns this schema"):
            connection.execute(script(trader.user).encode())
        connection.execute("ROLLBACK")


def database_role(database: PostgresDatabase) -> str:
    role: str = database.read(lambda connection: connection.execute("SELECT current_user").fetchone()[0])
    return role


def test_a_role_with_quotation_marks_in_its_name_is_served(postgres: Server) -> None:
    with postgres.own_trader("""o'hara "the" trader""") as odd, closing(PostgresDatabase(odd)) as database:
        write(database)
        assert database.read(journal_table.verify).ok


@pytest.fixture
def of_version(postgres: Server) -> Iterator[Callable[[int], PostgresUrl]]:
    """Tables of a trader that say another version."""
    with postgres.own_trader() as trader:

        def made(version: int) -> PostgresUrl:
            with postgres.connected(trader.user) as connection:
                connection.execute("UPDATE schema_version SET version = %s", (version,))
            return trader

        yield made


def test_tables_of_a_newer_version_are_refused_and_left_alone(
    postgres: Server, of_version: Callable[[int], PostgresUrl]
) -> None:
    newer = of_version(99)
    said = failure_of(PostgresDatabase(newer))
    assert f"its tables have version 99, this ct-mcp knows {len(STEPS)}" in said
    assert "the person must start the newer ct-mcp" in said
    with postgres.connected() as connection, pytest.raises(psycopg.Error, match="a newer ct-mcp has made this schema"):
        connection.execute(script(newer.user).encode())


def test_tables_of_an_older_version_wait_for_an_administrator(of_version: Callable[[int], PostgresUrl]) -> None:
    said = failure_of(PostgresDatabase(of_version(0)))
    assert "an administrator of the database must run what `ct-mcp state sql ROLE` prints" in said


def test_who_is_connected_learns_with_the_next_write_that_the_tables_became_newer(
    of_version: Callable[[int], PostgresUrl],
) -> None:
    with closing(PostgresDatabase(of_version(len(STEPS)))) as database:
        write(database)
        of_version(99)
        with pytest.raises(StoreFailed, match="version 99"):
            write(database)
        of_version(len(STEPS))
        assert written(database) == ["x"]


# How it can be missing, old, closed or read-only


def test_a_server_that_does_not_run_is_said(trader: PostgresUrl) -> None:
    said = failure_of(PostgresDatabase(replace(trader, port=free_port())))
    assert "it cannot be reached" in said
    assert "Nothing was sent to the market. Next: the person must check that the database runs" in said


@pytest.mark.parametrize(
    ("changes", "their_words"),
    [
        ({"password": "wrong-and-never-shown"}, "password authentication failed"),
        ({"user": "nobody-of-ours"}, "password authentication failed"),
        ({"database": "elsewhere"}, 'database "elsewhere" does not exist'),
        ({"options": (("sslmode", "require"),)}, "server does not support SSL"),
    ],
)
def test_a_server_that_lets_nobody_in_is_said_in_its_words(
    trader: PostgresUrl, changes: dict[str, Any], their_words: str
) -> None:
    at = replace(trader, **changes)
    said = failure_of(PostgresDatabase(at))
    assert "it cannot be reached, or lets this role not in" in said
    assert their_words in said
    assert at.password not in said + str(at) + repr(at)
    assert trader.password not in said


def test_a_role_without_tables_is_said(postgres: Server) -> None:
    with postgres.own_trader() as trader:
        with postgres.connected() as connection:
            connection.execute(f'DROP SCHEMA "{trader.user}" CASCADE; CREATE SCHEMA "{trader.user}"'.encode())
        assert "it holds no tables for this role" in failure_of(PostgresDatabase(trader))


def test_a_database_that_can_only_be_read_is_said(postgres: Server) -> None:
    with postgres.own_trader() as trader:
        with postgres.connected() as connection:
            connection.execute(f'ALTER ROLE "{trader.user}" SET default_transaction_read_only = on'.encode())
        said = failure_of(PostgresDatabase(trader))
    assert "it can only be read just now" in said
    assert "the person must name the server that takes writes" in said


def test_a_server_that_is_too_old_is_said(trader: PostgresUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "OLDEST_SERVER", 990000)
    assert "it is older than PostgreSQL 14" in failure_of(PostgresDatabase(trader))


def test_a_server_without_a_free_place_is_said(postgres: Server) -> None:
    with postgres.own_trader() as trader:
        with postgres.connected() as connection:
            connection.execute(f'ALTER ROLE "{trader.user}" CONNECTION LIMIT 1'.encode())
        with closing(PostgresDatabase(trader)) as first:
            write(first)
            assert "too many connections" in failure_of(PostgresDatabase(trader))
            write(first)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("53100", "its disk is full"),
        ("53300", "takes no more connections"),
        ("25006", "can only be read"),
        ("55P03", "another program holds it"),
        ("57P01", "being started or stopped"),
        ("42P01", "holds no tables"),
        ("42501", "may not do what it must"),
        ("23505", "refuses what does not go with what it holds"),
        ("XX001", "it cannot be used"),
    ],
)
def test_each_failure_has_its_words_and_keeps_theirs(code: str, said: str) -> None:
    at = PostgresUrl("alice", "team", "db.example", password="hunter-two")
    failure = describe_failure(psycopg.errors.lookup(code)("as they say it, with hunter-two"), at)
    assert said in str(failure)
    assert "postgresql://alice@db.example/team" in str(failure)
    assert "as they say it, with ***" in str(failure)
    assert failure.advice


def test_text_that_no_database_can_hold_is_refused(database: PostgresDatabase) -> None:
    for text in ("\0", "\ud800"):
        with pytest.raises(StoreFailed):
            database.write(journal_table.append, NewEntry(EntryKind.ASKED, "x", ticket_id=text), NOW)
    assert written(database) == []


# Turns


def test_a_database_that_is_held_is_given_up_after_a_while_and_can_be_read(
    postgres: Server, trader: PostgresUrl
) -> None:
    with closing(PostgresDatabase(trader, patience=SOON)) as database:
        write(database)
        with postgres.connected(trader.user) as holder:
            holder.execute("BEGIN; SELECT 1 FROM journal_end FOR UPDATE")
            with pytest.raises(StoreFailed, match=r"another program holds it.*lock timeout"):
                write(database)
            assert written(database) == ["x"]
        write(database)


def test_who_stops_in_its_turn_loses_it_and_what_it_had_begun(trader: PostgresUrl) -> None:
    begun, go_on = Event(), Event()

    def stop_halfway(connection: SqlConnection) -> None:
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "half"), NOW)
        begun.set()
        assert go_on.wait(timeout=60)
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "the other half"), NOW)

    stopped = PostgresDatabase(trader, patience=Patience(held_seconds=0.1))
    patient = PostgresDatabase(trader, patience=Patience(lock_seconds=60, statement_seconds=90))
    with closing(stopped), closing(patient), ThreadPoolExecutor(1) as threads:
        first = threads.submit(stopped.write, stop_halfway)
        assert begun.wait(timeout=60)
        write(patient, "the next")
        go_on.set()
        with pytest.raises(StoreFailed):
            first.result(timeout=60)
        assert written(patient) == ["the next"]
        assert patient.read(journal_table.verify).ok


# Clocks


@pytest.mark.parametrize(("sign", "way"), [(1, "ahead of"), (-1, "behind")])
def test_a_machine_whose_clock_is_not_the_databases_writes_nothing(trader: PostgresUrl, sign: int, way: str) -> None:
    off = sign * (CLOCKS_MAY_DIFFER + timedelta(seconds=60))
    with closing(PostgresDatabase(trader, clock=lambda: datetime.now(UTC) + off)) as database:
        with pytest.raises(StoreFailed, match=f"the clock of this machine is 6[0-9] s {way} the database's") as said:
            write(database)
        assert "set both clocks by the network's time" in said.value.advice
        assert written(database) == [], "what there is can be read all the same"


def test_a_machine_whose_clock_is_the_databases_writes(trader: PostgresUrl) -> None:
    with closing(PostgresDatabase(trader, clock=lambda: datetime.now(UTC))) as database:
        write(database)


# What is run again, and what is not


@pytest.fixture
def cable(trader: PostgresUrl) -> Iterator[Cable]:
    assert trader.port is not None
    with cable_to(trader.host, trader.port) as cable:
        yield cable


@pytest.fixture
def behind(cable: Cable, trader: PostgresUrl) -> Iterator[PostgresDatabase]:
    """The database behind a cable."""
    with closing(PostgresDatabase(replace(trader, port=cable.port))) as database:
        yield database


def test_a_connection_that_broke_while_it_was_idle_is_made_anew(cable: Cable, behind: PostgresDatabase) -> None:
    write(behind, "before")
    cable.cut()
    write(behind, "after")
    cable.cut()
    assert written(behind) == ["after", "before"]


def test_what_broke_before_its_end_has_not_happened_and_is_run_again(cable: Cable, behind: PostgresDatabase) -> None:
    write(behind, "before")
    cable.cuts_before = b"INSERT"
    write(behind, "after")
    assert written(behind) == ["after", "before"]
    assert behind.read(journal_table.verify).ok


def test_a_new_connection_that_breaks_is_not_tried_again(cable: Cable, behind: PostgresDatabase) -> None:
    cable.cuts_before = b"INSERT"
    with pytest.raises(StoreFailed):
        write(behind)
    assert written(behind) == []


@pytest.mark.parametrize(("when", "stands"), [("loses_answer_to", True), ("cuts_before", False)])
def test_an_end_that_nobody_heard_of_is_a_failure_and_is_never_run_again(
    cable: Cable, behind: PostgresDatabase, when: str, stands: bool
) -> None:
    """Whether it happened or not: the caller cannot know, and sends nothing."""
    write(behind, "before")
    setattr(cable, when, b"COMMIT")
    with pytest.raises(StoreFailed, match="whether it was written is not known, since the answer was lost"):
        write(behind, "in doubt")
    assert written(behind) == (["in doubt", "before"] if stands else ["before"])
    assert behind.read(journal_table.verify).ok


def test_a_server_that_answers_nothing_any_more_is_given_up(cable: Cable, trader: PostgresUrl) -> None:
    """Neither side is told: no timeout of the server, nor of the network, ends that."""
    hasty = Patience(lock_seconds=0.1, statement_seconds=0.1)
    with closing(PostgresDatabase(replace(trader, port=cable.port), patience=hasty)) as database:
        write(database, "before")
        cable.silence()
        with pytest.raises(StoreFailed):
            write(database, "meanwhile")
        cable.speak()
        assert "before" in written(database)


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_two_that_were_in_each_others_way_try_again(database: PostgresDatabase, code: str) -> None:
    tries: list[object] = []

    def clash(connection: SqlConnection) -> None:
        tries.append(journal_table.append(connection, NewEntry(EntryKind.ASKED, f"{len(tries)}"), NOW))
        if len(tries) == 1:
            raise psycopg.errors.lookup(code)

    database.write(clash)
    assert written(database) == ["1"]


def test_it_is_not_tried_for_ever(database: PostgresDatabase) -> None:
    tries: list[int] = []

    def clash(_: SqlConnection) -> None:
        tries.append(1)
        raise psycopg.errors.lookup("40001")

    with pytest.raises(StoreFailed, match="another program holds it"):
        database.write(clash)
    assert len(tries) == 3


def test_what_fails_by_our_own_fault_leaves_nothing_behind(database: PostgresDatabase) -> None:
    def fail_halfway(connection: SqlConnection) -> None:
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "half"), NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(fail_halfway)
    assert written(database) == []


def test_a_server_that_was_restarted_is_found_again_with_all_that_was_written() -> None:
    need_server()
    with running_server(synchronous_commit="on") as server:
        database = PostgresDatabase(server.new_trader())
        with closing(database):
            write(database, "before")
            server.stop()
            with pytest.raises(StoreFailed, match="it cannot be reached"):
                write(database, "meanwhile")
            server.start()
            write(database, "after")
            assert written(database) == ["after", "before"]
            server.stop("fast")
            server.start()
            assert written(database) == ["after", "before"], "and without a word, where nothing was asked meanwhile"
