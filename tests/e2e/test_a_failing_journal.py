"""A journal that cannot be written stops a send; one that fails after the send is told and changes nothing."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore


class FailingStore(SqliteStore):
    """The store on a disk that fills up when entries of some kinds are written."""

    fails_on: frozenset[EntryKind] = frozenset()

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write it, unless the disk is full."""
        if entry.kind in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().append(entry, now)

    async def append_intent(self, entry: NewEntry, now: datetime, seen: int) -> Entry | None:
        """Write it, unless the disk is full."""
        if entry.kind in self.fails_on:
            raise StoreFailed("the journal cannot be written: database or disk is full")
        return await super().append_intent(entry, now, seen)


AFTER_THE_WIRE = frozenset({EntryKind.ACCEPTED, EntryKind.ANSWERED, EntryKind.UNKNOWN, EntryKind.READ_BACK})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FailingStore]:
    """A store that works until a test says otherwise."""
    store = FailingStore(tmp_path / "state")
    yield store
    store.fails_on = frozenset()
    await store.close()


@pytest.mark.parametrize("kind", [EntryKind.PROPOSED, EntryKind.APPROVED, EntryKind.INTENT])
async def test_an_order_that_cannot_be_written_down_beforehand_is_not_sent(assistant, world, store, kind) -> None:
    store.fails_on = frozenset({kind})
    told = await assistant.buys(1)
    assert told.is_error
    assert told.text.startswith("JOURNAL_UNAVAILABLE: the journal cannot be written: database or disk is full.")
    assert "Nothing was sent to the market." in told.text
    assert "the person must mend the state folder" in told.text
    assert (world.writes(), world.states()) == (0, [])


@pytest.mark.parametrize("tool", ["flatten", "close_position", "cancel_order", "cancel_orders", "change_order"])
async def test_nothing_at_all_is_sent_without_its_intent(assistant, world, store, tool) -> None:
    order_id = await assistant.rests(world.price(-40))
    world.later()
    await assistant.buys(1)
    world.later()
    more = {
        "close_position": {"instrument": "MES"},
        "cancel_order": {"order_id": order_id},
        "change_order": {"order_id": order_id, "limit_price": world.price(-60)},
    }
    before = world.writes()
    store.fails_on = frozenset({EntryKind.INTENT})
    told = await assistant.call(tool, account="Sim101", **more.get(tool, {}))
    assert told.text.startswith("JOURNAL_UNAVAILABLE")
    assert (world.writes(), world.net(), len(world.live())) == (before, 1, 1)


async def test_a_journal_that_fails_after_the_send_warns_and_changes_nothing(assistant, world, store) -> None:
    store.fails_on = AFTER_THE_WIRE
    told = await assistant.buys(2)
    assert (told.status, told.sent, told.filled_quantity, told.position_after) == ("filled", True, 2, 2)
    assert "the journal could not be written after sending" in told.warnings_text
    assert world.net() == 2
    world.later()
    told = await assistant.call("flatten", account="Sim101")
    assert told.status == "flat"
    assert "the journal could not be written after sending" in told.warnings_text


async def test_what_could_not_be_written_after_the_send_is_settled_later(assistant, world, store) -> None:
    store.fails_on = AFTER_THE_WIRE
    first = await assistant.buys(1)
    assert [entry.ticket_id for entry in await store.unsettled()] == [first.ticket_id]
    store.fails_on = frozenset()
    world.later(30)
    assert (await assistant.buys(1)).status == "filled"
    assert await store.unsettled() == ()


async def test_a_flatten_whose_second_intent_cannot_be_written_says_what_it_left(assistant, world, wire, store) -> None:
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
    converse, person, world, crosstrade, policy, clock, pause, tmp_path
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be", encoding="utf-8")
    desk = Desk(crosstrade, SqliteStore(tmp_path / "taken"), policy, clock=clock, pause=pause)
    async with converse(person, over=desk) as assistant:
        for told in (await assistant.buys(1), await assistant.call("flatten", account="Sim101")):
            assert told.text.startswith("JOURNAL_UNAVAILABLE")
            assert "Nothing was sent to the market." in told.text
        assert not (await assistant.call("get_positions", account="Sim101")).is_error
    assert world.writes() == 0
