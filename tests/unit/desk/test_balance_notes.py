"""What is noted of balances: all that is new, and nothing twice in half a minute."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.desk.balance_notes import BalanceNotes
from ct_mcp.desk.day_losses import DayLosses
from ct_mcp.desk.membership import Membership
from ct_mcp.domain.account import Account, Balances
from ct_mcp.domain.balances import Figures
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import StoreFailed
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import NOW, account, policy


class Notebook:
    """Keeps what would be written, and fails when it is told to."""

    def __init__(self) -> None:
        self.now: datetime = NOW
        self.written: list[Figures] = []
        self.is_broken = False

    async def note_figures(self, figures: list[Figures]) -> None:
        if self.is_broken:
            raise StoreFailed("the disk is full")
        self.written += figures


def figures(cash: float, unrealized: float = 0, realized: float = 0, margin: float | None = None) -> Account:
    return account(
        balances=Balances(
            cash_value=Decimal(str(cash)),
            realized_pnl=Decimal(str(realized)),
            unrealized_pnl=Decimal(str(unrealized)),
            initial_margin=None if margin is None else Decimal(str(margin)),
        )
    )


@pytest.fixture
def book() -> Notebook:
    return Notebook()


@pytest.fixture
def notes(book: Notebook) -> BalanceNotes:
    return BalanceNotes(book, lambda: book.now)  # type: ignore[arg-type]  # as much of a store as it needs


async def test_what_says_nothing_new_is_written_twice_a_minute_at_most(book: Notebook, notes: BalanceNotes) -> None:
    for _ in range(60):
        await notes.note([figures(50_000)])
        book.now += timedelta(seconds=1)
    assert len(book.written) == 2


@pytest.mark.parametrize(
    ("then", "is_new"),
    [
        (figures(50_000, 20), False),
        (figures(50_000, 31), True),
        (figures(50_010, 25, realized=10), True),
        (figures(50_000, 0), True),
        (replace(figures(50_000), balances=Balances()), False),
    ],
)
async def test_a_trade_and_a_higher_equity_are_written_at_once(
    book: Notebook, notes: BalanceNotes, then: Account, is_new: bool
) -> None:
    await notes.note([figures(50_000, 30)])
    await notes.note([then])
    assert len(book.written) == 1 + is_new


async def test_a_position_at_its_entry_price_is_not_taken_for_none(book: Notebook, notes: BalanceNotes) -> None:
    await notes.note([figures(50_000, margin=500)])
    assert [each.is_flat for each in book.written] == [False]


async def test_what_could_not_be_written_is_tried_again(book: Notebook, notes: BalanceNotes) -> None:
    book.is_broken = True
    await notes.note([figures(50_000)])
    book.is_broken = False
    await notes.note([figures(50_000)])
    assert len(book.written) == 1


async def test_what_the_stream_tells_raises_the_peak_of_the_day(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state")
    losses = DayLosses(store, Membership(policy(), lambda: NOW), lambda: NOW)
    await losses.note([figures(50_000)])
    await losses.note_pnl("Sim101", Decimal(100), Decimal(400))
    await losses.note_pnl("Sim101", Decimal(100), Decimal(-600))
    (day,) = (await store.balance_record("Sim101")).days
    assert (day.balance, day.highest) == (Decimal(50_100), Decimal(50_500))
    assert await store.day_loss("Sim101", day.day), "realised and unrealised are down by 500"
    await store.close()


async def test_a_peak_of_the_second_day_is_noted_as_one_of_the_first_is(book: Notebook, notes: BalanceNotes) -> None:
    await notes.note([figures(50_000)])
    await notes.note_pnl("Sim101", Decimal(1500), Decimal(0))
    book.now += timedelta(days=1)
    await notes.note([figures(51_500)])
    await notes.note_pnl("Sim101", Decimal(0), Decimal(10))
    for gain in (700, 1400, 700, 200):
        book.now += timedelta(seconds=5)
        await notes.note_pnl("Sim101", Decimal(0), Decimal(gain))
    assert [each.unrealized for each in book.written[-2:]] == [700, 1400]


async def test_the_gain_of_the_session_before_is_no_balance_of_the_new_one(tmp_path: Path) -> None:
    now = datetime(2026, 9, 10, 21, 59, 59, tzinfo=UTC)  # a second before 17:00 in Chicago
    store = SqliteStore(tmp_path / "state")
    notes = BalanceNotes(store, lambda: now)
    await notes.note([figures(51_500, realized=1500)])
    rolled = trading_day(now) + timedelta(days=1)
    now += timedelta(seconds=32)
    await notes.note([figures(51_500, realized=1500)])
    assert (await store.balance_record("Sim101")).on(rolled) is None
    now += timedelta(hours=1)
    await notes.note([figures(51_500)])
    day = (await store.balance_record("Sim101")).on(rolled)
    assert day is not None
    assert day.opening == 51_500
    assert day.highest == 51_500
    await store.close()
