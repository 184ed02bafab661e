"""What this process read of accounts last, by whatever reading, and when: for telling, and for nothing that decides.

What the stream tells of an account ends what was read of its positions and orders, as in `live/cache.py`: what has
changed since is not known. Nothing is asked here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.account import Account, Position, account_key
from ct_mcp.domain.order import Order

_MOST = 200
_OF_THE_SAME_TIME = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """One account as it was read last; None is what was not, or may have changed. ``read_at`` is of the oldest."""

    account: Account | None = None
    positions: tuple[Position, ...] | None = None
    orders: tuple[Order, ...] | None = None
    day_pnl: Decimal | None = None
    account_at: datetime | None = None
    figures_at: datetime | None = None
    positions_at: datetime | None = None
    orders_at: datetime | None = None

    @property
    def held(self) -> tuple[Position, ...] | None:
        """What is held; a list has come back empty, so that nothing is wants the account's own figures to agree."""
        if self.positions is None or self.positions:
            return self.positions
        if self.account is None or self.account_at is None or self.positions_at is None:
            return None
        is_of_then = self.positions_at - self.account_at <= _OF_THE_SAME_TIME
        return () if is_of_then and self.account.balances.unrealized_pnl == 0 else None

    @property
    def read_at(self) -> datetime | None:
        """When the oldest of it was read."""
        known = (
            self.figures_at if self.day_pnl is not None else None,
            None if self.positions is None else self.positions_at,
            None if self.orders is None else self.orders_at,
        )
        return min((at for at in known if at is not None), default=None)


NOTHING = Seen()


class LastSeen:
    """The accounts of one process, by their names as the service matches them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._of: dict[str, Seen] = {}

    @classmethod
    def of_reads(cls, upstream: Upstream, clock: Callable[[], datetime]) -> "LastSeen":
        """Take note of whatever is read by this client from now on."""
        seen = cls(clock)
        upstream.tell_figures(seen.note_accounts)
        upstream.tell_books((seen.note_positions, seen.note_orders))
        return seen

    def of(self, account: str) -> Seen:
        """Give what was read of an account; all of it unknown where nothing was."""
        return self._of.get(account_key(account), NOTHING)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts whose own report was read."""
        return tuple(seen.account for seen in self._of.values() if seen.account is not None)

    async def note_accounts(self, accounts: Sequence[Account]) -> None:
        """Take note of accounts with their figures."""
        for account in accounts:
            self._note(account.name, account=account, account_at=self._clock())
            if (pnl := account.balances.day_pnl) is not None:
                self._note(account.name, day_pnl=pnl, figures_at=self._clock())

    def note_positions(self, account: str | None, positions: Sequence[Position]) -> None:
        """Take note of the open positions of one account, or of all that are known."""
        for name in self._named(account, positions):
            mine = tuple(row for row in positions if account_key(row.account) == account_key(name))
            self._note(name, positions=mine, positions_at=self._clock())

    def note_orders(self, account: str | None, orders: Sequence[Order]) -> None:
        """Take note of the orders of one account, or of all that are known; those that are over count for nothing."""
        for name in self._named(account, orders):
            mine = tuple(row for row in orders if account_key(row.account) == account_key(name) and not row.is_closed)
            self._note(name, orders=mine, orders_at=self._clock())

    def hear(self, event: Event) -> None:
        """Take what the stream tells: P&L as it comes, and that something has changed."""
        match event:
            case PnlUpdate() if event.realized is not None and event.unrealized is not None:
                self._note(event.account, day_pnl=event.realized + event.unrealized, figures_at=event.at)
            case AccountChanged(account=str(name)):
                self._end(account_key(name))
            case AccountChanged() | Gap():
                for key in tuple(self._of):
                    self._end(key)

    def _named(self, account: str | None, rows: Sequence[Position] | Sequence[Order]) -> tuple[str, ...]:
        if account is not None:
            return (account,)
        known = {account_key(row.account): row.account for row in rows}
        return tuple({**{key: key for key in self._of}, **known}.values())

    def _note(self, name: str, **changes: object) -> None:
        key = account_key(name)
        if key in self._of or len(self._of) < _MOST:
            self._of[key] = replace(self._of.get(key, NOTHING), **changes)  # type: ignore[arg-type]  # its own fields

    def _end(self, key: str) -> None:
        if key in self._of:
            self._of[key] = replace(self._of[key], positions=None, orders=None)
