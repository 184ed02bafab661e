"""What a machine noted while it was alone and that only tightens holds afterwards, over all machines."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.balances import AccountDay, Figures, ToldFloor
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import StoreFailed
from ct_mcp.store import balances, journal_table, trading_state
from ct_mcp.store.alone import QUIET_FOR_SECONDS, ExitsAlone
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.left_behind import LeftBehind, carry_over
from ct_mcp.store.postgres import PostgresDatabase
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sql_store import SqlStore
from tests.unit.store.test_alone import Faraway, Passing, exit_is_sent

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MakeTicket = Callable[..., Ticket]


@pytest.fixture
def faraway(tmp_path: Path) -> Faraway:
    return Faraway(tmp_path / "faraway" / "shared.sqlite3")


@pytest.fixture
def passing() -> Passing:
    return Passing()


@pytest.fixture
def process(faraway: Faraway, folder: Path, passing: Passing, now: datetime) -> Iterator[Callable[[], SqlStore]]:
    """Start one process of the machine after another, each an hour and a minute after the first figures."""
    engines: list[ExitsAlone] = []

    def started() -> SqlStore:
        engines.append(ExitsAlone(faraway, folder, "", lambda: now + HOUR + MINUTE, passing))
        return SqlStore(engines[-1])

    yield started
    for engine in engines:
        engine.close()


@pytest.fixture
def alone(process: Callable[[], SqlStore]) -> SqlStore:
    return process()


async def goes_back(store: SqlStore, faraway: Faraway, passing: Passing) -> None:
    faraway.is_out = False
    passing.seconds += QUIET_FOR_SECONDS
    assert await store.halt() is None


async def parts(store: SqlStore, faraway: Faraway) -> None:
    faraway.is_out = True
    assert await store.halt() is not None


def figures(at: datetime, gain: int, cash: int = 50_000) -> Figures:
    return Figures("Sim101", at, Decimal(cash), Decimal(cash - 50_000), Decimal(gain), is_flat=False)


def kinds(faraway: Faraway) -> list[str]:
    return [entry.kind for entry in faraway.inner.read(journal_table.newest, 99, None, None)]


async def test_a_days_loss_is_carried_over_once(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    for _ in range(2):
        await parts(alone, faraway)
        await alone.mark_day_loss("Sim101", trading_day(now), Decimal(-600), now)
        await goes_back(alone, faraway, passing)
    assert await alone.day_loss("Sim101", trading_day(now))
    assert (await alone.balance_record("Sim101")).lost_on == trading_day(now), "also where it ends the account"
    assert kinds(faraway).count(EntryKind.DAY_LOSS) == 1


async def test_so_does_a_process_that_is_started_afterwards(
    alone: SqlStore, process: Callable[[], SqlStore], faraway: Faraway, now: datetime
) -> None:
    """The one that noted it has ended meanwhile, as a client does that was closed."""
    await alone.note_figures([figures(now, 0)])
    await parts(alone, faraway)
    await alone.mark_day_loss("Sim101", trading_day(now), Decimal(-600), now)
    await alone.note_figures([figures(now + SECOND, 700)])
    await alone.append(NewEntry(EntryKind.DENIED, "BUY 9", account="Sim101"), now + HOUR)
    await alone.close()
    faraway.is_out = False
    started = process()
    assert await started.day_loss("Sim101", trading_day(now))
    (day,) = (await started.balance_record("Sim101")).days
    assert day.highest == Decimal(50_700)
    assert [entry.summary for entry in await started.refusals(9, now)] == ["BUY 9"]


async def test_a_loss_of_a_day_to_come_is_not_since_the_clock_was_ahead(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    await parts(alone, faraway)
    ahead = now + timedelta(days=30)
    await alone.mark_day_loss("Sim101", trading_day(ahead), Decimal(-600), ahead)
    await alone.note_figures([figures(ahead, 700)])
    await goes_back(alone, faraway, passing)
    assert not await alone.day_loss("Sim101", trading_day(now))
    assert (await alone.balance_record("Sim101")).days == ()


async def test_a_peak_and_the_last_balance_are_joined_to_the_day_as_it_is_known(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    await alone.note_figures([figures(now, 100)])
    await parts(alone, faraway)
    await alone.note_figures([figures(now + 30 * SECOND, 900)])
    await alone.note_figures([figures(now + 60 * SECOND, 0, cash=50_200)])
    await goes_back(alone, faraway, passing)
    (day,) = (await alone.balance_record("Sim101")).days
    assert (day.opening, day.highest, day.balance) == (Decimal(50_000), Decimal(50_900), Decimal(50_200))
    assert (day.first_at, day.last_at, day.unwatched) == (now, now + 60 * SECOND, None)


async def test_what_another_machine_has_noted_since_stays_the_last_balance(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    await parts(alone, faraway)
    await alone.note_figures([figures(now, 900)])
    faraway.inner.write(balances.note_figures, (figures(now + SECOND, 0, cash=50_300),))
    await goes_back(alone, faraway, passing)
    (day,) = (await alone.balance_record("Sim101")).days
    assert (day.highest, day.balance, day.last_at) == (Decimal(50_900), Decimal(50_300), now + SECOND)


async def test_where_nobody_watched_before_it_was_alone_that_is_kept(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime
) -> None:
    await alone.note_figures([figures(now, 100)])
    await parts(alone, faraway)
    await alone.note_figures([figures(now + 5 * MINUTE, 0)])
    await goes_back(alone, faraway, passing)
    (day,) = (await alone.balance_record("Sim101")).days
    assert day.unwatched == (now, now + 5 * MINUTE)


@pytest.mark.parametrize("told_after", [False, True])
async def test_a_peak_of_before_the_person_told_the_floor_is_in_what_they_told(
    alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime, *, told_after: bool
) -> None:
    await parts(alone, faraway)
    await alone.note_figures([figures(now + MINUTE, 900)])
    told = ToldFloor(Decimal(48_000), now + 2 * MINUTE if told_after else now, "the person")
    faraway.inner.write(balances.tell_floor, "Sim101", told)
    await goes_back(alone, faraway, passing)
    highest = [day.highest for day in (await alone.balance_record("Sim101")).days]
    assert highest == ([] if told_after else [Decimal(50_900)])


async def test_alone_again_it_begins_anew(alone: SqlStore, faraway: Faraway, passing: Passing, now: datetime) -> None:
    await parts(alone, faraway)
    await alone.note_figures([figures(now, 900)])
    await goes_back(alone, faraway, passing)
    faraway.inner.write(balances.tell_floor, "Sim101", ToldFloor(Decimal(48_000), now + MINUTE, "the person"))
    await parts(alone, faraway)
    await alone.note_figures([figures(now + 2 * MINUTE, 0)])
    await goes_back(alone, faraway, passing)
    (day,) = (await alone.balance_record("Sim101")).days
    assert day.highest == Decimal(50_000)


async def test_denials_and_declines_count_as_of_when_they_were_and_once_for_all_processes(
    alone: SqlStore, process: Callable[[], SqlStore], faraway: Faraway, passing: Passing, now: datetime
) -> None:
    beside = process()
    await alone.arm("Live1", now + 2 * HOUR, "the person", now + HOUR)
    await beside.halt()
    await parts(alone, faraway)
    assert await beside.halt() is not None
    for minutes, kind in ((0, EntryKind.DENIED), (58, EntryKind.DECLINED), (60, EntryKind.DENIED)):
        await alone.append(NewEntry(kind, f"after {minutes}", detail={"codes": ["X"]}), now + minutes * MINUTE)
    await goes_back(alone, faraway, passing)
    await goes_back(beside, faraway, passing)
    found = [(entry.kind, entry.summary, entry.at, entry.detail) for entry in await alone.refusals(9, now)]
    assert found == [
        (EntryKind.DENIED, "after 60", now + HOUR, {"codes": ["X"]}),
        (EntryKind.DECLINED, "after 58", now + 58 * MINUTE, {"codes": ["X"]}),
    ]
    assert await alone.armings(now + HOUR) == {"Live1": now + 2 * HOUR}, "no clock was set back"
    assert (await alone.verify()).ok


async def test_while_it_is_refused_there_the_machine_stays_alone_and_exits_go_on(
    alone: SqlStore, faraway: Faraway, passing: Passing, make_ticket: MakeTicket, now: datetime
) -> None:
    await parts(alone, faraway)
    await alone.mark_day_loss("Sim101", trading_day(now), Decimal(-600), now)
    faraway.is_out = False
    write = faraway.write

    def refuses(*_: object) -> None:
        raise StoreFailed("it refuses what does not go with what it holds")

    faraway.write = refuses  # type: ignore[method-assign, assignment]
    passing.seconds += QUIET_FOR_SECONDS
    await exit_is_sent(alone, make_ticket, now)
    await alone.append(NewEntry(EntryKind.ANSWERED, "flat", account="Sim101", ticket_id="exit"), now)
    faraway.write = write  # type: ignore[method-assign]
    await goes_back(alone, faraway, passing)
    assert faraway.inner.read(trading_state.day_loss, "Sim101", trading_day(now))


async def test_a_peak_that_nothing_here_can_be_held_against_is_not_taken(
    alone: SqlStore, faraway: Faraway, now: datetime
) -> None:
    """The mark of the service adds to a day that is known: whoever read it tries again."""
    await parts(alone, faraway)
    with pytest.raises(StoreFailed, match="would have to hold over all machines"):
        await alone.note_figures([Figures("Sim101", now, None, None, None, mark=Decimal(51_000))])


async def test_what_a_person_says_became_of_a_send_would_have_to_hold_everywhere(
    alone: SqlStore, faraway: Faraway, make_ticket: MakeTicket, now: datetime
) -> None:
    await parts(alone, faraway)
    await exit_is_sent(alone, make_ticket, now)
    (sent,) = await alone.unsettled()
    with pytest.raises(StoreFailed, match="would have to hold over all machines"):
        await Controls(alone, lambda: now).settle(sent, "filled", Actor.TERMINAL)
    assert await alone.unsettled() == (sent,)
    found = NewEntry(EntryKind.SETTLED, "seen", account="Sim101", ticket_id="exit", detail={"status": "filled"})
    await alone.append(found, now)
    assert await alone.unsettled() == (), "what was looked up counts here"


def test_a_role_of_a_database_may_write_all_of_it(trader: PostgresUrl, now: datetime) -> None:
    with closing(PostgresDatabase(trader)) as database:
        denied = database.write(journal_table.append, NewEntry(EntryKind.DENIED, "BUY 9"), now)
        day = AccountDay(trading_day(now), now, now, highest=Decimal(50_900), balance=Decimal(50_000))
        lost = "Sim101", trading_day(now), Decimal(-600)
        earlier = replace(denied, at=now - MINUTE)
        left = LeftBehind((lost,), (("Sim101", day),), (earlier, denied), (now, now))
        for _ in range(2):
            database.write(carry_over, left, None, now)
        assert database.read(trading_state.day_loss, "Sim101", trading_day(now))
        assert database.read(balances.balance_record, "Sim101").days == (day,)
        assert database.read(trading_state.pin_tries, now) == (now, now)
        entries = database.read(journal_table.newest, 9, None, None)
    assert [(entry.kind, entry.at) for entry in entries] == [
        (EntryKind.DAY_LOSS, now),
        (EntryKind.DENIED, now - MINUTE),
        (EntryKind.DENIED, now),
    ]
