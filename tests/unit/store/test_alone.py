"""Out of reach of the shared store: exits go on in a file of the machine, and nothing that opens, nor holds for all."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest

from ct_mcp.domain.approval import Approval, Halt, Ticket, TicketState
from ct_mcp.domain.balances import Figures, ToldFloor
from ct_mcp.domain.duty import Duty, DutyPart
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.trades import Listening
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.errors import OnlyReduces, StoreFailed, StoreOutOfReach, TakenOver, TicketOutOfReach
from ct_mcp.store import journal_table
from ct_mcp.store.alone import (
    FILE_NAME,
    LONGEST_IN_DOUBT_SECONDS,
    QUIET_FOR_SECONDS,
    TRY_AGAIN_AFTER_SECONDS,
    ExitsAlone,
)
from ct_mcp.store.database import Database
from ct_mcp.store.journal import ONLY_REDUCES, EntryKind, NewEntry
from ct_mcp.store.sql import Engine, SqlConnection
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.trading_state import StoredPin
from tests.factories import account, place_order

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
MakeTicket = Callable[..., Ticket]
SECOND = timedelta(seconds=1)


class Faraway:
    """A store of all machines, whose cable a test pulls."""

    def __init__(self, file: Path) -> None:
        self.inner = Database(file, 5.0)
        self.is_out = False
        self.asked = 0

    def read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        self._need()
        return self.inner.read(work, *arguments)

    def write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        self._need()
        return self.inner.write(work, *arguments)

    def aside(self) -> Engine:
        return self.inner.aside()

    def close(self) -> None:
        self.inner.close()

    def _need(self) -> None:
        self.asked += 1
        if self.is_out:
            raise StoreOutOfReach("postgresql://alice@db/team: it cannot be reached")


class Passing:
    """How time passes: only as a test says."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def faraway(tmp_path: Path) -> Faraway:
    return Faraway(tmp_path / "faraway" / "shared.sqlite3")


@pytest.fixture
def passing() -> Passing:
    return Passing()


@pytest.fixture
def engine(faraway: Faraway, folder: Path, passing: Passing, now: datetime) -> Iterator[ExitsAlone]:
    with closing(ExitsAlone(faraway, folder, "", lambda: now, passing)) as engine:
        yield engine


@pytest.fixture
def alone(engine: ExitsAlone) -> SqlStore:
    return SqlStore(engine)


def intent(ticket_id: str, *, opens: bool = False) -> NewEntry:
    return NewEntry(
        EntryKind.INTENT, "x", account="Sim101", ticket_id=ticket_id, own_id=f"own-{ticket_id}", opens=opens
    )


async def exit_is_sent(store: SqlStore, make_ticket: MakeTicket, now: datetime, ticket_id: str = "exit") -> None:
    """The road of an exit, as far as the store sees it."""
    seen = (await store.outstanding("Sim101")).seen
    ticket = make_ticket(ticket_id=ticket_id, approval=Approval.NONE)
    await store.open_ticket(replace(ticket, fingerprint=ticket_id), now)
    assert await store.spend_ticket(ticket_id, now)
    assert await store.append_intent(intent(ticket_id), now, seen) is not None


async def answered(store: SqlStore, now: datetime, ticket_id: str = "exit") -> None:
    await store.append(NewEntry(EntryKind.ANSWERED, "flat", account="Sim101", ticket_id=ticket_id), now)


def figures(at: datetime, gain: int = 0) -> Figures:
    return Figures("Sim101", at, Decimal(50_000), Decimal(0), Decimal(gain), is_flat=False)


def summaries(faraway: Faraway) -> list[str]:
    return [entry.summary for entry in faraway.inner.read(journal_table.newest, 99, None, None)]


async def test_while_it_is_reached_nothing_is_kept_beside_it(
    alone: SqlStore, faraway: Faraway, folder: Path, now: datetime
) -> None:
    await alone.append(NewEntry(EntryKind.ASKED, "x"), now)
    assert await alone.halt() is None
    assert summaries(faraway) == ["x"]
    assert not (folder / FILE_NAME).exists()


