"""Positions, as they were read."""

from collections.abc import Sequence
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.position import Position
from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    answered,
    lines,
    money,
    moved,
    noted,
    number,
    price,
    row,
    stamp,
    theirs,
)


class PositionRow(Answer):
    """One position."""

    account: str
    instrument: str
    direction: str = Field(description="LONG or SHORT.")
    quantity: int = Field(description="Contracts, without a sign.")
    average_price: float | None
    market_price: float | None
    unrealized_pnl: float | None


class PositionsAnswer(ReadAnswer):
    """Open positions; no rows means that what was asked for is flat."""

    scope: str = Field(description="The account and instrument that were read.")
    positions: list[PositionRow]
    unrealized_pnl: float | None = Field(description="Of all rows; null when one of them is not known.")


def positions_answer(
    positions: Sequence[Position], now: datetime, scope: str = "all accounts", notes: Sequence[str] = ()
) -> CallToolResult:
    """Both halves of a list of positions."""
    known = [position.unrealized_pnl for position in positions if position.unrealized_pnl is not None]
    structure = PositionsAnswer(
        read_at=stamp(now) or "",
        notes=list(notes),
        scope=scope,
        positions=[_row(position) for position in positions],
        unrealized_pnl=float(sum(known)) if len(known) == len(positions) else None,
    )
    if positions:
        head = f"{len(positions)} open, unrealized {moved(structure.unrealized_pnl)}; {scope}, read {structure.read_at}"
    else:
        head = f"no open positions; {scope}, read {structure.read_at}"
    return answered(lines((head, *map(_line, positions), *noted(notes))), structure)


def _row(position: Position) -> PositionRow:
    return PositionRow(
        account=theirs(position.account) or "",
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
            theirs(position.account),
            position.direction,
            position.quantity,
            position.instrument,
            f"at {price(position.average_price)}",
            f"market {price(position.market_price)}",
            f"P&L {money(position.unrealized_pnl)}",
        )
    )
