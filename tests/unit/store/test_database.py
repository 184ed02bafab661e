"""The file: opened for its owner, safe on disk, and its failures in plain words."""

import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from threading import Barrier, Event

import pytest

from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table
from ct_mcp.store.database import Database, describe_failure
from ct_mcp.store.journal import EntryKind, NewEntry

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "file.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(path, 0.05)) as database:
        yield database


def write(database: Database, text: str = "x") -> None:
    database.write(journal_table.append, NewEntry(EntryKind.ASKED, text), NOW)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of files are others there: by hand")
@pytest.mark.parametrize("ending", [None, "", "-wal", "-shm"])
def test_a_file_that_others_may_change_is_not_opened(database: Database, path: Path, ending: str | None) -> None:
    write(database)
    with closing(sqlite3.connect(path)) as reader:  # keeps what stands beside the file
        reader.execute("SELECT * FROM journal").fetchall()
        database.close()
        changeable = path.parent if ending is None else path.with_name(path.name + ending)
        before = stat.S_IMODE(changeable.stat().st_mode)
        changeable.chmod(before | 0o022)
        with pytest.raises(StoreFailed, match=f"other users of this machine own {changeable} or may change it") as said:
            write(database)
        assert f"make it yours alone (chmod go-w '{changeable}'" in said.value.advice
        changeable.chmod(before)
        write(database)


def count(database: Database) -> int:
    return len(database.read(journal_table.newest, 1000, None, None))


def count_rows(connection: Connection) -> int:
    return len(journal_table.newest(connection, 1000, None, None))


def pragma(connection: Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def still_waits(call: Future[None]) -> bool:
    """Give it time to fail; one that has to wait cannot be done, however long that time is."""
    return not wait([call], timeout=0.2).done


def test_what_is_committed_has_reached_the_disk(database: Database) -> None:
    assert database.read(pragma, "journal_mode") == "wal"
    assert database.read(pragma, "synchronous") == 2, "2 is FULL: SQLite syncs at every commit"
    assert database.read(pragma, "fullfsync") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="rights are told by access lists there")
def test_only_the_owner_can_look_into_the_state_folder(database: Database, path: Path) -> None:
    write(database)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_nothing_is_made_before_the_first_use(database: Database, path: Path) -> None:
    assert not path.parent.exists()
    write(database)
    assert path.exists()


def test_the_file_keeps_what_it_holds_over_a_restart(path: Path) -> None:
    for _ in range(2):
        with closing(Database(path, 0.05)) as database:
            write(database)
    with closing(Database(path, 0.05)) as database:
        assert count(database) == 2


def test_a_call_after_closing_opens_the_file_again(database: Database) -> None:
    write(database)
    database.close()
    database.close()
    write(database)
    assert count(database) == 2


def test_a_write_that_fails_halfway_leaves_nothing_behind(database: Database) -> None:
    def fail_halfway(connection: Connection) -> None:
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "half"), NOW)
        raise ZeroDivisionError

    write(database)
    with pytest.raises(ZeroDivisionError):
        database.write(fail_halfway)
    assert count(database) == 1
    write(database)
    assert database.read(journal_table.verify).ok


def test_a_locked_file_is_given_up_after_the_busy_timeout(database: Database, path: Path) -> None:
    write(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match=r"another program holds it.*locked.*Next: close or wait"):
            write(database)
        assert count(database) == 1, "a held lock keeps nobody from reading"
        holder.execute("ROLLBACK")
    write(database)
    assert count(database) == 2


@pytest.mark.parametrize("hold", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_new_file_held_by_another_program_is_given_up_after_the_busy_timeout(
    database: Database, path: Path, hold: str
) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute(hold)
        with pytest.raises(StoreFailed, match="another program holds it"):
            write(database)
        holder.execute("ROLLBACK")
    write(database)


def test_a_new_file_held_for_a_moment_is_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    patient = Database(path, 30)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder, closing(patient), ThreadPoolExecutor(1) as one:
        holder.execute("BEGIN IMMEDIATE")
        waiting = one.submit(write, patient)
        assert still_waits(waiting)
        holder.execute("ROLLBACK")
        waiting.result(timeout=60)


def test_a_second_thread_waits_until_the_first_has_committed(database: Database) -> None:
    begun, go_on = Event(), Event()

    def pause_halfway(connection: Connection) -> None:
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "first"), NOW)
        begun.set()
        assert go_on.wait(timeout=60)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(database.write, pause_halfway)
        assert begun.wait(timeout=60)
        second = threads.submit(write, database)
        assert still_waits(second)
        go_on.set()
        first.result(timeout=60)
        second.result(timeout=60)
    assert database.read(journal_table.verify).count == 2


