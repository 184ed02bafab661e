"""An order as NinjaTrader keeps it: what was asked, the state it is in, and what it has filled."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ct_mcp.simulator.faults import AnyFault
from ct_mcp.simulator.products import Contract


class Action(StrEnum):
    """Which way."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Action.BUY else -1

    @property
    def opposite(self) -> "Action":
        """The other way."""
        return Action.SELL if self is Action.BUY else Action.BUY


class OrderType(StrEnum):
    """The four kinds of order."""

    MARKET = "Market"
    LIMIT = "Limit"
    STOP_MARKET = "StopMarket"
    STOP_LIMIT = "StopLimit"

    @property
    def has_limit(self) -> bool:
        """Say whether it carries a limit price."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        """Say whether it carries a stop price."""
        return self in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an order stands."""

    DAY = "Day"
    GTC = "Gtc"


class OrderState(StrEnum):
    """NinjaTrader's states, in its spelling."""

    SUBMITTED = "Submitted"
    ACCEPTED = "Accepted"
    WORKING = "Working"
    TRIGGER_PENDING = "TriggerPending"
    PART_FILLED = "PartFilled"
    CHANGE_PENDING = "ChangePending"
    CANCEL_PENDING = "CancelPending"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"


TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED})


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What the market is asked to do."""

    contract: Contract
    action: Action
    quantity: int
    order_type: OrderType
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: float = 0.0
    stop_price: float = 0.0

    @property
    def limit_ticks(self) -> int:
        """The limit price in ticks."""
        return self.contract.product.ticks(self.limit_price) or 0

    @property
    def stop_ticks(self) -> int:
        """The stop price in ticks."""
        return self.contract.product.ticks(self.stop_price) or 0


@dataclass(frozen=True, slots=True)
class OrderLabels:
    """What travels with an order and does not concern the market; `rpc` is the call that it came with.

    An entry names its ATM `template`; a leg of the bracket that follows names it as its `owner`, with the
    number of this use of it, and the `entry` that it protects. The orders of a strategy name it as their owner.
    `closes` marks the order of a flatten, which takes the size of what is held when its turn comes.
    """

    rpc: str = "PlaceOrder"
    name: str = ""
    own_id: str | None = None
    oco_id: str | None = None
    template: str | None = None
    owner: str | None = None
    owner_id: int | None = None
    entry: "Order | None" = None
    closes: bool = False


@dataclass(slots=True, eq=False)
class Order:
    """One order and its progress; `matches_from` is the first moment at which it can fill."""

    id: str
    account: str
    terms: OrderTerms
    labels: OrderLabels
    placed_at: datetime
    state: OrderState = OrderState.SUBMITTED
    matches_from: datetime | None = None
    triggered: bool = False
    filled: int = 0
    filled_ticks: int = 0
    error: str | None = None
    hindrance: AnyFault | None = None
    joins_oco: bool = True
    owner_id: int | None = None

    @property
    def is_live(self) -> bool:
        """Say whether it may still fill."""
        return self.state not in TERMINAL

    @property
    def remaining(self) -> int:
        """Contracts that are not filled yet."""
        return self.terms.quantity - self.filled

    @property
    def average_fill_price(self) -> float:
        """Average price of what is filled; 0.0 before the first fill."""
        if not self.filled:
            return 0.0
        return round(self.filled_ticks / self.filled * self.terms.contract.product.tick_size, 6)

    @property
    def is_plain_market(self) -> bool:
        """Say whether it takes the next price, whatever it is."""
        return self.terms.order_type is OrderType.MARKET or (
            self.terms.order_type is OrderType.STOP_MARKET and self.triggered
        )

    @property
    def waits_for_trigger(self) -> bool:
        """Say whether its stop price has not been touched yet."""
        return self.terms.order_type.has_stop and not self.triggered


@dataclass(frozen=True, slots=True)
class Execution:
    """The record of one trade of an order; `position` is the signed net holding after it."""

    id: str
    order: Order
    at: datetime
    quantity: int
    ticks: int
    position: int
    commission: float
    fee: float
