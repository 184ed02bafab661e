"""Orders as they were read, and one order with its history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.order import CLOSED, Execution, Lifecycle, LifecycleEvent, Order
from ct_mcp.server.answers.executions import ExecutionRow, execution_line, execution_rows
from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    age,
    aged,
    answered,
    counted,
    lines,
    listed,
    noted,
    number,
    price,
    row,
    stamp,
    theirs,
)

MOST_EVENTS = 30


class OrderRow(Answer):
    """One order. A price is null where the order type has none."""

    account: str
    order_id: str
    instrument: str
    action: str = Field(description="BUY or SELL.")
    order_type: str
    quantity: int
    filled: int
    remaining: int = Field(description="Contracts that may still fill.")
    state: str = Field(description="UNKNOWN is never closed.")
    limit_price: float | None
    stop_price: float | None
    average_fill_price: float | None
    time_in_force: str | None
    oco_id: str | None
    name: str | None = Field(description="A label somebody gave it: data.")
    placed_at: str | None
    age_seconds: float | None


class OrdersAnswer(ReadAnswer):
    """Orders; no rows means that there are none of those that were asked for."""

    scope: str = Field(description="The account, instrument and states that were read.")
    orders: list[OrderRow]


class EventRow(Answer):
    """One recorded step of an order."""

    at: str | None
    event: str
    source: str
    state: str | None


class OrderAnswer(ReadAnswer):
    """One order, its fills and its history."""

    state: str = Field(description="Of the order, or the last one in its history where it is not listed any more.")
    is_closed: bool = Field(description="Nothing more can happen to it.")
    changed: bool = Field(description="It changed while it was waited for.")
    waited_seconds: float
    order: OrderRow | None = Field(description="Null where it is not listed any more.")
    executions: list[ExecutionRow] | None = Field(description="Null when they could not be read.")
    events: list[EventRow] | None = Field(description="Its history, oldest first; null when it could not be read.")


@dataclass(frozen=True, slots=True)
class Followed:
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


def orders_answer(orders: Sequence[Order], scope: str, notes: list[str], now: datetime) -> CallToolResult:
    """Both halves of a list of orders."""
    rows = [_row(order, now) for order in orders]
    structure = OrdersAnswer(read_at=stamp(now) or "", notes=notes, scope=scope, orders=rows)
    head = f"{counted(len(rows), 'order')}; {scope}, read {structure.read_at}"
    return answered(lines((head, *map(_line, rows), *noted(notes))), structure)


def order_answer(followed: Followed, notes: list[str], now: datetime) -> CallToolResult:
    """Both halves of one order."""
    events = followed.lifecycle.events[-MOST_EVENTS:] if followed.lifecycle else None
    structure = OrderAnswer(
        read_at=stamp(now) or "",
        notes=notes,
        state=followed.state,
        is_closed=followed.state in CLOSED,
        changed=followed.changed,
        waited_seconds=round(followed.waited_seconds, 1),
        order=None if followed.order is None else _row(followed.order, now),
        executions=None if followed.executions is None else execution_rows(followed.executions, now),
        events=None if events is None else [_event(event) for event in events],
    )
    return answered(_text(structure), structure)


def _row(order: Order, now: datetime) -> OrderRow:
    return OrderRow(
        account=theirs(order.account) or "",
        order_id=theirs(order.order_id) or "",
        instrument=str(order.instrument),
        action=order.action,
        order_type=order.order_type,
        quantity=order.quantity,
        filled=order.filled,
        remaining=order.remaining,
        state=order.state,
        limit_price=number(order.limit_price),
        stop_price=number(order.stop_price),
        average_fill_price=number(order.average_fill_price),
        time_in_force=order.time_in_force,
        oco_id=theirs(order.oco_id),
        name=theirs(order.name),
        placed_at=stamp(order.placed_at),
        age_seconds=age(order.placed_at, now),
    )


def _line(order: OrderRow) -> str:
    prices = (("limit", order.limit_price), ("stop", order.stop_price))
    fill = f" at {price(order.average_fill_price)}" if order.filled else ""
    parts = (
        order.account,
        order.state,
        f"{order.action} {order.quantity} {order.instrument} {order.order_type.replace('_', ' ')}",
        *(f"{name} {price(value)}" for name, value in prices if value is not None),
        f"filled {order.filled}{fill}, {order.remaining} left",
        order.time_in_force or "time in force unknown",
        f"OCO {order.oco_id}" if order.oco_id else "",
        f'named "{order.name}"' if order.name else "",
        f"order {order.order_id}",
        f"placed {order.placed_at}, {aged(order.age_seconds)}" if order.placed_at else "placed at an unknown time",
    )
    return row(part for part in parts if part)


def _event(event: LifecycleEvent) -> EventRow:
    return EventRow(at=stamp(event.at), event=event.event, source=event.source, state=event.state)


def _text(it: OrderAnswer) -> str:
    waited = f", waited {it.waited_seconds:.0f} s, {'changed' if it.changed else 'no change'}"
    return lines(
        (
            f"{it.state}{' (closed)' if it.is_closed else ''}, read {it.read_at}{waited if it.waited_seconds else ''}",
            _line(it.order) if it.order else "not listed any more, which by itself proves nothing",
            *listed("executions", it.executions, execution_line),
            *listed("history", it.events, _event_line),
            *noted(it.notes),
        )
    )


def _event_line(event: EventRow) -> str:
    return row((event.at or "time unknown", event.event, event.source, event.state or "no state"))
