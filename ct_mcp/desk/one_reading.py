"""One reading of all accounts, asked about each of them: what is said of many is then of one moment.

It costs three requests however many accounts there are. A list that could not be read has failed for every account,
unless it may be read account by account instead (`one_by_one`), as with add-ons that have no list of all.
"""

from collections.abc import Awaitable, Callable, Hashable
from decimal import Decimal
from typing import Any, TypeVar

from ct_mcp.desk.ports import BookReads
from ct_mcp.domain.account import Account, AccountSnapshot, Direction, Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, Lifecycle, Order
from ct_mcp.errors import BadReply, CtMcpError

_T = TypeVar("_T")


class OneReading:
    """Reads each list once, when it is first asked for. ``closed_too`` reads the orders that are over as well."""

    def __init__(self, upstream: BookReads, *, closed_too: bool = False, one_by_one: bool = False) -> None:
        self._upstream = upstream
        self._closed_too = closed_too
        self._one_by_one = one_by_one
        self._kept: dict[Hashable, Any] = {}
        self.failed = False

    async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
        """Give the orders of one account."""
        try:
            rows = await self.all_orders(active_only=active_only)
        except CtMcpError:
            if not self._one_by_one:
                raise
            rows = await self._upstream.orders(account, active_only=active_only)
        return tuple(row for row in rows if _is_of(row.account, account))

    async def all_orders(self, *, active_only: bool) -> tuple[Order, ...]:
        """Give the orders of every account."""
        rows = await self._once("orders", lambda: self._upstream.all_orders(active_only=not self._closed_too))
        return tuple(row for row in rows if not (active_only and row.is_closed))

    async def positions(self, account: str) -> tuple[Position, ...]:
        """Give the positions of one account."""
        try:
            rows = await self.all_positions()
        except CtMcpError:
            if not self._one_by_one:
                raise
            rows = await self._upstream.positions(account)
        return tuple(row for row in rows if _is_of(row.account, account))

    async def all_positions(self) -> tuple[Position, ...]:
        """Give the positions of every account."""
        return await self._once("positions", self._upstream.all_positions)

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        """Give the report of all accounts, which is another source than the lists."""
        return await self._once("snapshot", self._upstream.snapshot)

    async def position(self, account: str, instrument: Instrument) -> Position:
        """Give one position as the report of all accounts has it.

        Raises:
            UpstreamError: The report could not be read, or does not say what is held.
        """
        report = next((row for row in await self.snapshot() if _is_of(row.account.name, account)), None)
        held = next((row for row in (report and report.positions) or () if row.instrument == instrument), None)
        if held is not None:
            return held
        if report is None or report.what_is_held is None:
            raise BadReply("the report of all accounts does not say what is held")
        return Position(account, instrument, Direction.FLAT, 0, average_price=Decimal(0))

    async def order(self, account: str, order_id: str) -> Order:
        """Give one order from the list; what it leaves out is asked for by its id."""
        listed = self._kept.get("orders")
        rows = listed if isinstance(listed, tuple) else ()
        found = (row for row in rows if _is_of(row.account, account) and row.is_named(order_id))
        return next(found, None) or await self._upstream.order(account, order_id)

    async def account(self, name: str) -> Account:
        """Read one account."""
        return await self._upstream.account(name)

    async def lifecycle(self, account: str, order_id: str) -> Lifecycle:
        """Read the history of one order."""
        return await self._upstream.lifecycle(account, order_id)

    async def executions(self, account: str, lookback_seconds: int) -> tuple[Execution, ...]:
        """Read the executions of one account."""
        return await self._upstream.executions(account, lookback_seconds)

    async def _once(self, key: Hashable, read: Callable[[], Awaitable[_T]]) -> _T:
        if key not in self._kept:
            try:
                self._kept[key] = await read()
            except CtMcpError as error:
                self._kept[key], self.failed = error, True
        kept = self._kept[key]
        if isinstance(kept, CtMcpError):
            raise kept
        return kept  # type: ignore[no-any-return]  # what was kept under a key is what its one reader gave


def _is_of(name: str, account: str) -> bool:
    return name.casefold() == account.casefold()
