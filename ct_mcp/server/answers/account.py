"""One account: balances, margins, the day, high-water marks and the room that is left."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.account import Account, Watermarks
from ct_mcp.server.present import ReadAnswer, answered, lines, money, moved, noted, number, stamp, theirs

_BALANCES = (
    "net_liquidation",
    "cash_value",
    "buying_power",
    "initial_margin",
    "maintenance_margin",
    "excess_initial_margin",
    "day_pnl",
    "realized_pnl",
    "unrealized_pnl",
    "gross_realized_pnl",
    "commission",
    "trailing_max_drawdown",
)


class AccountAnswer(ReadAnswer):
    """NinjaTrader's figures as of read_at; high-water marks are CrossTrade's own, which do not say how old they are."""

    account: str
    kind: str = Field(description="simulated, live or unknown; unknown counts as live.")
    may_trade: bool
    why_not: str = Field(description="Why nothing can be opened in it; empty where it may trade.")
    connection: str | None
    currency: str | None
    net_liquidation: float | None
    cash_value: float | None
    buying_power: float | None
    initial_margin: float | None
    maintenance_margin: float | None
    excess_initial_margin: float | None
    day_pnl: float | None = Field(description="Realized and unrealized, of the session.")
    realized_pnl: float | None
    unrealized_pnl: float | None
    gross_realized_pnl: float | None
    commission: float | None
    max_day_loss: float = Field(description="Our limit, from the policy.")
    room_to_max_day_loss: float | None = Field(description="What may still be lost before it; 0 once reached.")
    day_loss_reached: bool | None = Field(description="It was reached in this session, and stays so until it rolls.")
    own_daily_loss_limit: float | None = Field(description="The account's own; 0 where it has none.")
    room_to_own_limit: float | None
    trailing_max_drawdown: float | None = Field(description="As NinjaTrader reports it.")
    pnl_high: float | None = Field(description="High-water mark of the session's P&L.")
    drawdown_from_pnl_high: float | None
    net_liquidation_high: float | None
    drawdown_from_net_liquidation_high: float | None
    unrealized_high: float | None
    marks_source: str


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What was read of one account; None is what could not be read."""

    account: Account
    marks: Watermarks | None
    why_not: str
    max_day_loss: Decimal
    day_loss_reached: bool | None


def account_answer(report: AccountReport, notes: list[str], now: datetime) -> CallToolResult:
    """Both halves of one account."""
    account, balances = report.account, report.account.balances
    structure = AccountAnswer(
        read_at=stamp(now) or "",
        notes=notes,
        account=theirs(account.name) or "",
        kind=account.kind,
        may_trade=not report.why_not,
        why_not=report.why_not,
        connection=account.connection_status,
        currency=account.currency,
        max_day_loss=float(report.max_day_loss),
        day_loss_reached=report.day_loss_reached,
        room_to_max_day_loss=0.0 if report.day_loss_reached else _room(report.max_day_loss, balances.day_pnl),
        own_daily_loss_limit=number(balances.daily_loss_limit),
        room_to_own_limit=_room(balances.daily_loss_limit or None, balances.day_pnl),
        marks_source=_source(report.marks),
        **{name: number(getattr(balances, name)) for name in _BALANCES},
        **_marks_of(report.marks or Watermarks(account.name)),
    )
    return answered(_text(structure), structure)


def _marks_of(marks: Watermarks) -> dict[str, float | None]:
    return {
        "pnl_high": number(marks.pnl_high),
        "drawdown_from_pnl_high": _below(marks.pnl_high, marks.pnl),
        "net_liquidation_high": number(marks.net_liquidation_high),
        "drawdown_from_net_liquidation_high": _below(marks.net_liquidation_high, marks.net_liquidation),
        "unrealized_high": number(marks.unrealized_high),
    }


def _room(limit: Decimal | None, pnl: Decimal | None) -> float | None:
    return None if limit is None or pnl is None else float(max(Decimal(0), limit + pnl))


def _below(high: Decimal | None, now: Decimal | None) -> float | None:
    return None if high is None or now is None else float(max(Decimal(0), high - now))


def _source(marks: Watermarks | None) -> str:
    if marks is None:
        return "not read"
    if marks.pnl_high is None and marks.net_liquidation_high is None:
        return "CrossTrade keeps none for this account in this session"
    return "CrossTrade's session memory, of unknown age"


def _text(it: AccountAnswer) -> str:
    return lines(
        (
            f"{it.account}  {it.kind}  connection {it.connection or 'unknown'}, read {it.read_at}",
            "may trade" if it.may_trade else f"may NOT trade ({it.why_not})",
            f"net liquidation {money(it.net_liquidation)}  cash {money(it.cash_value)}"
            f"  buying power {money(it.buying_power)}  ({it.currency or 'currency unknown'})",
            f"margin: initial {money(it.initial_margin)}, maintenance {money(it.maintenance_margin)},"
            f" excess initial {money(it.excess_initial_margin)}",
            f"day P&L {moved(it.day_pnl)}: realized {moved(it.realized_pnl)} (gross {moved(it.gross_realized_pnl)},"
            f" commission {money(it.commission)}), unrealized {moved(it.unrealized_pnl)}",
            f"room to our day's loss limit of {money(it.max_day_loss)}: {money(it.room_to_max_day_loss)}{_reached(it)}",
            _own_limit(it),
            f"trailing max drawdown as NinjaTrader reports it: {money(it.trailing_max_drawdown)}",
            *_marks_text(it),
            *noted(it.notes),
        )
    )


def _reached(it: AccountAnswer) -> str:
    if it.day_loss_reached is None:
        return "; whether it was reached before is unknown"
    return "; REACHED: only exits until the session rolls" if it.day_loss_reached else ""


def _own_limit(it: AccountAnswer) -> str:
    if it.own_daily_loss_limit == 0:
        return "the account has no daily loss limit of its own"
    return (
        f"room to the account's own daily loss limit of {money(it.own_daily_loss_limit)}: {money(it.room_to_own_limit)}"
    )


def _marks_text(it: AccountAnswer) -> list[str]:
    if it.pnl_high is None and it.net_liquidation_high is None:
        return [f"high-water marks: {'unknown' if it.marks_source == 'not read' else it.marks_source}"]
    return [
        f"high-water marks ({it.marks_source}): P&L {moved(it.pnl_high)}"
        f" (now {money(it.drawdown_from_pnl_high)} below), net liquidation {money(it.net_liquidation_high)}"
        f" (now {money(it.drawdown_from_net_liquidation_high)} below), unrealized {moved(it.unrealized_high)}"
    ]
