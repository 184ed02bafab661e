"""The version of the file."""

import sqlite3
from contextlib import closing

import pytest

from ct_mcp.errors import StoreFailed
from ct_mcp.store.schema import MIGRATIONS, migrate


def test_a_new_file_gets_our_version_and_an_old_one_is_left_alone() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        made = connection.execute("PRAGMA schema_version").fetchone()
        migrate(connection)
        assert connection.execute("PRAGMA schema_version").fetchone() == made
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_file_of_a_newer_version_is_not_touched() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
        with pytest.raises(StoreFailed, match=r"version 99, this ct-mcp knows \d+.*newer ct-mcp") as failure:
            migrate(connection)
        assert "Nothing was sent" in str(failure.value)
        assert connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