def test_all_who_make_the_same_new_file_at_once_get_it(tmp_path: Path) -> None:
    together = Barrier(6)

    def make(number: int) -> None:
        for round_ in range(30):
            together.wait(timeout=60)
            with closing(Database(tmp_path / str(round_) / "file.sqlite3", 10)) as database:
                write(database, f"{number}")

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(make, range(6))) == [None] * 6


def test_a_file_that_is_no_database_is_refused_and_kept(database: Database, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"my shopping list " * 100)
    with pytest.raises(StoreFailed, match=r"no file of ours.*move the file aside"):
        write(database)
    assert path.read_bytes().startswith(b"my shopping list")


def test_a_damaged_file_is_refused(path: Path) -> None:
    with closing(Database(path, 0.05)) as database:
        write(database)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with closing(Database(path, 0.05)) as database, pytest.raises(StoreFailed, match=r"it is damaged.*malformed"):
        write(database)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    with closing(Database(path, 0.05)) as database:
        write(database)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with closing(Database(path, 0.05)) as database, pytest.raises(StoreFailed, match="newer ct-mcp"):
        write(database)


def test_a_full_disk_is_said_and_leaves_the_file_sound(database: Database) -> None:
    write(database)
    database.read(pragma, f"max_page_count = {database.read(pragma, 'page_count')}")
    with pytest.raises(StoreFailed, match=r"the disk is full.*free disk space"):
        write(database, "x" * 100_000)
    assert database.read(journal_table.verify).count == 1


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    database = Database(tmp_path / "file" / "state" / "x.sqlite3", 0.05)
    with pytest.raises(StoreFailed, match=r"state file .*cannot be used.*mend the state folder"):
        write(database)


def test_a_folder_in_the_place_of_the_file_is_said(database: Database, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreFailed, match="unable to open database file"):
        write(database)


