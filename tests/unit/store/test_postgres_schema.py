"""The version of the tables in PostgreSQL: an older one becomes ours by what is printed, and keeps what it held."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Placeholder

from ct_mcp.domain.approval import Halt
from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table, leases, trading_state
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.postgres import PostgresConnection, PostgresDatabase, PostgresStore
from ct_mcp.store.postgres_schema import STEPS, script
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import Server

VERSION_1 = Path(__file__).parents[2] / "data" / "postgres-v1.sql"
"""What the first version printed, for a role TRADER."""
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
Rows = dict[str, list[tuple[Any, ...]]]
Raw = psycopg.Connection[Any]


@dataclass
class Old:
    """A trader whose tables are of the first version, and what they hold."""

    server: Server
    trader: PostgresUrl
    held: Rows

    def becomes_ours(self) -> None:
        """Run what is printed now."""
        with self.server.connected() as connection:
            connection.execute(script(self.trader.user).encode())


@pytest.fixture
def old(postgres: Server) -> Iterator[Old]:
    """One with a row in each table, a halt, and an order of unknown outcome."""
    with postgres.own_trader() as trader, postgres.connected(trader.user) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(trader.user)))
        connection.execute(VERSION_1.read_text(encoding="utf-8").replace("TRADER", trader.user).encode())
        connection.execute(SQL("SET search_path = {}").format(Identifier(trader.user)))
        _fill(connection)
        yield Old(postgres, trader, _rows_of(connection))


def _fill(connection: Raw) -> None:
    """What is read back is written by its own statements, every other table gets a row of anything."""
    ours = PostgresConnection(connection)
    journal_table.append(ours, NewEntry(EntryKind.ASKED, "before"), NOW)
    trading_state.set_halt(ours, Halt("the person", NOW, "lunch"))
    intent = NewEntry(EntryKind.INTENT, "sent", "Sim101", "x", "sent before", "f", opens=True)
    journal_table.append(ours, intent, NOW)
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(_COLUMNS).fetchall():
        columns.setdefault(table, {})[column] = kind
    anything: dict[str, object] = {"text": "x", "integer": 1, "bigint": 1, "bytea": b"x", "double precision": 1.0}
    connection.execute("SET session_replication_role = replica")
    for table in sorted(set(columns) - {"journal", "journal_end", "outstanding", "halt", "schema_version"}):
        row = {name: anything[kind] for name, kind in columns[table].items() if name != "request"}
        into = SQL("INSERT INTO {} ({}) VALUES ({})").format(
            Identifier(table), SQL(", ").join(map(Identifier, row)), SQL(", ").join(map(Placeholder, row))
        )
        connection.execute(into, row)
    connection.execute("SET session_replication_role = origin")
    connection.execute("UPDATE leases SET renewed_at = %s", (NOW.isoformat(timespec="microseconds"),))


_COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables
USING (table_schema, table_name)
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND is_identity = 'NO'
"""


def _rows_of(connection: Raw) -> Rows:
    tables = {table for table, *_ in connection.execute(_COLUMNS).fetchall()} - {"schema_version"}
    every = {table: SQL("SELECT * FROM {} ORDER BY 1").format(Identifier(table)) for table in sorted(tables)}
    return {table: connection.execute(found).fetchall() for table, found in every.items()}


def test_tables_of_the_first_version_become_ours_and_keep_all_rows(old: Old) -> None:
    assert len(old.held) > 20
    assert all(old.held.values()), "there is something in each"
    old.becomes_ours()
    with old.server.connected(old.trader.user) as connection:
        now = _rows_of(connection)
        assert {table: now[table] for table in old.held} == old.held
        assert connection.execute("SELECT version FROM schema_version").fetchone() == (len(STEPS),)
    old.becomes_ours()  # it can be run again at any time
    with old.server.connected(old.trader.user) as connection:
        assert _rows_of(connection) == now


async def test_what_they_held_still_counts(old: Old) -> None:
    store = PostgresStore(old.trader)
    with pytest.raises(StoreFailed, match="an administrator of the database must run what `ct-mcp state sql ROLE`"):
        await store.halt()
    old.becomes_ours()
    assert await store.halt() == Halt("the person", NOW, "lunch")
    assert [entry.own_id for entry in await store.unsettled()] == ["sent before"]
    entry = await store.append(NewEntry(EntryKind.ASKED, "goes on"), NOW)
    assert (entry.sequence, (await store.verify()).ok) == (4, True)
    await store.close()


def test_a_lease_of_before_has_its_epoch_and_the_next_holder_another(old: Old) -> None:
    with old.server.connected(old.trader.user) as connection:
        connection.execute("UPDATE leases SET seconds = 15")
    old.becomes_ours()
    with closing(PostgresDatabase(old.trader, "x")) as database:
        ttl, name = timedelta(seconds=15), "x"
        taken = [
            database.write(leases.take_lease, name, holder, at, ttl)
            for holder, at in (("x", NOW), ("other", NOW), ("other", NOW + ttl))
        ]
    assert taken == [1, 0, 2]


def test_a_released_step_is_never_edited() -> None:
    """A trader's tables may be of any version that was ever out: theirs are made by the statements of then."""

    def statements(text: str) -> str:
        found = re.search(r"version FROM schema_version\) = 0 THEN\n(.*?)\nUPDATE schema_version", text, re.DOTALL)
        assert found is not None
        return found[1]

    assert statements(script("TRADER")) == statements(VERSION_1.read_text(encoding="utf-8"))
