"""Notes a day's loss that has reached its limit, wherever the figures of an account are read or heard.

It stands alone because reviews, tools, pages and the stream need it and nothing of each other. A loss that is read and
comes back later was reached all the same: until the session rolls nothing opens. So whoever
reads figures hands them on to here: the client of the desk all that it reads, whatever for (a review, what is read back
after an exit), and a tool, a resource, the console, the stream.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal

from ct_mcp.desk.balance_notes import BalanceNotes
from ct_mcp.desk.carried_over import told_at
from ct_mcp.desk.membership import PolicyInForce
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import Account
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.firm_policy import DrawdownKind


class DayLosses:
    """Knows the limit of each account, and writes down once a day that it was reached."""

    def __init__(self, store: Store, held: PolicyInForce, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._held = held
        self._clock = clock
        self._noted: set[tuple[str, date]] = set()
        self._balances = BalanceNotes(store, clock)
        self._marked: dict[str, date] = {}

    async def note(self, accounts: Iterable[Account]) -> None:
        """Note every account whose figures, as just read, have reached the limit; and the balances of all of them."""
        accounts = tuple(accounts)
        await self.note_losses(accounts)
        await self._balances.note(accounts)

    async def note_losses(self, accounts: Iterable[Account]) -> None:
        """Note every account whose figures, as just read, have reached the limit, and nothing else of them.

        What an account shows before it is connected is of no day that anybody knows.
        """
        for account in accounts:
            if account.is_connected is not False:
                figures = account.balances
                await self._note(account.name, figures.realized_pnl, figures.unrealized_pnl, self._clock())

    async def note_pnl(
        self, account: str, realized: Decimal, unrealized: Decimal, stamp: datetime | None = None
    ) -> None:
        """Note the P&L of the day that the stream tells of one account, as of its stamp."""
        now = self._clock()
        at = now if stamp is None else told_at(stamp, now)
        await self._note(account, realized, unrealized, at)
        await self._balances.note_pnl(account, realized, unrealized, at)

    def wants_mark(self, account: str) -> bool:
        """Say whether the floor of an account moves within the day, and no mark of this day was taken for it yet."""
        return self._moves_within_the_day(account) and self._marked.get(account) != trading_day(self._clock())

    async def note_mark(self, account: str, high: Decimal | None) -> None:
        """Take the service's high-water mark as a peak of this day, where the floor moves within it.

        It is of one session and of unknown age, and often there is none: it only ever makes a floor higher.
        """
        if not self._moves_within_the_day(account):
            return
        if high is None or await self._balances.note_mark(account, high):
            self._marked[account] = trading_day(self._clock())

    def _moves_within_the_day(self, account: str) -> bool:
        firm = self._held.policy.for_(account, None).firm
        return firm is not None and firm.drawdown is not None and firm.drawdown.kind is DrawdownKind.INTRADAY

    async def _note(self, account: str, realized: Decimal | None, unrealized: Decimal | None, at: datetime) -> None:
        """Note the P&L of the day of one account, realised and unrealised together; None says nothing.

        What was realised in the session before is none of this day, what is open is.
        """
        if realized is None or unrealized is None:
            return
        is_carried = await self._balances.carried.is_carried(account, realized, at)
        pnl = unrealized if is_carried else realized + unrealized
        limit = self._held.policy.for_(account, None).limits.max_day_loss
        mark = account, trading_day(at)
        if not pnl.is_finite() or pnl > -limit or mark in self._noted:
            return
        try:
            await self._store.mark_day_loss(account, mark[1], pnl, self._clock())
        except StoreFailed:
            return  # what was read is shown all the same, and the next reading tries again
        self._noted = {known for known in self._noted if known[1] >= mark[1]} | {mark}
