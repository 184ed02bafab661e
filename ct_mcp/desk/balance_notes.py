"""Notes the balances of accounts, wherever their figures are read or heard: how each day ends, and its highest equity.

It stands alone beside `day_losses`, which is handed the same figures: that one notes once a day what decides for the
day, this one goes on for as long as anybody reads. What says nothing new is written twice a minute at most.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.desk.carried_over import CarriedOver
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import Account, Balances
from ct_mcp.domain.balances import Figures
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import StoreFailed

_EVERY = timedelta(seconds=30)


class BalanceNotes:
    """Writes down what was read of accounts, as far as it says something new."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._last: dict[str, Figures] = {}
        self._highest: dict[str, tuple[date, Decimal]] = {}
        self.carried = CarriedOver(store)

    async def note(self, accounts: Iterable[Account]) -> None:
        """Note the figures of accounts as just read; none of one that is not connected, nor of the session before."""
        now = self._clock()
        read = [_figures_of(each.name, each.balances, now) for each in accounts if each.is_connected is not False]
        await self._write([figures for figures in read if figures is not None and await self._is_worth_it(figures)])

    async def note_pnl(self, account: str, realized: Decimal, unrealized: Decimal, at: datetime | None = None) -> None:
        """Note the P&L that the stream tells of an account; its cash follows from what the day opened with."""
        figures = Figures(account, at or self._clock(), None, realized, unrealized, is_flat=not unrealized)
        if await self._is_worth_it(figures):
            await self._write([figures])

    async def note_mark(self, account: str, high: Decimal) -> bool:
        """Note the highest equity that the service remembers of an account; say whether it could be written."""
        try:
            await self._store.note_figures([Figures(account, self._clock(), None, None, None, mark=high)])
        except StoreFailed:
            return False
        return True

    async def _write(self, figures: list[Figures]) -> None:
        if not figures:
            return
        try:
            await self._store.note_figures(figures)
        except StoreFailed:
            return  # what was read is shown all the same, and a gap is named where it matters
        for read in figures:
            self._last[read.account] = read
            if (gain := _gain_of(read)) is not None:
                known = self._highest_of(read)
                self._highest[read.account] = trading_day(read.at), gain if known is None else max(known, gain)

    def _highest_of(self, read: Figures) -> Decimal | None:
        """Give the highest gain that was noted of the day of these figures."""
        day, highest = self._highest.get(read.account, (None, None))
        return highest if day == trading_day(read.at) else None

    async def _is_worth_it(self, read: Figures) -> bool:
        is_carried = await self.carried.is_carried(read.account, read.realized, read.at)
        return not is_carried and self._says_something(read)

    def _says_something(self, read: Figures) -> bool:
        """Say whether it is the first in a while, or a trade, or higher than what was noted of its day."""
        last, gain, highest = self._last.get(read.account), _gain_of(read), self._highest_of(read)
        if last is None or not timedelta(0) <= read.at - last.at < _EVERY:
            return True
        if (read.realized, read.is_flat) != (last.realized, last.is_flat):
            return True
        return gain is not None and (highest is None or gain > highest)


def _figures_of(name: str, balances: Balances, at: datetime) -> Figures | None:
    if balances.cash_value is None:
        return None
    is_flat = balances.unrealized_pnl == 0 and not balances.initial_margin
    return Figures(name, at, balances.cash_value, balances.realized_pnl, balances.unrealized_pnl, is_flat=is_flat)


def _gain_of(read: Figures) -> Decimal | None:
    return None if read.realized is None or read.unrealized is None else read.realized + read.unrealized
