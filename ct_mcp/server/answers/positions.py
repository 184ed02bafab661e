"""Positions, as they were read."""

from collections.abc import Sequence
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.position import Position
from ct_mcp.server.present import Answer, answered, lines, money, number, price, row, stamp


class PositionRow(Answer):
    """One position."""

    account: str
    instrument: str
    direction: str
    quantity: int
    average_price: float | None
    market_price: float | None
    unrealized_pnl: float | None


class PositionsAnswer(Answer):
    """Open positions; no rows means that the read account or instrument is flat."""

    read_at: str
    positions: list[PositionRow] = Field(description="Quantity is unsigned; direction is LONG or SHORT.")
    unrealized_pnl: float | None = Field(description="Of all rows; null when one of them is not known.")


def positions_answer(positions: Sequence[Position], now: datetime) -> CallToolResult:
    """Both halves of a list of positions."""
    known = [position.unrealized_pnl for position in positions if position.unrealized_pnl is not None]
    total = sum(known) if len(known) == len(positions) else None
    structure = PositionsAnswer(
        read_at=stamp(now) or "",
        positions=[_row(position) for position in positions],
        unrealized_pnl=None if total is None else float(total),
    )
    if not positions:
        return answered(f"no open positions, read {stamp(now)}", structure)
    head = f"{len(positions)} open, unrealized {money(structure.unrealized_pnl)}, read {stamp(now)}"
    return answered(lines((head, *map(_line, positions))), structure)


def _row(position: Position) -> PositionRow:
    return PositionRow(
        account=position.account,
        instrument=str(position.instrument),
        direction=position.direction,
        quantity=position.quantity,
        average_price=number(position.average_price),
        market_price=number(position.market_price),
        unrealized_pnl=number(position.unrealized_pnl),
    )


def _line(position: Position) -> str:
    return row(
        (
            position.account,
            position.direction,
            position.quantity,
            position.instrument,
            f"at {price(position.average_price)}",
            f"market {price(position.market_price)}",
            f"P&L {money(position.unrealized_pnl)}",
        )
    )
