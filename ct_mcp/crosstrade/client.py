"""CrossTrade over REST: one method per endpoint, our words in and out.

The methods are written in ``account_reads``, ``market_reads`` and ``writes``. There is deliberately none that sends a
flatten without an account, and none for CancelAllOrders: both reach accounts that nobody named.
"""

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack

import httpx

from ct_mcp.crosstrade import account_reads, market_reads, writes
from ct_mcp.crosstrade.budget import Allowance, Budget
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.line import Line, Manner, Timeouts
from ct_mcp.crosstrade.wire_row import Reply

_T = TypeVar("_T")
_USUAL_TIMEOUTS = Timeouts()


class World(TypedDict, total=False):
    """What the client meets outside, each with a default that is real."""

    transport: httpx.AsyncBaseTransport | None
    clock: Callable[[], datetime]
    budget: Budget
    sleep: Callable[[float], Awaitable[None]]


class CrossTrade:
    """The client. Views made from it share its connections and its budget."""

    accounts = account_reads.accounts
    account = account_reads.account
    snapshot = account_reads.snapshot
    watermarks = account_reads.watermarks
    positions = account_reads.positions
    all_positions = account_reads.all_positions
    position = account_reads.position
    orders = account_reads.orders
    all_orders = account_reads.all_orders
    order = account_reads.order
    order_status = account_reads.order_status
    lifecycle = account_reads.lifecycle
    executions = account_reads.executions
    execution = account_reads.execution
    executions_of_order = account_reads.executions_of_order

    quotes = market_reads.quotes
    session = market_reads.session
    bars = market_reads.bars
    endpoints = market_reads.endpoints
    reference = market_reads.reference

    place_order = writes.place_order
    flat_place = writes.flat_place
    change_order = writes.change_order
    replace_order = writes.replace_order
    cancel_order = writes.cancel_order
    cancel_orders = writes.cancel_orders
    close_position = writes.close_position
    flatten = writes.flatten
    flatten_filtered = writes.flatten_filtered

    def __init__(
        self, base_url: str, token: str | None, timeouts: Timeouts = _USUAL_TIMEOUTS, **world: Unpack[World]
    ) -> None:
        """Touch no network: connections are made by the first call. Without a token every call says so.

        Raises:
            ConfigError: The address is neither https nor on this machine.
        """
        self._line = Line(base_url, token, timeouts, **world)
        self._manner = Manner()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.aclose()

    def urgent(self) -> Self:
        """The same client with the right to the budget's reserve: for exits and their read-backs."""
        return self._in_manner(replace(self._manner, urgent=True))

    def checked_by(self, last_check: Callable[[], Awaitable[None]]) -> Self:
        """The same client, running a check after the wait for the budget and right before anything is sent.

        What the check raises goes to the caller, and then nothing was sent.
        """
        return self._in_manner(replace(self._manner, last_check=last_check))

    def heard_by(self, hear: Callable[[str], None]) -> Self:
        """The same client, telling the warnings that came beside the success of a read; writes return theirs."""
        return self._in_manner(replace(self._manner, hear=hear))

    async def allowance(self) -> Allowance:
        """What is left of the budget; asks nobody."""
        return await self._line.budget.snapshot(self._line.clock())

    def _in_manner(self, manner: Manner) -> Self:
        view = copy(self)
        view._manner = manner
        return view

    async def _ask(self, call: Call, read: Callable[[Reply], _T]) -> _T:
        return await self._line.ask(call, read, self._manner)

    async def _send(self, call: Call, read: Callable[[Reply], _T]) -> _T:
        return await self._line.send(call, read, self._manner)

    def _today(self) -> date:
        return self._line.clock().astimezone(UTC).date()
