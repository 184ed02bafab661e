"""A day's loss is noted wherever the figures of an account are read or heard, and stays noted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from ct_mcp.crosstrade.stream.events import PnlUpdate
from ct_mcp.desk.day_losses import DayLosses
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership
from ct_mcp.domain.account import Account, AccountSnapshot, Balances
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.losses import note_losses
from ct_mcp.live.reads import LiveReads
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.accounts import AccountReader
from tests.factories import account


class Losing:
    """A service whose account has lost so much."""

    def __init__(self, loss: int) -> None:
        balances = Balances(realized_pnl=Decimal(-loss), unrealized_pnl=Decimal(0))
        self.read: Account = replace(account(), balances=balances)

    def heard_by(self, _hear: object) -> "Losing":
        return self

    async def account(self, _name: str) -> Account:
        return self.read

    async def accounts(self) -> tuple[Account, ...]:
        return (self.read,)

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        return (AccountSnapshot(self.read, (), is_flat=True),)

    async def all_orders(self, **_asked: bool) -> tuple[object, ...]:
        return ()


@pytest.mark.parametrize("what", ["account", "accounts", "snapshot", "console"])
@pytest.mark.parametrize(("loss", "reached"), [(499, False), (500, True), (600, True)])
async def test_it_is_noted_by_whoever_reads_the_figures(
    *, desk: Desk, store: SqliteStore, clock: ManualClock, what: str, loss: int, reached: bool
) -> None:
    service = Losing(loss)
    live = LiveReads(LiveCache(clock), service, print, desk.day_losses.note)  # type: ignore[arg-type]  # enough of it
    console = AccountReader(service, clock, desk.day_losses.note)  # type: ignore[arg-type]  # enough of it
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "account": lambda: live.account("Sim101"),
        "accounts": live.accounts,
        "snapshot": live.snapshot,
        "console": console.read,
    }
    await reads[what]()
    assert await store.day_loss("Sim101", trading_day(clock())) is reached


ROLL = datetime(2026, 9, 9, 22, tzinfo=UTC)
"""17:00 in Chicago."""


def showing(realized: int, unrealized: int = 0, connection_status: str = "Connected") -> Account:
    balances = Balances(realized_pnl=Decimal(realized), unrealized_pnl=Decimal(unrealized))
    return replace(account(), balances=balances, connection_status=connection_status)


class TestAtTheRoll:
    """The clock of these stands a second before the trading day rolls."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(ROLL - timedelta(seconds=1))

    async def test_a_frame_of_the_session_before_is_of_its_day(
        self, desk: Desk, store: SqliteStore, clock: ManualClock
    ) -> None:
        clock.advance(1.02)
        await desk.day_losses.note_pnl("Sim101", Decimal(-600), Decimal(0), ROLL - timedelta(milliseconds=10))
        assert (await store.balance_record("Sim101")).lost_on == trading_day(ROLL) - timedelta(days=1)
        assert not await store.day_loss("Sim101", trading_day(clock()))

    @pytest.mark.parametrize("stamp", [timedelta(hours=-1), timedelta(hours=1)])
    async def test_a_stamp_that_cannot_be_keeps_no_loss_from_counting_today(
        self, desk: Desk, store: SqliteStore, clock: ManualClock, stamp: timedelta
    ) -> None:
        clock.advance(1.02)
        await desk.day_losses.note_pnl("Sim101", Decimal(-600), Decimal(0), clock() + stamp)
        assert (await store.balance_record("Sim101")).lost_on == trading_day(clock())

    async def test_the_loss_of_the_session_before_is_none_of_the_new_one(
        self, desk: Desk, store: SqliteStore, clock: ManualClock
    ) -> None:
        await desk.day_losses.note([showing(-600)])
        clock.advance(31)
        await desk.day_losses.note([showing(-600)])
        clock.advance(60)
        await desk.day_losses.note([showing(0)])
        assert not await store.day_loss("Sim101", trading_day(clock()))

    @pytest.mark.parametrize(("realized", "unrealized"), [(-601, 0), (-600, -500)])
    async def test_what_is_lost_since_counts_at_once(
        self, desk: Desk, store: SqliteStore, clock: ManualClock, realized: int, unrealized: int
    ) -> None:
        await desk.day_losses.note([showing(-600)])
        clock.advance(2)
        await desk.day_losses.note([showing(realized, unrealized)])
        assert await store.day_loss("Sim101", trading_day(clock()))

    async def test_a_loss_that_stays_counts_after_five_minutes(
        self, desk: Desk, store: SqliteStore, clock: ManualClock
    ) -> None:
        await desk.day_losses.note([showing(-600)])
        clock.advance(302)
        await desk.day_losses.note([showing(-600)])
        assert await store.day_loss("Sim101", trading_day(clock()))

    async def test_who_has_just_started_knows_it_from_the_record(
        self, desk: Desk, store: SqliteStore, clock: ManualClock
    ) -> None:
        lost = showing(-600)
        lost = replace(lost, balances=replace(lost.balances, cash_value=Decimal(49_400)))
        await desk.day_losses.note([lost])
        clock.advance(31)
        started = DayLosses(store, Membership(Policy(), clock), clock)
        await started.note([lost])
        assert not await store.day_loss("Sim101", trading_day(clock()))
        assert (await store.balance_record("Sim101")).on(trading_day(clock())) is None


async def test_what_an_account_shows_before_it_is_connected_is_of_no_day(
    desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    lost = showing(-600, connection_status="Connecting")
    await desk.day_losses.note([replace(lost, balances=replace(lost.balances, cash_value=Decimal(0)))])
    record = await store.balance_record("Sim101")
    assert (record.lost_on, record.days) == (None, ())


async def test_it_counts_in_whatever_letters_the_stream_spells_the_account(
    desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    await desk.day_losses.note_pnl("SIM101", Decimal(-400), Decimal(-200))
    assert await store.day_loss("Sim101", trading_day(clock()))
    assert (await store.balance_record("Sim101")).lost_on == trading_day(clock())


async def test_it_is_noted_as_soon_as_the_stream_tells_it(desk: Desk, store: SqliteStore, clock: ManualClock) -> None:
    cache = LiveCache(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(note_losses, cache, desk.day_losses)
        await anyio.lowlevel.checkpoint()
        cache.hear(PnlUpdate("Sim101", None, Decimal(-900), clock()))
        cache.hear(PnlUpdate("Sim101", Decimal(-400), Decimal(-200), clock()))
        with anyio.fail_after(60):
            while not await store.day_loss("Sim101", trading_day(clock())):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
