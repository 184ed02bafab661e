"""A journal that cannot be written stops a send; one that fails after the send is told and changes nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Wire, World


class FailingStore(SqliteStore):
    """The store on a disk that fills up when entries of some kinds are written."""

    fails_on: frozenset[EntryKind] = frozenset()
    cannot_be_read: bool = False

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write it, unless the disk is full."""
        if entry.kind in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().append(entry, now)

    async def open_ticket(
        self, ticket: Ticket, now: datetime, most_waiting: int | None = None, proposed: NewEntry | None = None
    ) -> Ticket:
        """Keep the ticket with its entry, unless the disk is full."""
        if EntryKind.PROPOSED in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().open_ticket(ticket, now, most_waiting, proposed)

    async def append_intent(
        self, entry: NewEntry, now: datetime, seen: int | None, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Write it, unless the disk is full."""
        if entry.kind in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().append_intent(entry, now, seen, holder=holder)

    async def entries(self, limit: int, account: str | None = None, ticket_id: str | None = None) -> tuple[Entry, ...]:
        """Read the entries, unless a test says that the file cannot be read."""
        if self.cannot_be_read:
            raise StoreFailed("the journal cannot be read: disk I/O error")
        return await super().entries(limit, account, ticket_id)

    async def approve_ticket(self, ticket_id: str, by: str, now: datetime) -> bool:
        """Write the yes with its entry, unless the disk is full."""
        if EntryKind.APPROVED in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().approve_ticket(ticket_id, by, now)


AFTER_THE_WIRE = frozenset({EntryKind.ACCEPTED, EntryKind.ANSWERED, EntryKind.UNKNOWN, EntryKind.READ_BACK})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FailingStore]:
    """A store that works until a test says otherwise."""
    store = FailingStore(tmp_path / "state")
    yield store
    store.fails_on = frozenset()
    await store.close()


@pytest.mark.parametrize("kind", [EntryKind.PROPOSED, EntryKind.APPROVED, EntryKind.INTENT])
async def test_an_order_that_cannot_be_written_down_beforehand_is_not_sent(
    assistant: Assistant, world: World, store: FailingStore, kind: EntryKind
) -> None:
    store.fails_on = frozenset({kind})
    told = await assistant.buys(1)
    assert told.is_error
    assert told.text.startswith("JOURNAL_UNAVAILABLE: the journal cannot be written: database or disk is full.")
    assert "Nothing was sent to the market." in told.text
    assert "the person must mend the state folder" in told.text
    assert (world.writes(), world.states()) == (0, [])


@pytest.mark.parametrize("tool", ["flatten", "close_position", "cancel_order", "cancel_orders", "change_order"])
async def test_nothing_at_all_is_sent_without_its_intent(
    assistant: Assistant, world: World, store: FailingStore, tool: str
) -> None:
    order_id = await assistant.rests(world.price(-40))
    world.later()
    await assistant.buys(1)
    world.later()
    more: dict[str, dict[str, Any]] = {
        "close_position": {"instrument": "MES"},
        "cancel_order": {"order_id": order_id},
        "change_order": {"order_id": order_id, "limit_price": world.price(-60)},
    }
    before = world.writes()
    store.fails_on = frozenset({EntryKind.INTENT})
    told = await assistant.call(tool, account="Sim101", **more.get(tool, {}))
    assert told.text.startswith("JOURNAL_UNAVAILABLE")
    assert (world.writes(), world.net(), len(world.live())) == (before, 1, 1)


async def test_a_journal_that_fails_after_the_send_warns_and_changes_nothing(
    assistant: Assistant, world: World, store: FailingStore
) -> None:
    store.fails_on = AFTER_THE_WIRE
    told = await assistant.buys(2)
    assert (told.status, told.sent, told.filled_quantity, told.position_after) == ("filled", True, 2, 2)
    assert "the journal could not be written after sending" in told.warnings_text
    assert world.net() == 2
    world.later()
    told = await assistant.call("flatten", account="Sim101")
    assert (told.status, told.position_after, world.net()) == ("accepted", 0, 0)
    assert "the journal could not be written after sending" in told.warnings_text
    assert "it reads flat, and this may still fill: SIM Sim101 BUY 2 MES" in told.text, "by the journal it may"
    world.later(60)
    assert (await assistant.call("flatten", account="Sim101")).status == "flat"


async def test_what_could_not_be_written_after_the_send_is_settled_later(
    assistant: Assistant, world: World, store: FailingStore
) -> None:
    store.fails_on = AFTER_THE_WIRE
    first = await assistant.buys(1)
    assert [entry.ticket_id for entry in await store.unsettled()] == [first.ticket_id]
    store.fails_on = frozenset()
    world.later(30)
    assert (await assistant.buys(1)).status == "filled"
    assert await store.unsettled() == ()


async def test_a_flatten_whose_second_intent_cannot_be_written_says_what_it_left(
    assistant: Assistant, world: World, wire: Wire, store: FailingStore
) -> None:
    """The flatten itself was sent, so the failure of the second step must not speak for the whole."""
    order_id = await assistant.rests(world.price(-40))
    world.later()

    def disk_fills_up() -> None:
        store.fails_on = frozenset({EntryKind.INTENT})

    wire.meanwhile["/flatten"] = disk_fills_up
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert told.status == "accepted"
    assert "the orders left standing were not cancelled: the journal cannot be written" in told.warnings_text
    assert f"({order_id})" in told.reasons_text
    assert "NOT FLAT" in told.next_step
    assert world.live() == [order_id]


async def test_a_state_folder_that_cannot_be_used_sends_nothing_and_lets_reading_go_on(
    converse: Converse,
    person: Person,
    world: World,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    tmp_path: Path,
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be", encoding="utf-8")
    desk = Desk(crosstrade, SqliteStore(tmp_path / "taken"), policy, clock=clock, pause=pause)
    async with converse(person, over=desk) as assistant:
        for told in (await assistant.buys(1), await assistant.call("flatten", account="Sim101")):
            assert told.text.startswith("JOURNAL_UNAVAILABLE")
            assert "Nothing was sent to the market." in told.text
        assert not (await assistant.call("get_positions", account="Sim101")).is_error
    assert world.writes() == 0


@pytest.mark.parametrize("cannot_be_read", [False, True])
async def test_whoever_asks_again_for_what_was_sent_is_never_told_that_nothing_was(
    assistant: Assistant, world: World, store: FailingStore, *, cannot_be_read: bool
) -> None:
    """What came back could not be written, so the order is outstanding; nor can it be settled now."""
    store.fails_on = AFTER_THE_WIRE | {EntryKind.SETTLED}
    sent = await assistant.buys(2)
    assert (sent.status, world.net()) == ("filled", 2)
    world.later()
    store.cannot_be_read = cannot_be_read
    told = await assistant.call("confirm_ticket", ticket_id=sent.ticket_id)
    store.cannot_be_read = False
    assert "Nothing was sent" not in told.text
    assert ("TICKET_SPENT" in told.text) is cannot_be_read
    assert cannot_be_read or (told.status, told.sent) == ("unknown", "unknown")
    assert (world.writes(), world.net()) == (1, 2)
