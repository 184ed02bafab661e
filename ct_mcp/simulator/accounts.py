"""Accounts and what they hold: positions, cash, P&L, margins and high-water marks.

Money is kept in binary floating point, as NinjaTrader keeps it, noise included.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from ct_mcp.simulator.products import Contract


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """How an account is opened. `provider` is `Simulator` for play money and a connection's name for real money."""

    id: int
    name: str
    display_name: str
    provider: str
    connection: str
    cash: float
    daily_loss_limit: float = 0.0
    trailing_max_drawdown: float = 0.0
    max_order_size: int = 0
    max_position_size: int = 0
    monitored: bool = True

    @property
    def is_simulated(self) -> bool:
        """Say whether it is play money."""
        return self.provider == "Simulator"


# The opening balance of Sim101 carries the binary noise of an account that has traded before.
SIM = AccountSpec(2, "Sim101", "Sim101", "Simulator", "Sim101", cash=100_565.00000000285)
LIVE = AccountSpec(
    7,
    "APEX-482910",
    "Apex 50K Evaluation",
    "Rithmic",
    "Apex Rithmic",
    cash=51_240.35,
    daily_loss_limit=1_100.0,
    trailing_max_drawdown=2_500.0,
    max_order_size=10,
    max_position_size=10,
)


@dataclass(slots=True)
class Position:
    """The net holding of one contract: signed quantity and its exact average price in ticks."""

    contract: Contract
    quantity: int = 0
    average_ticks: Fraction = Fraction(0)

    @property
    def average_price(self) -> float:
        """The average price, rounded as the add-on shows it."""
        return round(float(self.average_ticks) * self.contract.product.tick_size, 6)

    def open_profit(self, last_ticks: int) -> float:
        """Dollars that would be made by leaving at the last price."""
        ticks = (last_ticks - self.average_ticks) * self.quantity
        return float(ticks) * self.contract.product.tick_value

    def apply(self, signed_quantity: int, ticks: int) -> float:
        """Take a fill in; return the dollars that it realised."""
        closed = 0
        if self.quantity * signed_quantity < 0:
            closed = min(abs(self.quantity), abs(signed_quantity)) * (1 if self.quantity > 0 else -1)
        realised = float((ticks - self.average_ticks) * closed) * self.contract.product.tick_value
        after = self.quantity + signed_quantity
        opened = signed_quantity + closed
        if opened:
            kept = self.quantity - closed
            self.average_ticks = (self.average_ticks * kept + Fraction(ticks) * opened) / after
        self.quantity = after
        return realised


@dataclass(slots=True)
class Watermarks:
    """The highest figures of the session."""

    profit: float = 0.0
    liquidation: float = 0.0
    open_profit: float = 0.0


@dataclass(slots=True)
class Account:
    """One account; the figures of the day are those of the session that is running."""

    spec: AccountSpec
    cash: float
    opening_cash: float
    opening_liquidation: float
    gross_realized: float = 0.0
    commission: float = 0.0
    fee: float = 0.0
    earlier_this_week: float = 0.0
    has_reported: bool = False
    positions: dict[Contract, Position] = field(default_factory=dict)
    watermarks: Watermarks = field(default_factory=Watermarks)

    @property
    def realized(self) -> float:
        """The realised P&L of the session after costs."""
        return self.gross_realized - self.commission - self.fee

    def net(self, contract: Contract) -> int:
        """The signed net holding of one contract."""
        held = self.positions.get(contract)
        return held.quantity if held else 0

    def open_positions(self) -> list[Position]:
        """List what is held."""
        return [position for position in self.positions.values() if position.quantity]

    def book(self, contract: Contract, signed_quantity: int, ticks: int) -> None:
        """Take a fill in: position, realised P&L, costs and cash."""
        position = self.positions.setdefault(contract, Position(contract))
        realised = position.apply(signed_quantity, ticks)
        commission = contract.product.commission * abs(signed_quantity)
        fee = contract.product.fee * abs(signed_quantity)
        self.gross_realized += realised
        self.commission += commission
        self.fee += fee
        self.cash += realised - commission - fee
        self.has_reported = True

    def begin_session(self, open_profit: float, *, new_week: bool) -> None:
        """Start the figures of the day again."""
        self.earlier_this_week = 0.0 if new_week else self.earlier_this_week + self.realized
        self.opening_cash = self.cash
        self.opening_liquidation = self.cash + open_profit
        self.gross_realized = self.commission = self.fee = 0.0
        self.has_reported = bool(self.open_positions())
        self.watermarks = Watermarks(liquidation=self.opening_liquidation)

    def mark(self, open_profit: float) -> None:
        """Raise the watermarks to where the account stands now."""
        marks = self.watermarks
        marks.profit = max(marks.profit, self.realized + open_profit)
        marks.liquidation = max(marks.liquidation, self.cash + open_profit)
        marks.open_profit = max(marks.open_profit, open_profit)


def opened(spec: AccountSpec) -> Account:
    """Open an account with its cash."""
    return Account(spec, spec.cash, spec.cash, spec.cash, watermarks=Watermarks(liquidation=spec.cash))


@dataclass(frozen=True, slots=True)
class MarginUse:
    """Dollars that the open positions of an account tie up."""

    initial: float
    maintenance: float
    intraday: float


def margin_used(account: Account) -> MarginUse:
    """Add up the margins of what is held."""
    held = [(abs(position.quantity), position.contract.product.margin) for position in account.open_positions()]
    return MarginUse(
        initial=sum((size * margin.initial for size, margin in held), 0.0),
        maintenance=sum((size * margin.maintenance for size, margin in held), 0.0),
        intraday=sum((size * margin.intraday for size, margin in held), 0.0),
    )
