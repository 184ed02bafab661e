"""A store in a fresh place, a file or a database, a moment, and tickets to put into it."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Finding, FindingKind, ShownOrder, Ticket
from ct_mcp.domain.commands import PlaceOrder, headline
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.store.postgres import Patience, PostgresConnection, PostgresStore
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.schema import migrate
from ct_mcp.store.sql import SqlConnection
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests.postgres import Server, as_text

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A Monday in the session."""
    return NOW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that does not exist yet."""
    return tmp_path / "state"


class Place(Protocol):
    """Where a store keeps what it is given, and what another program with every right to it may do there."""

    refused: type[Exception]
    evidence: str

    @property
    def named(self) -> str:
        """How another process of a test finds it."""
        ...

    def open(self, service: str = "", busy_timeout_seconds: float = 5.0) -> SqlStore:
        """Open it once more, as another process or another machine does."""
        ...

    def raw(self, *statements: str) -> None:
        """Run statements behind our back."""
        ...

    def tamper(self, *statements: str) -> None:
        """Run statements behind our back, where nothing guards the tables any more."""
        ...

    def held(self) -> AbstractContextManager[Callable[[], object]]:
        """Let another program write and come to no end, until what is given is called."""
        ...


class InFile:
    """The file of a state folder."""

    refused: type[Exception] = sqlite3.IntegrityError
    evidence = "move the file aside"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def named(self) -> str:
        return str(self._folder)

    def open(self, service: str = "", busy_timeout_seconds: float = 5.0) -> SqlStore:
        return SqliteStore(self._folder, service=service, busy_timeout_seconds=busy_timeout_seconds)

    def raw(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._folder / FILE_NAME)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def tamper(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._folder / FILE_NAME)) as connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        self.raw(*(f"DROP TRIGGER {name}" for (name,) in triggers), *statements)

    @contextmanager
    def held(self) -> Iterator[Callable[[], object]]:
        with closing(sqlite3.connect(self._folder / FILE_NAME, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield lambda: holder.execute("ROLLBACK")


class InDatabase:
    """The schema of a trader."""

    refused: type[Exception] = psycopg.IntegrityError
    evidence = "keep a copy of the database"

    def __init__(self, server: Server, trader: PostgresUrl) -> None:
        self._server, self._trader = server, trader

    @property
    def named(self) -> str:
        return as_text(self._trader)

    def open(self, service: str = "", busy_timeout_seconds: float = 5.0) -> SqlStore:
        patience = Patience(lock_seconds=busy_timeout_seconds, statement_seconds=60, held_seconds=60)
        return PostgresStore(self._trader, service=service, patience=patience)

    def raw(self, *statements: str) -> None:
        with self._server.connected(self._trader.user) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def tamper(self, *statements: str) -> None:
        self.raw("SET session_replication_role = replica", *statements)

    @contextmanager
    def held(self) -> Iterator[Callable[[], object]]:
        with self._server.connected(self._trader.user) as holder:
            holder.execute("BEGIN")
            holder.execute("SELECT 1 FROM journal_end FOR UPDATE")
            yield lambda: holder.execute("ROLLBACK")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, folder: Path) -> Place:
    """Where the store is: each test runs over both."""
    if request.param == "sqlite":
        return InFile(folder)
    return InDatabase(request.getfixturevalue("postgres"), request.getfixturevalue("trader"))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SqlStore]:
    """A store with little patience, so that a held lock is noticed at once."""
    store = place.open(busy_timeout_seconds=0.05)
    yield store
    await store.close()


Begin = Callable[[], AbstractContextManager[SqlConnection]]
"""Gives empty tables that nobody else sees."""


@contextmanager
def _in_memory() -> Iterator[SqlConnection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        yield connection


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def begin(request: pytest.FixtureRequest) -> Iterator[Begin]:
    """Empty tables to work on, as often as a test asks: in memory, or in a transaction that is undone."""
    if request.param == "sqlite":
        yield _in_memory
        return
    server, trader = request.getfixturevalue("postgres"), request.getfixturevalue("only_trader")
    server.empty(trader)
    with server.connected(trader.user) as connection:

        @contextmanager
        def undone() -> Iterator[SqlConnection]:
            connection.execute("BEGIN")
            try:
                yield PostgresConnection(connection)
            finally:
                connection.execute("ROLLBACK")

        yield undone


@pytest.fixture
def make_ticket() -> Callable[..., Ticket]:
    """Make tickets that expire after 90 seconds, each for an order of its own quantity."""

    def make(number: int = 1, approval: Approval = Approval.FORM, ticket_id: str = "") -> Ticket:
        order = PlaceOrder(
            account="Sim101",
            instrument=Instrument("MES", 2026, 12),
            action=OrderAction.BUY,
            quantity=number,
            order_type=OrderType.LIMIT,
            limit_price=Decimal("6410.250"),
            stop_price=None,
            time_in_force=TimeInForce.DAY,
        )
        name = ticket_id or f"ticket-{number}"
        return Ticket(
            ticket_id=name,
            commands=(order,),
            fingerprint=f"BUY {number} MES 12-26",
            own_id=f"own-{name}",
            summary=f"Sim101  BUY {number} MES 12-26 LIMIT limit 6410.250",
            request=question_about(order),
            phrase="BUY",
            approval=approval,
            simulated=True,
            reason="the person asked for it",
            created_at=NOW,
            expires_at=NOW + timedelta(seconds=90),
        )

    return make


def question_about(order: PlaceOrder) -> ApprovalRequest:
    """Show an order with figures, an order that goes, and something to look at."""
    item = ApprovalItem(
        account=order.account,
        account_kind=AccountKind.SIMULATED,
        kind="place order",
        headline=headline(order),
        instrument=order.instrument,
        sends=(order,),
        cancels=(ShownOrder("7", 1, "SELL 1 MES 12-26 LIMIT 6420"),),
        only_reduces=False,
        position_before=0,
        position_after=order.quantity,
        value=Decimal("32051.250"),
        risk=None,
        currency="USD",
        steps=("send it",),
        standing=("flat",),
        findings=(Finding(FindingKind.ASSUMPTION, "PRICE", "its limit is the price"),),
    )
    return ApprovalRequest((item,))
