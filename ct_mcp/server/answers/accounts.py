"""All accounts at a glance."""

from collections.abc import Sequence
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    answered,
    counted,
    lines,
    money,
    moved,
    noted,
    number,
    row,
    stamp,
    theirs,
)
from ct_mcp.server.standing import Standing


class AccountRow(Answer):
    """One account."""

    account: str
    kind: str = Field(description="simulated, live or unknown; unknown counts as live.")
    may_trade: bool
    why_not: str = Field(description="Why nothing can be opened in it; empty where it may trade.")
    connection: str | None
    currency: str | None
    net_liquidation: float | None
    cash_value: float | None
    day_pnl: float | None = Field(description="Realized and unrealized.")
    realized_pnl: float | None
    unrealized_pnl: float | None
    open_positions: int | None


class AccountsAnswer(ReadAnswer):
    """Every account that NinjaTrader has; balances and positions may be three seconds older than read_at."""

    accounts: list[AccountRow]


def accounts_answer(standings: Sequence[Standing], notes: list[str], now: datetime) -> CallToolResult:
    """Both halves of a list of accounts."""
    rows = [_row(standing) for standing in standings]
    structure = AccountsAnswer(read_at=stamp(now) or "", notes=notes, accounts=rows)
    head = f"{counted(len(rows), 'account')}, read {structure.read_at}, balances up to 3 s older"
    return answered(lines((head, *map(_line, rows), *noted(notes))), structure)


def _row(standing: Standing) -> AccountRow:
    account, balances = standing.account, standing.account.balances
    return AccountRow(
        account=theirs(account.name) or "",
        kind=account.kind,
        may_trade=standing.may_trade,
        why_not=standing.why_not,
        connection=account.connection_status,
        currency=account.currency,
        net_liquidation=number(balances.net_liquidation),
        cash_value=number(balances.cash_value),
        day_pnl=number(balances.day_pnl),
        realized_pnl=number(balances.realized_pnl),
        unrealized_pnl=number(balances.unrealized_pnl),
        open_positions=None if standing.positions is None else len(standing.positions),
    )


def _line(account: AccountRow) -> str:
    held = "positions unknown" if account.open_positions is None else counted(account.open_positions, "open position")
    return row(
        (
            account.account,
            account.kind,
            f"connection {account.connection or 'unknown'}",
            "may trade" if account.may_trade else f"may NOT trade ({account.why_not})",
            f"net liquidation {money(account.net_liquidation)} {account.currency or 'currency unknown'}",
            f"cash {money(account.cash_value)}",
            f"day P&L {moved(account.day_pnl)}: realized {moved(account.realized_pnl)},"
            f" unrealized {moved(account.unrealized_pnl)}",
            "flat" if account.open_positions == 0 else held,
        )
    )
