"""Accounts, what is in them and how the day goes."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.position import Position


class AccountKind(StrEnum):
    """Whether real money can move. What is not known counts as live."""

    SIMULATED = "simulated"
    LIVE = "live"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Balances:
    """NinjaTrader's account items, in account currency; None where the service did not say."""

    cash_value: Decimal | None = None
    net_liquidation: Decimal | None = None
    buying_power: Decimal | None = None
    realized_pnl: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    gross_realized_pnl: Decimal | None = None
    commission: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    excess_initial_margin: Decimal | None = None
    trailing_max_drawdown: Decimal | None = None
    daily_loss_limit: Decimal | None = None

    @property
    def day_pnl(self) -> Decimal | None:
        """Realised and unrealised together; unknown as soon as one of them is."""
        if self.realized_pnl is None or self.unrealized_pnl is None:
            return None
        return self.realized_pnl + self.unrealized_pnl


@dataclass(frozen=True, slots=True)
class Account:
    """One NinjaTrader account by its canonical name."""

    name: str
    kind: AccountKind
    provider: str | None = None
    display_name: str | None = None
    currency: str | None = None
    connection_status: str | None = None
    balances: Balances = Balances()


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account with its open positions, as one report said it."""

    account: Account
    positions: tuple[Position, ...]
    is_flat: bool | None


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The session's high-water marks, kept by CrossTrade itself; all None when it monitors nothing."""

    account: str
    pnl: Decimal | None = None
    pnl_high: Decimal | None = None
    net_liquidation: Decimal | None = None
    net_liquidation_high: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    unrealized_high: Decimal | None = None
