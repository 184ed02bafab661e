"""Executions, with what they come to for each instrument."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, OrderAction
from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    age,
    aged,
    answered,
    counted,
    lines,
    noted,
    number,
    price,
    row,
    signed,
    stamp,
    theirs,
)


class ExecutionRow(Answer):
    """One trade of an order."""

    execution_id: str
    order_id: str | None
    instrument: str
    action: str | None = Field(description="BUY or SELL.")
    quantity: int
    price: float
    at: str | None
    age_seconds: float | None


class TotalRow(Answer):
    """What the executions listed come to in one instrument."""

    instrument: str
    bought: int
    average_buy_price: float | None = Field(description="Null where nothing was bought.")
    sold: int
    average_sell_price: float | None = Field(description="Null where nothing was sold.")
    net: int | None = Field(description="Null when the direction of one of them is not known.")


class ExecutionsAnswer(ReadAnswer):
    """Executions, newest first. No rows means that there were none in the time that was asked for."""

    account: str
    scope: str
    executions: list[ExecutionRow]
    totals: list[TotalRow]


def executions_answer(
    account: str, executions: Sequence[Execution], scope: str, notes: list[str], now: datetime
) -> CallToolResult:
    """Both halves of a list of executions."""
    rows = execution_rows(executions, now)
    totals = _totals(executions)
    structure = ExecutionsAnswer(
        read_at=stamp(now) or "",
        notes=notes,
        account=theirs(account) or "",
        scope=scope,
        executions=rows,
        totals=totals,
    )
    head = f"{counted(len(rows), 'execution')} in {structure.account}, {scope}, read {structure.read_at}"
    return answered(lines((head, *map(execution_line, rows), *map(_total_line, totals), *noted(notes))), structure)


def execution_rows(executions: Iterable[Execution], now: datetime) -> list[ExecutionRow]:
    """Rows, newest first; those without a time come last."""
    ordered = sorted(executions, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)
    return [_row(execution, now) for execution in ordered]


def execution_line(execution: ExecutionRow) -> str:
    """One execution in words."""
    return row(
        (
            execution.at or "time unknown",
            execution.action or "direction unknown",
            execution.quantity,
            execution.instrument,
            f"at {price(execution.price)}",
            f"order {execution.order_id or 'unknown'}",
            f"execution {execution.execution_id}",
            aged(execution.age_seconds),
        )
    )


def _row(execution: Execution, now: datetime) -> ExecutionRow:
    return ExecutionRow(
        execution_id=theirs(execution.execution_id) or "",
        order_id=theirs(execution.order_id),
        instrument=str(execution.instrument),
        action=execution.action,
        quantity=execution.quantity,
        price=float(execution.price),
        at=stamp(execution.at),
        age_seconds=age(execution.at, now),
    )


def _totals(executions: Sequence[Execution]) -> list[TotalRow]:
    instruments = sorted({execution.instrument for execution in executions})
    return [_total(name, [one for one in executions if one.instrument == name]) for name in instruments]


def _total(instrument: Instrument, executions: Sequence[Execution]) -> TotalRow:
    bought, sold = _side(executions, OrderAction.BUY), _side(executions, OrderAction.SELL)
    is_known = all(one.action is not None for one in executions)
    return TotalRow(
        instrument=str(instrument),
        bought=bought[0],
        average_buy_price=number(bought[1]),
        sold=sold[0],
        average_sell_price=number(sold[1]),
        net=bought[0] - sold[0] if is_known else None,
    )


def _side(executions: Sequence[Execution], action: OrderAction) -> tuple[int, Decimal | None]:
    """Contracts and their average price, to a millionth."""
    side = [one for one in executions if one.action is action]
    quantity = sum(one.quantity for one in side)
    worth = sum((one.price * one.quantity for one in side), Decimal(0))
    return quantity, round(worth / quantity, 6) if quantity else None


def _total_line(total: TotalRow) -> str:
    bought = f"bought {total.bought}" + (f" at {price(total.average_buy_price)} on average" if total.bought else "")
    sold = f"sold {total.sold}" + (f" at {price(total.average_sell_price)} on average" if total.sold else "")
    return f"total {total.instrument}: {bought}, {sold}, net {signed(total.net) if total.net != 0 else 0}"
