"""Tools that read orders: a list of them, and one with its fills and history."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.commands import exits_in_words
from ct_mcp.domain.instrument import OtherInstrument
from ct_mcp.domain.order import CLOSED, OWN_ID, Execution, Lifecycle, LifecycleEvent, Order
from ct_mcp.domain.products import price_of
from ct_mcp.errors import NotFound, UpstreamError
from ct_mcp.server.context import ToolContext, query_of
from ct_mcp.server.format import (
    MOST_ROWS,
    ReadResult,
    ToolResult,
    age_seconds,
    join_cells,
    join_lines,
    kind_of,
    note_lines,
    page_of,
    sanitize_name,
    section,
    shown_amount,
    to_float,
    tool_result,
)
from ct_mcp.server.queries import OrdersRead, Query, read_orders, read_scope, time_limit
from ct_mcp.server.tools.executions import ExecutionView, execution_line, execution_views, read_executions_of
from ct_mcp.server.tools.forms import AccountName, AnyAccount, AnyInstrument, OrderId, Skip
from ct_mcp.text import aged, count, iso

POLL_SECONDS = 1.0
POLL_SECONDS_WITH_STREAM = 5.0
MOST_EVENTS = 30
_ANOTHER = (
    "asked for {asked}, they answered with {named}: NinjaTrader and brokers give new ids, and a service may mix up two "
    "requests; it may be another order, so compare instrument, side and size with get_orders"
)


class OrderView(ToolResult):
    """One order. A price is null where the order type has none."""

    account: str
    order_id: str
    instrument: str
    instrument_kind: str = Field(description="Future, or NinjaTrader's word for what is not tradable here.")
    action: str = Field(description="BUY or SELL.")
    order_type: str
    quantity: int | float
    filled: int
    remaining: int = Field(description="Contracts that may still fill.")
    state: str = Field(description="UNKNOWN, with their word for it, is never closed.")
    limit_price: float | None
    stop_price: float | None
    average_fill_price: float | None
    time_in_force: str | None
    oco_id: str | None
    name: str | None = Field(description="A label somebody gave it: data.")
    placed_at: str | None
    age_seconds: float | None


class OrdersResult(ReadResult):
    """Orders; no rows means that there are none of those that were asked for."""

    scope: str = Field(description="The account, instrument and states that were read.")
    orders: list[OrderView]


@time_limit()
async def get_orders(
    ctx: ToolContext,
    account: AnyAccount = None,
    instrument: AnyInstrument = None,
    working_only: Annotated[bool, Field(description="false: closed ones too, while kept")] = True,
    skip: Skip = 0,
) -> Annotated[CallToolResult, OrdersResult]:
    """Orders with prices, fills and state: stops first, then the newest. A closed one missing proves nothing."""
    query = query_of(ctx)
    scope = await read_scope(query, account, instrument)
    orders = await read_orders(query, scope.account)
    rows = (orders.open_only if working_only else orders).rows
    shown = [order for order in rows if scope.includes(order.instrument)]
    if not shown:
        await query.note_outstanding(scope.account)
    await _note_exits(query, shown)
    states = "working only" if working_only else "closed ones too"
    return orders_result(shown, orders_scope(f"{scope}, {states}", orders), query.notes, query.read_at, skip)


def orders_scope(scope: str, orders: OrdersRead) -> str:
    """Say what was read, and where that may not be all that stands."""
    unknown = "; NOT KNOWN whether any stands: the list is empty, and no second one could be read"
    return f"{scope}{unknown}" if orders.doubtful else scope


async def _note_exits(query: Query, shown: Sequence[Order]) -> None:
    """Say of entries that rest which exits they get once they fill."""
    owed = await query.attempt("what entries are owed", query.desk.store.entries_owed()) or {}
    for order in shown:
        entry = owed.get(order.order_id)
        if entry is not None and not order.is_closed:
            exits = f"{exits_in_words(entry)}, sent as it fills, while ct-mcp runs"
            query.note(f"order {sanitize_name(order.order_id)} gets: {exits}")


def orders_result(
    orders: Sequence[Order], scope: str, notes: list[str], now: datetime, skip: int = 0
) -> CallToolResult:
    """Make both halves of a list of orders."""
    shown, left_out = page_of(sorted(reversed(orders), key=_place), skip, "orders", "name an account or an instrument")
    rows, notes = [_order_view(order, now) for order in shown], [*left_out, *notes]
    structure = OrdersResult(read_at=iso(now) or "", notes=notes, scope=scope, orders=rows)
    head = f"{count(len(orders), 'order')}{'' if orders else ' listed'}; {scope}, read {structure.read_at}"
    return tool_result(join_lines((head, *map(_order_line, rows), *note_lines(notes))), structure)


def _place(order: Order) -> tuple[bool, float]:
    """What may protect a position comes first, then the newest, which without a time are those listed last."""
    protects = order.order_type.needs_stop_price and not order.is_closed
    return not protects, -(order.placed_at.timestamp() if order.placed_at else 0.0)


def _order_view(order: Order, now: datetime) -> OrderView:
    return OrderView(
        account=sanitize_name(order.account),
        order_id=sanitize_name(order.order_id),
        instrument=str(order.instrument),
        instrument_kind=kind_of(order.instrument),
        action=order.action,
        order_type=order.order_type,
        quantity=shown_amount(order.amount),
        filled=order.filled,
        remaining=order.remaining,
        state=order.state_text,
        limit_price=to_float(order.limit_price),
        stop_price=to_float(order.stop_price),
        average_fill_price=to_float(order.average_fill_price),
        time_in_force=order.time_in_force,
        oco_id=sanitize_name(order.oco_id),
        name=sanitize_name(order.name),
        placed_at=iso(order.placed_at),
        age_seconds=age_seconds(order.placed_at, now),
    )


def _order_line(order: OrderView) -> str:
    prices = (("limit", order.limit_price), ("stop", order.stop_price))
    fill = f" at {price_of(order.instrument, order.average_fill_price)}" if order.filled else ""
    parts = (
        order.account,
        order.state,
        f"{order.action} {order.quantity} {_instrument_cell(order)} {order.order_type.replace('_', ' ')}",
        *(f"{name} {price_of(order.instrument, value)}" for name, value in prices if value is not None),
        f"filled {order.filled}{fill}, {order.remaining} left",
        order.time_in_force or "time in force unknown",
        f"OCO {order.oco_id}" if order.oco_id else "",
        f'named "{order.name}"' if order.name else "",
        f"order {order.order_id}",
        f"placed {order.placed_at}, {aged(order.age_seconds)}" if order.placed_at else "",
    )
    return join_cells(part for part in parts if part)


def _instrument_cell(row: OrderView) -> str:
    """Name the instrument, with what it is where it is no future."""
    return (
        row.instrument
        if row.instrument_kind == "Future"
        else OtherInstrument(row.instrument, kind=row.instrument_kind).label
    )


class OrderEventView(ToolResult):
    """One recorded step of an order."""

    at: str | None
    event: str
    source: str
    state: str | None
    said: str | None = Field(description="Their words on what went wrong: data.")


class OrderResult(ReadResult):
    """One order, its fills and its history."""

    state: str = Field(description="Of the order, or the last one in its history where it is not listed any more.")
    is_closed: bool = Field(description="Nothing more can happen to it.")
    changed: bool = Field(description="It changed while it was waited for.")
    waited_seconds: float
    order: OrderView | None = Field(description="Null where it is not listed any more.")
    executions: list[ExecutionView] | None = Field(description="Null when they could not be read.")
    events: list[OrderEventView] | None = Field(
        description="Its history, oldest first; null when it could not be read."
    )


@dataclass(frozen=True, slots=True)
class OrderLookup:
    """One order as it was last seen, and what was read beside it; None is what could not be read."""

    order: Order | None
    executions: Sequence[Execution] | None = None
    lifecycle: Lifecycle | None = None
    changed: bool = False
    waited_seconds: float = 0.0

    @property
    def state(self) -> str:
        """The state of the order, or the last one of its history."""
        last = self.lifecycle.last_state if self.lifecycle else None
        return self.order.state if self.order else last or "UNKNOWN"


@time_limit(35.0)
async def get_order(
    ctx: ToolContext,
    account: AccountName,
    order_id: OrderId,
    wait_seconds: Annotated[int, Field(ge=0, le=25, description="Wait for a change")] = 0,
) -> Annotated[CallToolResult, OrderResult]:
    """One order with fills and history, by its id or ours. Can wait until it changes."""
    query = query_of(ctx)
    name = (await query.desk.resolver.account(account)).name
    lookup = await _look_up(query, name, order_id)
    if lookup.order is not None and wait_seconds:
        lookup = await _wait_for_change(ctx, query, lookup.order, wait_seconds)
    return order_result(await _with_history(query, name, order_id, lookup), query.notes, query.desk.clock())


async def _look_up(query: Query, account: str, order_id: str) -> OrderLookup:
    """The order, or its history alone where it is not listed any more.

    Raises:
        NotFound: Neither the order nor any trace of it was found.
    """
    try:
        read = await query.upstream.order(account, order_id)
    except NotFound as error:
        missing = error
    else:
        if not read.is_named(order_id) and not order_id.startswith(OWN_ID):  # their rows do not show ours
            query.note(_ANOTHER.format(asked=sanitize_name(order_id), named=sanitize_name(read.order_id)))
        return OrderLookup(read)
    from ct_mcp.desk.polling import AccountPoller  # noqa: PLC0415  # the desk is loaded by the first call

    order = await AccountPoller(query.upstream, query.desk.pause).find_once(account, order_id)
    if order is not None:
        return OrderLookup(order)
    with suppress(UpstreamError):
        history = await query.upstream.lifecycle(account, order_id)
        if history.events:
            return OrderLookup(None, lifecycle=history)
    raise missing


async def _wait_for_change(ctx: ToolContext, query: Query, first: Order, seconds: int) -> OrderLookup:
    """Read the order again until it has changed, is closed, or the time is over.

    Once a second; where the stream tells of changes, at each of them, and seldom in between.
    """
    clock, began = query.desk.clock, query.desk.clock()
    seen, waited, paused = first, 0.0, 0.0
    while waited < seconds and seen == first and not seen.is_closed:
        progress = f"{seen.state}, {seen.filled} of {seen.quantity} filled"
        await ctx.report_progress(waited, float(seconds), progress)
        pause = min(_interval_seconds(query), seconds - waited)
        await query.desk.pause(pause)
        paused += pause
        read = await query.attempt("the order", query.upstream.order(first.account, first.order_id))
        seen = read if read is not None and read.is_named(first.order_id) else seen
        waited = max(paused, (clock() - began).total_seconds())  # a clock that is set back must not hold up the answer
    return OrderLookup(seen, changed=seen != first, waited_seconds=waited)


def _interval_seconds(query: Query) -> float:
    return POLL_SECONDS_WITH_STREAM if query.live.hears_changes else POLL_SECONDS


async def _with_history(query: Query, account: str, order_id: str, lookup: OrderLookup) -> OrderLookup:
    """Add fills and history; either may be missing."""
    order = lookup.order
    id_ = order.order_id if order else order_id
    history = lookup.lifecycle or await query.attempt("history", query.upstream.lifecycle(account, id_))
    if order is not None and not order.filled:
        return replace(lookup, lifecycle=history, executions=())
    fills = await query.attempt("executions", read_executions_of(query, account, id_))
    return replace(lookup, lifecycle=history, executions=fills)


def order_result(lookup: OrderLookup, notes: list[str], now: datetime) -> CallToolResult:
    """Make both halves of one order."""
    events = lookup.lifecycle.events[-MOST_EVENTS:] if lookup.lifecycle else None
    structure = OrderResult(
        read_at=iso(now) or "",
        notes=notes,
        state=lookup.state,
        is_closed=lookup.state in CLOSED,
        changed=lookup.changed,
        waited_seconds=round(lookup.waited_seconds, 1),
        order=None if lookup.order is None else _order_view(lookup.order, now),
        executions=None if lookup.executions is None else execution_views(lookup.executions, now)[:MOST_ROWS],
        events=None if events is None else [_event_view(event) for event in events],
    )
    return tool_result(_order_text(structure), structure)


def _event_view(event: LifecycleEvent) -> OrderEventView:
    return OrderEventView(at=iso(event.at), event=event.event, source=event.source, state=event.state, said=event.said)


def _order_text(it: OrderResult) -> str:
    waited = f", waited {it.waited_seconds:.0f} s, {'changed' if it.changed else 'no change'}"
    return join_lines(
        (
            f"{it.state}{' (closed)' if it.is_closed else ''}, read {it.read_at}{waited if it.waited_seconds else ''}",
            _order_line(it.order) if it.order else "not listed any more, which by itself proves nothing",
            *section("executions", it.executions, execution_line),
            *section("history", it.events, _event_line),
            *note_lines(it.notes),
        )
    )


def _event_line(event: OrderEventView) -> str:
    said = (f'they said "{event.said}"',) if event.said else ()
    return join_cells((event.at or "time unknown", event.event, event.source, event.state or "no state", *said))
