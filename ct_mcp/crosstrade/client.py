"""CrossTrade over REST: one method per endpoint, our words in and out.

The methods are written in ``account_reads``, ``market_reads``, ``strategy_calls``, ``discovery`` and ``writes``. There
is deliberately none that sends a flatten without an account, and none for CancelAllOrders: both reach accounts that
nobody named.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack

import httpx

from ct_mcp.crosstrade import account_reads, discovery, market_reads, strategy_calls, writes
from ct_mcp.crosstrade.budget import Allowance, Budget
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.line import Line, Manner, Timeouts
from ct_mcp.crosstrade.live import Live
from ct_mcp.crosstrade.wire_row import Reply
from ct_mcp.errors import BudgetExhausted, NotFound, UpstreamError

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
    legacy_quotes = market_reads.legacy_quotes

    endpoints = discovery.endpoints
    reference = discovery.reference
    bracket_fields = discovery.bracket_fields

    strategies = strategy_calls.strategies
    all_strategies = strategy_calls.all_strategies
    strategy = strategy_calls.strategy
    start_strategy = strategy_calls.start_strategy
    enable_strategy = strategy_calls.enable_strategy
    disable_strategy = strategy_calls.disable_strategy
    close_strategy = strategy_calls.close_strategy
    atm_templates = strategy_calls.atm_templates

    place_order = writes.place_order
    flat_place = writes.flat_place
    change_order = writes.change_order
    replace_order = writes.replace_order
    cancel_order = writes.cancel_order
    cancel_orders = writes.cancel_orders
    close_position = writes.close_position
    flatten = writes.flatten
    flatten_filtered = writes.flatten_filtered
    reverse = writes.reverse
    reverse_position = writes.reverse_position
    cancel_and_bracket = writes.cancel_and_bracket

    def __init__(
        self, base_url: str, token: str | None, timeouts: Timeouts = _USUAL_TIMEOUTS, **world: Unpack[World]
    ) -> None:
        """Touch no network: connections are made by the first call. Without a token every call says so.

        Raises:
            ConfigError: The address is neither https nor on this machine.
        """
        self._line = Line(base_url, token, timeouts, **world)
        self._manner = Manner()
        self._live = Live()

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
        try:
            return await self._line.ask(self._live.directed(call), read, self._manner)
        except NotFound as error:
            elsewhere = await self._elsewhere(call, error)
        return await self._line.ask(elsewhere, read, self._manner)

    async def _elsewhere(self, call: Call, error: NotFound) -> Call:
        """The call at another path than the one that we assumed, if the live catalogue knows one; else the error."""
        if call.endpoint.path_is_assumed and self._live.routes is None:
            with suppress(UpstreamError, BudgetExhausted):
                self._live.routes = await self.endpoints()
                if (moved := self._live.directed(call)).address != call.address:
                    return moved
        raise self._live.explained(call, error) from None

    async def _send(self, call: Call, read: Callable[[Reply], _T]) -> _T:
        return await self._line.send(call, read, self._manner)

    def _today(self) -> date:
        return self._line.clock().astimezone(UTC).date()
