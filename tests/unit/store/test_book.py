"""The book on disk: each execution once, what belongs to one service, what is forgotten, and kills in between."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.plan import SentOrder
from ct_mcp.domain.trades import Excursion, ExcursionSource, Listening, RecordedExecution, Source, Worth
from ct_mcp.store.book import PAGE
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import SqliteStore
from tests.processes import interruptible
from tests.unit.store.conftest import Place

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def executed(number: int, **changes: Any) -> RecordedExecution:
    """Build one execution, so many minutes after `NOW`."""
    usual = RecordedExecution(
        "Sim101",
        f"e{number}",
        Instrument("ES", 2026, 12),
        OrderAction.BUY,
        1,
        Decimal("6400.25"),
        NOW + number * MINUTE,
        Source.HEARD,
        f"o{number}",
        "Entry",
    )
    return replace(usual, **changes)


def heard(minutes: int, began: datetime = NOW, **changes: Any) -> Listening:
    """Build a stretch that lasted so long."""
    return replace(Listening(began, began + minutes * MINUTE), **changes)


async def test_what_is_kept_is_given_back_as_it_was(store: SqlStore) -> None:
    took = [
        executed(0, commission=Decimal("2.15"), position_after=-3, ordinal=7),
        executed(1, order_id=None, name=None),
    ]
    assert await store.keep_heard("Sim101", took, heard(5, positions=(("ES 12-26", -2),))) == 2
    assert await store.executions_on_record("Sim101") == tuple(took)
    assert await store.listenings("Sim101") == (heard(5, positions=(("ES 12-26", -2),)),)
    assert await store.accounts_on_record() == ("Sim101",)


async def test_an_execution_is_kept_once_and_as_it_was_first_heard(store: SqlStore) -> None:
    await store.keep_heard("Sim101", [executed(0)], heard(5))
    assert await store.keep_heard("Sim101", [executed(0, price=Decimal(1)), executed(1)], heard(10)) == 1
    assert await store.executions_on_record("Sim101") == (executed(0), executed(1))
    assert await store.listenings("Sim101") == (heard(10),), "the stretch has become longer"


async def test_a_stretch_never_becomes_shorter_and_keeps_what_was_held_when_it_began(store: SqlStore) -> None:
    await store.keep_heard("Sim101", [], heard(10, positions=(("ES 12-26", 1),)))
    await store.keep_heard("Sim101", [], heard(5, positions=()))
    assert await store.listenings("Sim101") == (heard(10, positions=(("ES 12-26", 1),)),)


async def test_two_accounts_may_have_executions_of_one_id(store: SqlStore) -> None:
    await store.keep_import([executed(0), executed(0, account="Sim102")])
    assert len(await store.executions_on_record("Sim102")) == 1
    assert len(await store.executions_on_record("Sim101")) == 1


async def test_a_span_of_time_is_read(store: SqlStore) -> None:
    await store.keep_import([executed(number) for number in range(5)])
    found = await store.executions_on_record("Sim101", NOW + MINUTE, NOW + 3 * MINUTE)
    assert [each.execution_id for each in found] == ["e1", "e2"]


async def test_a_long_record_is_read_in_pages_and_whole(store: SqlStore) -> None:
    took = [executed(number // 3, execution_id=f"e{number:05d}", ordinal=number % 2) for number in range(2 * PAGE + 7)]
    assert await store.keep_import([*took, took[0]]) == len(took)
    found = await store.executions_on_record("Sim101")
    assert sorted(each.execution_id for each in found) == [each.execution_id for each in took]
    assert list(found) == sorted(found, key=lambda it: (it.at, it.ordinal, it.execution_id))
    assert len(await store.executions_on_record("Sim101", NOW + MINUTE, NOW + 2 * MINUTE)) == 3


async def test_how_far_a_record_goes_back_is_told(store: SqlStore) -> None:
    assert await store.book_extent("Sim101") == (None, 0)
    await store.keep_import([executed(2), executed(1)])
    assert await store.book_extent("Sim101") == (NOW + MINUTE, 2)


async def test_orders_are_found_by_what_they_were_sent_under(
    store: SqlStore, make_ticket: Callable[..., Ticket]
) -> None:
    ticket = make_ticket(ticket_id="entry", approval=Approval.NONE)
    await store.open_ticket(ticket, NOW)
    approved = NewEntry(EntryKind.APPROVED, "yes", "Sim101", "entry")
    await store.append(approved, NOW)
    sent = NewEntry(EntryKind.READ_BACK, "x", "Sim101", "entry", ticket.own_id, detail={"order_id": "o1"})
    for entry in (sent, replace(sent, detail={"order_id": "o2"}), replace(sent, detail={})):
        await store.append(entry, NOW)
    found = await store.tickets_of_orders("Sim101", {"o1", "o7"}, NOW)
    assert found == {"o1": SentOrder(ticket, 0, NOW)}
    assert await store.tickets_of_orders("Sim101", {"o1"}, NOW + MINUTE) == {}


async def test_an_import_brings_commissions_and_changes_none_that_is_known(store: SqlStore) -> None:
    await store.keep_heard("Sim101", [executed(0), executed(1, commission=Decimal(1))], heard(5))
    before = await store.book_mark("Sim101")
    costs = [executed(number, commission=Decimal("2.15")) for number in (0, 1)]
    assert await store.keep_import([], costs) == 0
    assert [each.commission for each in await store.executions_on_record("Sim101")] == [Decimal("2.15"), Decimal(1)]
    assert await store.book_mark("Sim101") != before


async def test_what_was_imported_can_be_taken_out_and_what_was_heard_stays(store: SqlStore) -> None:
    await store.keep_heard("Sim101", [executed(0)], heard(5))
    await store.keep_import([executed(1, source=Source.IMPORTED), executed(2, source=Source.JOURNAL)])
    assert await store.forget_imported("Sim101") == 2
    assert await store.executions_on_record("Sim101") == (executed(0),)


async def test_what_is_older_is_forgotten_and_what_was_held_then_is_kept(store: SqlStore) -> None:
    await store.keep_heard("Sim101", [executed(number) for number in range(10)], heard(20, positions=()))
    cut = NOW + 5 * MINUTE
    await store.prune_book("Sim101", cut, Listening(cut, cut, (("ES 12-26", 5),)))
    assert len(await store.executions_on_record("Sim101")) == 5
    assert await store.listenings("Sim101") == (Listening(cut, NOW + 20 * MINUTE, (("ES 12-26", 5),)),)


async def test_excursions_and_what_contracts_are_worth_are_kept(store: SqlStore) -> None:
    moved = Excursion(Decimal(6390), Decimal("6410.5"), ExcursionSource.QUOTES)
    await store.keep_excursion("Sim101", "a.b", moved, NOW)
    await store.keep_excursion("Sim101", "a.b", replace(moved, worst=Decimal(1)), NOW)
    assert await store.excursions("Sim101") == {"a.b": moved}, "the first that is known stands"
    es = Worth("ES", Decimal("0.25"), Decimal(50), "USD")
    await store.keep_worths([replace(es, point_value=Decimal(1)), es])
    assert await store.worths() == (es,)


async def test_each_service_has_a_book_of_its_own(place: Place) -> None:
    ours, theirs, terminal = (place.open(name) for name in ("ours", "theirs", ""))
    try:
        await ours.keep_heard("Sim101", [executed(0)], heard(5))
        assert await terminal.executions_on_record("Sim101") == (executed(0),), "without a token it is the one there is"
        assert await terminal.has_one_book()
        assert await theirs.executions_on_record("Sim101") == ()
        await theirs.keep_heard("Sim101", [executed(0)], heard(5))
        assert not await terminal.has_one_book(), "whose is meant is not clear"
        assert await terminal.executions_on_record("Sim101") == ()
    finally:
        for store in (ours, theirs, terminal):
            await store.close()


_WRITES = """
import sys
from datetime import timedelta
import anyio
from ct_mcp.store.book import PAGE
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.store.test_book import NOW, executed, heard
from pathlib import Path

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    for number in range(100000):
        await store.keep_heard("Sim101", [executed(number - 1), executed(number)], heard(number))
        print(number, flush=True)

anyio.run(main)
"""


def killed_while_writing(folder: Path) -> None:
    """Start a process that keeps what it hears as fast as it can, and kill it."""
    writer = subprocess.Popen(interruptible(sys.executable, "-c", _WRITES, str(folder)), stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(40):
        writer.stdout.readline()
    writer.kill()
    writer.wait()
    writer.stdout.close()


async def test_a_process_that_is_killed_claims_to_have_heard_nothing_that_is_not_kept(folder: Path) -> None:
    killed_while_writing(folder)
    store = SqliteStore(folder)
    try:
        (stretch,) = await store.listenings("Sim101")
        kept = await store.executions_on_record("Sim101")
    finally:
        await store.close()
    assert kept[-1].at == stretch.ended, "both, or neither"
    assert [each.execution_id for each in kept] == [f"e{number}" for number in range(-1, len(kept) - 1)]
