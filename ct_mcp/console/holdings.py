"""Accounts, positions and working orders as they were last read; what was not read is None, and never empty."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import anyio

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import AccountSnapshot
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError, Unavailable

# The request budget is shared with the assistant's server: looking on must never starve it.
GOOD_FOR_SECONDS = 4.0
LONGEST_SECONDS = 8.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Holdings:
    """One reading of everything; ``failures`` say what kept us from the parts that are None."""

    read_at: datetime
    accounts: tuple[AccountSnapshot, ...] | None
    orders: tuple[Order, ...] | None
    failures: tuple[CtMcpError, ...]


class Looking:
    """Reads for the person, no more often than is good for the budget, however many pages ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._last: Holdings | None = None
        self._one_at_a_time = anyio.Lock()

    async def look(self) -> Holdings:
        """The newest reading; a new one where that is too old."""
        async with self._one_at_a_time:
            if self._last is None or self._age(self._last) >= GOOD_FOR_SECONDS:
                self._last = await self._read()
            return self._last

    def _age(self, holdings: Holdings) -> float:
        return (self._desk.clock() - holdings.read_at).total_seconds()

    async def _read(self) -> Holdings:
        failures: list[CtMcpError] = []
        accounts = await _attempt(self._desk.upstream.snapshot(), failures)
        # Where the accounts cannot be had, the same link keeps the orders back: one question is enough to know it.
        orders = await _attempt(self._desk.upstream.all_orders(active_only=True), failures) if accounts else None
        return Holdings(self._desk.clock(), accounts, orders, tuple(failures))


async def _attempt(read: Awaitable[_T], failures: list[CtMcpError]) -> _T | None:
    try:
        with anyio.fail_after(LONGEST_SECONDS):
            return await read
    except TimeoutError:
        failures.append(Unavailable(f"no answer within {LONGEST_SECONDS:.0f} s"))
    except CtMcpError as error:
        failures.append(error)
    return None
