"""Tools that read accounts, positions, orders and executions."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Execution, Order
from ct_mcp.errors import NotFound, UpstreamError
from ct_mcp.server.answers.account import AccountAnswer, AccountReport, account_answer
from ct_mcp.server.answers.accounts import AccountsAnswer, accounts_answer
from ct_mcp.server.answers.executions import ExecutionsAnswer, executions_answer
from ct_mcp.server.answers.orders import Followed, OrderAnswer, OrdersAnswer, order_answer, orders_answer
from ct_mcp.server.answers.positions import PositionsAnswer, positions_answer
from ct_mcp.server.holdings import read_positions
from ct_mcp.server.present import theirs
from ct_mcp.server.reading import Reading, in_time
from ct_mcp.server.standing import read_accounts, why_not
from ct_mcp.server.tools.trading import AccountName, OrderId
from ct_mcp.server.wiring import ToolContext, reading_of

AnyAccount = Annotated[str | None, Field(description="Leave out for all")]
AnyInstrument = Annotated[str | None, Field(description="Only this; ES means every month of it")]

LOOK_EVERY_SECONDS = 1.0
LOOK_SELDOM_SECONDS = 5.0
LONGEST_LOOKBACK_MINUTES = 15


@in_time()
async def get_accounts(ctx: ToolContext) -> Annotated[CallToolResult, AccountsAnswer]:
    """All accounts: kind, whether each may trade, net liquidation, P&L of the day."""
    reading = reading_of(ctx)
    standings = await read_accounts(reading)
    return accounts_answer(standings, reading.notes, reading.read_at)


@in_time()
async def get_account(ctx: ToolContext, account: AccountName) -> Annotated[CallToolResult, AccountAnswer]:
    """One account: balances, margins, session P&L, high-water marks, drawdown, room to the loss limits."""
    reading = reading_of(ctx)
    report = await read_account(reading, account)
    return account_answer(report, reading.notes, reading.read_at)


@in_time()
async def get_positions(
    ctx: ToolContext, account: AnyAccount = None, instrument: AnyInstrument = None
) -> Annotated[CallToolResult, PositionsAnswer]:
    """Open positions with average price and P&L. No rows means flat, as read now."""
    reading = reading_of(ctx)
    wanted, name = await _wanted(reading, account, instrument)
    shown = [position for position in await read_positions(reading, name) if wanted(position.instrument)]
    return positions_answer(shown, reading.read_at, _scope(name, instrument), reading.notes)


@in_time()
async def get_orders(
    ctx: ToolContext,
    account: AnyAccount = None,
    instrument: AnyInstrument = None,
    working_only: Annotated[bool, Field(description="false: also closed ones, as far as still kept")] = True,
) -> Annotated[CallToolResult, OrdersAnswer]:
    """Orders with prices, fills and state. That a closed one is missing proves nothing."""
    reading = reading_of(ctx)
    wanted, name = await _wanted(reading, account, instrument)
    live = reading.live
    read = live.all_orders if name is None else partial(live.orders, name)
    orders = await read(active_only=working_only)
    shown = [order for order in orders if wanted(order.instrument) and not (working_only and order.is_closed)]
    scope = f"{_scope(name, instrument)}, {'working only' if working_only else 'closed ones too'}"
    return orders_answer(shown, scope, reading.notes, reading.read_at)


@in_time(35.0)
async def get_order(
    ctx: ToolContext,
    account: AccountName,
    order_id: OrderId,
    wait_seconds: Annotated[int, Field(ge=0, le=25, description="Wait so long for a change")] = 0,
) -> Annotated[CallToolResult, OrderAnswer]:
    """One order with its fills and history, by its id or ours. Can wait until it changes."""
    reading = reading_of(ctx)
    name = (await reading.desk.names.account(account)).name
    followed = await _found(reading, name, order_id)
    if followed.order is not None and wait_seconds:
        followed = await _waited(ctx, reading, followed.order, wait_seconds)
    told = await _told(reading, name, order_id, followed)
    return order_answer(told, reading.notes, reading.desk.clock())


@in_time()
async def get_executions(
    ctx: ToolContext,
    account: AccountName,
    order_id: Annotated[str | None, Field(min_length=1, max_length=64, description="Only of this order")] = None,
    minutes: Annotated[int, Field(ge=1, le=15, description="How far back, without order_id")] = 15,
) -> Annotated[CallToolResult, ExecutionsAnswer]:
    """Executions of the last minutes, or of one order, with totals for each instrument."""
    reading = reading_of(ctx)
    name = (await reading.desk.names.account(account)).name
    if order_id is not None:
        executions, scope = await _executions_of(reading, name, order_id), f"order {theirs(order_id)}"
    else:
        executions, scope = await reading.upstream.executions(name, 60 * minutes), f"last {minutes} min"
    return executions_answer(name, executions, scope, reading.notes, reading.desk.clock())


async def read_account(reading: Reading, account: str) -> AccountReport:
    """Read one account; its high-water marks and what our store knows of the day may be missing."""
    desk, live = reading.desk, reading.live
    found = await live.account((await desk.names.account(account)).name)
    desk.names.remember([found])
    today = trading_day(desk.clock())
    return AccountReport(
        account=found,
        marks=await reading.attempt("high-water marks", live.watermarks(found.name)),
        why_not=await why_not(reading, found),
        max_day_loss=desk.policy.for_(found.name, None).limits.max_day_loss,
        day_loss_reached=await reading.attempt("the day's loss", desk.store.day_loss(found.name, today)),
    )


async def _wanted(
    reading: Reading, account: str | None, instrument: str | None
) -> tuple[Callable[[Instrument], bool], str | None]:
    names = reading.desk.names
    wanted = names.matching(instrument)
    return wanted, None if account is None else (await names.account(account)).name


def _scope(account: str | None, instrument: str | None) -> str:
    return f"{theirs(account) or 'all accounts'}, {theirs(instrument) or 'all instruments'}"


async def _found(reading: Reading, account: str, order_id: str) -> Followed:
    """The order, or its history alone where it is not listed any more.

    Raises:
        NotFound: Neither the order nor any trace of it was found.
    """
    try:
        return Followed(await reading.upstream.order(account, order_id))
    except NotFound as error:
        missing = error
    from ct_mcp.desk.watch import Watch  # noqa: PLC0415  # the desk is loaded by the first call

    order = await Watch(reading.upstream, reading.desk.pause).find_once(account, order_id)
    if order is not None:
        return Followed(order)
    with suppress(UpstreamError):
        history = await reading.upstream.lifecycle(account, order_id)
        if history.events:
            return Followed(None, lifecycle=history)
    raise missing


async def _waited(ctx: ToolContext, reading: Reading, first: Order, seconds: int) -> Followed:
    """Look until the order is another than it was, is closed, or the time is up.

    Once a second; where word of accounts comes by the stream, at each word, and seldom in between.
    """
    clock, began = reading.desk.clock, reading.desk.clock()
    seen, waited = first, 0.0
    while waited < seconds and seen == first and not seen.is_closed:
        words = f"{seen.state}, {seen.filled} of {seen.quantity} filled"
        await ctx.report_progress(waited, float(seconds), words)
        await reading.desk.pause(min(_look_every(reading), seconds - waited))
        seen = await reading.attempt("the order", reading.upstream.order(first.account, first.order_id)) or seen
        waited = (clock() - began).total_seconds()
    return Followed(seen, changed=seen != first, waited_seconds=waited)


def _look_every(reading: Reading) -> float:
    return LOOK_SELDOM_SECONDS if reading.live.hears_changes else LOOK_EVERY_SECONDS


async def _told(reading: Reading, account: str, order_id: str, followed: Followed) -> Followed:
    """Add fills and history; neither is needed to say what became of the order."""
    order = followed.order
    id_ = order.order_id if order else order_id
    history = followed.lifecycle or await reading.attempt("history", reading.upstream.lifecycle(account, id_))
    if order is not None and not order.filled:
        return replace(followed, lifecycle=history, executions=())
    fills = await reading.attempt("executions", _executions_of(reading, account, id_))
    return replace(followed, lifecycle=history, executions=fills)


async def _executions_of(reading: Reading, account: str, order_id: str) -> Sequence[Execution]:
    """Those of one order; where the service does not give them, those of the last minutes that name it."""
    try:
        return await reading.upstream.executions_of_order(account, order_id)
    except UpstreamError as error:
        recent = await reading.upstream.executions(account, 60 * LONGEST_LOOKBACK_MINUTES)
        reading.note(
            f"only executions of the last {LONGEST_LOOKBACK_MINUTES} min could be read: {error.code}: {error.what}"
        )
    return [execution for execution in recent if execution.order_id == order_id]
