"""Reading accounts, positions, orders and executions. A failed read raises; it is never an empty answer."""

from decimal import Decimal

from ct_mcp.crosstrade.call import Call, account_named
from ct_mcp.crosstrade.caller import Caller
from ct_mcp.crosstrade.failures import NoPosition
from ct_mcp.crosstrade.wire_accounts import (
    accounts_in,
    asked_account_in,
    asked_position_in,
    positions_in,
    snapshots_in,
    watermarks_in,
)
from ct_mcp.crosstrade.wire_orders import (
    asked_execution_in,
    asked_order_in,
    executions_in,
    executions_of_order_in,
    lifecycle_in,
    orders_in,
    status_in,
)
from ct_mcp.crosstrade.wire_values import truth_for
from ct_mcp.domain.account import Account, AccountSnapshot, Watermarks
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, Lifecycle, Order, OrderState
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import BadRequest

LONGEST_LOOKBACK_SECONDS = 900


async def accounts(self: Caller) -> tuple[Account, ...]:
    """All accounts that the add-on sees; a row may hold nothing but the name."""
    return await self._ask(Call("ListAccounts"), accounts_in)


async def account(self: Caller, name: str) -> Account:
    """One account with its balances, by its canonical name."""
    call = Call("GetAccount", {"account": account_named(name)})
    return await self._ask(call, lambda reply: asked_account_in(reply, name))


async def snapshot(self: Caller) -> tuple[AccountSnapshot, ...]:
    """All active accounts with their open positions, up to three seconds old."""
    return await self._ask(Call("GetAccountSummary"), snapshots_in)


async def watermarks(self: Caller, name: str) -> Watermarks:
    """The session's high-water marks; needs no add-on."""
    call = Call("GetWatermarks", {"account": name})
    return await self._ask(call, lambda reply: watermarks_in(reply, name))


async def positions(self: Caller, account: str) -> tuple[Position, ...]:
    """Every open position of one account; none means that they said it is flat."""
    call = Call("ListPositions", {"account": account})
    return _open(await self._ask(call, lambda reply: positions_in(reply, account)))


async def all_positions(self: Caller, *, include_flat: bool = False) -> tuple[Position, ...]:
    """Every open position of every account."""
    call = Call("GetAllPositions", query={"includeFlat": truth_for(include_flat)})
    rows = await self._ask(call, lambda reply: positions_in(reply, None))
    return rows if include_flat else _open(rows)


async def position(self: Caller, account: str, instrument: Instrument) -> Position:
    """One position, FLAT where they say that there is none.

    Their single look-up has called short positions flat: nothing may be opened on its word without the list.
    """
    call = Call("GetPosition", {"account": account}, {"instrument": str(instrument)})
    try:
        return await self._ask(call, lambda reply: asked_position_in(reply, account, instrument))
    except NoPosition:
        return Position(account, instrument, Direction.FLAT, 0, average_price=Decimal(0))


async def orders(self: Caller, account: str, *, active_only: bool) -> tuple[Order, ...]:
    """The orders of one account; closed ones are pruned after a while, so their absence proves nothing."""
    call = Call("ListOrders", {"account": account}, {"activeOnly": truth_for(active_only)})
    return await self._ask(call, lambda reply: orders_in(reply, account))


async def all_orders(self: Caller, *, active_only: bool) -> tuple[Order, ...]:
    """The orders of every account."""
    call = Call("GetAllOrders", query={"activeOnly": truth_for(active_only)})
    return await self._ask(call, lambda reply: orders_in(reply, None))


async def order(self: Caller, account: str, order_id: str) -> Order:
    """One order by their id or ours; by ours it can be missed while it lives."""
    call = Call("GetOrder", _order_path(account, order_id))
    return await self._ask(call, lambda reply: asked_order_in(reply, account))


async def order_status(self: Caller, account: str, order_id: str) -> OrderState:
    """The state of one order, and nothing else."""
    return await self._ask(Call("GetOrderStatus", _order_path(account, order_id)), status_in)


async def lifecycle(self: Caller, account: str, order_id: str) -> Lifecycle:
    """The history of one order, by their id or ours: the evidence after an unknown outcome."""
    call = Call("GetOrderLifecycle", _order_path(account, order_id))
    return await self._ask(call, lambda reply: lifecycle_in(reply, account))


async def executions(self: Caller, account: str, lookback_seconds: int) -> tuple[Execution, ...]:
    """The executions of at most the last 15 minutes."""
    if not 1 <= lookback_seconds <= LONGEST_LOOKBACK_SECONDS:
        raise BadRequest(f"executions reach back 1 to {LONGEST_LOOKBACK_SECONDS} seconds, found {lookback_seconds}")
    call = Call("ListExecutions", {"account": account}, {"lookbackTime": str(lookback_seconds)})
    return await self._ask(call, lambda reply: executions_in(reply, account))


async def execution(self: Caller, account: str, execution_id: str) -> Execution:
    """One execution."""
    call = Call("GetExecution", {"account": account, "execution_id": execution_id})
    return await self._ask(call, lambda reply: asked_execution_in(reply, account, execution_id))


async def executions_of_order(self: Caller, account: str, order_id: str) -> tuple[Execution, ...]:
    """The executions of one order. Its path is our assumption; where it fails, the live one is asked for."""
    call = Call("GetExecutionsByOrderId", _order_path(account, order_id))
    return await self._ask(call, lambda reply: executions_of_order_in(reply, account))


def _open(rows: tuple[Position, ...]) -> tuple[Position, ...]:
    return tuple(row for row in rows if row.direction is not Direction.FLAT)


def _order_path(account: str, order_id: str) -> dict[str, str]:
    return {"account": account, "order_id": order_id}
