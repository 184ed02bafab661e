"""Balances of accounts over their days, and the floor that the person told: kept, of one service, journalled."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.balances import BalanceRecord, Figures, ToldFloor
from ct_mcp.domain.market import trading_day
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sql_store import SqlStore
from tests.unit.store.conftest import Place

HOUR = timedelta(hours=1)


def read(at: datetime, cash: str, unrealized: str = "0", *, account: str = "EVAL-1", flat: bool = True) -> Figures:
    return Figures(account, at, Decimal(cash), Decimal(0), Decimal(unrealized), is_flat=flat)


async def test_nothing_is_on_record_at_first(store: SqlStore) -> None:
    assert await store.balance_record("EVAL-1") == BalanceRecord()


def mark(at: datetime, high: str) -> Figures:
    """The highest equity that the service remembers."""
    return Figures("EVAL-1", at, None, None, None, mark=Decimal(high))


async def test_a_mark_of_the_service_only_ever_raises_the_peak_of_its_day(store: SqlStore, now: datetime) -> None:
    await store.note_figures([mark(now, "50900")])
    assert (await store.balance_record("EVAL-1")).days == (), "it is no reading of an account"
    await store.note_figures([read(now - HOUR, "50000", flat=False), read(now, "50100", flat=False)])
    (before,) = (await store.balance_record("EVAL-1")).days
    for high, highest in (("50050", "50100"), ("50900", "50900"), ("50800", "50900"), ("NaN", "50900")):
        await store.note_figures([mark(now + HOUR / 60, high)])
        (day,) = (await store.balance_record("EVAL-1")).days
        assert day == replace(before, highest=Decimal(highest)), "nothing else of the day, and its gap stays"
    assert day.unwatched == (now - HOUR, now)
    await store.note_figures([mark(now + 24 * HOUR, "51000")])
    assert (await store.balance_record("EVAL-1")).days == (day,), "of a day of which nothing was read"


async def test_on_the_day_on_which_a_floor_was_told_no_mark_counts(store: SqlStore, now: datetime) -> None:
    await store.note_figures([read(now, "50000")])
    await Controls(store, lambda: now).tell_floor("EVAL-1", Decimal(48_500), Actor.TERMINAL)
    await store.note_figures([read(now + HOUR, "50000"), mark(now + HOUR, "50900")])
    assert [day.highest for day in (await store.balance_record("EVAL-1")).days] == [50_000]
    await store.note_figures([read(now + 24 * HOUR, "50000"), mark(now + 24 * HOUR, "50900")])
    assert [day.highest for day in (await store.balance_record("EVAL-1")).days] == [50_000, 50_900]


async def test_a_day_that_was_lost_stands_until_a_floor_is_told_on_a_later_one(store: SqlStore, now: datetime) -> None:
    today = trading_day(now)
    for before in (1, 0):
        await store.mark_day_loss("EVAL-1", today - before * 24 * HOUR, Decimal(-501), now)
    controls = [Controls(store, lambda at=at: at) for at in (now, now + 24 * HOUR)]  # type: ignore[misc]
    assert (await store.balance_record("EVAL-1")).lost_since_told == today
    await controls[0].tell_floor("EVAL-1", Decimal(48_000), Actor.TERMINAL)
    assert (await store.balance_record("EVAL-1")).lost_since_told == today, "nobody knows which of the two was later"
    await controls[1].tell_floor("EVAL-1", Decimal(48_000), Actor.TERMINAL)
    record = await store.balance_record("EVAL-1")
    assert (record.lost_on, record.lost_since_told) == (today, None)
    assert (await store.balance_record("EVAL-2")).lost_on is None


async def test_each_day_is_kept_with_what_it_opened_with_its_last_and_its_highest(
    store: SqlStore, now: datetime, place: Place
) -> None:
    await store.note_figures([read(now, "50000.10", "30.5", flat=False), read(now, "7", account="EVAL-2")])
    await store.note_figures([read(now + HOUR / 120, "49990", "-5", flat=False)])
    await store.note_figures([read(now + 24 * HOUR, "49990")])
    await store.close()
    again = place.open()
    first, second = (await again.balance_record("EVAL-1")).days
    assert [str(each) for each in (first.opening, first.balance, first.highest)] == ["50000.10", "49990", "50030.60"]
    assert (first.first_at, first.last_at, first.unwatched) == (now, now + HOUR / 120, None)
    assert second.unwatched == (now + HOUR / 120, now + 24 * HOUR)
    assert len((await again.balance_record("EVAL-2")).days) == 1
    await again.close()


async def test_a_floor_is_told_journalled_and_forgets_what_was_seen_before(store: SqlStore, now: datetime) -> None:
    await store.note_figures([read(now - HOUR, "50000", "900", flat=False), read(now, "50000", "10", flat=False)])
    assert (await store.balance_record("EVAL-1")).days[0].unwatched is not None
    await Controls(store, lambda: now).tell_floor("EVAL-1", Decimal("48250.50"), Actor.TERMINAL)
    record = await store.balance_record("EVAL-1")
    assert record.told == ToldFloor(Decimal("48250.50"), now, "the person")
    (day,) = record.days
    assert (day.highest, day.unwatched, day.opening) == (None, None, Decimal(50_000))
    (entry,) = await store.entries(9)
    assert (entry.kind, entry.account) == (EntryKind.FLOOR_TOLD, "EVAL-1")
    assert entry.detail == {"by": "the person", "floor": "48250.50", "before": None}
    await Controls(store, lambda: now + HOUR).tell_floor("EVAL-1", Decimal(48_300), Actor.TERMINAL)
    assert (await store.entries(1))[0].detail["before"] == "48250.50"


async def test_telling_the_floor_forgets_what_a_clock_that_was_ahead_has_written(
    store: SqlStore, now: datetime
) -> None:
    await store.note_figures([read(now + HOUR, "50000"), read(now + 48 * HOUR, "51000")])
    await store.note_figures([read(now, "50100")])
    assert len((await store.balance_record("EVAL-1")).days) == 2
    await Controls(store, lambda: now).tell_floor("EVAL-1", Decimal(48_250), Actor.TERMINAL)
    await store.note_figures([read(now + HOUR / 60, "50100")])
    (day,) = (await store.balance_record("EVAL-1")).days
    assert (day.last_at, day.balance) == (now + HOUR / 60, Decimal(50_100))


async def test_the_assistant_tells_no_floor(store: SqlStore, now: datetime) -> None:
    with pytest.raises(PermissionError):
        await Controls(store, lambda: now).tell_floor("EVAL-1", Decimal(1), Actor.ASSISTANT)
    assert (await store.balance_record("EVAL-1")).told is None


async def test_the_balances_of_one_service_are_not_those_of_another(place: Place, now: datetime) -> None:
    ours, theirs = (place.open(name) for name in ("ours", "theirs"))
    await ours.note_figures([read(now, "50000")])
    assert len((await ours.balance_record("EVAL-1")).days) == 1
    assert await theirs.balance_record("EVAL-1") == BalanceRecord()
    await ours.close()
    await theirs.close()
