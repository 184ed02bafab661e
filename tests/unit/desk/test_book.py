"""How the record is read: gaps are named, what they touch is unsure, and what is old is forgotten without a guess."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ct_mcp.desk.account_book import gaps_between
from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.domain.balances import Figures
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.performance import GroupBy
from ct_mcp.domain.round_trips import round_trips
from ct_mcp.domain.trades import Listening, RecordedExecution, RecordGap, Source, Worth
from ct_mcp.guard.policy import Recording
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import ES, NOW, SIM101

BUY, SELL = OrderAction.BUY, OrderAction.SELL
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def at(minutes: float) -> datetime:
    """So many minutes after `NOW`."""
    return NOW + minutes * MINUTE


def heard(began: float, ended: float, **changes: Any) -> Listening:
    """Build a stretch between two minutes."""
    return replace(Listening(at(began), at(ended)), **changes)


def filled(minute: float, action: OrderAction, price: str, **changes: Any) -> RecordedExecution:
    """Build an execution of one ES."""
    usual = RecordedExecution(
        SIM101, f"e{minute}", ES, action, 1, Decimal(price), at(minute), Source.HEARD, f"o{minute}", None, Decimal(2)
    )
    return replace(usual, **changes)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on a fresh file."""
    store = SqliteStore(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    """An hour after `NOW`."""
    return ManualClock(at(60))


@pytest.fixture
def book(store: SqliteStore, clock: ManualClock) -> TradeBook:
    """The record for reading."""
    return TradeBook(store, clock)


def test_stretches_that_follow_each_other_leave_no_gap() -> None:
    assert gaps_between(SIM101, [heard(0, 30), heard(25, 60)], [], at(60)) == ()


def test_what_lies_between_two_stretches_is_a_gap_and_so_is_what_is_longer_than_is_served() -> None:
    gaps = gaps_between(SIM101, [heard(0, 30), heard(50, 60)], [], at(80))
    assert gaps == (RecordGap(SIM101, at(30), at(50)), RecordGap(SIM101, at(60), None))


def test_between_what_was_imported_and_the_first_that_was_heard_lies_a_gap() -> None:
    gaps = gaps_between(SIM101, [heard(0, 60)], [at(-500), at(-400)], at(60))
    assert gaps == (RecordGap(SIM101, at(-400), at(0)),)


def test_a_gap_says_what_was_imported_of_it() -> None:
    (gap,) = gaps_between(SIM101, [heard(0, 10), heard(50, 60)], [at(20), at(30)], at(60))
    assert gap.imported == 2
    assert "(2 executions of it imported)" in gap.words


async def test_a_trade_through_a_gap_is_told_as_unsure(store: SqliteStore, book: TradeBook) -> None:
    held = ((str(ES), 1),)
    await store.keep_heard(SIM101, [filled(1, BUY, "6400")], heard(0, 10, positions=()))
    await store.keep_heard(SIM101, [filled(45, SELL, "6410")], heard(40, 60, positions=held))
    (trip,) = (await book.trades(SIM101)).trips
    assert "nobody listened" in trip.notes[0]


async def test_what_was_closed_in_a_gap_is_given_up(store: SqliteStore, book: TradeBook) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400")], heard(0, 10, positions=()))
    await store.keep_heard(SIM101, [], heard(40, 60, positions=()))
    trades = await book.trades(SIM101)
    assert (trades.trips, trades.open) == ((), ())
    assert "executions are missing" in trades.unmatched[0]


async def test_days_are_summed_up_with_how_they_ended(store: SqliteStore, book: TradeBook) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400"), filled(2, SELL, "6410")], heard(0, 60, positions=()))
    await store.note_figures([Figures(SIM101, at(30), Decimal(50_496), Decimal(496), Decimal(0))])
    (day,) = await book.days(SIM101)
    assert (day.day, day.trades, day.wins, day.net) == (date(2026, 11, 23), 1, 1, Decimal(496))
    assert (day.balance, day.gaps, day.currency) == (Decimal(50_496), (), "USD")


async def test_only_what_is_meant_is_told(store: SqliteStore, book: TradeBook) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400"), filled(2, SELL, "6410")], heard(0, 60, positions=()))
    for wanted, count in (
        (Wanted(date(2026, 11, 23), date(2026, 11, 23)), 1),
        (Wanted(date(2026, 11, 24)), 0),
        (Wanted(until=date(2026, 11, 22)), 0),
        (Wanted(instrument="ES"), 1),
        (Wanted(instrument="ES 12-26"), 1),
        (Wanted(instrument="MES"), 0),
        (Wanted(tag="orb"), 0),
    ):
        assert len((await book.trades(SIM101, wanted)).trips) == count, wanted


async def test_what_is_new_is_seen_at_once_and_the_service_says_what_a_point_is_worth(
    store: SqliteStore, book: TradeBook
) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400")], heard(0, 60, positions=()))
    assert not (await book.trades(SIM101)).trips
    await store.keep_heard(SIM101, [filled(2, SELL, "6410")], heard(0, 60))
    assert [trip.gross for trip in (await book.trades(SIM101)).trips] == [Decimal(500)], "by the exchange's rules"
    await store.keep_worths([Worth("ES", Decimal("0.25"), Decimal(49), "USD")])
    assert [trip.gross for trip in (await book.trades(SIM101)).trips] == [Decimal(490)]


async def test_what_is_older_than_is_kept_is_forgotten_and_what_was_held_is_not_guessed(
    store: SqliteStore, book: TradeBook, clock: ManualClock
) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400"), filled(2, BUY, "6401")], heard(0, 60, positions=()))
    clock.advance(timedelta(days=31).total_seconds())
    late = clock() - at(0)
    minutes = late / MINUTE
    await store.keep_heard(SIM101, [filled(minutes - 1, SELL, "6410")], heard(0, minutes))
    await book.prune(SIM101, Recording(keep_days=30))
    trades = await book.trades(SIM101)
    assert (trades.trips, trades.open) == ((), ())
    assert "closed what was opened before the record" in trades.unmatched[-1]
    assert len(await store.executions_on_record(SIM101)) == 1


async def test_beyond_so_many_the_oldest_are_forgotten(store: SqliteStore, book: TradeBook) -> None:
    took = [filled(minute, BUY if minute % 2 else SELL, "6400") for minute in range(20)]
    await store.keep_heard(SIM101, took, heard(-1, 60, positions=()))
    await book.prune(SIM101, Recording(most_executions=8))
    assert [each.at for each in await store.executions_on_record(SIM101)] == [at(minute) for minute in range(12, 20)]


async def test_what_the_journal_holds_against_the_rules_is_told(store: SqliteStore, book: TradeBook) -> None:
    await store.keep_heard(SIM101, [filled(1, BUY, "6400"), filled(2, SELL, "6410")], heard(0, 60, positions=()))
    denied = {"codes": ["DAY_LOSS_REACHED", "RISK_EXCEEDS_MAXIMUM"]}
    for entry, when in (
        (NewEntry(EntryKind.DENIED, "BUY", SIM101, detail=denied), at(3)),
        (NewEntry(EntryKind.DECLINED, "BUY", SIM101), at(4)),
        (NewEntry(EntryKind.DAY_LOSS, "loss", SIM101), at(5)),
        (NewEntry(EntryKind.DENIED, "BUY", "Sim102", detail=denied), at(6)),
        (NewEntry(EntryKind.DENIED, "BUY", SIM101, detail=denied), at(6) + DAY),
    ):
        await store.append(entry, when)
    report = await book.performance(SIM101, Wanted(date(2026, 11, 23), date(2026, 11, 23)), GroupBy.SIDE)
    assert report.denied == 1
    assert "1 proposal denied (DAY_LOSS_REACHED 1, RISK_EXCEEDS_MAXIMUM 1), 1 declined" in report.denied_words[0]
    assert report.breaks[0] == "rule break: the day's loss limit was reached, 1 time"
    assert "had no ticket" in report.breaks[-1]
    assert [group.name for group in report.groups] == ["long"]


@pytest.mark.parametrize("seed", range(5))
async def test_what_was_read_before_and_what_is_new_are_the_same_as_all_read_at_once(
    store: SqliteStore, book: TradeBook, clock: ManualClock, seed: int
) -> None:
    """Months of trading, read now and then; some is imported late, in between, and some of it is from long ago."""
    random, minute = Random(seed), 0
    for step in range(25):
        took = []
        for _ in range(random.randint(0, 6)):
            minute += random.randint(1, 4000)
            took.append(filled(minute, random.choice((BUY, SELL)), str(6400 + random.randint(-40, 40))))
        clock.advance((at(minute + 5) - clock()).total_seconds() if at(minute + 5) > clock() else 1)
        await store.keep_heard(SIM101, took, heard(0, minute, positions=()))
        if random.random() < 0.2 and minute > 10:
            when = random.randint(1, minute)
            late = [
                filled(when + part, side, "6399", execution_id=f"l{step}{side}")
                for part, side in ((0.1, BUY), (0.2, SELL))
            ]
            await store.keep_import([replace(each, source=Source.IMPORTED) for each in late])
        read, anew = await book.trades(SIM101), await TradeBook(store, clock).trades(SIM101)
        matched = round_trips(await book.executions(SIM101), await store.listenings(SIM101))
        assert read == anew
        assert [trip.trip_id for trip in read.trips] == [trip.trip_id for trip in matched.trips]
        assert read.open == matched.open
        assert read.unmatched == tuple(each.words for each in matched.unmatched)
