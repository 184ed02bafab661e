"""The version of the file: a new one is ours, an older one becomes ours, any other is left alone."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copyfile

import pytest

from ct_mcp.domain.approval import Halt, Ticket, TicketState
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.errors import StoreFailed
from ct_mcp.files import make_private_folder
from ct_mcp.store import journal_table
from ct_mcp.store.database import Database
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.schema import MIGRATIONS, migrate
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from ct_mcp.store.trading_state import StoredPin

VERSION_3 = Path(__file__).parents[2] / "data" / "state-v3.sqlite3"
"""A file that the code of version 3 wrote, with a ticket for each of its commands.

``t-change`` and ``t-cancel`` were approved, ``t-reverse`` declined, ``t-place``, ``t-replace``, ``t-start`` and
``t-flatten-everything`` spent, the others left open. Of what was sent, ``t-place``, ``t-start`` and the second account
of ``t-flatten-everything`` have no known outcome.
"""
LAST_HASH_OF_VERSION_3 = "ec34e6b413d7b4c86d5f3398246a7b70be6a0ade95d6db9e90d7fab684e44675"
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)

MES = Instrument("MES", 2026, 12)
ORDER = PlaceOrder(
    "Sim101",
    MES,
    OrderAction.BUY,
    2,
    OrderType.STOP_LIMIT,
    Decimal("6410.250"),
    Decimal("6410.00"),
    TimeInForce.GTC,
    oco_id="oco-1",
    atm_strategy="Scalp – 8",  # noqa: RUF001 - as it was written
)
PARAMETERS = (("Label", "a"), ("Length", 14), ("Factor", Decimal("1.50")), ("Long", True), ("Short", False))
COMMANDS: dict[str, tuple[Command, ...]] = {
    "t-place": (
        PlaceOrder(
            "Sim101",
            MES,
            OrderAction.BUY,
            2,
            OrderType.STOP_LIMIT,
            Decimal("6410.250"),
            Decimal("6410.00"),
            TimeInForce.GTC,
            oco_id="oco-1",
            atm_strategy="Scalp – 8",  # noqa: RUF001 - as it was written
            flatten_first=True,
        ),
    ),
    "t-change": (ChangeOrder("Sim101", "o-1", 3, None, Decimal("1E+1")),),
    "t-replace": (ReplaceOrder("Sim101", "o-1", ORDER),),
    "t-cancel": (CancelOrder("Sim101", "o-\ud800"),),
    "t-cancel-all": (CancelOrders("Sim101", None),),
    "t-close": (ClosePosition("Sim101", MES, percent=Decimal("33.30")),),
    "t-flatten": (Flatten("Sim101", MES),),
    "t-flatten-everything": (Flatten("Sim101", None), Flatten("Live1", None)),
    "t-reverse": (ReversePosition("Sim101", MES),),
    "t-protect": (ProtectPosition("Sim101", MES, Decimal(6500), None),),
    "t-start": (StartStrategy("Sim101", "Trend", MES, HostMode.CHART, BarType.MINUTE, 5, PARAMETERS),),
    "t-enable": (EnableStrategy("Sim101", "s-1"),),
    "t-disable": (DisableStrategy("Sim101", "s-1"),),
    "t-close-strategy": (CloseStrategy("Sim101", "s-1"),),
}
STATES = dict.fromkeys(COMMANDS, TicketState.EXPIRED) | {
    "t-place": TicketState.SPENT,
    "t-replace": TicketState.SPENT,
    "t-flatten-everything": TicketState.SPENT,
    "t-start": TicketState.SPENT,
    "t-reverse": TicketState.DECLINED,
}


OF_A_SERVICE = {"halt", "day_losses", "armings", "leases"}


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """A store in a file, which alone has older versions."""
    store = SqliteStore(folder, busy_timeout_seconds=0.05)
    yield store
    await store.close()


@pytest.fixture
def old_file(folder: Path) -> Path:
    """A state folder as version 3 left it."""
    folder.mkdir()
    return Path(copyfile(VERSION_3, folder / FILE_NAME))


@pytest.fixture
def memory() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def make(folder: Path, statement: str) -> Path:
    """A database that another program made in the place of ours."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(statement)
    return folder / FILE_NAME


