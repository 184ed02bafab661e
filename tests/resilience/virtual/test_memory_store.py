"""The store in memory does what the store on disk does: it passes the tests of it, and fails as a disk fails."""

import inspect
from collections.abc import Callable
from datetime import datetime
from types import ModuleType

import pytest
from virtual_store import MemoryDatabase, MemoryStore

from ct_mcp.domain.approval import Ticket
from ct_mcp.errors import StoreFailed
from tests.unit.store import conftest, test_tickets, test_trading_state

now, make_ticket = conftest.now, conftest.make_ticket


@pytest.fixture
def store() -> MemoryStore:
    """In place of the one on disk."""
    return MemoryStore(MemoryDatabase())


def those_of(module: ModuleType) -> dict[str, Callable[..., object]]:
    """Those that need nothing but a store."""
    found = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    return {name: test for name, test in found.items() if "place" not in inspect.signature(test).parameters}


globals().update(those_of(test_tickets) | those_of(test_trading_state))


async def test_a_full_disk_writes_nothing(now: datetime, make_ticket: Callable[..., Ticket]) -> None:
    async def full(writes: bool) -> bool:
        return writes

    database, ticket = MemoryDatabase(), make_ticket()
    with pytest.raises(StoreFailed, match="disk is full"):
        await MemoryStore(database, full).open_ticket(ticket, now)

    assert await MemoryStore(database).ticket(ticket.ticket_id) is None


async def test_what_one_process_wrote_the_next_one_finds(now: datetime, make_ticket: Callable[..., Ticket]) -> None:
    database, ticket = MemoryDatabase(), make_ticket()
    first = MemoryStore(database)
    await first.open_ticket(ticket, now)
    await first.close()

    assert await MemoryStore(database).open_tickets(now) == (ticket,)
