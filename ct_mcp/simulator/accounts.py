"""Accounts: positions, cash, P&L, margins and high-water marks.

Money is kept in binary floating point, as NinjaTrader keeps it, noise included.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from ct_mcp.simulator.products import SimContract


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """How an account is opened; `provider` is `Simulator` for a simulated account, else the name of the connection."""

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
    denomination: str = "UsDollar"

    @property
    def is_simulated(self) -> bool:
        """Whether the account is a simulated one."""
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
class SimPosition:
    """Net position in one contract: signed quantity and the exact average price in ticks."""

    contract: SimContract
    quantity: int = 0
    average_ticks: Fraction = Fraction(0)

    @property
    def average_price(self) -> float:
        """Average price, rounded as the add-on shows it."""
        return round(float(self.average_ticks) * self.contract.product.tick_size, 6)

    def open_profit(self, last_ticks: int) -> float:
        """Return the unrealised P&L in dollars at the last price."""
        average: Fraction | int = self.average_ticks
        if self.average_ticks.denominator == 1:  # as of every position that was filled at one price
            average = self.average_ticks.numerator
        return float((last_ticks - average) * self.quantity) * self.contract.product.tick_value

    def apply(self, signed_quantity: int, ticks: int) -> float:
        """Add a fill and return the realised P&L in dollars."""
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
class SessionHighs:
    """Highest figures of the session, in dollars."""

    profit: float = 0.0
    liquidation: float = 0.0
    open_profit: float = 0.0


@dataclass(slots=True)
class SimAccount:
    """One account; the daily figures are those of the current session."""

    spec: AccountSpec
    cash: float
    opening_cash: float
    opening_liquidation: float
    gross_realized: float = 0.0
    commission: float = 0.0
    fee: float = 0.0
    earlier_this_week: float = 0.0
    has_reported: bool = False
    positions: dict[SimContract, SimPosition] = field(default_factory=dict)
    watermarks: SessionHighs = field(default_factory=SessionHighs)

    @property
    def realized(self) -> float:
        """Realised P&L of the session after costs."""
        return self.gross_realized - self.commission - self.fee

    def net(self, contract: SimContract) -> int:
        """Return the signed net position in one contract."""
        held = self.positions.get(contract)
        return held.quantity if held else 0

    def open_positions(self) -> list[SimPosition]:
        """List the positions that are not flat."""
        return [position for position in self.positions.values() if position.quantity]

    def book(self, contract: SimContract, signed_quantity: int, ticks: int) -> None:
        """Book a fill: position, realised P&L, costs and cash."""
        position = self.positions.setdefault(contract, SimPosition(contract))
        realised = position.apply(signed_quantity, ticks)
        commission = contract.product.commission * abs(signed_quantity)
        fee = contract.product.fee * abs(signed_quantity)
        self.gross_realized += realised
        self.commission += commission
        self.fee += fee
        self.cash += realised - commission - fee
        self.has_reported = True

    def begin_session(self, open_profit: float, *, new_week: bool) -> None:
        """Reset the daily figures."""
        self.earlier_this_week = 0.0 if new_week else self.earlier_this_week + self.realized
        self.opening_cash = self.cash
        self.opening_liquidation = self.cash + open_profit
        self.gross_realized = self.commission = self.fee = 0.0
        self.has_reported = bool(self.open_positions())
        self.watermarks = SessionHighs(liquidation=self.opening_liquidation)

    def mark(self, open_profit: float) -> None:
        """Raise the high-water marks to the current figures."""
        marks = self.watermarks
        marks.profit = max(marks.profit, self.realized + open_profit)
        marks.liquidation = max(marks.liquidation, self.cash + open_profit)
        marks.open_profit = max(marks.open_profit, open_profit)


def open_account(spec: AccountSpec) -> SimAccount:
    """Open an account with its initial cash."""
    return SimAccount(spec, spec.cash, spec.cash, spec.cash, watermarks=SessionHighs(liquidation=spec.cash))


@dataclass(frozen=True, slots=True)
class MarginUse:
    """Margin of the open positions of an account, in dollars."""

    initial: float
    maintenance: float
    intraday: float


def margin_used(account: SimAccount) -> MarginUse:
    """Add up the margins of the open positions."""
    held = [(abs(position.quantity), position.contract.product.margin) for position in account.open_positions()]
    return MarginUse(
        initial=sum((size * margin.initial for size, margin in held), 0.0),
        maintenance=sum((size * margin.maintenance for size, margin in held), 0.0),
        intraday=sum((size * margin.intraday for size, margin in held), 0.0),
    )