async def test_a_read_that_cannot_be_answered_there_is_answered_here_and_trading_is_halted(
    alone: SqlStore, faraway: Faraway, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    await alone.append(NewEntry(EntryKind.ASKED, "of before"), now)
    faraway.is_out = True
    with caplog.at_level(logging.WARNING, "ct_mcp"):
        state = await alone.recall("Sim101", "f", now)
    assert state.halt is not None
    assert (state.halt.by, state.halt.at) == ("ct-mcp", now)
    assert "out of reach: postgresql://alice@db/team: it cannot be reached. It ends by itself" in state.halt.reason
    assert await alone.entries(9) == (), "what stood there is not known here"
    assert caplog.messages == [
        "Only exits go on: the shared store is out of reach: postgresql://alice@db/team: it cannot be reached"
    ]


async def test_an_exit_goes_its_whole_way(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    await exit_is_sent(alone, make_ticket, now)
    assert [entry.ticket_id for entry in await alone.unsettled()] == ["exit"]
    await answered(alone, now)
    assert await alone.unsettled() == ()
    assert (await alone.verify()).count == 2
    assert summaries(faraway) == []


async def test_a_write_that_was_never_begun_there_goes_on_here_at_once(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    """The first call of a process asks the shared store what it must know before any other."""
    faraway.is_out = True
    ticket = make_ticket(ticket_id="exit", approval=Approval.NONE)
    assert await alone.open_ticket(ticket, now) == ticket
    assert await alone.halt() is not None


async def test_a_write_that_fails_is_told_and_the_next_try_goes_on_here(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    assert await alone.halt() is None
    faraway.is_out = True
    with pytest.raises(StoreOutOfReach, match=r"it cannot be reached.*Nothing was sent.*exits go on without it"):
        await alone.open_ticket(make_ticket(ticket_id="exit", approval=Approval.NONE), now)
    await exit_is_sent(alone, make_ticket, now)


async def test_what_may_open_is_never_about_to_be_sent(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    """Whatever the guard was told: the file itself refuses."""
    faraway.is_out = True
    assert await alone.halt() is not None
    await alone.open_ticket(make_ticket(ticket_id="entry", approval=Approval.NONE), now)
    assert await alone.spend_ticket("entry", now)
    with pytest.raises(
        OnlyReduces, match=r"only what reduces, and was asked for since.*close_position, flatten, cancels"
    ):
        await alone.append_intent(intent("entry", opens=True), now, 0)
    quoted = replace(intent("entry", opens=True), detail={"findings": ['{"only_reduces":true}']})
    with pytest.raises(OnlyReduces):
        await alone.append_intent(quoted, now, 0)
    with pytest.raises(
        StoreFailed, match=r"only what reduces, and was asked for since.*close_position, flatten, cancels"
    ):
        await alone.append(intent("entry", opens=True), now)
    assert await alone.unsettled() == ()


async def test_an_order_that_only_reduces_is_sent(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    """A stop, a part that is sold: it counts as an order, and opens nothing."""
    faraway.is_out = True
    assert await alone.halt() is not None
    await alone.open_ticket(make_ticket(ticket_id="stop", approval=Approval.NONE), now)
    assert await alone.spend_ticket("stop", now)
    sent = replace(intent("stop", opens=True), detail={ONLY_REDUCES: True})
    assert await alone.append_intent(sent, now, 0) is not None
    assert [entry.ticket_id for entry in await alone.unsettled()] == ["stop"]


@pytest.mark.parametrize("opens", [False, True])
async def test_what_began_before_ends_there(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime, opens: bool
) -> None:
    """It was judged by what the shared store said, and counts there: no intent of it is written here."""
    await alone.open_ticket(make_ticket(ticket_id="before", approval=Approval.NONE), now)
    assert await alone.spend_ticket("before", now)
    faraway.is_out = True
    assert await alone.halt() is not None, "another call has parted them"
    with pytest.raises(StoreFailed, match=r"only what reduces, and was asked for since.*ask for it once more"):
        await alone.append_intent(intent("before", opens=opens), now, 0)


async def test_of_a_ticket_of_before_nobody_is_told_that_nothing_was_sent(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    await alone.open_ticket(make_ticket(ticket_id="before", approval=Approval.NONE), now)
    assert await alone.spend_ticket("before", now)
    faraway.is_out = True
    for call in (
        alone.ticket("before"),
        alone.tickets(["before"]),
        alone.spend_ticket("before", now),
        alone.approve_ticket("before", "page", now),
        alone.decline_ticket("before", "page", now),
    ):
        with pytest.raises(TicketOutOfReach, match="What it held may have been sent before; nothing is sent now"):
            await call


async def test_what_was_sent_before_and_is_in_doubt_is_taken_along(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    for number, name in enumerate(("in doubt", "over", "unknown")):
        await exit_is_sent(alone, make_ticket, now + number * SECOND, name)
    await answered(alone, now, "over")
    await alone.append(NewEntry(EntryKind.UNKNOWN, "no answer", account="Sim101", ticket_id="unknown"), now)
    there = await alone.unsettled()
    faraway.is_out = True
    here = await alone.unsettled()
    assert [(entry.ticket_id, entry.at) for entry in here] == [("in doubt", now), ("unknown", now + 2 * SECOND)]
    assert [replace(entry, sequence=0, previous_hash="", hash="") for entry in here] == [
        replace(entry, sequence=0, previous_hash="", hash="") for entry in there
    ]
    kept = await alone.ticket("in doubt")
    assert kept is not None
    assert kept.state is TicketState.SPENT
    await answered(alone, now, "in doubt")
    passing.seconds += QUIET_FOR_SECONDS
    faraway.is_out = False
    assert [entry.ticket_id for entry in await alone.unsettled()] == ["in doubt", "unknown"], (
        "it is looked up there too"
    )
    (noted, *_) = await alone.entries(1)
    assert noted.detail["entries"] == 1


async def test_what_was_taken_along_once_stays_as_it_was_left(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    await exit_is_sent(alone, make_ticket, now, "in doubt")
    for _ in range(2):
        faraway.is_out = True
        await alone.halt()
        await answered(alone, now, "in doubt")
        assert await alone.unsettled() == ()
        passing.seconds += QUIET_FOR_SECONDS
        faraway.is_out = False
        assert await alone.halt() is None


async def test_a_watch_that_was_set_leaves_nothing_in_doubt(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    await exit_is_sent(alone, make_ticket, now, "sets")
    watch = Watch("w", WatchKind.FLAT_BY, "Sim101", now, now + timedelta(hours=1), "t", None, None, None, now)
    ended = NewEntry(EntryKind.ANSWERED, "set", account="Sim101", ticket_id="sets", own_id="own-sets")
    assert await alone.open_watch(watch, 5, (ended,), now)
    faraway.is_out = True
    assert await alone.unsettled() == ()


async def test_what_a_watch_or_an_entry_has_sent_is_taken_along_as_well(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    entry = replace(make_ticket(ticket_id="entry", approval=Approval.NONE), fingerprint="entry")
    await alone.open_ticket(entry, now)
    assert await alone.spend_ticket("entry", now)
    duty = Duty("entry", 0, "own-entry", place_order(), now)
    await alone.open_duty(duty)
    exits = replace(make_ticket(ticket_id="exits", approval=Approval.NONE), fingerprint="exits")
    assert await alone.add_part(duty, exits, DutyPart("exits", 1, now))
    await alone.append(intent("exits"), now)
    faraway.is_out = True
    assert [each.ticket_id for each in await alone.unsettled()] == ["exits"]


async def test_what_must_hold_over_all_machines_is_not_kept_by_one(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    order = place_order()
    pin = StoredPin(b"salt", 2, 8, 1, b"digest")
    for call in (
        alone.set_halt(Halt("the person", now, "news")),
        alone.clear_halt("the person", now),
        alone.arm("Live1", now + timedelta(hours=1), "the person", now),
        alone.disarm("Live1", "the person", now),
        alone.tell_floor("Live1", ToldFloor(Decimal(1), now, "the person")),
        alone.keep_pin(pin, now),
        alone.open_duty(Duty("t", 0, "o", order, now)),
        alone.keep_heard("Sim101", (), Listening(now, now)),
        alone.keep_worths(()),
    ):
        with pytest.raises(
            StoreFailed, match=r"would have to hold over all machines.*is reached again, then repeat it"
        ):
            await call
    assert await alone.halt() is not None
    assert await alone.armings(now) == {}


async def test_the_book_is_not_read_as_empty(alone: SqlStore, faraway: Faraway) -> None:
    await alone.accounts_on_record()
    faraway.is_out = True
    for call in (alone.accounts_on_record(), alone.executions_on_record("Sim101"), alone.has_one_book()):
        with pytest.raises(StoreOutOfReach):
            await call
    assert await alone.halt() is not None
    with pytest.raises(StoreOutOfReach, match=r"record of executions cannot be read: the shared store is out of reach"):
        await alone.executions_on_record("Sim101")


@pytest.mark.parametrize(
    ("holder", "seconds", "leaves"), [(NOBODY, 11, True), (NOBODY, 12, False), (Holder("A", 1), 0, False)]
)
async def test_exits_leave_that_were_written_down_a_moment_before_and_nothing_that_needs_a_lease(
    alone: SqlStore,
    faraway: Faraway,
    make_ticket: MakeTicket,
    now: datetime,
    holder: Holder,
    seconds: int,
    leaves: bool,
) -> None:
    """Asked right before the wire, of an intent that stands in the shared journal."""
    await exit_is_sent(alone, make_ticket, now, "exits")
    faraway.is_out = True
    later = now + seconds * SECOND
    for _ in range(2):  # as that goes out of reach, and once it is
        try:
            await alone.check_turn("exits", holder, later)
        except TakenOver:
            assert not leaves
        else:
            assert leaves


NEVER_SENT = {
    "a lease": lambda store, now: store.take_lease("book", "A", now, 15 * SECOND),
    "a denial": lambda store, now: store.append(NewEntry(EntryKind.DENIED, "BUY 1", account="Sim101"), now),
    "figures": lambda store, now: store.note_figures([figures(now)]),
    "a day's loss": lambda store, now: store.mark_day_loss("Sim101", now.date(), Decimal(-600), now),
    "accounts": lambda store, now: store.keep_accounts([account()], now),
}


@pytest.mark.parametrize("what", NEVER_SENT)
async def test_whatever_is_written_and_is_no_step_of_a_send_keeps_nobody_from_going_back(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime, what: str
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    faraway.is_out = False
    for seconds in range(4):
        passing.seconds += QUIET_FOR_SECONDS / 3
        await NEVER_SENT[what](alone, now + seconds * SECOND)
    assert await alone.halt() is None


async def test_whoever_asks_for_the_same_exit_until_it_expires_and_again_is_not_alone_for_ever(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    faraway.is_out = False
    asked = make_ticket(ticket_id="exit")
    for number in range(9):
        await alone.open_ticket(replace(make_ticket(ticket_id=f"again-{number}"), fingerprint=asked.fingerprint), now)
        passing.seconds += QUIET_FOR_SECONDS - 1
    assert len(await alone.open_tickets(now)) == 1
    assert await alone.decline_ticket("again-0", "page", now)
    assert await alone.halt() is None


async def test_it_goes_back_once_that_is_reached_and_notes_what_was_done_meanwhile(
    alone: SqlStore, faraway: Faraway, folder: Path, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    await exit_is_sent(alone, make_ticket, now)
    await answered(alone, now)
    passing.seconds += QUIET_FOR_SECONDS
    assert await alone.halt() is not None, "not reached yet"
    faraway.is_out = False
    assert await alone.halt() is not None, "not asked yet"
    passing.seconds += TRY_AGAIN_AFTER_SECONDS
    assert await alone.halt() is None
    (noted,) = faraway.inner.read(journal_table.newest, 9, None, None)
    with closing(Database(folder / FILE_NAME, 5.0)) as file:
        there = file.read(journal_table.verify)
    assert noted.kind is EntryKind.ERROR
    assert f"The shared store was out of reach from {now.isoformat(timespec='microseconds')} on" in noted.summary
    assert noted.detail == {"entries": 2, "last_hash": there.last_hash, "file": str(folder / FILE_NAME)}
    assert there.ok
    await alone.append(NewEntry(EntryKind.ASKED, "after"), now)
    assert summaries(faraway)[0] == "after"


async def test_where_nothing_was_done_meanwhile_nothing_is_noted(
    alone: SqlStore, faraway: Faraway, passing: Passing
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    faraway.is_out = False
    passing.seconds += QUIET_FOR_SECONDS
    assert await alone.halt() is None
    assert summaries(faraway) == []


async def test_it_is_not_asked_again_with_every_call(alone: SqlStore, faraway: Faraway, passing: Passing) -> None:
    faraway.is_out = True
    for _ in range(5):
        await alone.halt()
    assert faraway.asked == 1
    passing.seconds += QUIET_FOR_SECONDS
    for _ in range(5):
        await alone.halt()
    assert faraway.asked == 2


async def test_it_does_not_go_back_between_two_steps_of_an_exit(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    await alone.open_ticket(make_ticket(ticket_id="exit", approval=Approval.NONE), now)
    faraway.is_out = False
    passing.seconds += QUIET_FOR_SECONDS - 1
    assert await alone.spend_ticket("exit", now), "by the file, which knows it"


async def test_it_does_not_go_back_while_the_person_is_asked_about_an_exit(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    await alone.open_ticket(make_ticket(ticket_id="exit"), now)
    faraway.is_out = False
    passing.seconds += 80
    assert await alone.approve_ticket("exit", "page", now)
    passing.seconds += 80
    assert await alone.spend_ticket("exit", now)
    passing.seconds += 80
    assert await alone.halt() is None


async def test_what_became_of_an_exit_is_found_out_first_but_not_for_ever(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    await exit_is_sent(alone, make_ticket, now)
    faraway.is_out = False
    passing.seconds += LONGEST_IN_DOUBT_SECONDS - 1
    assert [entry.ticket_id for entry in await alone.unsettled()] == ["exit"]
    passing.seconds += 1
    assert await alone.halt() is None


async def test_parted_a_second_time_it_is_halted_as_of_then(
    engine: ExitsAlone, alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    faraway.is_out = True
    await exit_is_sent(alone, make_ticket, now, "first")
    await answered(alone, now, "first")
    passing.seconds += QUIET_FOR_SECONDS
    faraway.is_out = False
    assert await alone.halt() is None
    faraway.is_out = True
    await exit_is_sent(alone, make_ticket, now, "second")
    await answered(alone, now, "second")
    passing.seconds += QUIET_FOR_SECONDS
    faraway.is_out = False
    assert await alone.halt() is None
    noted = faraway.inner.read(journal_table.newest, 9, None, None)
    assert [entry.detail["entries"] for entry in noted] == [2, 2]


async def test_a_refusal_of_the_shared_store_itself_parts_nobody(
    alone: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    await alone.open_ticket(make_ticket(1), now)
    with pytest.raises(StoreFailed, match="own_id"):
        await alone.open_ticket(replace(make_ticket(2), own_id="own-ticket-1"), now)
    assert await alone.halt() is None


def spoil(folder: Path) -> None:
    """Leave no state file in the place of this machine's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for beside in ("-wal", "-shm"):
        (folder / f"{FILE_NAME}{beside}").unlink(missing_ok=True)
    (folder / FILE_NAME).write_bytes(b"no database of ours" * 100)
    (folder / FILE_NAME).chmod(0o600)


async def test_where_its_file_cannot_be_used_either_the_shared_store_is_asked_again_with_the_next_call(
    alone: SqlStore, faraway: Faraway, folder: Path, now: datetime
) -> None:
    assert await alone.halt() is None
    spoil(folder)
    faraway.is_out = True
    for call in (alone.halt(), alone.append(NewEntry(EntryKind.ASKED, "x"), now)):
        with pytest.raises(StoreOutOfReach, match=r"it cannot be reached; nor can exits go on.*damaged.*move the file"):
            await call
    for about in (alone.ticket("before"), alone.spend_ticket("before", now)):
        with pytest.raises(TicketOutOfReach, match=r"damaged.*What it held may have been sent before"):
            await about
    faraway.is_out = False
    assert await alone.halt() is None


async def test_it_goes_back_although_its_file_has_broken_meanwhile_and_says_so(
    engine: ExitsAlone, alone: SqlStore, faraway: Faraway, folder: Path, passing: Passing
) -> None:
    faraway.is_out = True
    assert await alone.halt() is not None
    engine.close()
    spoil(folder)
    faraway.is_out = False
    with pytest.raises(StoreFailed, match="damaged"):
        await alone.halt()
    passing.seconds += QUIET_FOR_SECONDS
    assert await alone.halt() is None
    (noted,) = faraway.inner.read(journal_table.newest, 9, None, None)
    assert noted.summary.endswith(f"what was done stands in {FILE_NAME}, which cannot be read")
    assert "damaged" in str(noted.detail["unreadable"])