def tables(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [str(sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master")]


def version_of(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def rows(file: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


async def ticket(store: SqliteStore, ticket_id: str) -> Ticket:
    found = await store.ticket(ticket_id)
    assert found is not None
    return found


def test_a_new_file_gets_our_version_and_one_of_ours_is_left_alone(memory: sqlite3.Connection) -> None:
    migrate(memory)
    made = memory.execute("PRAGMA schema_version").fetchone()
    migrate(memory)
    assert memory.execute("PRAGMA schema_version").fetchone() == made
    assert memory.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_file_of_a_newer_version_is_not_touched(memory: sqlite3.Connection) -> None:
    memory.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreFailed, match=r"version 99, this ct-mcp knows \d+.*newer ct-mcp") as failure:
        migrate(memory)
    assert "Nothing was sent" in str(failure.value)
    assert memory.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)


async def test_a_newer_file_is_named_with_the_way_out(store: SqliteStore, old_file: Path) -> None:
    with closing(sqlite3.connect(old_file)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreFailed, match="start the newer ct-mcp that wrote it, or name another state folder") as told:
        await store.halt()
    assert str(old_file) in str(told.value)
    assert len(rows(old_file, "tickets")) == len(COMMANDS)


@pytest.mark.parametrize(
    "made_by_another", ["CREATE TABLE tickets (x)", "CREATE TABLE recipes (x)", "PRAGMA user_version = -1"]
)
async def test_a_database_of_somebody_else_is_left_alone(
    store: SqliteStore, folder: Path, made_by_another: str
) -> None:
    before = tables(make(folder, made_by_another))
    with pytest.raises(StoreFailed, match=r"none of ours.*move the file aside") as told:
        await store.halt()
    assert str(folder / FILE_NAME) in str(told.value)
    assert tables(folder / FILE_NAME) == before


async def test_a_file_of_our_version_without_our_tables_is_refused_with_the_way_out(
    store: SqliteStore, folder: Path
) -> None:
    make(folder, f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    with pytest.raises(StoreFailed, match=r"no such table.*move the file aside"):
        await store.halt()
    assert version_of(folder / FILE_NAME) == len(MIGRATIONS) - 1


async def test_the_journal_of_an_old_file_is_kept_to_the_letter_and_its_chain_holds(
    store: SqliteStore, old_file: Path, now: datetime
) -> None:
    before = rows(VERSION_3, "journal")
    found = await store.verify()
    assert (found.ok, found.count, found.last_hash) == (True, len(before), LAST_HASH_OF_VERSION_3)
    assert rows(old_file, "journal") == before
    entry = await store.append(NewEntry(EntryKind.ASKED, "goes on"), now)
    assert (entry.sequence, entry.previous_hash) == (len(before) + 1, LAST_HASH_OF_VERSION_3)
    assert version_of(old_file) == len(MIGRATIONS)


@pytest.mark.parametrize("table", ["halt", "day_losses", "armings", "pin", "pin_tries", "leases", "outstanding"])
async def test_every_other_table_of_an_old_file_is_kept(store: SqliteStore, old_file: Path, table: str) -> None:
    before = rows(VERSION_3, table)
    assert before
    if table == "halt":  # it held one, numbered; now each service may have its own
        before = [row[1:] for row in before]
    await store.halt()
    nobodys = [("", *row) for row in before] if table in OF_A_SERVICE else before
    assert rows(old_file, table) == nobodys


async def test_what_an_old_file_held_still_counts(store: SqliteStore, old_file: Path, now: datetime) -> None:
    assert await store.halt() == Halt("the person", now, "lunch")
    assert await store.armings(now) == {"Live1": now + timedelta(hours=8)}
    assert await store.day_loss("Sim102", date(2026, 11, 23))
    assert await store.pin() == StoredPin(b"salt-\x00\xff", 16384, 8, 1, b"digest-\x00\xff")
    assert await store.lease_holder("stream", now) == "old process"


async def test_what_an_old_file_held_is_nobodys_so_it_holds_back_every_service_and_allows_none(
    folder: Path, old_file: Path, now: datetime
) -> None:
    for name in ("a", "b"):
        store = SqliteStore(folder, service=name)
        assert await store.halt() == Halt("the person", now, "lunch")
        assert await store.day_loss("Sim102", date(2026, 11, 23))
        assert [entry.ticket_id for entry in await store.unsettled()] == ["t-place", "t-flatten-everything", "t-start"]
        assert (await store.outstanding("Sim101")).entries
        assert await store.armings(now) == {}
        assert await store.armed_until("Live1", now) is None
        assert await store.ticket("t-place") is None, "nobody looks it up in an account that may be another's"
        assert await store.lease_holder("stream", now) is None
        await store.close()


async def test_a_file_of_the_version_before_is_taken_over(folder: Path, now: datetime) -> None:
    make_private_folder(folder)
    at, until = now.isoformat(timespec="microseconds"), (now + timedelta(hours=1)).isoformat(timespec="microseconds")
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        for statement in (statement for step in MIGRATIONS[:4] for statement in step if "INSERT INTO" not in statement):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 4")
        connection.execute("INSERT INTO halt VALUES (1, 'page', ?, 'lunch')", (at,))
        connection.execute("INSERT INTO day_losses VALUES ('Sim101', '2026-11-23', '-500')")
        connection.execute("INSERT INTO armings VALUES ('Live1', ?, 'terminal')", (until,))
        connection.execute("INSERT INTO leases VALUES ('stream', 'old process', ?, 15.0)", (at,))
    store = SqliteStore(folder)
    assert await store.halt() == Halt("page", now, "lunch")
    assert await store.day_loss("Sim101", date(2026, 11, 23))
    assert await store.armings(now) == {"Live1": now + timedelta(hours=1)}
    assert await store.lease_holder("stream", now) == "old process"
    soon, lease = now + timedelta(seconds=15), timedelta(seconds=15)
    assert await store.take_lease("stream", "another", soon, lease) == 2, "that one held it in its first epoch"
    await store.close()
    assert version_of(folder / FILE_NAME) == len(MIGRATIONS)


def older(file: Path, version: int, ours: Path) -> None:
    """A file of an older version that holds what one of ours does, as far as it knew of it."""
    make_private_folder(file.parent)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for step in MIGRATIONS[:version]:
            for statement in step:
                if "INSERT INTO" not in statement:
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ATTACH ? AS ours", (str(ours),))
        for table in ("ticket_services", "tickets", "journal", "outstanding"):
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM ours.{table}")


@pytest.mark.parametrize("version", range(5, len(MIGRATIONS)))
async def test_what_waits_and_what_is_of_unknown_outcome_outlive_an_update(
    folder: Path, now: datetime, make_ticket: Callable[..., Ticket], version: int
) -> None:
    """Of every version since tickets are what they are, with one that is open, one approved and one under way."""
    waiting, approved, sent = (make_ticket(number) for number in (1, 2, 3))
    before = SqliteStore(folder / "ours", service="a")
    for each in (waiting, approved, sent):
        await before.open_ticket(each, now)
    for each in (approved, sent):
        assert await before.approve_ticket(each.ticket_id, "page", now)
    assert await before.spend_ticket(sent.ticket_id, now)
    intent = NewEntry(
        EntryKind.INTENT, sent.summary, "Sim101", sent.ticket_id, sent.own_id, sent.fingerprint, opens=True
    )
    await before.append(intent, now)
    await before.close()
    older(folder / "old" / FILE_NAME, version, folder / "ours" / FILE_NAME)

    store = SqliteStore(folder / "old", service="a")
    assert [each.ticket_id for each in await store.open_tickets(now)] == [waiting.ticket_id]
    assert (await store.open_tickets(now))[0].request == waiting.request
    assert not await store.spend_ticket(waiting.ticket_id, now)
    assert not await store.spend_ticket(sent.ticket_id, now)
    assert await store.spend_ticket(approved.ticket_id, now)
    assert [entry.own_id for entry in (await store.outstanding("Sim101")).entries] == [sent.own_id]
    assert (await store.verify()).ok
    await store.close()
    assert version_of(folder / "old" / FILE_NAME) == len(MIGRATIONS)


async def test_each_old_ticket_holds_its_command_and_only_what_was_decided_is_not_expired(
    store: SqliteStore, old_file: Path
) -> None:
    found = {ticket_id: await ticket(store, ticket_id) for ticket_id in COMMANDS}
    assert {ticket_id: repr(one.commands) for ticket_id, one in found.items()} == {
        ticket_id: repr(commands) for ticket_id, commands in COMMANDS.items()
    }
    assert {ticket_id: one.state for ticket_id, one in found.items()} == STATES
    assert {one.request for one in found.values()} == {None}
    assert len(rows(old_file, "tickets")) == len(COMMANDS)


async def test_an_old_ticket_is_never_spent_though_it_was_approved(
    store: SqliteStore, old_file: Path, now: datetime
) -> None:
    for ticket_id in COMMANDS:
        assert not await store.approve_ticket(ticket_id, "form", now)
        assert not await store.spend_ticket(ticket_id, now)
        assert not await store.decline_ticket(ticket_id, "form", now)
    assert await store.open_tickets(now) == ()
    with closing(sqlite3.connect(old_file)) as connection:
        for statement in ("UPDATE tickets SET state = 'approved'", "UPDATE tickets SET state = 'open'"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)


async def test_what_an_old_ticket_kept_is_kept(store: SqliteStore, old_file: Path, now: datetime) -> None:
    found = await ticket(store, "t-change")
    assert (found.own_id, found.phrase, found.decided_by) == ("own-change", "change", "form")
    assert (found.summary, found.reason) == (
        "Sim101  CHANGE o-1 to quantity 3, stop 10",
        "the person asked for it",
    )
    assert (found.created_at, found.expires_at) == (now, now + timedelta(seconds=90))
    assert (found.simulated, found.approval) == (True, "form")


async def test_an_old_intent_of_unknown_outcome_leads_to_its_ticket_and_can_be_settled(
    store: SqliteStore, old_file: Path, now: datetime
) -> None:
    async def open_ends() -> list[tuple[str | None, str | None]]:
        return [(entry.ticket_id, entry.own_id) for entry in await store.unsettled()]

    assert await open_ends() == [
        ("t-place", "own-place"),
        ("t-flatten-everything", "own-flatten-everything-2"),
        ("t-start", "own-start"),
    ]
    (entry,) = (await store.outstanding("Live1")).entries
    left = await ticket(store, entry.ticket_id or "")
    assert left.own_id_of(1) == entry.own_id
    assert left.commands[1] == Flatten("Live1", None)
    settled = NewEntry(EntryKind.SETTLED, "flat", account="Live1", ticket_id=left.ticket_id, own_id=entry.own_id)
    await store.append(settled, now)
    assert await open_ends() == [("t-place", "own-place"), ("t-start", "own-start")]
    assert (await store.verify()).ok


async def test_a_command_that_is_outstanding_in_an_old_file_is_known_by_its_fingerprint(
    store: SqliteStore, old_file: Path, now: datetime
) -> None:
    placed = await ticket(store, "t-place")
    last = (await store.recall("Sim101", placed.fingerprint, now)).last_identical
    assert last is not None
    assert not last.settled


@pytest.mark.parametrize(
    "action", ["no command", '["flatten"]', '["cancel_order",{"order_id":NaN}]', "[" * 100_000, '["flatten","Sim101"]']
)
async def test_an_old_ticket_that_says_no_command_keeps_no_other_from_being_taken_over(
    store: SqliteStore, old_file: Path, action: str
) -> None:
    with closing(sqlite3.connect(old_file)) as connection, connection:
        connection.execute("DROP TRIGGER ticket_is_bound")
        connection.execute("UPDATE tickets SET action = ? WHERE ticket_id = 't-place'", (action,))
    assert (await ticket(store, "t-start")).commands == COMMANDS["t-start"]
    with pytest.raises(StoreFailed, match="ticket t-place cannot be read"):
        await store.ticket("t-place")


async def test_a_takeover_that_fails_leaves_the_old_file_as_it_was(store: SqliteStore, old_file: Path) -> None:
    with closing(sqlite3.connect(old_file, isolation_level=None)) as connection:
        connection.execute("CREATE INDEX tickets_by_expiry ON journal (at)")
    with pytest.raises(StoreFailed, match=r"tickets_by_expiry already exists.*move the file aside"):
        await store.halt()
    assert version_of(old_file) == 3
    assert rows(old_file, "tickets") == rows(VERSION_3, "tickets")


def test_of_many_that_open_an_old_file_at_once_one_takes_it_over(old_file: Path) -> None:
    def count(_: int) -> int:
        with closing(Database(old_file, 30)) as database:
            return len(database.read(journal_table.newest, 1000, None, None))

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(count, range(6))) == {len(rows(VERSION_3, "journal"))}


async def test_a_process_of_the_old_version_that_still_runs_makes_no_ticket_any_more(
    store: SqliteStore, old_file: Path, now: datetime
) -> None:
    """It has the file open, and knows nothing of the new table; its insert names no columns."""
    (old_row, *_) = rows(VERSION_3, "tickets")
    await store.halt()
    with closing(sqlite3.connect(old_file)) as old_process:
        holes = ", ".join("?" * len(old_row))
        with pytest.raises(sqlite3.IntegrityError, match="ct_mcp_was_updated_and_must_be_restarted"):
            old_process.execute(
                f"INSERT INTO tickets VALUES ({holes})", ("t-new", *old_row[1:3], "own-new", *old_row[4:])
            )