def test_text_that_no_file_can_hold_is_refused(database: Database) -> None:
    with pytest.raises(StoreFailed, match="surrogates not allowed"):
        database.write(journal_table.append, NewEntry(EntryKind.ASKED, "x", ticket_id="\ud800"), NOW)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_BUSY, "another program holds it"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program holds it"),
        (sqlite3.SQLITE_LOCKED, "another program holds it"),
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_CORRUPT, "damaged"),
        (sqlite3.SQLITE_NOTADB, "damaged"),
        (sqlite3.SQLITE_ERROR, "move the file aside"),
        (sqlite3.SQLITE_CONSTRAINT_TRIGGER, "refuses what does not go with what it holds"),
        (sqlite3.SQLITE_READONLY, "cannot be used"),
        (sqlite3.SQLITE_IOERR_FSYNC, "cannot be used"),
    ],
)
def test_each_failure_has_its_words_and_keeps_sqlites_own(code: int, said: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    failure = str(describe_failure(error, Path("state.sqlite3")))
    assert said in failure
    assert "as SQLite says it" in failure
    assert "state.sqlite3" in failure


def test_a_failure_of_the_operating_system_has_words_too() -> None:
    failure = str(describe_failure(PermissionError(13, os.strerror(13), "state.sqlite3"), Path("state.sqlite3")))
    assert "Permission denied" in failure
    assert "mend the state folder" in failure


def append_at_once(database: Database, text: str = "x") -> bool:
    return database.try_write(journal_table.append, NewEntry(EntryKind.ASKED, text), NOW) is not None


def test_what_is_written_at_once_is_written(database: Database) -> None:
    write(database)
    assert append_at_once(database)
    assert count(database) == 2


def test_a_file_that_is_not_open_is_not_opened_at_once(database: Database, path: Path) -> None:
    assert not append_at_once(database)
    assert not path.parent.exists()


def test_nothing_is_written_at_once_while_another_program_writes(database: Database, path: Path) -> None:
    write(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not append_at_once(database)
        other.execute("ROLLBACK")
    assert database.read(pragma, "busy_timeout") == 50, "the next one that can wait waits as before"
    assert append_at_once(database)
    assert count(database) == 2


def test_nothing_is_written_at_once_while_another_thread_writes(database: Database) -> None:
    write(database)
    assert database.write(lambda _: append_at_once(database)) is False
    assert count(database) == 1


def test_what_is_read_at_once_is_one_moment_of_the_file(database: Database, path: Path) -> None:
    assert database.try_read(count_rows) is None, "a file that is not open is not opened at once"
    assert not path.parent.exists()
    write(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert database.try_read(count_rows) == (1,), "who writes is in nobody's way that reads"
        other.execute("ROLLBACK")
    assert database.read(pragma, "busy_timeout") == 50


def test_nothing_is_read_at_once_while_another_thread_has_the_file(database: Database) -> None:
    write(database)
    assert database.write(lambda _: database.try_read(count_rows)) is None


def test_nothing_is_read_at_once_where_another_program_locks_the_whole_file(database: Database, path: Path) -> None:
    write(database)
    connection = database._connection
    assert connection is not None
    connection.execute("PRAGMA journal_mode = DELETE")  # the manner in which whoever writes locks out whoever reads
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert database.try_read(count_rows) is None
        other.execute("ROLLBACK")
    assert database.try_read(count_rows) == (1,)
    assert database.read(pragma, "busy_timeout") == 50


def test_a_fault_while_reading_at_once_is_told_as_of_any_reading(database: Database) -> None:
    write(database)
    with pytest.raises(StoreFailed, match="cannot be used"):
        database.try_read(lambda connection: connection.execute("no such statement"))
    assert count(database) == 1


def test_a_fault_while_writing_at_once_leaves_nothing_behind(database: Database) -> None:
    def breaks(connection: Connection) -> None:
        journal_table.append(connection, NewEntry(EntryKind.ASKED, "half"), NOW)
        raise KeyError("ours")

    write(database)
    with pytest.raises(KeyError):
        database.try_write(breaks)
    write(database)
    with pytest.raises(StoreFailed, match="cannot be used"):
        database.try_write(lambda connection: connection.execute("no such statement"))
    assert count(database) == 2


def test_what_is_outstanding_is_found_without_looking_through_the_journal(database: Database) -> None:
    """It is asked for several times an order, and the journal of a year is long."""
    database.write(journal_table.append, NewEntry(EntryKind.INTENT, "x", "Sim101", "ticket", "own"), NOW)

    def steps() -> int:
        return database.read(steps_of, lambda connection: journal_table.outstanding(connection, "Sim101"))

    few = steps()
    for _ in range(100):
        write(database)
    assert steps() == few
    assert len(database.read(journal_table.unsettled)) == 1


def steps_of(connection: Connection, work: Callable[[Connection], object]) -> int:
    """How many instructions of SQLite it takes."""
    steps = iter(range(1_000_000))
    connection.set_progress_handler(lambda: next(steps) < 0, 1)
    work(connection)
    connection.set_progress_handler(None, 1)
    return next(steps)


MOVES = pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be moved there")


@MOVES
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_moved_away_is_left_for_the_one_that_stands_there_now(
    path: Path, at_once: bool, is_replaced: bool
) -> None:
    told: list[int] = []
    with closing(Database(path, 0.05, in_place_of_another=lambda new: told.append(count_rows(new)))) as database:
        write(database)
        for file in sorted(path.parent.iterdir()):
            file.rename(file.with_name(f"evidence{file.name.removeprefix(path.name)}"))
        if is_replaced:
            with closing(Database(path, 0.05)) as other:
                write(other, "1")
                write(other, "2")
        assert not (at_once and append_at_once(database)), "nothing goes into the file that was moved"
        write(database, "after")
        assert told == [2 if is_replaced else 0]
        assert count(database) == told[0] + 1
        write(database)
        assert len(told) == 1


@MOVES
def test_a_file_that_could_not_be_told_of_is_told_of_by_the_next_call(path: Path) -> None:
    told: list[bool] = []

    def tell(_: Connection) -> None:
        told.append(True)
        if len(told) == 1:
            raise sqlite3.OperationalError("busy")

    with closing(Database(path, 0.05, in_place_of_another=tell)) as database:
        write(database)
        path.rename(path.with_name("evidence"))
        with pytest.raises(StoreFailed):
            write(database)
        write(database)
    assert len(told) == 2
