"""Orders as NinjaTrader reports them, their states in named sets, and executions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.instrument import Instrument


class OrderAction(StrEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """Plus one for BUY, minus one for SELL."""
        return 1 if self is OrderAction.BUY else -1


class OrderType(StrEnum):
    """The four order types that the service places, and two that only describe what somebody placed otherwise.

    An order of those two counts like any other and can be cancelled; its prices are not known, and nothing sends one.
    """

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    MARKET_IF_TOUCHED = "MARKET_IF_TOUCHED"
    OTHER = "OTHER"

    @property
    def can_be_sent(self) -> bool:
        """Say whether an order of this type may be placed."""
        return self not in (OrderType.MARKET_IF_TOUCHED, OrderType.OTHER)

    @property
    def needs_limit_price(self) -> bool:
        """Say whether it must carry a limit price."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop_price(self) -> bool:
        """Say whether it must carry a stop price."""
        return self in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an order stands: to the end of the session, or until cancelled."""

    DAY = "DAY"
    GTC = "GTC"


class OrderState(StrEnum):
    """NinjaTrader's states. UNKNOWN is what we cannot read, and is never taken for closed."""

    INITIALIZED = "INITIALIZED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    WORKING = "WORKING"
    PART_FILLED = "PART_FILLED"
    CHANGE_PENDING = "CHANGE_PENDING"
    CHANGE_SUBMITTED = "CHANGE_SUBMITTED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCEL_SUBMITTED = "CANCEL_SUBMITTED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


CLOSED = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED})
WORKING = frozenset({OrderState.ACCEPTED, OrderState.WORKING, OrderState.PART_FILLED, OrderState.TRIGGER_PENDING})
IN_FLIGHT = frozenset(OrderState) - CLOSED - WORKING - {OrderState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Order:
    """One order row. Prices are None where the order type has none."""

    account: str
    order_id: str
    instrument: Instrument
    action: OrderAction
    order_type: OrderType
    state: OrderState
    quantity: int
    filled: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    average_fill_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    oco_id: str | None = None
    name: str | None = None
    own_id: str | None = None
    placed_at: datetime | None = None

    @property
    def remaining(self) -> int:
        """Contracts that may still fill; none once the order is closed."""
        return 0 if self.is_closed else max(0, self.quantity - self.filled)

    @property
    def is_closed(self) -> bool:
        """Say whether nothing more can happen to it. An unknown state is not closed."""
        return self.state in CLOSED


@dataclass(frozen=True, slots=True)
class Execution:
    """The record of one trade of an order."""

    account: str
    execution_id: str
    order_id: str | None
    instrument: Instrument
    action: OrderAction | None
    quantity: int
    price: Decimal
    at: datetime | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One recorded step of an order: a state, a received command or a fill."""

    at: datetime | None
    source: str
    event: str
    state: OrderState | None
    order_id: str | None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The history of one order, oldest first; the evidence after an unknown outcome."""

    order_id: str
    own_id: str | None
    account: str | None
    events: tuple[LifecycleEvent, ...]

    @property
    def last_state(self) -> OrderState | None:
        """The newest state that any event carries; None where none does."""
        return next((event.state for event in reversed(self.events) if event.state is not None), None)
