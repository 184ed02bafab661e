"""What processes share: halt, day's losses and arming, each journalled with its change; and leases."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.store.journal import EntryKind, LastIntent, NewEntry
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.trading_state import TradingState
from tests.unit.store.conftest import Place

DAY = date(2026, 11, 23)
HOUR = timedelta(hours=1)


async def kinds(store: SqlStore) -> list[EntryKind]:
    return [entry.kind for entry in reversed(await store.entries(9))]


async def test_trading_is_not_halted_at_first(store: SqlStore) -> None:
    assert await store.halt() is None


async def test_a_halt_stands_until_it_is_lifted(store: SqlStore, now: datetime) -> None:
    halt = Halt("the person", now, "lunch")
    assert await store.set_halt(halt)
    assert await store.halt() == halt
    assert await store.clear_halt("the person", now)
    assert await store.halt() is None
    assert await kinds(store) == [EntryKind.HALTED, EntryKind.RESUMED]


async def test_the_first_halt_keeps_its_reason(store: SqlStore, now: datetime) -> None:
    first = Halt("the person", now, "lunch")
    await store.set_halt(first)
    assert not await store.set_halt(Halt("the guard", now + HOUR, "three denials"))
    assert await store.halt() == first
    assert await kinds(store) == [EntryKind.HALTED]


async def test_lifting_no_halt_writes_nothing(store: SqlStore, now: datetime) -> None:
    assert not await store.clear_halt("the person", now)
    assert await kinds(store) == []


async def test_a_day_of_loss_is_marked_once_and_for_good(store: SqlStore, now: datetime) -> None:
    assert not await store.day_loss("Sim101", DAY)
    assert await store.mark_day_loss("Sim101", DAY, Decimal("-512.50"), now)
    assert not await store.mark_day_loss("Sim101", DAY, Decimal("-100"), now)
    assert await store.day_loss("Sim101", DAY)
    (entry,) = await store.entries(9)
    assert (entry.kind, entry.account) == (EntryKind.DAY_LOSS, "Sim101")
    assert entry.detail == {"day": "2026-11-23", "figure": "-512.50"}


async def test_a_day_of_loss_is_of_one_account_and_one_day(store: SqlStore, now: datetime) -> None:
    await store.mark_day_loss("Sim101", DAY, Decimal(-512), now)
    assert not await store.day_loss("Sim102", DAY)
    assert not await store.day_loss("Sim101", DAY + timedelta(days=1))


async def test_an_account_is_armed_until_the_hour_and_not_at_it(store: SqlStore, now: datetime) -> None:
    assert await store.armed_until("Live1", now) is None
    await store.arm("Live1", now + HOUR, "the person", now)
    assert await store.armed_until("Live1", now) == now + HOUR
    assert await store.armed_until("Live1", now + HOUR) is None
    assert await store.armed_until("Live2", now) is None


async def test_arming_again_moves_the_end(store: SqlStore, now: datetime) -> None:
    await store.arm("Live1", now + HOUR, "the person", now)
    await store.arm("Live1", now + 2 * HOUR, "the person", now)
    assert await store.armed_until("Live1", now) == now + 2 * HOUR
    assert await kinds(store) == [EntryKind.ARMED, EntryKind.ARMED]


async def test_disarming_ends_it_and_is_journalled_once(store: SqlStore, now: datetime) -> None:
    await store.arm("Live1", now + HOUR, "the person", now)
    assert await store.disarm("Live1", "the person", now)
    assert not await store.disarm("Live1", "the person", now)
    assert await store.armed_until("Live1", now) is None
    assert await kinds(store) == [EntryKind.ARMED, EntryKind.DISARMED]


async def test_an_arming_that_has_ended_does_not_come_back_with_the_clock(store: SqlStore, now: datetime) -> None:
    await store.arm("Live1", now + HOUR, "the person", now)
    await store.arm("Live2", now + 3 * HOUR, "the person", now)
    await store.take_lease("stream", "one", now + HOUR, TTL)
    (entry,) = await store.entries(1)
    assert (entry.kind, entry.account, entry.summary) == (
        EntryKind.DISARMED,
        "Live1",
        "Live1 disarmed: its time has ended",
    )
    await store.take_lease("stream", "one", now + HOUR + TTL, TTL)
    assert (await store.entries(1))[0] == entry, "it ends once"
    assert await store.armings(now + HOUR / 2) == {"Live2": now + 3 * HOUR}


async def test_a_clock_that_was_set_back_between_two_looks_at_a_lease_ends_every_arming(
    store: SqlStore, now: datetime
) -> None:
    await store.arm("Live1", now + HOUR, "the person", now)
    await store.take_lease("stream", "one", now + HOUR / 2, TTL)
    await store.take_lease("stream", "one", now + HOUR / 2 - timedelta(seconds=50), TTL)
    assert await store.armings(now) == {"Live1": now + HOUR}, "clocks are put right by a little all the time"
    await store.take_lease("stream", "one", now, TTL)
    assert await store.armings(now) == {}
    assert "Live1 disarmed: the clock was set back since" in (await store.entries(1))[0].summary


async def test_one_recall_tells_what_the_single_questions_tell(store: SqlStore, now: datetime) -> None:
    opens = NewEntry(EntryKind.INTENT, "BUY", account="Sim101", ticket_id="t", fingerprint="same", opens=True)
    for earlier in (timedelta(hours=25), HOUR, timedelta()):
        await store.append(opens, now - earlier)
    halt = Halt("the person", now, "lunch")
    await store.set_halt(halt)
    await store.arm("Sim101", now + HOUR, "the person", now)
    await store.mark_day_loss("Sim101", trading_day(now), Decimal(-501), now)
    assert await store.recall("Sim101", "same", now) == TradingState(
        last_identical=LastIntent(now, settled=False),
        halt=halt,
        armed_until=now + HOUR,
        day_loss_reached=True,
        orders_last_minute=1,
        orders_today=await store.orders_sent("Sim101", trading_day_began(now)),
        minute_began_at=now,
    )
    other = await store.recall("Sim102", "other", now)
    assert other == TradingState(None, halt, None, day_loss_reached=False, orders_last_minute=0, orders_today=0)


TTL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


async def test_a_free_lease_is_taken_by_the_first_and_refused_to_the_second(store: SqlStore, now: datetime) -> None:
    assert await store.lease_holder("stream", now) is None
    assert await store.take_lease("stream", "a", now, TTL)
    assert not await store.take_lease("stream", "b", now, TTL)
    assert await store.lease_holder("stream", now) == "a"
    assert await store.take_lease("another", "b", now, TTL)


async def test_who_holds_it_may_take_it_again(store: SqlStore, now: datetime) -> None:
    assert await store.take_lease("stream", "a", now, TTL)
    assert await store.take_lease("stream", "a", now + 10 * SECOND, TTL)
    assert await store.lease_holder("stream", now + 20 * SECOND) == "a"


async def test_a_lease_that_is_renewed_outlives_its_time(store: SqlStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.renew_lease("stream", "a", now + 14 * SECOND, TTL)
    assert await store.lease_holder("stream", now + 28 * SECOND) == "a"
    assert not await store.take_lease("stream", "b", now + 28 * SECOND, TTL)


async def test_the_lease_of_a_dead_holder_is_taken_over_at_its_end_and_not_before(
    store: SqlStore, now: datetime
) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert not await store.take_lease("stream", "b", now + TTL - SECOND, TTL)
    assert await store.take_lease("stream", "b", now + TTL, TTL)
    assert not await store.take_lease("stream", "c", now + TTL, TTL)


async def test_who_comes_back_late_has_lost_it_and_does_not_fight(store: SqlStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    await store.take_lease("stream", "b", now + TTL, TTL)
    assert not await store.renew_lease("stream", "a", now + TTL, TTL)
    assert not await store.release_lease("stream", "a")
    assert await store.lease_holder("stream", now + TTL) == "b"


async def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_took_it(store: SqlStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert not await store.renew_lease("stream", "a", now + TTL, TTL)
    assert not await store.renew_lease("never taken", "a", now, TTL)


async def test_a_lease_given_back_is_free_at_once(store: SqlStore, now: datetime) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.release_lease("stream", "a")
    assert not await store.release_lease("stream", "a")
    assert await store.take_lease("stream", "b", now, TTL)


async def test_its_epoch_grows_whenever_it_changes_hands_and_never_falls(place: Place, now: datetime) -> None:
    async def taken(by: str, seconds: int) -> int:
        return await store.take_lease("stream", by, now + seconds * SECOND, TTL)

    store = place.open()
    assert [await taken("a", 0), await taken("b", 1), await taken("a", 2)] == [1, 0, 1]
    assert await store.renew_lease("stream", "a", now + 3 * SECOND, TTL) == 1
    assert await taken("a", 60) == 1, "it had run out, and nobody had it meanwhile"
    assert [await taken("b", 80), await taken("a", 100)] == [2, 3]
    await store.release_lease("stream", "a")
    await store.close()
    store = place.open()
    assert [await taken("a", 100), await taken("a", 101)] == [4, 4]
    assert await store.take_lease("another", "a", now, TTL) == 1
    await store.close()


async def test_a_version_that_knows_of_no_epochs_moves_them_all_the_same(
    place: Place, store: SqlStore, now: datetime
) -> None:
    """It still runs over a file that a newer one has taken over: its statements name no more than five columns."""
    assert await store.take_lease("stream", "a", now, TTL) == 1
    at = now.isoformat(timespec="microseconds")
    place.raw(
        f"INSERT INTO leases VALUES ('', 'stream', 'old', '{at}', 15.0) ON CONFLICT (service, name) "
        "DO UPDATE SET holder = excluded.holder, renewed_at = excluded.renewed_at, seconds = excluded.seconds",
        "DELETE FROM leases WHERE service = '' AND name = 'stream' AND holder = 'old'",
    )
    assert await store.take_lease("stream", "a", now, TTL) == 3


@pytest.mark.parametrize(("back", "holder"), [(SECOND, "a"), (timedelta(hours=1), None)])
async def test_a_clock_that_was_set_back_does_not_keep_a_dead_holders_lease(
    store: SqlStore, now: datetime, back: timedelta, holder: str | None
) -> None:
    await store.take_lease("stream", "a", now, TTL)
    assert await store.lease_holder("stream", now - back) == holder


async def test_of_many_that_take_it_at_once_one_has_it(place: Place, now: datetime) -> None:
    stores = [place.open() for _ in range(4)]
    got: list[tuple[datetime, int]] = []

    async def take(number: int, moment: datetime) -> None:
        if await stores[number].take_lease("stream", f"{number} at {moment}", moment, TTL):
            got.append((moment, number))

    for moment in (now, now + TTL):
        async with anyio.create_task_group() as tasks:
            for number in range(len(stores)):
                tasks.start_soon(take, number, moment)
    assert [moment for moment, _ in got] == [now, now + TTL]
    assert await stores[0].lease_holder("stream", now + TTL) == f"{got[1][1]} at {now + TTL}"
    for store in stores:
        await store.close()
